"""HTTPS on the socket that the supervisor handed over: uvicorn's HTTP/1.1 (RFC 9112), with deadlines of our own.

Leaves out: HTTP/2, which a page and its few files don't need; WebSockets.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.portal import security
from gateway.portal.app import Guarded
from gateway.world.clock import Clock
from gateway.world.sockets import Socket
from gateway.world.threshold import Room, Threshold

HANDSHAKE: Final = 20.0  # Seconds for the TLS handshake.
HEAD: Final = 20.0  # Seconds for the head of a request, from its first octet or the connection on.
IDLE: Final = 15  # Seconds that a connection without a request stays open.
MAX_HEAD: Final = 16 * 1024  # Octets of a request's head. Cookies of some messages are a few hundred.


class _Visit(H11Protocol):
    """One connection. A client that takes its time with the head of a request is not waited for."""

    _late: asyncio.TimerHandle | None = None
    may_come: Callable[[asyncio.Transport], bool]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        if not self.may_come(transport):
            transport.abort()
            return
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self.transport is None:  # It was one too many.
            return
        super().data_received(data)
        # Behind an answer that did not wait for the whole of a form, uvicorn drops the rest, for as long as it comes.
        is_dropped = self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY
        if not is_dropped and self.conn.their_state is not h11.IDLE:
            self._in_time()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP: say so where an answer may still stand, and end. Called in the middle of reading."""
        cycle: RequestResponseCycle | None = getattr(self, "cycle", None)  # None before the first request.
        if cycle is not None and not cycle.response_complete:
            # Whoever is at work on that request hears that its client is gone: nothing more can be said to it.
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        elif self.transport is not None:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        if self.transport is not None:
            super().connection_lost(exc)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class Server:
    """One door. `use` gives new connections another certificate; `close` ends."""

    def __init__(self, app: Guarded, context: ssl.SSLContext, *, most: int, of_one: int, clock: Clock) -> None:
        """`most`: connections at once; `of_one`: of one client, unless it is a proxy of ours."""
        self._app = app
        self._most = most
        self._of_one = of_one
        # What uvicorn would log has addresses in it, and the traces of what failed may hold a part of a message.
        logging.getLogger("uvicorn").disabled = True
        for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
            logging.getLogger(name).disabled = True
        self._config = Config(
            app,
            http=_Visit,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=IDLE,
            h11_max_incomplete_event_size=MAX_HEAD,
        )
        self._config.load()
        self._state = ServerState()
        self._context = context
        self._clock = clock
        self._threshold: Threshold | None = None

    def __len__(self) -> int:
        """Connections at present."""
        return len(self._state.connections)

    async def open(self, door: Socket) -> None:
        """Serve on it from now on. Raises OSError."""
        self._threshold = Threshold(
            [door],
            meet=self._meet,
            context=lambda: self._context,
            handshake=lambda: HANDSHAKE,
            room=self._room,
            refused=lambda: None,
            failed=lambda error: self._app.site.tell("error", "accept_failed", error=type(error).__name__),
            clock=self._clock,
        )

    async def _meet(self, client: Socket, address: str) -> _Visit:
        visit = _Visit(self._config, self._state, {}, asyncio.get_running_loop())
        visit.may_come = self._may_come
        return visit

    def _room(self, address: str) -> Room:
        return Room(
            self._most, self._most if security.is_within(address, self._app.site.terms.proxies) else self._of_one
        )

    def _may_come(self, transport: asyncio.Transport) -> bool:
        """Whether there is room for one more, and for one more of this client."""
        others = self._state.connections
        if len(others) >= self._most:
            return False
        peer = _address(transport)
        if len(others) < self._of_one or security.is_within(peer, self._app.site.terms.proxies):
            return True
        return sum(_address(one.transport) == peer for one in others) < self._of_one

    def use(self, context: ssl.SSLContext) -> None:
        """The certificate for connections from now on."""
        self._context = context

    async def close(self, seconds: float) -> None:
        """Take no more connections, and give those under way so many seconds."""
        if self._threshold is not None:
            self._threshold.close()
        for one in list(self._state.connections):
            one.shutdown()
        try:
            async with self._clock.timeout(seconds):
                while self._state.tasks:
                    await asyncio.wait(set(self._state.tasks))
        except TimeoutError:
            pass
        for task in set(self._state.tasks):
            task.cancel()
        for one in list(self._state.connections):
            # One that is closing goes by itself; asyncio's of Python 3.11, closed twice, can't even be told to.
            if not one.transport.is_closing():
                one.transport.abort()


def _address(transport: asyncio.BaseTransport) -> str:
    return str((transport.get_extra_info("peername") or ("",))[0])
