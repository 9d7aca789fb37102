"""Addresses as ENVELOPE lists them."""

from __future__ import annotations

from time import process_time

import pytest

from gateway.mailboxes.head.address import MAX_ADDRESSES, address_list
from tests.imap_values import Value, parsed


def listed(value: bytes) -> Value:
    (found,) = parsed(address_list(value))
    return found


@pytest.mark.parametrize(
    ("value", "name", "mailbox", "host"),
    [
        (b"ida@corp.example", None, b"ida", b"corp.example"),
        (b" <ida@corp.example> ", None, b"ida", b"corp.example"),
        (b"Ida Normal <ida@corp.example>", b"Ida Normal", b"ida", b"corp.example"),
        (b'"Normal, Ida" <ida@corp.example>', b"Normal, Ida", b"ida", b"corp.example"),
        (rb'"Ida \"the first\"" <ida@corp.example>', b'Ida "the first"', b"ida", b"corp.example"),
        (b'""<ida@corp.example>', None, b"ida", b"corp.example"),
        (b"=?utf-8?Q?J=C3=B6rg?= <j@corp.example>", b"=?utf-8?Q?J=C3=B6rg?=", b"j", b"corp.example"),
        (b"=?utf-8?Q?Normal,_Ida?= <ida@corp.example>", b"=?utf-8?Q?Normal,_Ida?=", b"ida", b"corp.example"),
        (b"J\xc3\xb6rg <j@corp.example>", b"J\xc3\xb6rg", b"j", b"corp.example"),
        (b"ida@corp.example (Ida)", b"Ida", b"ida", b"corp.example"),
        (b"Ida  A.   B. <ida@corp.example>", b"Ida A. B.", b"ida", b"corp.example"),
        (b'"a b"@corp.example', None, b"a b", b"corp.example"),
        (b"ida . n @ corp . example", None, b"ida.n", b"corp.example"),
        (b"ida@[192.0.2.1]", None, b"ida", b"[192.0.2.1]"),
        (b"root", None, b"root", b""),
        (b"John Doe", b"John Doe", b"", b""),
        (b'"John Doe"', b"John Doe", b"", b""),
        (b"=?utf-8?Q?J=C3=B6rg?=", b"=?utf-8?Q?J=C3=B6rg?=", b"", b""),
        (b"Ida <>", b"Ida", b"", b""),
        (b"<Undisclosed Recipients>", None, b"Undisclosed Recipients", b""),
        (b"Ida <ida@corp.example", b"Ida", b"ida", b"corp.example"),
        (b"Ida <a:b@corp.example>", b"Ida", b"a : b", b"corp.example"),
        (b"boss@corp.example <x@partner.example>", b"boss @ corp.example", b"x", b"partner.example"),
    ],
)
def test_one_address(value: bytes, name: bytes | None, mailbox: bytes, host: bytes) -> None:
    assert listed(value) == [[name, None, mailbox, host]]


def test_no_address_is_nil() -> None:
    for value in (b"", b" ", b",", b"(a comment)", b";"):
        assert address_list(value) == b"NIL"


def test_several_addresses_stay_in_order() -> None:
    assert listed(b"a@x, B <b@x>,, (c) c@x (C) , d@x") == [
        [None, None, b"a", b"x"],
        [b"B", None, b"b", b"x"],
        [b"C", None, b"c", b"x"],
        [None, None, b"d", b"x"],
    ]


def test_a_group_has_a_beginning_and_an_end() -> None:
    assert listed(b"Friends: a@x, b@x;, c@x") == [
        [None, None, b"Friends", None],
        [None, None, b"a", b"x"],
        [None, None, b"b", b"x"],
        [None, None, None, None],
        [None, None, b"c", b"x"],
    ]
    assert listed(b"undisclosed-recipients:;") == [
        [None, None, b"undisclosed-recipients", None],
        [None, None, None, None],
    ]


def test_a_group_that_is_not_ended_ends_with_the_field() -> None:
    assert listed(b"Friends: a@x") == [
        [None, None, b"Friends", None],
        [None, None, b"a", b"x"],
        [None, None, None, None],
    ]


def test_a_source_route_has_a_place_of_its_own() -> None:
    assert listed(b"Ida <@a.example,@b.example:ida@corp.example>, b@x") == [
        [b"Ida", b"@a.example,@b.example", b"ida", b"corp.example"],
        [None, None, b"b", b"x"],
    ]


def test_a_limit_on_addresses() -> None:
    assert len(listed(b"a@x," * (MAX_ADDRESSES + 1))) == MAX_ADDRESSES  # type: ignore[arg-type]
    assert len(listed(b"a @x," * (MAX_ADDRESSES + 1))) == MAX_ADDRESSES  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "piece",
    [
        b"a ",
        b"<",
        b"(",
        b"\\",
        b'"',
        b"=?a?q?b",
        b"=?",
        b"a@",
        b"@",
        b":",
        b"[",
        b". ",
        b"(a)",
        b"\x00",
        b",:;",
        b"<:",
        b"<@,",
    ],
)
def test_hostile_repetition_takes_time_in_proportion(piece: bytes) -> None:
    value = piece * (40_000 // len(piece))
    began = process_time()
    parsed(address_list(value))
    assert process_time() - began < 1
