"""/metrics, /health and /live over HTTP/1.1 (h11), for Prometheus, load balancers and whoever restarts containers.

Nothing else is served.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable

import h11

from gateway.observe.metrics import CONTENT_TYPE, Snapshot
from gateway.world.clock import Clock

DEADLINE = 15.0  # Seconds for one request, slow clients included.
MAX_HEAD = 16 * 1024


def judged(workers: int, ready: int, samples: Iterable[Snapshot]) -> tuple[bool, dict[str, object]]:
    """What /health says: 200 while every worker lives and takes mail, so that a load balancer sends it elsewhere when
    each message would be answered 4xx. `samples`: what the workers last said of their numbers; nobody is asked now.
    """
    refusing = sum(any(value for _, value in sample.get("mail_refused", ())) for sample in samples)
    return ready == workers and not refusing, {"workers": workers, "ready": ready, "refusing": refusing}


class Health:
    """Answers one connection after the other. `metrics` renders; `healthy` says whether all is well, and why not: how
    many of the `workers` are `ready`. With those alone /live is content, and no restart would help where it is.
    """

    def __init__(
        self,
        *,
        metrics: Callable[[], Awaitable[bytes]],
        healthy: Callable[[], Awaitable[tuple[bool, dict[str, object]]]],
        clock: Clock,
    ) -> None:
        self._metrics = metrics
        self._healthy = healthy
        self._clock = clock

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            async with self._clock.timeout(DEADLINE):
                await self._exchange(reader, writer)
        except (TimeoutError, OSError, h11.ProtocolError):
            pass  # Whoever asks like that gets a closed connection.
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                octets = await reader.read(4096)
                http.receive_data(octets)
                continue
            if isinstance(event, h11.Request):
                break
            return
        status, kind, body = await self._answer(event.method, event.target.partition(b"?")[0])
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")]
        writer.write(http.send(h11.Response(status_code=status, headers=headers)) or b"")
        writer.write(http.send(h11.Data(data=b"" if event.method == b"HEAD" else body)) or b"")
        await writer.drain()

    async def _answer(self, method: bytes, target: bytes) -> tuple[int, str, bytes]:
        if method not in (b"GET", b"HEAD"):
            return 405, "text/plain; charset=utf-8", b"GET or HEAD\n"
        if target == b"/metrics":
            return 200, CONTENT_TYPE, await self._metrics()
        if target == b"/health":
            well, facts = await self._healthy()
            return 200 if well else 503, "application/json", json.dumps(facts).encode() + b"\n"
        if target == b"/live":
            _, facts = await self._healthy()
            lives = facts["ready"] == facts["workers"]
            return 200 if lives else 503, "application/json", json.dumps(facts).encode() + b"\n"
        return 404, "text/plain; charset=utf-8", b"/metrics, /health and /live are here\n"
