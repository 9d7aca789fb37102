"""What a client sends, as octets: taken line by line or block by block, with a bound on what may wait."""

from __future__ import annotations

import asyncio

HIGH = 512 * 1024  # Octets that may wait before the socket is left unread.
MAX_LINE = 4096  # Of a command with its CR LF. RFC 5321 4.5.3.1.4 asks for 512, each extension for some more.
MAX_AUTH_LINE = 12288  # Of AUTH, and of each answer to it (RFC 4954 3, 4).


class ClientGone(Exception):
    """The connection ended."""


class TimeRanOut(Exception):
    """A deadline of the session passed while we waited for the client."""


class LineTooLong(Exception):
    """A command line was longer than MAX_LINE; it was read to its end and dropped.

    `in_step`: whether what follows is the next command. It is not behind a bare LF, nor behind a BDAT nobody has read.
    """

    def __init__(self, *, in_step: bool) -> None:
        super().__init__()
        self.in_step = in_step


class Inflow:
    """The unread octets of one connection. One reader at a time."""

    __slots__ = ("_at", "_ended", "_error", "_loop", "_octets", "_paused", "_transport", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._octets = b""
        # What stands before this was read: to cut off each of many short lines would copy the rest each time.
        self._at = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._ended = False
        self._paused = False
        self._transport: asyncio.Transport | None = None

    def attach(self, transport: asyncio.Transport) -> None:
        """Read from `transport` from now on; what came before is thrown away (RFC 3207 4.2)."""
        self._octets = b""
        self._at = 0
        self.go_on(transport)

    def go_on(self, transport: asyncio.Transport) -> None:
        """Read from `transport` from now on; what came before stays."""
        self._transport = transport
        self._paused = False

    @property
    def is_empty(self) -> bool:
        """Whether the next read would have to wait."""
        return self._at == len(self._octets)

    @property
    def has_line(self) -> bool:
        """Whether a whole line is there."""
        return self._octets.find(b"\n", self._at) >= 0

    def feed(self, octets: bytes) -> None:
        """More has come."""
        self._octets = self._rest() + octets if self._octets else bytes(octets)
        if len(self._octets) > HIGH and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def end(self) -> None:
        """Nothing more will come; what is here may still be read."""
        self._ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Whoever waits, now or later, gets `error`."""
        self._error = error
        self._wake()

    @property
    def is_waiting(self) -> bool:
        """Whether the session waits for the client."""
        return self._waiter is not None

    def put_back(self, octets: bytes) -> None:
        """These were read and belong to what comes next."""
        self._octets = octets + self._rest()

    def _rest(self) -> bytes:
        """What is unread, which stands at the beginning from now on."""
        if self._at:
            self._octets = self._octets[self._at :]
            self._at = 0
        return self._octets

    async def line(self, longest: int = MAX_LINE) -> bytes:
        """The next line with its ending, at most so many octets. Raises ClientGone, TimeRanOut, LineTooLong."""
        if isinstance(self._error, TimeRanOut):  # Also where the client sends so much that we never wait for it.
            raise self._error
        dropped = last = b""  # How a line began whose octets were not kept, and its newest, which may be its CR.
        start = self._at
        while True:
            end = self._octets.find(b"\n", start)
            if end >= 0:
                line = self._octets[self._at : end + 1]
                self._at = end + 1
                if self._at == len(self._octets):
                    self._octets = b""
                    self._at = 0
                self._resume()
                if dropped or (len(line) > longest and len(line) > _most(line, longest)):
                    bdat = (dropped or line)[:5].upper() == b"BDAT "
                    raise LineTooLong(in_step=(last + line).endswith(b"\r\n") and not bdat)
                return line
            start = len(self._rest())
            if start > longest and start > _most(self._octets, longest):
                dropped = dropped or self._octets[:5]
                last = self._octets[-1:]
                self._octets = b""
                start = 0
                self._resume()
            await self._more()

    async def block(self) -> bytes:
        """All that is here, at least one octet. Raises ClientGone, TimeRanOut."""
        while not self._octets:
            await self._more()
        octets = self._rest()
        self._octets = b""
        self._resume()
        return octets

    async def take(self, most: int) -> bytes:
        """What is here, at least one octet, at most so many. Raises ClientGone, TimeRanOut.

        The rest is not moved: a client may send thousands of chunks of one octet each at once.
        """
        if isinstance(self._error, TimeRanOut):
            raise self._error
        while not self._octets:
            await self._more()
        octets = self._octets[self._at : self._at + most]
        self._at += len(octets)
        if self._at == len(self._octets):
            self._octets = b""
            self._at = 0
        self._resume()
        return octets

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        if self._ended:
            raise ClientGone
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _resume(self) -> None:
        if self._paused and len(self._octets) - self._at <= HIGH and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()


def _most(octets: bytes, longest: int) -> int:
    """How long the line may be that begins with `octets`."""
    return MAX_AUTH_LINE if octets[:5].upper() == b"AUTH " else longest
