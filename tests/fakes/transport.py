"""A client without a socket: feeds octets to a session, keeps what was written, and fails where the test said so."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from gateway.smtp.desk import Desk, Terms
from gateway.smtp.session import Session
from gateway.smtp.sessions import Sessions

HIGH_WATER = 64 * 1024  # As asyncio's own transports have it.


class FakeTransport(asyncio.Transport):
    """`writes` are what was written, call by call.

    Switches: `stalled`: the client reads nothing, so what is written stays in the buffer; `lossy`: the connection is
    found dead at the next write.
    """

    def __init__(
        self, protocol: asyncio.Protocol, peer: tuple[str, int] = ("192.0.2.7", 40000), tls: Any = None
    ) -> None:
        super().__init__({"peername": peer, "ssl_object": tls})
        self._protocol = protocol
        self.writes: list[bytes] = []
        self.stalled = False
        self.lossy = False
        self.reading = True
        self.closing = False
        self.aborted = False
        self.lost = False
        self._buffered = 0
        self._pausing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closing:
            return
        self.writes.append(bytes(data))
        if self.lossy:
            self._lose(ConnectionResetError(104, "Connection reset by peer"))
        elif self.stalled:
            self._buffered += len(data)
            if self._buffered > HIGH_WATER and not self._pausing:
                self._pausing = True
                self._protocol.pause_writing()

    def read_on(self) -> None:
        """The client reads what it left unread."""
        self.stalled = False
        self._buffered = 0
        if self._pausing:
            self._pausing = False
            self._protocol.resume_writing()
        if self.closing:
            self._lose(None)

    def get_write_buffer_size(self) -> int:
        return self._buffered

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self._buffered:
                self._lose(None)

    def abort(self) -> None:
        self.aborted = True
        self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        self.closing = True
        if not self.lost:
            self.lost = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_reading(self) -> bool:
        return self.reading

    def hang_up(self) -> None:
        """The client ends the connection, both ways."""
        self._lose(ConnectionResetError(104, "Connection reset by peer"))


class FakeClient:
    """A client in a script: `await client.asks("NOOP", "250 2.0.0 OK")`. A failure points at that line of the test."""

    def __init__(self, sessions: Sessions, peer: tuple[str, int] = ("192.0.2.7", 40000), tls: Any = None) -> None:
        self.session: Session = sessions()
        self.transport = FakeTransport(self.session, peer, tls)
        self.session.connection_made(self.transport)
        self._heard = 0

    @property
    def closed(self) -> bool:
        """Whether the gateway has hung up."""
        return self.transport.closing

    @property
    def said(self) -> bytes:
        """All that the gateway ever wrote."""
        return b"".join(self.transport.writes)

    async def feed(self, *pieces: bytes) -> None:
        """Octets as they are, each piece by itself; then let the session do what follows."""
        for piece in pieces:
            if not self.transport.closing:
                self.session.data_received(piece)
            await settle()
        await settle()

    async def hears(self) -> list[str]:
        """The lines since the last time."""
        await settle()
        octets = b"".join(self.transport.writes[self._heard :])
        self._heard = len(self.transport.writes)
        assert octets == b"" or octets.endswith(b"\r\n"), f"half a line: {octets!r}"
        return octets.decode().split("\r\n")[:-1]

    async def asks(self, said: str | bytes, *answers: str) -> list[str]:
        """Say a line (str) or octets as they are; the answer's lines must begin so, one by one."""
        __tracebackhide__ = True
        await self.feed(said if isinstance(said, bytes) else said.encode() + b"\r\n")
        return await self.expects(*answers)

    async def expects(self, *answers: str) -> list[str]:
        """The lines since the last time must begin so, one by one."""
        __tracebackhide__ = True
        lines = await self.hears()
        fits = len(lines) == len(answers) and all(map(str.startswith, lines, answers))
        assert fits, f"expected {list(answers)}, heard {lines}"
        return lines

    async def greets(self, name: str = "client.example") -> None:
        """Read the banner, say EHLO."""
        __tracebackhide__ = True
        await self.expects("220 ")
        await self.feed(b"EHLO " + name.encode() + b"\r\n")
        assert (await self.hears())[-1].startswith("250 ")

    async def sends(self, content: bytes, *, sender: str = "ida@corp.example", to: str = "otto@partner.example") -> str:
        """A whole transaction but for the answer's judgement: the last line heard."""
        __tracebackhide__ = True
        await self.asks(f"MAIL FROM:<{sender}>", "250 2.1.0")
        await self.asks(f"RCPT TO:<{to}>", "250 2.1.5")
        await self.asks("DATA", "354 ")
        await self.feed(content + b".\r\n")
        return (await self.hears())[-1]


def connected(desk: Desk, *, peer: tuple[str, int] = ("192.0.2.7", 40000), tls: Any = None, **terms: Any) -> FakeClient:
    """A client of a listener of its own, with these terms."""
    return FakeClient(listening(desk, **terms), peer, tls)


def listening(desk: Desk, **terms: Any) -> Sessions:
    """A listener in memory."""
    made = Terms.made(**{"name": "127.0.0.1:2525", "hostname": "mx.corp.example", **terms})
    return Sessions(desk, made, asyncio.get_running_loop())


REPLY_LINE = re.compile(rb"[2-5][0-9][0-9][ -][^\x00-\x1f\x7f]*")


async def settle() -> None:
    """Run what is ready, and what that makes ready, a few times over."""
    for _ in range(20):
        await asyncio.sleep(0)
