"""A next hop that does what the test says, and keeps what it got, octet for octet.

It runs an event loop in a thread of its own, so that a test is ordinary code. Replies are scripted for each command;
what the script does not name is answered as a healthy server would.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.scenarios.peers.certificates import Issued
from tests.scenarios.peers.ports import until

DROP: Final = "DROP"  # close without a word
STALL: Final = "STALL"  # say nothing, and keep the connection
HEALTHY: Final = {
    "CONNECT": "220 hop.example ESMTP",
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go ahead",
    ".": "250 2.0.0 taken",
    "RSET": "250 2.0.0 reset",
    "NOOP": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
    "STARTTLS": "220 2.0.0 ready",
}
EXTENSIONS: Final = ("PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


@dataclass(frozen=True)
class Got:
    """One message: the commands' own words, and the octets after DATA with the dots taken out."""

    mail: str
    rcpt: tuple[str, ...]
    octets: bytes
    tls: str | None

    @property
    def recipients(self) -> tuple[str, ...]:
        return tuple(line[line.index("<") + 1 : line.rindex(">")] for line in self.rcpt)

    @property
    def sender(self) -> str:
        return self.mail[self.mail.index("<") + 1 : self.mail.rindex(">")]


@dataclass
class Talk:
    """One connection: each command as it came, and the TLS version once it is on."""

    commands: list[str] = field(default_factory=list)
    tls: str | None = None


class Hop:
    """Listens on a free loopback port from `start` to `stop`; also a context manager.

    `replies`: for a verb (or CONNECT, or `.` for the end of data) what is said the first time, the second time, and so
    on; then the healthy reply again. A plain string is said every time. `taken` are the messages that got 250.
    `broken_tls`: STARTTLS is offered and answered 220, and then no handshake comes about.
    """

    def __init__(
        self,
        replies: Mapping[str, str | Sequence[str]] | None = None,
        *,
        extensions: Sequence[str] = EXTENSIONS,
        certificate: Issued | None = None,
        broken_tls: bool = False,
        host: str = "127.0.0.1",
    ) -> None:
        self.host = host
        self.port = 0
        self.taken: list[Got] = []
        self.talks: list[Talk] = []
        self.faults: list[BaseException] = []
        self.extensions = list(extensions)
        self._always: dict[str, str] = {}
        self._queued: dict[str, list[str]] = {}
        self.script(replies or {})
        self.context = certificate.context() if certificate else None
        self.broken_tls = broken_tls
        self._open: set[asyncio.WriteTransport] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None

    def script(self, replies: Mapping[str, str | Sequence[str]]) -> None:
        """From now on say these."""
        for verb, said in replies.items():
            if isinstance(said, str):
                self._always[verb] = said
            else:
                self._queued[verb] = list(said)

    def healthy(self) -> None:
        """Forget the script."""
        self._always.clear()
        self._queued.clear()

    def hang_up(self) -> None:
        """Close every connection, so that the next message comes on a new one."""

        def close() -> None:
            for one in list(self._open):
                one.abort()

        if self._loop is not None:
            self._loop.call_soon_threadsafe(close)

    def wait(self, count: int, seconds: float = 20.0) -> list[Got]:
        """The messages taken, once there are at least `count`."""
        until(lambda: len(self.taken) >= count, f"{count} messages at the next hop", seconds)
        return list(self.taken)

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __enter__(self) -> Hop:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), name="hop", daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise AssertionError("the scripted next hop did not start")

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(10)
        self._thread = self._loop = self._stop = None

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        talking: set[asyncio.Task[None]] = set()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                talking.add(task)
                task.add_done_callback(talking.discard)
            opened = writer.transport
            self._open.add(opened)
            try:
                await _Session(self, reader, writer).run()
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            except BaseException as error:
                self.faults.append(error)
            finally:
                self._open.discard(opened)
                writer.transport.abort()

        server = await asyncio.start_server(talk, self.host, self.port)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.close()
        await _turns()  # Whose connection was taken just now is among them then.
        while talking:
            for task in list(talking):
                task.cancel()
            await asyncio.gather(*talking, return_exceptions=True)
            await asyncio.sleep(0)
        await _turns()  # What was aborted closes its socket.

    def scripted(self, verb: str) -> bool:
        """Whether the script has something to say to `verb` now."""
        return verb in self._always or bool(self._queued.get(verb))

    def reply(self, verb: str) -> str:
        """What is said to `verb` this time."""
        if self._queued.get(verb):
            return self._queued[verb].pop(0)
        if verb in self._always:
            return self._always[verb]
        return HEALTHY.get(verb, "500 5.5.2 not known here")


