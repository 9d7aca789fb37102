"""HOST:PORT, and what is told where it is none."""

from __future__ import annotations

import re

import pytest

from gateway.settings.place import BadPlace, listening, overlap, place, written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:25", ("127.0.0.1", 25)),
        ("[::1]:25", ("::1", 25)),
        ("Mx.Partner.Example:26", ("mx.partner.example", 26)),
        ("mx.partner.example", ("mx.partner.example", 25)),
        ("[2001:db8::1]", ("2001:db8::1", 25)),
        ("[mx.partner.example]:26", ("mx.partner.example", 26)),
    ],
)
def test_places_are_read(text: str, expected: tuple[str, int]) -> None:
    assert place(text, 25) == expected


@pytest.mark.parametrize("text", ["", ":25", "[::1", "[]:25", "[::1]25", "a b:25", "smtp://a:25", "a/b", "u@h:25"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(BadPlace, match="HOST:PORT"):
        place(text, 25)


@pytest.mark.parametrize("text", ["h:0", "h:65536", "h:", "h:x", "h:-1", "h:+1", "h: 1", "h:٢٥"])
def test_a_port_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(BadPlace, match="1 to 65535"):
        place(text)


def test_an_ipv6_address_without_brackets_is_told_with_them() -> None:
    with pytest.raises(BadPlace, match=r"\[2001:db8::1\]:2525"):
        place("2001:db8::1")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("::1:2620", "[::1]:2620"), ("2001:db8::5:25", "[2001:db8::5]:25"), ("::1:99999", "[::1]:2525")],
)
def test_the_port_behind_an_ipv6_address_without_brackets_is_kept(text: str, meant: str) -> None:
    with pytest.raises(BadPlace, match=re.escape(f'"{meant}"')):
        place(text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("0.0.0.0:25", "192.0.2.1:25", True),
        ("[2001:db8::1]:25", "[::]:25", True),
        ("192.0.2.1:25", "192.0.2.1:25", True),
        ("0.0.0.0:25", "192.0.2.1:26", False),
        ("0.0.0.0:25", "[::]:25", False),
        ("192.0.2.1:25", "192.0.2.2:25", False),
    ],
)
def test_a_wildcard_overlaps_with_the_addresses_of_its_family(one: str, other: str, expected: bool) -> None:
    assert overlap(listening(one), listening(other)) is expected


def test_a_missing_port_is_refused_where_none_is_given() -> None:
    with pytest.raises(BadPlace, match="HOST:PORT"):
        place("127.0.0.1")


def test_listening_takes_addresses_in_their_shortest_form() -> None:
    assert listening("[0:0::1]:25") == ("::1", 25)
    assert listening("localhost:25") == ("127.0.0.1", 25)


def test_listening_refuses_names() -> None:
    with pytest.raises(BadPlace, match="an IP address"):
        listening("mail.corp.example:25")


def test_written_is_read_back() -> None:
    for whole in (("::1", 25), ("127.0.0.1", 25), ("mx.example", 26)):
        assert place(written(*whole)) == whole
