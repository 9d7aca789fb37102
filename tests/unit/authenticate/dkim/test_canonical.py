"""Header canonicalisation and which fields a signature covers. dkimpy is the judge of the form."""

from __future__ import annotations

import re
from time import perf_counter

from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from gateway.authenticate.dkim.canonical import (
    all_relaxed,
    covered,
    fields,
    one_blank,
    placed,
    read_fields,
    relaxed,
    signed_octets,
)
from gateway.mail.message import Held, Message

SECTION = b"Received: a\r\n\tb\r\nFROM : Ida\r\nTo: x\r\n"


def test_fields_come_in_order_with_folding_and_without_their_end() -> None:
    assert fields(SECTION) == (
        [(b"received", b"Received: a\r\n\tb"), (b"from", b"FROM : Ida"), (b"to", b"To: x")],
        True,
    )


def test_the_last_field_needs_no_line_end() -> None:
    assert fields(b"To: x") == ([(b"to", b"To: x")], True)
    assert fields(b"") == ([], True)


def test_a_line_that_is_no_field_is_passed_over_and_told() -> None:
    assert fields(b"From ida Tue\r\n and on\r\nTo: x\r\n") == ([(b"to", b"To: x")], False)
    assert fields(b" begins with a blank\r\nTo: x\r\n") == ([(b"to", b"To: x")], False)


def test_relaxed_takes_blanks_and_folding_out_and_keeps_the_rest() -> None:
    assert relaxed(b"SubJect \t:\r\n\t  A  b\t\r\n C \t") == b"subject:A b C"
    assert relaxed(b"X:") == b"x:"
    assert relaxed(b"X: a:b") == b"x:a:b"


def test_simple_changes_nothing() -> None:
    field = (b"subject", b"SubJect :  a\r\n b ")
    assert signed_octets([field], b"Own: \t", "simple") == b"SubJect :  a\r\n b \r\nOwn: \t"


def test_fields_are_covered_from_the_bottom_up_and_missing_ones_as_nothing() -> None:
    here = [(b"x", b"X: 1"), (b"y", b"Y: 1"), (b"x", b"X: 2")]
    assert covered(here, [b"x", b"x", b"x", b"z", b"y"]) == [b"X: 2", b"X: 1", b"Y: 1"]


def test_what_is_signed_ends_with_the_signatures_own_field_without_line_end() -> None:
    assert (
        signed_octets([(b"to", b"To:  x")], b"DKIM-Signature: v=1; b=", "relaxed") == b"to:x\r\ndkim-signature:v=1; b="
    )


def test_a_long_run_of_blanks_is_one() -> None:
    assert one_blank(b"a" + b" \t" * 500_000 + b"b  c") == b"a b c"


LETTERS = st.lists(
    st.sampled_from([b" ", b"\t", b"  ", b"\r\n ", b"\r\n\t", b"a", b"B", b"\xc3\xbc", b":"]), max_size=40
).map(b"".join)


@given(LETTERS)
def test_dkimpy_sees_the_same_relaxed_field(value: bytes) -> None:
    ((name, text),) = Relaxed.canonicalize_headers([(b"SubJect ", value)])
    assert relaxed(b"SubJect :" + value) + b"\r\n" == name + b":" + text


@given(st.lists(st.sampled_from([b"a", b":", b" ", b"\t", b"\r\n", b"\r", b"\n", b"\xff"]), max_size=60).map(b"".join))
def test_any_section_has_the_fields_that_a_message_has(section: bytes) -> None:
    message = Message(section, Held(section))
    found, _ = fields(message.header_section())
    assert [name for name, _ in found] == [name.lower() for name, _ in message.fields()]


SECTIONS = st.lists(
    st.sampled_from(
        [
            b"a",
            b"Subject",
            b"x",
            b":",
            b": ",
            b" ",
            b"\t",
            b"  ",
            b"\r\n",
            b"\r\n ",
            b"\r\n\t",
            b"\r",
            b"\n",
            b"\xff",
            b"\0",
        ]
    ),
    max_size=60,
).map(b"".join)


@given(SECTIONS)
def test_all_fields_at_once_are_relaxed_as_each_by_itself(section: bytes) -> None:
    found, _ = fields(section)
    assert all_relaxed(found) == b"".join([relaxed(raw) + b"\r\n" for _, raw in found])


@given(SECTIONS)
def test_fields_read_in_one_go_are_those_that_were_placed(section: bytes) -> None:
    found, whole = fields(section)
    places = placed(found)
    found_at_once, is_whole, repeated = read_fields(section)
    assert (found_at_once, is_whole) == (places, whole)
    assert list(found_at_once) == list(places)
    assert sorted(repeated) == sorted(name for name, those in places.items() if len(those) > 1)


# As the grammar has it (RFC 5322 2.2), apart from how `fields` looks for it.
FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:[^\r\n]*(?:(?:\r\n[ \t]|\r(?!\n)|\n)[^\r\n]*)*(?:\r\n|\Z)")


@given(SECTIONS)
def test_a_section_is_whole_only_where_field_stands_by_field(section: bytes) -> None:
    wanted, at, whole = [], 0, True
    while at < len(section):
        if (match := FIELD.match(section, at)) is not None:
            wanted.append((match[1].lower(), match[0].removesuffix(b"\r\n")))
            at = match.end()
        else:
            whole = False
            at = section.find(b"\r\n", at) + 2 or len(section)
            at = len(section) if at == 1 else at
    assert fields(section) == (wanted, whole)


def test_a_name_does_not_reach_into_the_next_line() -> None:
    assert fields(b"From\r\n : ida\r\nTo: x\r\n") == ([(b"to", b"To: x")], False)


def test_a_section_of_many_short_lines_takes_bounded_time() -> None:
    for lines in (
        b"a:\r\n" + b" \r\n" * 80_000,
        b"\r\n" * 120_000,
        b"a:b\r\n" * 50_000,
        b"a" * 250_000,
        b" \r\n" * 80_000,
    ):
        began = perf_counter()
        found, _ = fields(lines)
        all_relaxed(found)
        assert perf_counter() - began < 20  # Bounded, not quick: machines are noisy.
