"""Values with parameters."""

from __future__ import annotations

from time import process_time

import pytest

from gateway.mailboxes.head.parameter import MAX_PARAMETERS, parameters, token, typed, worded


def pairs(value: bytes) -> dict[bytes, bytes]:
    return dict(parameters(value, 0))


def test_type_and_parameters_stay_as_they_were_written() -> None:
    assert typed(b'Text/Plain; Charset="utf-8"; format=flowed') == (
        b"Text",
        b"Plain",
        ((b"Charset", b"utf-8"), (b"format", b"flowed")),
    )


def test_comments_are_read_over() -> None:
    assert typed(b"(a (b)) text (c) / (d) plain (e); (f) a (g) = (h) b (i)") is None  # Nested ones stand in no type.
    assert typed(b"(a) text (c) / (d) plain (e); (f) a (g) = (h) b (i)") == (b"text", b"plain", ((b"a", b"b"),))


@pytest.mark.parametrize(
    ("value", "is_"),
    [
        (b"text", (b"text", b"plain", ())),
        (b'TEXT; charset="iso-8859-1"', (b"text", b"plain", ((b"charset", b"iso-8859-1"),))),
        (b"application-x-gzip; name=a.gz", (b"application", b"octet-stream", ((b"name", b"a.gz"),))),
    ],
)
def test_a_type_without_subtype_is_what_readers_take_it_for(value: bytes, is_: object) -> None:
    assert typed(value) == is_


@pytest.mark.parametrize("value", [b"", b"/", b"text/", b"/plain", b"text plain", b"=text/plain", b"text/plain/x"])
def test_a_type_that_cannot_be_read_is_none(value: bytes) -> None:
    assert typed(value) is None


def test_of_two_alike_the_first_counts() -> None:
    assert pairs(b"; name=a; NAME=b") == {b"name": b"a"}


def test_quoted_values_lose_their_backslashes() -> None:
    assert pairs(rb'; name="a \"b\" \\c;d"; x=y') == {b"name": rb'a "b" \c;d', b"x": b"y"}


def test_a_quote_that_is_not_closed_reaches_the_end() -> None:
    assert pairs(b'; name="a; b=c') == {b"name": b"a; b=c"}


def test_an_encoded_value_keeps_its_charset_and_codes() -> None:
    assert pairs(b"; filename*=utf-8''Gr%C3%BC%C3%9Fe") == {b"filename*": b"utf-8''Gr%C3%BC%C3%9Fe"}


def test_pieces_are_joined_in_their_order() -> None:
    assert pairs(b"; name*1=b; name*0=a; name*2=c") == {b"name": b"abc"}


def test_pieces_of_which_one_is_encoded_are_all_encoded() -> None:
    assert pairs(b"; name*0*=utf-8''a%20; name*1=\"b c\"") == {b"name*": b"utf-8''a%20b%20c"}


def test_a_missing_piece_ends_what_is_joined() -> None:
    assert pairs(b"; name*0=a; name*2=c") == {b"name": b"a"}


def test_a_whole_value_goes_before_its_pieces() -> None:
    assert pairs(b"; name*0=a; name=b") == {b"name": b"b"}


def test_what_is_no_parameter_is_read_over() -> None:
    assert pairs(b";;; nonsense; =x; a=b;") == {b"a": b"b"}


def test_a_limit_on_parameters() -> None:
    assert len(parameters(b"".join(b"; p%d=x" % number for number in range(MAX_PARAMETERS + 1)), 0)) == MAX_PARAMETERS


def test_a_disposition_is_a_word_and_parameters() -> None:
    assert worded(b'attachment; filename="a b"') == (b"attachment", ((b"filename", b"a b"),))
    assert worded(b'"attachment"') is None


def test_a_token_stands_alone() -> None:
    assert token(b" base64 (really) ") == b"base64"
    assert token(b"base64 or not") is None


@pytest.mark.parametrize(
    "piece", [b";", b" ", b"\t", b"(", b"; (", b";(\\(", b'"', b'";', b"a=", b";a=b", b";a*0=b", b"\\"]
)
def test_hostile_repetition_takes_time_in_proportion(piece: bytes) -> None:
    value = b"text/plain" + piece * (60_000 // len(piece))
    began = process_time()
    typed(value)
    worded(value)
    assert process_time() - began < 0.5
