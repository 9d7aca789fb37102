"""The PROXY header, octet for octet: what is read, what is refused, and how many octets it takes."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp import proxy
from gateway.smtp.proxy import MAX_V1, MAX_V2, SIGNATURE, BadHeader, Header, crc32c, parse
from tests.fakes.proxies import CHECKSUM, NOOP, tlv, v1, v2

SOURCE = ("203.0.113.9", 4711)


def reason(octets: bytes) -> str:
    with pytest.raises(BadHeader) as caught:
        parse(octets)
    return caught.value.reason


# -- version 1 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [b"", b"EHLO c\r\n", b"\x16\x03\x01\x02\x00"])
def test_a_line_names_the_client_and_ends_where_it_ends(behind: bytes) -> None:
    header = parse(v1() + behind)
    assert header == Header(len(v1()), SOURCE)


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("2001:db8::7", "2001:db8::7"),
        ("2001:0DB8:0000:0000:0000:0000:0000:0007", "2001:db8::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:cb00:7109", "203.0.113.9"),
    ],
)
def test_an_ipv6_address_is_read_in_any_form(source: str, meant: str) -> None:
    header = parse(v1(source))
    assert header is not None
    assert header.source == (meant, 4711)


@pytest.mark.parametrize(
    "line", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", b"PROXY UNKNOWN \xff\x00\n\r x\r\n"]
)
def test_an_unknown_client_is_the_proxy_whatever_stands_behind_the_word(line: bytes) -> None:
    assert parse(line + b"EHLO c\r\n") == Header(len(line), None)


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25 1\r\n",
        b"PROXY TCP4  203.0.113.9 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25 \r\n",
        b"PROXY TCP4\t203.0.113.9 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 65536 25\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 65536\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 04711 25\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 -1 25\r\n",
        b"PROXY TCP4 203.0.113.256 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 203.0.113.09 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 203.0.113 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 2001:db8::7 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 203.0.113.9 2001:db8::1 4711 25\r\n",
        b"PROXY TCP6 203.0.113.9 192.0.2.1 4711 25\r\n",
        b"PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 25\r\n",
        b"PROXY TCP6 2001:db8::7::1 2001:db8::1 4711 25\r\n",
        b"PROXY UDP4 203.0.113.9 192.0.2.1 4711 25\r\n",
        b"PROXY tcp4 203.0.113.9 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\n\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\0\r\n",
        b"PROXY UNKNOWNX\r\n",
        b"PROXY \r\n",
        b"PROXY  UNKNOWN\r\n",
        "PROXY TCP4 ²03.0.113.9 192.0.2.1 4711 25\r\n".encode(),
    ],
)
def test_a_malformed_line_is_refused(line: bytes) -> None:
    assert reason(line) == proxy.BAD_LINE


def test_the_longest_line_is_read_and_one_octet_more_is_not() -> None:
    fits = b"PROXY UNKNOWN " + b"x" * (MAX_V1 - 16) + b"\r\n"
    assert parse(fits) == Header(107, None)
    assert reason(b"PROXY UNKNOWN " + b"x" * (MAX_V1 - 15) + b"\r\n") == proxy.TOO_LONG


def test_a_line_that_never_ends_is_refused_once_it_is_too_long() -> None:
    assert parse(b"PROXY UNKNOWN " + b"x" * (MAX_V1 - 15)) is None
    assert reason(b"PROXY UNKNOWN " + b"x" * (MAX_V1 - 14)) == proxy.TOO_LONG


# -- version 2 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["203.0.113.9", "2001:db8::7"])
@pytest.mark.parametrize("behind", [b"", b"EHLO c\r\n"])
def test_a_binary_header_names_the_client(source: str, behind: bytes) -> None:
    octets = v2(source)
    assert parse(octets + behind) == Header(len(octets), (source, 4711))


def test_an_ipv4_address_in_ipv6_form_is_an_ipv4_address() -> None:
    header = parse(v2("::ffff:203.0.113.9"))
    assert header is not None
    assert header.source == SOURCE


@pytest.mark.parametrize("kind", [0x00, 0x11, 0x21, 0x31, 0xFF])
@pytest.mark.parametrize("block", [b"", b"x" * 7, b"x" * 300])
def test_local_is_the_proxy_itself_whatever_else_it_says(kind: int, block: bytes) -> None:
    octets = v2(first=0x20, kind=kind, block=block)
    assert parse(octets + b"EHLO c\r\n") == Header(16 + len(block), None)


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        (0x00, b""),
        (0x00, b"x" * 9),
        (0x01, b""),
        (0x10, b"x" * 12),
        (0x12, b"x" * 12),
        (0x22, b"x" * 36),
        (0x31, b"/run/x.sock".ljust(108, b"\0") * 2),
        (0x32, b"x" * 216),
    ],
)
def test_what_is_no_client_over_tcp_and_ip_counts_as_the_proxy(kind: int, block: bytes) -> None:
    octets = v2(kind=kind, block=block)
    assert parse(octets + b"EHLO c\r\n") == Header(len(octets), None)


def test_tlvs_are_skipped() -> None:
    tlvs = tlv(NOOP, b"") + tlv(0x20, b"x" * 300) + tlv(0xEE, b"\r\nMAIL FROM:<>\r\n")
    octets = v2(tlvs=tlvs)
    assert parse(octets + b"x") == Header(16 + 12 + len(tlvs), SOURCE)


@pytest.mark.parametrize("source", ["203.0.113.9", "2001:db8::7"])
def test_a_right_checksum_is_taken(source: str) -> None:
    octets = v2(source, tlvs=tlv(NOOP, b"abc"), checksum=True)
    assert parse(octets) == Header(len(octets), (source, 4711))


def test_the_checksum_is_the_one_of_rfc_4960() -> None:
    # Its check value, and those of RFC 3720 B.4 for 32 octets of zeros and of ones.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


@pytest.mark.parametrize("place", [16, 19, 24, 30, -1])
def test_a_header_that_was_changed_under_its_checksum_is_refused(place: int) -> None:
    octets = bytearray(v2(tlvs=tlv(NOOP, b"abc"), checksum=True))
    octets[place] ^= 1
    assert reason(bytes(octets)) in (proxy.BAD_CHECKSUM, proxy.BAD_LENGTH)
    octets[place] ^= 1
    assert parse(bytes(octets)) is not None


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (v2(first=0x11), proxy.BAD_VERSION),
        (v2(first=0x22), proxy.BAD_VERSION),
        (v2(first=0x01), proxy.BAD_VERSION),
        (v2(kind=0x41), proxy.BAD_FAMILY),
        (v2(kind=0x13), proxy.BAD_FAMILY),
        (v2(length=11), proxy.BAD_LENGTH),
        (v2(kind=0x21), proxy.BAD_LENGTH),
        (v2(kind=0x31, block=b"x" * 215), proxy.BAD_LENGTH),
        (v2(tlvs=b"\x04"), proxy.BAD_LENGTH),
        (v2(tlvs=b"\x04\x00\x01"), proxy.BAD_LENGTH),
        (v2(tlvs=b"\x04\xff\xff"), proxy.BAD_LENGTH),
        (v2(tlvs=tlv(CHECKSUM, b"abc")), proxy.BAD_LENGTH),
        (v2(tlvs=tlv(CHECKSUM, bytes(4)), checksum=True), proxy.BAD_LENGTH),
        (v2(tlvs=tlv(CHECKSUM, bytes(4))), proxy.BAD_CHECKSUM),
        (SIGNATURE + b"\x21\x11\xff\xff", proxy.TOO_LONG),
        (SIGNATURE + struct.pack(">BBH", 0x21, 0x11, MAX_V2 - 15), proxy.TOO_LONG),
        (SIGNATURE + struct.pack(">BBH", 0x20, 0x00, MAX_V2 - 15), proxy.TOO_LONG),
    ],
)
def test_a_malformed_binary_header_is_refused(octets: bytes, why: str) -> None:
    assert reason(octets) == why


def test_the_longest_binary_header_is_read() -> None:
    octets = v2(tlvs=tlv(NOOP, b"x" * (MAX_V2 - 16 - 12 - 3)))
    assert len(octets) == MAX_V2
    assert parse(octets) == Header(MAX_V2, SOURCE)


# -- neither ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets", [b"EHLO c\r\n", b"X", b"PROXYTCP4", b"PROXI", b"proxy ", b"\r\n\r\nQ", b"\x16\x03", b"\0"]
)
def test_what_is_no_header_is_known_at_its_first_wrong_octet(octets: bytes) -> None:
    assert reason(octets) == proxy.NO_HEADER


@pytest.mark.parametrize(
    "whole", [v1(), v1("2001:db8::7"), v2(), v2("2001:db8::7", checksum=True), b"PROXY UNKNOWN\r\n"]
)
def test_every_part_of_a_header_waits_for_the_rest(whole: bytes) -> None:
    assert all(parse(whole[:length]) is None for length in range(len(whole)))
    assert parse(whole) is not None


PARTS = st.lists(
    st.sampled_from(
        [SIGNATURE, b"PROXY ", b"TCP4 ", b"UNKNOWN", b"203.0.113.9 ", b"1 ", b"\r\n", b"\x21", b"\x11", b"\0\x0c"]
    )
    | st.binary(max_size=20),
    max_size=12,
).map(b"".join)


@given(PARTS | st.builds(v2, tlvs=st.binary(max_size=40), length=st.none() | st.integers(0, 60)))
def test_any_octets_are_a_header_a_beginning_or_refused(octets: bytes) -> None:
    try:
        header = parse(octets)
    except BadHeader:
        # What is no header stays none, whatever comes behind it.
        with pytest.raises(BadHeader):
            parse(octets + b"more")
        return
    if header is None:
        assert len(octets) < MAX_V2
        return
    assert 15 <= header.length <= len(octets)
    assert parse(octets[: header.length]) == header
    assert parse(octets[: header.length - 1]) is None
    if header.source is not None:
        assert str(ip_address(header.source[0])) == header.source[0]
        assert 0 <= header.source[1] <= 0xFFFF
