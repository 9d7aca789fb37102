"""A listener behind load balancers, over loopback, on both event loops: who is asked for a header, and what counts."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable, Coroutine
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway.smtp import entrance, proxy
from gateway.smtp.desk import Deadlines, Terms
from gateway.smtp.entrance import FOREIGN_LOOPBACK, TIME_RAN_OUT, Entrance, is_proxy
from gateway.smtp.sessions import Sessions
from gateway.world import threshold as threshold_module
from gateway.world.sockets import bind
from gateway.world.threshold import PAUSE
from tests.fakes.certificates import make_certificate
from tests.fakes.desk import FakeDesk
from tests.fakes.proxies import v1, v2
from tests.fakes.transport import settle

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
NAME = "127.0.0.1:2525"
LOOPBACK = (ip_network("127.0.0.0/8"),)


class House:
    """A listener behind proxies, and its clients."""

    def __init__(self, folder: Path, **terms: Any) -> None:
        self.desk = FakeDesk()
        if terms.get("implicit"):
            terms["tls"] = make_certificate(folder, "mx.corp.example").server
        facts = {"name": NAME, "hostname": "mx.corp.example", "proxies": LOOPBACK, **terms}
        loop = asyncio.get_running_loop()
        self.sessions = Sessions(self.desk.desk, Terms.made(**facts), loop)
        door = bind("127.0.0.1", 0)
        self.port = door.getsockname()[1]
        self.entrance = Entrance(self.sessions, [door])
        self.wires: list[asyncio.StreamWriter] = []

    async def dial(self, *said: bytes) -> Wire:
        """A client that says these octets, one packet after the other."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.wires.append(writer)
        wire = Wire(reader, writer)
        for octets in said:
            writer.write(octets)
            await pause()
        return wire

    def refusals(self) -> list[dict[str, Any]]:
        return [facts for _, event, facts in self.desk.told if event == "proxy_header_refused"]

    async def close(self) -> None:
        self.entrance.close()
        for wire in self.wires:
            wire.close()
        for session in self.sessions:
            if session.transport is not None:
                session.transport.abort()
        await pause()


class Wire:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def line(self) -> str:
        return (await self.reader.readline()).decode()

    async def ask(self, said: str) -> str:
        """One command; the last line of its reply."""
        self.writer.write(said.encode() + b"\r\n")
        while True:
            line = await self.line()
            if line[3:4] != "-":
                return line

    async def rest(self) -> bytes:
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


async def pause() -> None:
    """Let the kernel hand over what was written, and everybody do what follows."""
    for _ in range(5):
        await asyncio.sleep(0.002)
        await settle()


Story = Callable[[House], Coroutine[None, None, None]]


def told(**terms: Any) -> Callable[[Story], Callable[..., None]]:
    """The story as a test with each event loop, the listener under these terms."""

    def made(story: Story) -> Callable[..., None]:
        async def tell(folder: Path) -> None:
            house = House(folder, **terms)
            try:
                async with asyncio.timeout(20):
                    await story(house)
            finally:
                await house.close()

        @pytest.mark.parametrize("loop", LOOPS)
        def run(loop: str, tmp_path: Path) -> None:
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(tell(tmp_path))

        return run

    return made


@told()
async def test_the_client_of_the_header_counts_for_connectors_and_received(house: House) -> None:
    wire = await house.dial(v1() + b"EHLO c.example\r\n")
    assert (await wire.line()).startswith("220 ")
    assert "250" in await wire.ask("NOOP")
    for _ in range(20):
        if not (await wire.line()).startswith("250-"):
            break
    for said in ("MAIL FROM:<ida@corp.example>", "RCPT TO:<otto@partner.example>"):
        assert (await wire.ask(said)).startswith("250 ")
    assert (await wire.ask("DATA")).startswith("354 ")
    assert (await wire.ask("x\r\n.")).startswith("250 2.0.0 Queued")
    (client,) = house.desk.clients
    assert (client.address, client.port, client.proxy) == ("203.0.113.9", 4711, "127.0.0.1")
    assert house.desk.accepted[0].message.head.startswith(b"Received: from c.example ([203.0.113.9])\r\n")


@told()
async def test_the_proxys_own_address_stands_in_the_log_beside_the_clients(house: House) -> None:
    wire = await house.dial(
        v2() + b"EHLO c\r\nMAIL FROM:<ida@corp.example>\r\nRCPT TO:<otto@partner.example>\r\nDATA\r\n"
    )
    wire.writer.write(b"a\nb\r\n.\r\n")
    assert b"550 5.6.11" in await wire.rest()
    (facts,) = [facts for _, event, facts in house.desk.told if event == "refused"]
    assert (facts["client"], facts["proxy"]) == ("203.0.113.9", "127.0.0.1")


