"""Any octets, in any pieces, as a PROXY header: a client or a closed connection; nothing of what follows is lost."""

from __future__ import annotations

import asyncio
import os
from ipaddress import IPv4Network, ip_address
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.smtp.desk import Terms
from gateway.smtp.entrance import Entrance
from gateway.smtp.proxy import MAX_V2, SIGNATURE, BadHeader, parse
from gateway.smtp.sessions import Sessions
from gateway.world.sockets import bind
from tests.fakes.desk import FakeDesk
from tests.fakes.proxies import tlv, v1, v2

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10")) / 2

PARTS = [
    SIGNATURE,
    b"PROXY ",
    b"TCP4 203.0.113.9 192.0.2.1 1 2",
    b"TCP6 ",
    b"UNKNOWN",
    b"::1 ",
    b"65536",
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\x21",
    b"\x20",
    b"\x11\x00\x0c",
    b"\x21\x00\x24",
    b"\x31\x00\xd8",
    b"\0\0",
    b"\xff\xff",
    tlv(3, bytes(4)),
    b"EHLO c\r\n",
]
MADE = st.one_of(
    st.lists(st.sampled_from(PARTS) | st.binary(max_size=16), max_size=14).map(b"".join),
    st.builds(
        v2,
        st.sampled_from(["203.0.113.9", "2001:db8::7"]),
        st.integers(0, 65535),
        first=st.sampled_from([0x21, 0x21, 0x20, 0x22, 0x11]),
        kind=st.none() | st.integers(0, 255),
        block=st.none() | st.binary(max_size=220),
        tlvs=st.binary(max_size=60),
        length=st.none() | st.integers(0, 0xFFFF),
        checksum=st.booleans(),
    ),
)


def test_any_octets_are_a_header_a_beginning_or_none() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(MADE, st.binary(max_size=8))
    def judge(octets: bytes, behind: bytes) -> None:
        # However much of it is there, the answer is the same, and it never reaches behind the header.
        for length in range(len(octets) + 1):
            try:
                found = parse(octets[:length])
            except BadHeader as bad:
                with pytest.raises(BadHeader):
                    parse(octets[:length] + behind)
                assert "\\x" not in bad.reason
                return
            if found is not None:
                assert found.length == length
                assert parse(octets[:length] + behind) == found
                if found.source is not None:
                    assert str(ip_address(found.source[0])) == found.source[0]
                return
        assert len(octets) < MAX_V2

    while monotonic() < end:
        judge()


async def heard(octets: bytes, cut: int) -> bytes:
    """What a client hears that comes with these octets and then says NOOP."""
    desk = FakeDesk()
    loop = asyncio.get_running_loop()
    door = bind("127.0.0.1", 0)
    port = door.getsockname()[1]
    proxies = (IPv4Network("127.0.0.0/8"),)
    sessions = Sessions(desk.desk, Terms.made(name="x", hostname="mx.corp.example", proxies=proxies), loop)
    entrance = Entrance(sessions, [door])
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(octets[:cut])
            await asyncio.sleep(0)
            writer.write(octets[cut:] + b"\r\nNOOP\r\nQUIT\r\n")
            if writer.can_write_eof():
                writer.write_eof()
            try:
                said = await reader.read()
            except ConnectionError:
                said = b""
            writer.close()
    finally:
        entrance.close()
        while len(sessions) or len(entrance):
            await asyncio.sleep(0)
    assert len([event for event in desk.events() if event == "proxy_header_refused"]) <= 1
    return said


def test_behind_a_header_a_session_begins_in_step() -> None:
    end = monotonic() + SECONDS
    with asyncio.Runner() as runner:

        @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            st.sampled_from([v1(), v1("2001:db8::7"), v2(), v2(checksum=True), b"PROXY UNKNOWN\r\n"]) | MADE,
            st.integers(0, 60),
        )
        def play(octets: bytes, cut: int) -> None:
            said = runner.run(heard(octets, cut % (len(octets) + 1)))
            assert said == b"" or said.startswith(b"220 ")
            try:
                header = parse(octets)
            except BadHeader:
                assert said == b""
                return
            if header is not None and header.length == len(octets):
                assert b"250 2.0.0 OK" in said and b"221 2.0.0" in said

        while monotonic() < end:
            play()
