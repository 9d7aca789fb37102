"""One client's connection: the transport's protocol, replies on their way out, deadlines.

`Session` decides what is said on it. Leaves out: commands.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from aiosmtpd.smtp import SMTP

from gateway.connectors.described import shown
from gateway.connectors.tls import peer_chain, tls_facts
from gateway.mail.envelope import Tls
from gateway.mail.reply import Reply
from gateway.smtp.desk import Desk, Terms
from gateway.smtp.inflow import ClientGone, Inflow, TimeRanOut

if TYPE_CHECKING:
    from gateway.smtp.sessions import Sessions

DRAIN = 60.0  # Seconds that a client may leave our replies unread.


class Connection(SMTP, ABC):
    """Made by the listener for each client; aiosmtpd's class is its frame."""

    def __init__(self, desk: Desk, terms: Terms, loop: asyncio.AbstractEventLoop, sessions: Sessions) -> None:
        # aiosmtpd's constructor is left out on purpose: it inspects all members and asks DNS for our name each time.
        self.loop = loop
        self.desk = desk
        self.terms = terms
        self.sessions = sessions
        self.inflow = Inflow(loop)
        self.transport: asyncio.Transport | None = None
        self.deadline = float("inf")
        self.ends = float("inf")
        self.tls: Tls | None = None
        self.peer = ("", 0)
        self.proxy: str | None = None  # The address of the proxy that speaks for this client.
        self.stopping = False
        self._out: list[bytes] = []
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._lost: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def __del__(self) -> None:
        """Nothing: aiosmtpd's looks for what its constructor would have made."""

    # -- the transport's protocol -------------------------------------------------------------------------------------

    def came_by(self, proxy: str, source: tuple[str, int]) -> None:
        """Before the connection is made: not `proxy`, who connects, is the client, but `source`."""
        self.proxy = proxy
        self.peer = source

    @property
    def who(self) -> dict[str, str]:
        """The client as log lines name it."""
        if self.proxy is None:
            return {"client": self.peer[0]}
        return {"client": self.peer[0], "proxy": self.proxy}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there: judge the limits, then serve it in a task of its own."""
        self.transport = cast(asyncio.Transport, transport)
        self.inflow.attach(self.transport)
        if self.proxy is None:
            peer = transport.get_extra_info("peername") or ("", 0)
            address = str(peer[0])
            self.peer = (address.removeprefix("::ffff:") if "." in address else address, int(peer[1]))
        self.note_tls()
        now = self.desk.clock.monotonic()
        self.ends = now + self.terms.deadlines.session
        self.deadline = now + self.terms.deadlines.greeting
        self._task = self.sessions.enter(self)

    def note_tls(self) -> None:
        """Remember version and cipher of the connection as it is now."""
        facts = None if self.transport is None else tls_facts(self.transport)
        if self.transport is None or facts is None:
            self.tls = None
            return
        chain = peer_chain(self.transport)
        self.tls = Tls(*facts, shown(chain) if chain else None)

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone. A message whose end was read is still taken: its task goes on by itself."""
        self.transport = None
        self.inflow.fail(ClientGone())
        self.resume_writing()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Octets of the client."""
        self.inflow.feed(data)

    def eof_received(self) -> bool:
        """The client says nothing more, but may still listen; over TLS the connection ends with it."""
        self.inflow.end()
        return self.tls is None

    def pause_writing(self) -> None:
        """The client does not read our replies."""
        self._paused = True

    def resume_writing(self) -> None:
        """It reads again, or is gone."""
        self._paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # -- going out ----------------------------------------------------------------------------------------------------

    async def push(self, status: str | bytes) -> None:
        """aiosmtpd's way of answering; kept for what it calls by itself."""
        self._out.append((status.encode() if isinstance(status, str) else status) + b"\r\n")
        await self._flush()

    async def _flush(self) -> None:
        """Send what is queued; wait where the client does not read. Raises ClientGone."""
        if not self._out:
            return
        octets = b"".join(self._out) if len(self._out) > 1 else self._out[0]
        self._out.clear()
        if self.transport is None:
            raise ClientGone
        self.transport.write(octets)
        if self._paused:
            self.deadline = self.desk.clock.monotonic() + DRAIN
            self._writable = self.loop.create_future()
            try:
                await self._writable
            finally:
                self._writable = None
            if self.transport is None:
                raise ClientGone

    def _farewell(self, reply: Reply | None = None) -> None:
        """What is queued, and `reply` behind it, without waiting."""
        if reply is not None:
            self._out.append(reply.wire)
        if self.transport is not None and self._out:
            self.transport.write(b"".join(self._out) if len(self._out) > 1 else self._out[0])
            self._out.clear()

    async def _hang_up(self) -> None:
        """Close. A client that leaves our last words unread counts until it is gone, or its time runs out."""
        transport = self.transport
        if transport is None:
            return
        waits = not transport.is_closing() and transport.get_write_buffer_size() > 0
        transport.close()
        if waits:
            self.deadline = self.desk.clock.monotonic() + DRAIN
            self._lost = self.loop.create_future()
            await self._lost

    # -- its end ------------------------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a message is under way."""
        return False

    @abstractmethod
    async def serve(self, refusal: Reply | None) -> None:
        """The whole session after its banner, to the closed connection. `refusal`: say this instead of serving."""

    def expire(self) -> None:
        """The deadline passed: called by the listener's watch."""
        self.deadline = float("inf")
        if self._writable is not None or self._lost is not None:  # It does not read: there is no use in telling it.
            if self.transport is not None:
                self.transport.abort()
        else:
            self.inflow.fail(TimeRanOut())

    def stop(self) -> None:
        """The gateway stops: end as soon as no message is under way."""
        self.stopping = True
        if self.inflow.is_waiting and not self.is_busy:
            self.inflow.fail(TimeRanOut())