@pytest.mark.parametrize("header", [v1(), v1("2001:db8::7"), v2(), v2("2001:db8::7", checksum=True)])
def test_a_header_may_come_octet_by_octet(header: bytes, tmp_path: Path) -> None:
    async def story() -> None:
        house = House(tmp_path)
        try:
            wire = await house.dial(*[bytes([octet]) for octet in header[:30]], header[30:] + b"NO", b"OP\r\n")
            async with asyncio.timeout(10):
                assert (await wire.line()).startswith("220 ")
                assert (await wire.line()).startswith("250 ")
            (session,) = house.sessions
            assert session.peer[0] in ("203.0.113.9", "2001:db8::7")
        finally:
            await house.close()

    asyncio.run(story())


@told(implicit=True)
async def test_the_header_stands_in_front_of_the_handshake(house: House) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    # In one packet: not an octet of the handshake may be lost with the header.
    wire = await house.dial(v1() + outgoing.read())
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            wire.writer.write(outgoing.read())
            incoming.write(await wire.reader.read(65536))
    tls.write(b"EHLO c\r\n")
    wire.writer.write(outgoing.read())
    heard = b""
    while b"250 " not in heard:
        try:
            heard += tls.read(65536)
        except ssl.SSLWantReadError:
            incoming.write(await wire.reader.read(65536))
    (session,) = house.sessions
    assert session.peer == ("203.0.113.9", 4711)
    assert session.tls is not None


@told(implicit=True)
async def test_a_handshake_that_fails_behind_a_good_header_is_quiet(house: House) -> None:
    wire = await house.dial(v1() + b"EHLO c\r\n")
    assert b"220" not in await wire.rest()
    await pause()
    assert house.desk.told == []
    assert len(house.sessions) == 0


@pytest.mark.parametrize(
    "header", [b"PROXY UNKNOWN\r\n", v2(first=0x20, kind=0, block=b""), v2(kind=0x31, block=bytes(216))]
)
def test_a_header_without_a_client_makes_the_proxy_the_client(header: bytes, tmp_path: Path) -> None:
    async def story() -> None:
        house = House(tmp_path)
        try:
            async with asyncio.timeout(10):
                assert (await (await house.dial(header)).line()).startswith("220 ")
            (session,) = house.sessions
            assert (session.peer[0], session.proxy) == ("127.0.0.1", None)
        finally:
            await house.close()

    asyncio.run(story())


@told(proxies=(ip_network("192.0.2.0/24"),))
async def test_from_anybody_else_a_header_is_a_bad_command(house: House) -> None:
    wire = await house.dial(v1())
    assert (await wire.line()).startswith("220 ")
    assert (await wire.line()).startswith("500 5.5.2")
    (session,) = house.sessions
    assert session.peer[0] == "127.0.0.1"


@told()
async def test_a_proxy_without_a_header_is_closed_and_told_once(house: House) -> None:
    wire = await house.dial(b"EHLO c\r\nMAIL FROM:<secret@corp.example>\r\n")
    assert await wire.rest() == b""
    assert house.desk.told == [
        ("warning", "proxy_header_refused", {"proxy": "127.0.0.1", "listener": NAME, "reason": proxy.NO_HEADER})
    ]
    assert len(house.sessions) == 0


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"PROXY TCP4 1.2.3.4 secret 1 2\r\n", proxy.BAD_LINE),
        (b"PROXY TCP4 " + b"x" * 200, proxy.TOO_LONG),
        (v2(length=0xFFFF), proxy.TOO_LONG),
        (v2(first=0x2F), proxy.BAD_VERSION),
        (v2(checksum=True)[:-1] + b"\0", proxy.BAD_CHECKSUM),
    ],
)
def test_a_hostile_header_ends_the_connection_and_none_of_it_is_shown(
    octets: bytes, reason: str, tmp_path: Path
) -> None:
    async def story() -> None:
        house = House(tmp_path)
        try:
            async with asyncio.timeout(10):
                assert await (await house.dial(octets)).rest() == b""
            assert [facts["reason"] for facts in house.refusals()] == [reason]
            assert "secret" not in str(house.desk.told)
            assert len(house.sessions) == 0
        finally:
            await house.close()

    asyncio.run(story())


