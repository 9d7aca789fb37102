"""BER is read with bounds: any form of length, strings in pieces, nothing deeper or longer than anybody needs."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from asn1crypto.core import Integer

from gateway.smime.cms import ber, der
from gateway.smime.cms.findings import Finding, Unreadable


def indefinite(tag: int, *parts: bytes) -> bytes:
    return bytes((tag | 0x20, 0x80)) + b"".join(parts) + b"\0\0"


def test_lengths_of_all_forms_are_read() -> None:
    for length in (0, 1, 127, 128, 255, 256, 65535, 65536):
        element = ber.read(der.octet_string(bytes(length)))
        assert len(element.content) == length
    assert bytes(ber.read(b"\x04\x84\x00\x00\x00\x01x").content) == b"x"  # longer than need be: BER, no DER


def test_an_indefinite_length_ends_where_its_mark_is() -> None:
    inner = indefinite(der.SEQUENCE, der.integer(7), indefinite(der.SET, der.integer(8)))
    element = ber.read(indefinite(der.SEQUENCE, inner, der.integer(9)) + b"behind")
    first, last = element.members()
    assert [one.tag for one in first.members()] == [der.INTEGER, der.SET]
    assert last.integer() == 9
    assert bytes(element.raw) == indefinite(der.SEQUENCE, inner, der.integer(9))


def test_zeros_inside_a_definite_member_end_nothing() -> None:
    element = ber.read(indefinite(der.SEQUENCE, der.octet_string(bytes(6)), der.integer(1)))
    assert element.members()[1].integer() == 1


def test_a_string_in_pieces_is_read_in_order() -> None:
    nested = indefinite(der.OCTET_STRING, der.octet_string(b"b"), der.octet_string(b"c"))
    pieces = (der.octet_string(b"a"), nested, der.octet_string(b""), der.octet_string(b"d"))
    for made in (indefinite(der.OCTET_STRING, *pieces), der.element(der.OCTET_STRING | 0x20, *pieces)):
        assert ber.read(made).octets() == b"abcd"
    assert ber.read(indefinite(0x80, *pieces)).octets() == b"abcd"  # [0] IMPLICIT, as encrypted content is


def test_definite_makes_der_of_it() -> None:
    made = indefinite(der.SEQUENCE, indefinite(der.OCTET_STRING, der.octet_string(b"a"), der.octet_string(b"b")))
    assert ber.read(made).definite() == der.sequence(der.octet_string(b"ab"))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30",
        b"\x30\x05\x02\x01",  # cut off
        b"\x30\x81",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x04\x80\x00\x00",  # a primitive of indefinite length
        b"\x30\x80\x02\x01\x01",  # no end
        b"\x30\x80\x00\x01",  # an end with a length
        b"\x00\x00",
        b"\x1f\x81\x01\x00",  # a tag of several octets
        b"\x30\x03\x02\x02\x01",  # a member longer than what holds it
        b"\x30\xff" + bytes(127),
    ],
)
def test_what_is_no_ber_is_refused(octets: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        for member in ber.read(octets).members():
            member.members()
    assert refused.value.finding is Finding.STRUCTURE_BROKEN


def test_an_indefinite_member_does_not_reach_out_of_what_holds_it() -> None:
    with pytest.raises(Unreadable):
        ber.read(der.sequence(b"\x30\x80\x02\x01\x01") + b"\0\0").members()[0].members()


def test_a_nest_is_followed_to_its_limit_and_no_further() -> None:
    def nest(depth: int) -> bytes:
        return b"\x30\x80" * depth + b"\0\0" * depth

    assert ber.read(nest(ber.MOST_DEPTH)).definite()
    with pytest.raises(Unreadable):
        ber.read(nest(ber.MOST_DEPTH + 1))
    made = b""
    for _ in range(100):
        made = der.sequence(made)
    with pytest.raises(Unreadable):
        ber.read(made).definite()


def in_pieces(count: int) -> bytes:
    return indefinite(der.OCTET_STRING, der.octet_string(b"x") * count)


def in_nested_pieces(count: int) -> bytes:
    return b"\x24\x80" * ber.MOST_DEPTH + der.octet_string(b"x") * count + b"\0\0" * ber.MOST_DEPTH


@pytest.mark.parametrize("make", [in_pieces, in_nested_pieces])
def test_a_million_pieces_take_bounded_time(make: Callable[[int], bytes]) -> None:
    began = time.process_time()
    with pytest.raises(Unreadable) as refused:
        ber.read(make(1_000_000)).pieces()
    assert refused.value.finding is Finding.TOO_MANY_MEMBERS
    assert time.process_time() - began < 5
    assert len(ber.read(make(100_000)).pieces()) == 100_000


def test_members_have_a_limit() -> None:
    assert len(ber.read(der.sequence(*[der.NULL] * ber.MOST_MEMBERS)).members()) == ber.MOST_MEMBERS
    with pytest.raises(Unreadable) as refused:
        ber.read(der.sequence(*[der.NULL] * (ber.MOST_MEMBERS + 1))).members()
    assert refused.value.finding is Finding.TOO_MANY_MEMBERS


def test_what_is_small_by_nature_has_a_limit() -> None:
    assert len(ber.read(der.octet_string(bytes(ber.MOST_SMALL - 4))).octets()) == ber.MOST_SMALL - 4
    for much in (der.octet_string(bytes(ber.MOST_SMALL)), der.sequence(der.octet_string(bytes(ber.MOST_SMALL)))):
        with pytest.raises(Unreadable):
            ber.read(much).small()
    with pytest.raises(Unreadable):
        ber.read(der.octet_string(bytes(ber.MOST_SMALL))).octets()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"700101000000Z", 0.0),
        (b"491231235959Z", 2524607999.0),
        (b"500101000000Z", -631152000.0),
        (b"20500101000000Z", 2524608000.0),
    ],
)
def test_times_are_read_and_written(text: bytes, seconds: float) -> None:
    made = der.element(der.UTC_TIME if len(text) == 13 else der.GENERALIZED_TIME, text)
    assert ber.read(made).time() == seconds
    assert der.time(seconds) == made


@pytest.mark.parametrize("text", [b"", b"7001010000Z", b"700101000000+0100", b"701301000000Z", b"\xff" * 13])
def test_times_of_other_forms_are_refused(text: bytes) -> None:
    with pytest.raises(Unreadable):
        ber.read(der.element(der.UTC_TIME, text)).time()


def test_identifiers_are_written_and_shown() -> None:
    for dotted in ("1.2.840.113549.1.7.1", "2.16.840.1.101.3.4.1.42", "2.999.3", "0.4.0", "1.3.101.110"):
        assert der.dotted(der.oid_octets(dotted)) == dotted
    assert der.dotted(b"\x2a\x86") == "2a86"


@pytest.mark.parametrize("number", [0, 1, 127, 128, 255, 256, -1, -128, -129, 2**159])
def test_integers_are_as_short_as_they_can_be(number: int) -> None:
    made = der.integer(number)
    assert ber.read(made).integer() == number
    assert made == Integer(number).dump()


@pytest.mark.parametrize("octets", [b"\x02\x00", b"\x04\x01\x00", b"\x02\x82\x01\x01" + bytes(257)])
def test_what_is_no_integer_is_refused(octets: bytes) -> None:
    with pytest.raises(Unreadable):
        ber.read(octets).integer()


def test_a_set_is_in_order() -> None:
    assert der.set_of(der.integer(3), der.integer(1), der.NULL) == b"\x31\x08\x02\x01\x01\x02\x01\x03\x05\x00"
