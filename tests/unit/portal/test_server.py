"""The portal's door, with real sockets and TLS: slow heads, too many at once, a new certificate, an orderly end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Network, ip_network
from pathlib import Path

import pytest

from gateway.app import devcerts
from gateway.portal import server as doors
from gateway.portal.app import Guarded, make_app
from gateway.portal.server import MAX_HEAD, Server
from gateway.portal.terms import PortalTerms
from gateway.world.clock import SystemClock
from gateway.world.sockets import bind
from tests.fakes.chance import FakeChance
from tests.fakes.pdf import FakeDrawer
from tests.fakes.portal import FakeDesk, PlainPages

NOW = SystemClock().now()
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def context(folder: Path, seed: str) -> ssl.SSLContext:
    made = devcerts.server(devcerts.authority(NOW, FakeChance(seed)), ["localhost"], NOW, FakeChance(seed))
    (folder / f"{seed}.pem").write_bytes(made.certificate_pem + made.key_pem)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(folder / f"{seed}.pem")
    return found


@pytest.fixture
def told() -> list[tuple[object, ...]]:
    """Lines of the log."""
    return []


@pytest.fixture
def app(told: list[tuple[object, ...]]) -> Iterator[Guarded]:
    with ThreadPoolExecutor(1) as executor:
        yield make_app(
            FakeDesk(),
            PlainPages(),
            PortalTerms(url="https://localhost"),
            SystemClock(),
            chance=FakeChance(),
            executor=executor,
            pdf=FakeDrawer(),
            tell=lambda *words, **_: told.append(words),
            count=lambda *_: None,
        )


class Door:
    def __init__(self, server: Server, port: int) -> None:
        self.server, self.port = server, port

    async def visit(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        terms = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        terms.check_hostname, terms.verify_mode = False, ssl.CERT_NONE
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=terms)

    async def ask(self, octets: bytes) -> bytes:
        reader, writer = await self.visit()
        writer.write(octets)
        try:
            return await reader.read()
        finally:
            writer.close()

    async def certificate(self) -> bytes:
        _, writer = await self.visit()
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found


@pytest.fixture
async def door(app: Guarded, tmp_path: Path) -> AsyncIterator[Door]:
    server = Server(app, context(tmp_path, "first"), most=3, of_one=3, clock=SystemClock())
    listening = bind("127.0.0.1", 0)
    await server.open(listening)
    yield Door(server, listening.getsockname()[1])
    await server.close(0.1)


async def test_a_page_is_served_and_the_software_not_named(door: Door) -> None:
    answer = await door.ask(GET)
    assert answer.startswith(b"HTTP/1.1 200 ") and b"\r\nserver:" not in answer.lower() and b"\r\ndate: " in answer


async def test_a_slow_head_is_not_waited_for(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "HEAD", 0.05)
    reader, writer = await door.visit()
    writer.write(b"GET / HTTP/1.1\r\nHost: local")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        assert await asyncio.wait_for(reader.readexactly(1), 30)
    assert len(door.server) == 0
    writer.close()


async def test_the_rest_of_a_form_is_not_waited_for_behind_its_answer(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a form that is answered at once, whose octets go on coming, one at a time, for ever."""
    monkeypatch.setattr(doors, "HEAD", 0.5)
    reader, writer = await door.visit()
    writer.write(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).startswith(b"HTTP/1.1 404 ")
    for _ in range(40):
        writer.write(b"x")
        await asyncio.sleep(0.05)
        if not len(door.server):
            break
    assert len(door.server) == 0
    writer.close()


async def test_a_head_that_is_too_long_is_refused(door: Door) -> None:
    assert (await door.ask(GET[:-2] + b"X: " + b"x" * MAX_HEAD)).startswith(b"HTTP/1.1 400 ")


async def test_what_is_no_http_is_refused(door: Door) -> None:
    assert (await door.ask(b"EHLO there\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


FORM = b"POST /language HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = FORM + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("octets", "behind", "answer"),
    [
        (CHUNKED + b"zz\r\n", b"", b"HTTP/1.1 400 "),
        (CHUNKED + b"1\r\na\r\n", b"zz\r\n", b"HTTP/1.1 400 "),  # While the form is read.
        (GET.replace(b"Connection: close", b"Transfer-Encoding: chunked"), b"zz\r\n", b"HTTP/1.1 200 "),
        (CHUNKED.replace(b"x-www", b"y-www"), b"zz\r\n", b"HTTP/1.1 415 "),
        (GET.replace(b"Connection: close\r\n", b""), b"\x00\x01\r\n\r\n", b"HTTP/1.1 200 "),
    ],
)
async def test_what_a_client_sends_that_is_no_http_is_no_fault_of_ours(
    door: Door, told: list[tuple[object, ...]], octets: bytes, behind: bytes, answer: bytes
) -> None:
    """Attack: chunks that are none, in front of the answer and behind it, fill the log with faults of the gateway."""
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, about: faults.append(about))
    reader, writer = await door.visit()
    writer.write(octets)
    await writer.drain()
    first = b""
    if behind:
        if not answer.endswith(b"400 "):
            first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        writer.write(behind)
    assert (first + await asyncio.wait_for(reader.read(), 30)).startswith(answer)
    writer.close()
    await door.server.close(5)
    assert faults == [] and told == []