class _Gone(OSError):
    """The script ends the connection here."""


class _Session:
    def __init__(self, hop: Hop, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hop, self.reader, self.writer = hop, reader, writer
        self.talk = Talk()
        self.buffer = b""
        self.mail = ""
        self.rcpt: list[str] = []

    async def run(self) -> None:
        self.hop.talks.append(self.talk)
        await self._say("CONNECT")
        while line := await self._line():
            text = line.decode("utf-8", "surrogateescape")
            self.talk.commands.append(text)
            verb = text.split(maxsplit=1)[0].upper().partition(":")[0] if text.strip() else ""
            if verb in ("EHLO", "HELO"):
                await self._hello(verb)
            elif verb == "STARTTLS":
                await self._starttls()
            elif verb == "MAIL":
                taken = (await self._say("MAIL")).startswith("2")
                self.mail, self.rcpt = text if taken else "", []
            elif verb == "RCPT":
                if not self.mail:
                    await self._write("503 5.5.1 say MAIL first")
                elif (await self._say("RCPT")).startswith("2"):
                    self.rcpt.append(text)
            elif verb == "DATA":
                await self._data()
            else:
                await self._say(verb)
                if verb == "QUIT":
                    return

    async def _fill(self) -> None:
        block = await self.reader.read(1 << 16)
        if not block:
            raise _Gone
        self.buffer += block

    async def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            await self._fill()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line or b" "

    async def _say(self, verb: str) -> str:
        said = self.hop.reply(verb)
        if said == DROP:
            raise _Gone
        if said == STALL:
            await asyncio.Event().wait()
        await self._write(said)
        return said

    async def _write(self, said: str) -> None:
        lines = said.split("\n")
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape"))
        await self.writer.drain()
        if lines[-1].startswith("421"):
            raise _Gone

    async def _hello(self, verb: str) -> None:
        if self.hop.scripted(verb):
            await self._say(verb)
            return
        offered = list(self.hop.extensions) if verb == "EHLO" else []
        if verb == "EHLO" and self.talk.tls is None and (self.hop.context is not None or self.hop.broken_tls):
            offered.append("STARTTLS")
        lines = ["hop.example", *offered]
        await self._write(
            "\n".join(f"250{'-' if one < len(lines) - 1 else ' '}{line}" for one, line in enumerate(lines))
        )

    async def _starttls(self) -> None:
        if self.hop.broken_tls:
            await self._write("220 2.0.0 ready")
            await self._write("this is no handshake")
            raise _Gone
        if self.hop.context is None:
            await self._write("502 5.5.1 no TLS here")
            return
        if not (await self._say("STARTTLS")).startswith("220"):
            return
        self.buffer = b""
        await self.writer.start_tls(self.hop.context, ssl_handshake_timeout=10)
        secured = self.writer.get_extra_info("ssl_object")
        assert isinstance(secured, ssl.SSLObject)
        self.talk.tls = secured.version()

    async def _data(self) -> None:
        if not self.rcpt and not self.hop.scripted("DATA"):
            await self._write("554 5.5.1 no valid recipients")
            return
        if not (await self._say("DATA")).startswith("354"):
            return
        block = b"\r\n" + self.buffer
        pieces = bytearray(block)
        seen = 0
        while (end := pieces.find(b"\r\n.\r\n", max(0, seen - 5))) < 0:
            seen = len(pieces)
            self.buffer = b""
            await self._fill()
            pieces += self.buffer
        self.buffer = bytes(pieces[end + 5 :])
        octets = bytes(pieces[: end + 2]).replace(b"\r\n.", b"\r\n")[2:]
        # Kept before the reply is written: a test that waits for the reply's effect must find it.
        said = self.hop.reply(".")
        if said.startswith("250"):
            self.hop.taken.append(Got(self.mail, tuple(self.rcpt), octets, self.talk.tls))
        if said == DROP:
            raise _Gone
        if said == STALL:
            await asyncio.Event().wait()
        await self._write(said)


async def _turns() -> None:
    """Let the loop go round as often as it takes a connection to begin, or to end."""
    for _ in range(10):
        await asyncio.sleep(0)
