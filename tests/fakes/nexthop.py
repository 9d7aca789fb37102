"""A next hop on a free loopback port, whose side of the dialog the test writes."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final

OFFERS: Final = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")

Answer = str | bytes
CLOSE: Final = "close"  # End the connection instead of a reply.
RESET: Final = "reset"  # The same with RST.
STALL: Final = "stall"  # Say nothing, and keep it open.

_USUAL: Mapping[str, Answer] = {
    "greeting": "220 hop.test ESMTP",
    "HELO": "250 hop.test",
    "MAIL": "250 2.1.0 Sender ok",
    "RCPT": "250 2.1.5 Recipient ok",
    "DATA": "354 Go on",
    ".": "250 2.0.0 Queued as X1",
    "RSET": "250 2.0.0 Reset",
    "QUIT": "221 2.0.0 Bye",
    "STARTTLS": "220 2.0.0 Go on",
}


class FakeNextHop:
    """`says` has the answers for each verb ("greeting" and "." too): one, or a list used up in order, whose last stays.

    An answer is a line (LF between the lines of a longer one), raw octets, or one of CLOSE, RESET, STALL; "421 ..."
    closes too. `tls` makes it offer STARTTLS. `breaks_tls`: the handshake gets garbage. `injects` goes out in clear
    behind the 220 to STARTTLS. What comes behind a 334 is answered as "AUTH" once more. `eager`: how many octets of a
    message it reads before it answers ".", half way. What came lies in `commands` (a list for each connection),
    `messages` (octets, dots taken out) and `in_tls`.
    """

    def __init__(
        self,
        says: Mapping[str, Answer | Sequence[Answer]] | None = None,
        *,
        offers: Sequence[str] = OFFERS,
        tls: ssl.SSLContext | None = None,
        breaks_tls: bool = False,
        injects: bytes = b"",
        eager: int | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._says: dict[str, list[Answer]] = {
            verb: [answer] if isinstance(answer, str | bytes) else list(answer)
            for verb, answer in {**_USUAL, **(says or {})}.items()
        }
        self._offers = offers
        self._tls = tls
        self._breaks_tls = breaks_tls
        self._injects = injects
        self._eager = eager
        self._host = host
        self._asked: dict[int, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.AbstractServer | None = None
        self.port = 0
        self.commands: list[list[bytes]] = []
        self.messages: list[bytes] = []
        self.in_tls: list[bool] = []
        self.sni: list[str | None] = []
        self.came = asyncio.Event()

    async def __aenter__(self) -> FakeNextHop:
        server = await asyncio.start_server(self._take, self._host, 0, limit=1 << 26)
        self._server = server
        self.port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hang_up(self) -> None:
        """End all connections as they stand."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def say(self, octets: bytes) -> None:
        """Say something nobody asked for, on all connections."""
        for writer in list(self._writers):
            writer.write(octets)
            await writer.drain()

    @property
    def open(self) -> int:
        """Connections that are open."""
        return len(self._writers)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        number = len(self.commands)
        self.commands.append([])
        self.in_tls.append(False)
        self.sni.append(None)
        self.came.set()
        try:
            if await self._answer(writer, "greeting") != CLOSE:
                while await self._command(number, reader, writer):
                    pass
        except (OSError, asyncio.IncompleteReadError, EOFError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _command(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = await reader.readline()
        if not line:
            return False
        self.commands[number].append(line.rstrip(b"\r\n"))
        verb = line.split(b" ")[0].strip().decode("ascii", "replace").upper()
        if self._asked.pop(number, False):
            verb = "AUTH"
        if verb == "EHLO" and "EHLO" not in self._says:
            offers = [*self._offers, *(["STARTTLS"] if self._tls and not self.in_tls[number] else [])]
            await self._write(writer, "\n".join(["250 hop.test", *(f"250 {one}" for one in offers)]))
            return True
        answer = await self._answer(writer, verb)
        self._asked[number] = answer.startswith("334")
        if verb == "STARTTLS" and answer.startswith("220"):
            return await self._upgrade(number, writer)
        if verb == "DATA" and answer.startswith("354"):
            return await self._message(reader, writer)
        return answer != CLOSE and verb != "QUIT"

    async def _message(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if self._eager is not None:
            await reader.readexactly(self._eager)
            return await self._answer(writer, ".") != CLOSE
        lines: list[bytes] = []
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        self.messages.append(b"".join(lines))
        return await self._answer(writer, ".") != CLOSE

    async def _upgrade(self, number: int, writer: asyncio.StreamWriter) -> bool:
        if self._breaks_tls or self._tls is None:
            writer.write(b"this is no handshake\r\n")
            await writer.drain()
            return False
        self.in_tls[number] = True
        self._tls.sni_callback = lambda _one, name, _context: self.sni.__setitem__(number, name)
        await writer.start_tls(self._tls, ssl_handshake_timeout=5)
        return True

    async def _answer(self, writer: asyncio.StreamWriter, verb: str) -> str:
        """What was answered; CLOSE where the connection is to end."""
        answers = self._says.get(verb, ["500 5.5.2 Unknown"])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer == STALL:
            await asyncio.Event().wait()
        if answer == RESET:
            plain = writer.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return CLOSE
        if answer == CLOSE:
            return CLOSE
        if isinstance(answer, bytes):
            writer.write(answer)
            await writer.drain()
            return "raw"
        await self._write(writer, answer, self._injects if verb == "STARTTLS" else b"")
        return CLOSE if answer.startswith("421") else answer

    async def _write(self, writer: asyncio.StreamWriter, text: str, behind: bytes = b"") -> None:
        lines = text.split("\n")
        out = [f"{line[:3]}-{line[4:]}" for line in lines[:-1]] + lines[-1:]
        writer.write("".join(f"{line}\r\n" for line in out).encode() + behind)
        await writer.drain()
