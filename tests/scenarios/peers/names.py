"""A scripted DNS server in a thread of its own, for gateways that run as whole processes."""

from __future__ import annotations

import asyncio
import threading

from tests.fakes.dns_server import FakeDns


class Names:
    """Answers from `zone` lines such as `x.example. 60 IN MX 10 mx.x.example.`; a context manager.

    `dns` is the server itself: its switches (failing, silent, zone) may be changed at any time.
    """

    def __init__(self, *zone: str) -> None:
        self.dns = FakeDns(*zone)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        return self.dns.address

    def __enter__(self) -> Names:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), name="dns", daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise AssertionError("the scripted DNS server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(10)

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self.dns:
            ready.set()
            await self._stop.wait()
