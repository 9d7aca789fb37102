"""The wire under the client: octets out, replies in, one wait at a time (RFC 5321 4.2), on aiosmtplib's protocol.

aiosmtplib reads one reply at a time, with a lock and a task for each, and sets a time-out around every one. Here any
number of replies is awaited with one future and one timer. Leaves out: what the replies mean.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

from aiosmtplib.protocol import SMTPProtocol

from gateway.delivery.said import Ear, HopFault, HopLost, HopOdd, HopSilent, Said

MAX_UNASKED: Final = 8  # Replies that nobody waits for: one makes the connection useless, many would fill memory.
ROOM: Final = -1  # Instead of a number of replies: wait until there is room to write.


class Wire(SMTPProtocol):
    """One connection, used by one task at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._ear = Ear()
        self._heard: list[Said] = []
        self._wanted = 0  # Replies that the waiter needs before it wakes, or ROOM.
        self._waiter: asyncio.Future[None] | None = None
        self._fault: HopFault | None = None
        self._deadline = 0.0
        self._patience = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stream: asyncio.Transport | None = None

    @property
    def alive(self) -> bool:
        """Whether nothing speaks against using it: no end, no fault, no word (such as 421) that nobody asked for."""
        stream = self._stream
        return stream is not None and self._fault is None and not self._heard and not stream.is_closing()

    @property
    def stream(self) -> asyncio.Transport:
        """The transport, for facts of its TLS. Raises HopLost."""
        if self._stream is None:
            raise self._fault or HopLost("the connection ended")
        return self._stream

    @property
    def quiet(self) -> bool:
        """Whether nothing was heard that was not asked for, not even in part."""
        return not self._heard and not self._ear.half and self._fault is None

    def take_over(self, upgraded: asyncio.Transport) -> None:
        """Go on over TLS. What was heard before counts for nothing (RFC 3207 4.2)."""
        self._ear.forget()
        self._heard.clear()
        self.transport = self._stream = upgraded
        self._over_ssl = True

    def abort(self) -> None:
        """End it at once, in whatever state."""
        stream = self._stream
        self._fail(HopLost("the connection ended"))
        if stream is not None:
            stream.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport
        self._stream = cast(asyncio.Transport, transport)  # uvloop's don't inherit from it.

    def data_received(self, data: bytes) -> None:
        """Take replies; wake who waits once enough are there."""
        if self._fault is not None:
            return
        heard, fault = self._ear.hear(data)
        self._heard += heard
        if fault is not None:
            self._fail(fault)
            self.abort()
            return
        if not heard:
            return
        self._deadline = self._loop.time() + self._patience
        if heard[-1].code == 421:  # Whatever was asked, it closes now (RFC 5321 3.8).
            self._fail(HopLost(f"the host closed the connection: {heard[-1].line}"))
        elif self._waiter is None:
            if len(self._heard) > MAX_UNASKED:
                self._fail(HopOdd("the host answers what was not asked"))
                self.abort()
        elif len(self._heard) >= self._wanted and not self._waiter.done():
            self._waiter.set_result(None)

    def eof_received(self) -> bool:
        """The host has said its last word."""
        self._fail(HopLost("the host closed the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake who waits. During a handshake the connection is not ours; `secure` learns of its end by itself."""
        fault = HopLost("the connection was lost" if exc else "the host closed the connection")
        fault.__cause__ = exc
        self._fail(fault)
        self.transport = None
        self._stream = None

    def pause_writing(self) -> None:
        """The transport holds enough."""
        self._paused = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._paused = False
        if self._wanted == ROOM and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Waiting

    def _fail(self, fault: HopFault) -> None:
        if self._fault is None:
            self._fault = fault
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _time_out(self) -> None:
        """The one timer of a wait: progress has moved the deadline, or it is over."""
        left = self._deadline - self._loop.time()
        if left > 0.001:
            self._timer = self._loop.call_later(left, self._time_out)
        else:
            self._fail(HopSilent("the host did not answer in time"))
            self.abort()

    async def _wait(self, wanted: int, seconds: float) -> None:
        """Until `wanted` replies are there (ROOM: until there is room to write), or the connection fails."""
        self._wanted = wanted
        self._patience = seconds
        self._deadline = self._loop.time() + seconds
        self._waiter = self._loop.create_future()
        self._timer = self._loop.call_later(seconds, self._time_out)
        try:
            await self._waiter
        finally:
            self._timer.cancel()  # Perhaps another one by now.
            self._waiter = None
            self._wanted = 0

    async def _replies(self, count: int, seconds: float) -> list[Said]:
        """The next `count` replies; each gives the next one `seconds` more. Raises HopFault; `_heard` has what came."""
        if len(self._heard) < count and self._fault is None:
            await self._wait(count, seconds)
        if len(self._heard) < count:
            raise self._fault or HopLost("the connection ended")
        replies = self._heard[:count]
        del self._heard[:count]
        return replies

    def _send(self, octets: bytes) -> None:
        stream = self._stream
        if stream is None or self._fault is not None or stream.is_closing():
            raise self._fault or HopLost("the connection ended")
        if self._heard:  # A reply too many would be taken for the answer to what goes out now.
            raise HopOdd("the host answers what was not asked")
        stream.write(octets)

    async def _ask(self, line: bytes, seconds: float) -> Said:
        self._send(line)
        return (await self._replies(1, seconds))[0]
