"""The door with real sockets and TLS: Python's own mail program reads, and a new certificate is taken up."""

from __future__ import annotations

import asyncio
import imaplib
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.app import devcerts
from gateway.imap.server import ImapServer
from gateway.imap.terms import ImapTerms
from gateway.settings.imap import Imap
from gateway.world.clock import SystemClock
from gateway.world.sockets import bind
from tests.fakes.chance import FakeChance
from tests.fakes.imap import ImapRoom, comes

ONE = b"Subject: One\r\n\r\nThe first.\r\n"
NOW = SystemClock().now()


def context(folder: Path, seed: str) -> ssl.SSLContext:
    made = devcerts.server(devcerts.authority(NOW, FakeChance(seed)), ["localhost"], NOW, FakeChance(seed))
    (folder / f"{seed}.pem").write_bytes(made.certificate_pem + made.key_pem)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(folder / f"{seed}.pem")
    return found


def trusting() -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname, found.verify_mode = False, ssl.CERT_NONE
    return found


@pytest.fixture
async def door(room: ImapRoom, tmp_path: Path) -> AsyncIterator[tuple[ImapServer, int]]:
    socket = bind("127.0.0.1", 0)
    server = ImapServer(room.desk, context(tmp_path, "first"), ImapTerms.from_settings(Imap(listen="127.0.0.1:993")))
    await server.open(socket)
    yield server, socket.getsockname()[1]
    await server.close(1)


async def test_a_mail_program_reads_and_writes(room: ImapRoom, door: tuple[ImapServer, int]) -> None:
    await room.put(ONE)

    def reads() -> None:
        with imaplib.IMAP4_SSL("127.0.0.1", door[1], ssl_context=trusting(), timeout=10) as program:
            program.login("ida", "geheim")
            assert program.select() == ("OK", [b"1"])
            assert program.fetch("1", "(RFC822)")[1][0] == (b"1 (RFC822 {%d}" % len(ONE), ONE)
            assert program.append("Sent", "(\\Seen)", None, ONE)[0] == "OK"
            assert program.store("1", "+FLAGS", "(\\Deleted)")[0] == "OK"
            assert program.expunge() == ("OK", [b"1"])
            assert program.select("Sent") == ("OK", [b"1"])

    await asyncio.to_thread(reads)


async def test_a_new_certificate_serves_whoever_comes_next(
    room: ImapRoom, door: tuple[ImapServer, int], tmp_path: Path
) -> None:
    server, port = door

    async def shown() -> bytes:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting())
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found

    before = await shown()
    server.use(context(tmp_path, "second"))
    assert await shown() != before


async def test_handshakes_that_never_end_are_limited_and_keep_nobody_out(
    room: ImapRoom, door: tuple[ImapServer, int]
) -> None:
    """Attack: connections whose TLS handshake never ends, which counted nowhere: 70 KiB and a descriptor each, without
    an end.
    """
    server, port = door
    terms = ImapTerms.from_settings(Imap(listen="127.0.0.1:993", max_connections_per_client=4))
    server.take(terms)
    halves = []
    for _ in range(4):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00")  # The beginning of a ClientHello.
        halves.append((reader, writer))
    threshold = server._threshold
    assert threshold is not None
    await comes(lambda: len(threshold) == 4)
    one_more, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(one_more.read(), 30) == b""
    writer.close()
    assert room.counted["imap_connections_refused_total", terms.name] == 1
    halves.pop()[1].close()
    await comes(lambda: len(threshold) == 3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting())
    assert (await reader.readline()).startswith(b"* OK ")
    writer.close()
    await server.close(1)  # Whoever is at the threshold is sent away.
    for reader, writer in halves:
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
    await comes(lambda: not len(threshold))


async def test_what_comes_in_one_piece_with_the_handshake_is_read(door: tuple[ImapServer, int]) -> None:
    """A client may send its first command behind its last octets of the handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door[1], ssl=trusting())
    writer.write(b"a CAPABILITY\r\nb LOGIN ida geheim\r\nc LOGOUT\r\n")
    said = await asyncio.wait_for(reader.read(), 30)
    assert b"a OK " in said and b"b OK " in said and said.endswith(b"c OK Logout successful.\r\n")
    writer.close()


async def test_a_client_without_tls_is_shown_nothing(door: tuple[ImapServer, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door[1])
    writer.write(b"a NOOP\r\n")
    assert b"OK" not in await asyncio.wait_for(reader.read(), 30)
    writer.close()