async def test_a_client_that_leaves_in_the_middle_of_a_form_is_no_fault_of_ours(
    door: Door, told: list[tuple[object, ...]]
) -> None:
    _, writer = await door.visit()
    while not len(door.server):
        await asyncio.sleep(0)
    writer.write(FORM + b"Content-Length: 100\r\n\r\nabc")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    while len(door.server):
        await asyncio.sleep(0)
    await door.server.close(5)
    assert told == []


async def test_a_form_of_two_lengths_is_refused_and_the_line_closed(door: Door) -> None:
    """Attack: a request behind the form, of which the proxy in front thinks that it belongs to it."""
    lengths = b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    form = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n" + lengths
    answer = await asyncio.wait_for(door.ask(form + GET), 30)
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1


async def test_one_connection_too_many_is_ended(door: Door) -> None:
    kept = [await door.visit() for _ in range(3)]
    while len(door.server) < 3:
        await asyncio.sleep(0.01)
    reader, writer = await door.visit()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        writer.write(GET)
        await asyncio.wait_for(reader.readexactly(1), 30)
    for _, one in [*kept, (reader, writer)]:
        one.close()


@pytest.mark.parametrize(("proxies", "come"), [((), 2), ((ip_network("127.0.0.0/8"),), 3)], ids=["client", "proxy"])
async def test_one_client_has_not_all_connections_unless_it_is_a_proxy_of_ours(
    app: Guarded, tmp_path: Path, proxies: tuple[IPv4Network, ...], come: int
) -> None:
    app.site.terms = replace(app.site.terms, proxies=proxies)
    server = Server(app, context(tmp_path, "first"), most=9, of_one=2, clock=SystemClock())
    listening = bind("127.0.0.1", 0)
    await server.open(listening)
    door = Door(server, listening.getsockname()[1])
    kept = [await door.visit() for _ in range(2)]
    while len(server) < 2:
        await asyncio.sleep(0.01)
    if come == 2:
        reader, writer = await door.visit()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            writer.write(GET)
            await asyncio.wait_for(reader.readexactly(1), 30)
        writer.close()
    else:
        assert (await door.ask(GET)).startswith(b"HTTP/1.1 200 ")
    for _, one in kept:
        one.close()
    await server.close(0.1)


async def test_a_new_certificate_is_for_new_connections(door: Door, tmp_path: Path) -> None:
    before = await door.certificate()
    door.server.use(context(tmp_path, "second"))
    after = await door.certificate()
    assert before != after == await door.certificate()
    assert (await door.ask(GET)).startswith(b"HTTP/1.1 200 ")


async def test_at_its_end_nobody_is_kept(door: Door) -> None:
    reader, writer = await door.visit()
    while len(door.server) < 1:
        await asyncio.sleep(0.01)
    await door.server.close(0.1)
    assert await asyncio.wait_for(reader.read(), 30) == b""
    with pytest.raises(OSError):
        await door.visit()
    writer.close()


async def test_handshakes_that_never_end_are_bounded_and_keep_nobody_out(door: Door) -> None:
    """Each would hold memory and a descriptor; only what got through TLS was counted."""
    halves = []
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00")  # The beginning of a ClientHello.
        halves.append((reader, writer))
    arriving = door.server._threshold
    assert arriving is not None
    async with asyncio.timeout(20):
        while len(arriving) < 3:
            await asyncio.sleep(0.01)
    fourth, writer = await asyncio.open_connection("127.0.0.1", door.port)
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(fourth.read(), 20) == b""
    writer.close()
    halves.pop()[1].close()
    async with asyncio.timeout(20):
        while len(arriving) > 2:
            await asyncio.sleep(0.01)
    assert (await door.ask(GET)).startswith(b"HTTP/1.1 ")
    for _, writer in halves:
        writer.close()