@told()
async def test_a_health_check_that_connects_and_leaves_makes_no_noise(house: House) -> None:
    wire = await house.dial()
    wire.writer.close()
    await pause()
    reset = await house.dial()
    reset.writer.transport.abort()
    await pause()
    assert house.desk.told == []
    assert house.desk.counted == []
    assert not len(house.entrance)


@told()
async def test_a_header_that_is_cut_off_is_told(house: House) -> None:
    wire = await house.dial(v2()[:20])
    wire.writer.close()
    await pause()
    assert [facts["reason"] for facts in house.refusals()] == [proxy.CUT_OFF]


@pytest.mark.parametrize("begun", [b"", b"PROXY TCP4 "])
def test_a_header_has_the_deadline_of_the_greeting(begun: bytes, tmp_path: Path) -> None:
    async def story() -> None:
        house = House(tmp_path, deadlines=Deadlines(greeting=30))
        try:
            wire = await house.dial(begun)
            await house.desk.clock.advance(29)
            await pause()
            assert house.refusals() == []
            await house.desk.clock.advance(2)
            async with asyncio.timeout(10):
                assert await wire.rest() == b""
            assert [facts["reason"] for facts in house.refusals()] == [TIME_RAN_OUT]
        finally:
            await house.close()

    asyncio.run(story())


@told(max_connections_per_client=1)
async def test_limits_count_the_clients_of_the_header(house: House) -> None:
    first = await house.dial(v1("203.0.113.9"))
    assert (await first.line()).startswith("220 ")
    other = await house.dial(v1("203.0.113.10"))
    assert (await other.line()).startswith("220 ")
    again = await house.dial(v1("203.0.113.9"))
    assert (await again.line()).startswith("421 4.7.0")


@told(max_connections=2)
async def test_connections_without_a_header_are_bounded(house: House) -> None:
    await house.dial()
    await house.dial()
    third = await house.dial()
    assert await third.rest() == b""
    assert len(house.entrance) == 2


@told(proxies=(), implicit=True, max_connections=4, max_connections_per_client=2)
async def test_handshakes_that_never_end_are_bounded_for_each_address(house: House) -> None:
    """Each would hold memory and a descriptor; only what got through TLS was counted."""
    begun = b"\x16\x03\x01\x02\x00\x01\x00"  # Of a ClientHello.
    halves = [await house.dial(begun) for _ in range(2)]
    await pause()
    assert len(house.entrance) == 2
    third = await house.dial(begun)
    assert await third.rest() == b""
    assert ("messages_refused_total", (NAME, "421")) in house.desk.counted
    halves[0].writer.close()
    async with asyncio.timeout(20):
        while len(house.entrance) > 1:
            await asyncio.sleep(0.01)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port, ssl=trusting)
    assert (await reader.readline()).startswith(b"220 ")
    writer.close()
    house.entrance.close()
    assert await halves[1].rest() == b""


@told()
async def test_closing_ends_those_that_wait_and_takes_no_more(house: House) -> None:
    waiting = await house.dial(b"PROXY ")
    served = await house.dial(v1())
    assert (await served.line()).startswith("220 ")
    house.entrance.close()
    assert await waiting.rest() == b""
    assert (await served.ask("NOOP")).startswith("250 ")
    with pytest.raises(ConnectionRefusedError):
        await house.dial()
    assert house.desk.told == []


@told()
async def test_without_descriptors_it_waits_instead_of_spinning(house: House) -> None:
    asked = 0

    def full(door: Any) -> Any:
        nonlocal asked
        asked += 1
        raise OSError(errno.EMFILE, "Too many open files")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threshold_module, "accept", full)
        wire = await house.dial(v1())
        await pause()
        assert asked == 1
    assert [(level, event) for level, event, _ in house.desk.told] == [("error", "accept_failed")]
    await house.desk.clock.advance(PAUSE)
    assert (await wire.line()).startswith("220 ")


@pytest.mark.parametrize(
    ("address", "believed"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
    ],
)
def test_a_proxy_is_known_by_its_address(address: str, believed: bool) -> None:
    assert is_proxy(address, (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))) is believed


@pytest.mark.parametrize("source", ["127.0.0.1", "127.9.9.9", "::1"])
def test_a_loopback_address_of_another_machine_is_refused(source: str) -> None:
    # Our connectors take 127.0.0.1 for a program on this machine; on the balancer it is somebody else's.
    with pytest.raises(proxy.BadHeader, match="loopback") as caught:
        entrance._judge(source, "10.0.0.5")
    assert caught.value.reason == FOREIGN_LOOPBACK
    entrance._judge(source, "127.0.0.1")
    entrance._judge("203.0.113.9", "10.0.0.5")
