"""Mailboxes in From and Sender: what is one, and what two readers might understand differently."""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import header_address
from gateway.mail.address import BadAddress
from gateway.mail.header_address import mailboxes


def read(value: str) -> list[str]:
    return [one.text for one in mailboxes(value.encode("utf-8"))]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("ida@corp.example", ["ida@corp.example"]),
        (" Ida <ida@corp.example>", ["ida@corp.example"]),
        ('"Ida, from sales" <ida@corp.example>', ["ida@corp.example"]),
        ('"boss@corp.example" <ida@corp.example>', ["ida@corp.example"]),
        ('"a\\"<boss@corp.example>" <ida@corp.example>', ["ida@corp.example"]),
        ("Ida Q. Public <ida@corp.example>", ["ida@corp.example"]),
        ("=?utf-8?q?J=C3=B6rg?= <j@corp.example>", ["j@corp.example"]),
        ("Jörg <jörg@corp.example>", ["jörg@corp.example"]),
        ("ida@corp.example, otto@corp.example", ["ida@corp.example", "otto@corp.example"]),
        ("Ida <ida@corp.example>,\r\n Otto\r\n\t<otto@corp.example>", ["ida@corp.example", "otto@corp.example"]),
        ("ida@corp.example (Ida (in sales) \\) here)", ["ida@corp.example"]),
        ("(a) ida (b) @ (c) corp.example (d)", ["ida@corp.example"]),
        ("< ida@corp.example >", ["ida@corp.example"]),
        ("Ida <@relay.example,@other.example:ida@corp.example>", ["ida@corp.example"]),
        ('"i d a"@corp.example', ['"i d a"@corp.example']),
        ("ida@[192.0.2.1]", ["ida@[192.0.2.1]"]),
        ("Sales: ida@corp.example, Otto <otto@corp.example>;", ["ida@corp.example", "otto@corp.example"]),
        ("Nobody:;", []),
        (",, ida@corp.example ,", ["ida@corp.example"]),
        ("", []),
        ("  (nothing)", []),
    ],
)
def test_mailboxes_are_found(value: str, found: list[str]) -> None:
    assert read(value) == found


@pytest.mark.parametrize(
    "value",
    [
        "boss@corp.example <ida@corp.example>",
        "ida@corp.example <boss@corp.example>",
        "<boss@corp.example> <ida@corp.example>",
        "<boss@corp.example> ida@corp.example",
        "<boss@corp.example> Ida",
        "Ida ida@corp.example",
        "ida . x@corp.example",
        "ida@corp. example",
        "ida(x)y@corp.example",
        "<i da@corp.example>",
        "ida@corp.example boss@corp.example",
        "ida@corp.example;",
        "a: b: ida@corp.example;;",
        "a: ida@corp.example",
        ": ida@corp.example;",
        "<ida@corp.example",
        "<<ida@corp.example>>",
        "<>",
        "ida",
        '"ida@corp.example',
        "ida@corp.example (open",
        "(" * 50 + ")" * 50 + " ida@corp.example",
        "[x] <ida@corp.example>",
        "a\\b <ida@corp.example>",
        "ida@corp.example>",
        ")ida@corp.example",
        "<@relay.example:>",
    ],
)
def test_what_can_be_read_in_two_ways_is_a_fault(value: str) -> None:
    with pytest.raises(BadAddress):
        read(value)


@pytest.mark.parametrize("part", [b"<a@b.example>,", b"<", b"(", b'"', b"a,", b"@", b"<@a:", b"a@b.example,", b"\\"])
def test_a_long_value_takes_no_more_than_its_length(part: bytes) -> None:
    """A quarter of a mebibyte, as much as a header section may have; squared it would take minutes."""
    began = perf_counter()
    with suppress(BadAddress):
        mailboxes(part * (256 * 1024 // len(part)))
    assert perf_counter() - began < 10


def test_octets_that_are_no_utf8_may_stand_in_a_name_alone() -> None:
    assert [one.text for one in mailboxes(b"J\xf6rg <j@corp.example>")] == ["j@corp.example"]
    with pytest.raises(BadAddress, match="not UTF-8"):
        mailboxes(b"j\xf6@corp.example")


@given(st.text(alphabet='ab@<>,:;()"\\[] .\r\n\t', max_size=40))
def test_any_value_is_read_or_refused_and_its_addresses_come_whole(value: str) -> None:
    try:
        found = read(value)
    except BadAddress:
        return
    flat = "".join(value.split())
    for one in found:
        assert one == "postmaster" or "@" in one
        assert one.rpartition("@")[2] in flat


_PIECES = st.sampled_from(
    [
        *("ida", "@", "corp.example", "ida@corp.example", "<", ">", '"', "\\", " ", "\t", "\r\n ", "(", ")", ",", ":"),
        *(";", "[", "]", "\x1c", "\x0b", "\x00", ".", '"Ida, from sales" <', '""', "<ida@corp.example>", "é"),
    ]
)


@given(st.lists(_PIECES, max_size=8).map("".join))
def test_a_simple_field_says_the_same_whether_it_is_read_quickly_or_word_by_word(value: str) -> None:
    raw = value.encode()
    try:
        found: object = header_address._read(raw)
    except BadAddress:
        found = BadAddress
    try:
        quickly: object = mailboxes(raw)
    except BadAddress:
        quickly = BadAddress
    assert quickly == found
