"""STARTTLS and TLS at once, over loopback, on both event loops: what comes in clear never counts once TLS is on."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import uvloop

from gateway.smtp.desk import Terms
from gateway.smtp.sessions import Sessions
from tests.fakes.certificates import make_certificate
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import settle

CASES = Path(__file__).parent / "cases"


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
Story = Callable[["Door"], Coroutine[None, None, None]]


def on_both_loops(*, implicit: bool = False) -> Callable[[Story], Callable[..., None]]:
    """The story as a test with each event loop; `implicit`: the listener speaks TLS at once."""

    def made(story: Story) -> Callable[..., None]:
        async def told(folder: Path) -> None:
            door, server = await opened(folder, implicit=implicit)
            try:
                async with asyncio.timeout(20):
                    await story(door)
            finally:
                server.close()
                for wire in door.wires:
                    wire.writer.close()
                await settle()
                for session in door.sessions:
                    session.transport.abort() if session.transport else None
                await settle()

        @pytest.mark.parametrize("loop", LOOPS)
        def run(loop: str, tmp_path: Path) -> None:
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(told(tmp_path))

        return run

    return made


class Wire:
    """A client that decides octet for octet what goes over the wire, and in which packet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._text = b""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out)

    async def reply(self) -> str:
        """One reply in clear, all its lines."""
        lines = b""
        while True:
            line = await self._reader.readline()
            lines += line
            if line[3:4] != b"-":
                return lines.decode()

    async def handshake(self, then: bytes = b"") -> None:
        """The handshake; `then` goes over TLS in the same packet as its end."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.writer.write(self._out.read())
                octets = await self._reader.read(65536)
                assert octets, "the gateway hung up"
                self._in.write(octets)
        if then:
            self.tls.write(then)
        self.writer.write(self._out.read())

    async def tls_reply(self) -> str:
        """One reply over TLS, or "" at the end."""
        while not (reply := re.match(rb"(?:[0-9]{3}-.*\r\n)*[0-9]{3} .*\r\n", self._text)):
            try:
                piece: bytes | None = self.tls.read(65536)
            except ssl.SSLWantReadError:
                octets = await self._reader.read(65536)
                self._in.write(octets)
                piece = b"" if not octets else None
            except ssl.SSLZeroReturnError:
                piece = b""
            if piece == b"":
                return ""
            self._text += piece or b""
        self._text = self._text[reply.end() :]
        return reply[0].decode()

    def say(self, octets: bytes) -> None:
        """Over TLS."""
        self.tls.write(octets)
        self.writer.write(self._out.read())

    async def rest(self) -> bytes:
        """Whatever comes until the gateway hangs up."""
        try:
            return await self._reader.read()
        except ConnectionError:
            return b""


class Door:
    """A listener on loopback."""

    def __init__(self, desk: FakeDesk, sessions: Sessions, port: int) -> None:
        self.desk = desk
        self.sessions = sessions
        self.port = port
        self.wires: list[Wire] = []

    async def dial(self) -> Wire:
        self.wires.append(Wire(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.wires[-1]


async def opened(folder: Path, *, implicit: bool) -> tuple[Door, asyncio.AbstractServer]:
    desk = FakeDesk()
    context = make_certificate(folder, "mx.corp.example").server
    terms = Terms.made(name="x", hostname="mx.corp.example", tls=context, implicit=implicit)
    loop = asyncio.get_running_loop()
    sessions = Sessions(desk.desk, terms, loop)
    server = await loop.create_server(sessions, "127.0.0.1", 0, ssl=context if implicit else None)
    return Door(desk, sessions, server.sockets[0].getsockname()[1]), server


async def upgraded(door: Door, then: bytes = b"") -> Wire:
    """A client whose handshake is done."""
    wire = await door.dial()
    await wire.reply()
    wire.writer.write(b"EHLO c\r\n")
    assert "STARTTLS" in await wire.reply()
    wire.writer.write(b"STARTTLS\r\n")
    assert (await wire.reply()).startswith("220 2.0.0")
    await wire.handshake(then)
    return wire


@on_both_loops()
async def test_a_message_over_starttls_is_named_esmtps_with_version_and_cipher(door: Door) -> None:
    wire = await upgraded(door)
    wire.say(b"EHLO c\r\n")
    assert "STARTTLS" not in await wire.tls_reply()
    wire.say(b"MAIL FROM:<>\r\nRCPT TO:<otto@partner.example>\r\nDATA\r\n")
    for _ in range(3):
        await wire.tls_reply()
    wire.say(b"x\r\n.\r\nQUIT\r\n")
    text = ""
    while piece := await wire.tls_reply():
        text += piece
    assert "250 2.0.0 Queued as Q1" in text
    (mail,) = door.desk.accepted
    assert mail.client is not None
    assert mail.client.tls is not None
    assert (mail.client.tls.version, mail.client.tls.cipher) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    assert b" with ESMTPS tls TLS_AES_256_GCM_SHA384 (TLSv1.3)\r\n" in mail.message.head


@on_both_loops()
async def test_what_came_in_clear_behind_starttls_is_thrown_away(door: Door) -> None:
    # The STARTTLS injection family: a man in the middle puts commands before the handshake (RFC 3207 4.2). smtp-09.
    wire = await door.dial()
    await wire.reply()
    octets = (CASES / "smtp-09.smtp").read_bytes()
    wire.writer.write(octets)
    await wire.reply()
    assert (await wire.reply()).startswith("220 2.0.0")
    await wire.handshake()
    wire.say(b"NOOP\r\n")
    assert await wire.tls_reply() == "250 2.0.0 OK\r\n"
    wire.say(b"MAIL FROM:<ida@corp.example>\r\n")
    assert (await wire.tls_reply()).startswith("503 5.5.1 Say EHLO first")
    assert door.desk.clients == []


@on_both_loops()
async def test_a_flood_in_clear_behind_starttls_is_thrown_away(door: Door) -> None:
    wire = await door.dial()
    await wire.reply()
    wire.writer.write(b"STARTTLS\r\n" + b"MAIL FROM:<evil@else.example>\r\n" * 50)
    assert (await wire.reply()).startswith("220 2.0.0")
    await wire.handshake()
    wire.say(b"NOOP\r\n")
    assert await wire.tls_reply() == "250 2.0.0 OK\r\n"
    assert door.desk.clients == []


@on_both_loops()
async def test_the_first_command_may_come_with_the_end_of_the_handshake(door: Door) -> None:
    # It then arrives before the handshake's caller goes on, and must not be taken for something said in clear.
    wire = await upgraded(door, b"EHLO c\r\n")
    assert (await wire.tls_reply()).endswith("250 ENHANCEDSTATUSCODES\r\n")


@on_both_loops()
async def test_what_was_said_before_tls_is_forgotten(door: Door) -> None:
    wire = await door.dial()
    await wire.reply()
    wire.writer.write(b"EHLO c\r\nMAIL FROM:<ida@corp.example>\r\nRCPT TO:<otto@partner.example>\r\nSTARTTLS\r\n")
    for _ in range(4):
        await wire.reply()
    await wire.handshake()
    wire.say(b"DATA\r\n")
    assert (await wire.tls_reply()).startswith("503 5.5.1 Say MAIL first")


@on_both_loops()
async def test_starttls_twice_is_503_and_with_an_argument_501(door: Door) -> None:
    wire = await upgraded(door)
    wire.say(b"STARTTLS x\r\n")
    assert (await wire.tls_reply()).startswith("501 5.5.4")
    wire.say(b"STARTTLS\r\n")
    assert (await wire.tls_reply()).startswith("503 5.5.1 TLS is on already")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@on_both_loops()
async def test_a_handshake_that_fails_ends_the_session_and_is_logged_once(door: Door) -> None:
    wire = await door.dial()
    await wire.reply()
    wire.writer.write(b"STARTTLS\r\n")
    await wire.reply()
    wire.writer.write(b"NOOP\r\n" * 20)
    assert b"250" not in await wire.rest()
    await door.sessions.drain(5)
    assert [event for event in door.desk.events() if event != "refused"] == ["tls_failed"]
    assert len(door.sessions) == 0


@on_both_loops()
async def test_a_client_that_leaves_during_the_handshake_leaves_nothing(door: Door) -> None:
    wire = await door.dial()
    await wire.reply()
    wire.writer.write(b"STARTTLS\r\n")
    await wire.reply()
    wire.writer.close()
    await door.sessions.drain(5)
    assert len(door.sessions) == 0
    assert "session_fault" not in door.desk.events()


@on_both_loops(implicit=True)
async def test_tls_at_once_greets_over_tls_and_offers_no_starttls(door: Door) -> None:
    wire = await door.dial()
    await wire.handshake(b"EHLO c\r\nMAIL FROM:<>\r\n")
    text = ""
    while "250 2.1.0" not in text:
        text += await wire.tls_reply()
    assert text.startswith("220 mx.corp.example")
    assert "STARTTLS" not in text
    assert door.desk.clients[0].tls is not None
    assert ("sessions_total", ("x", "yes")) in door.desk.counted


@on_both_loops()
async def test_a_large_message_comes_whole_over_tls(door: Door) -> None:
    wire = await upgraded(door, b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<otto@partner.example>\r\nDATA\r\n")
    text = ""
    while "354 " not in text:
        text += await wire.tls_reply()
    content = bytes(range(32, 127)) * 11000 + b"\r\n"
    for start in range(0, len(content), 16384):
        wire.say(content[start : start + 16384])
        await wire.writer.drain()
    wire.say(b".\r\n")
    assert (await wire.tls_reply()).startswith("250 2.0.0 Queued")
    assert door.desk.contents() == [content]
