"""Replies read from octets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.said import MAX_LINE, MAX_REPLY, Ear, Offers, Said


def test_a_reply_of_many_lines_is_one_reply() -> None:
    heard, fault = Ear().hear(b"250-hop.test\r\n250-SIZE 10\r\n250 8BITMIME\r\n")
    assert heard == [Said(250, "hop.test\nSIZE 10\n8BITMIME")]
    assert fault is None


def test_many_replies_in_one_packet_are_many_replies() -> None:
    heard, _ = Ear().hear(b"250 2.1.0 ok\r\n550-5.1.1 no\r\n550 5.1.1 really\r\n354 go\r\n")
    assert [one.code for one in heard] == [250, 550, 354]


@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_where_packets_end_makes_no_difference(cuts: list[int]) -> None:
    octets = b"220 a\r\n250-b\r\n250-c\n250\r\n451 4.3.0 \xc3\xa4\r\n"
    ear, heard, last = Ear(), [], 0
    for cut in [*sorted(cuts), len(octets)]:
        heard += ear.hear(octets[last:cut])[0]
        last = max(last, cut)
    assert heard == [Said(220, "a"), Said(250, "b\nc\n"), Said(451, "4.3.0 \u00e4")]


@pytest.mark.parametrize(
    "octets",
    [b"hello\r\n", b"999 what\r\n", b"25\r\n", b"25 x\r\n", b"100 early\r\n", b"250+x\r\n", b"\r\n", b"\x16\x03\x01\n"],
)
def test_what_is_no_reply_is_told_as_such(octets: bytes) -> None:
    heard, fault = Ear().hear(b"250 ok\r\n" + octets)
    assert heard == [Said(250, "ok")]
    assert "no SMTP reply" in str(fault)


def test_an_odd_reply_is_shown_without_controls() -> None:
    _, fault = Ear().hear(b"\x1b[31mred\x00\r\n")
    assert fault is not None
    assert str(fault).isprintable()


def test_a_line_over_the_limit_is_refused_and_one_at_it_is_not() -> None:
    line = b"250 " + b"x" * (MAX_LINE - 5) + b"\r"
    assert len(line) == MAX_LINE
    assert Ear().hear(line + b"\n")[1] is None
    for octets in (line[:-1] + b"x\r\n", b"x" * (MAX_LINE + 1)):
        assert "too long" in str(Ear().hear(octets)[1])


def test_a_reply_without_end_is_refused() -> None:
    ear = Ear()
    line = b"250-" + b"x" * 95 + b"\n"
    for _ in range(MAX_REPLY // (len(line) - 1)):
        assert ear.hear(line) == ([], None)
    assert "too long" in str(ear.hear(line)[1])


@pytest.mark.parametrize(
    ("said", "enhanced"),
    [
        (Said(550, "5.1.1 no such user"), "5.1.1"),
        (Said(550, "4.1.1 does not go with 550"), None),
        (Said(250, "2.0.0"), "2.0.0"),
        (Said(451, "4.7.6501 no code"), None),
        (Said(450, "10.4.5.1 is an address"), None),
    ],
)
def test_the_enhanced_code_is_read_where_it_goes_with_the_code(said: Said, enhanced: str | None) -> None:
    assert said.enhanced == enhanced


def test_a_long_reply_is_told_on_one_line() -> None:
    said = Said(550, "5.7.1 first\n5.7.1 second\x07\n\n5.7.1 third")
    assert said.line == "550 5.7.1 first second? third"
    assert len(Said(250, "x" * 5000).line) == 900


def test_offers_are_read_in_any_case_and_junk_is_passed_over() -> None:
    offers = Offers.of(Said(250, "hop.test hello\nsize 1000\nPipelining\n\nX-ODD =\n8bitmime\nSTARTTLS"))
    assert offers == Offers(sized=True, size=1000, eight_bit=True, pipelining=True, starttls=True)


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE x", "SIZE -1", "SIZE " + "9" * 30])
def test_a_size_without_a_number_is_no_limit(size: str) -> None:
    assert Offers.of(Said(250, f"hop\n{size}")) == Offers(sized=True, size=None)
