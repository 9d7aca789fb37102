"""Encoded words (RFC 2047), also as they must not be."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.reading import read
from gateway.mail.reading.header import field_texts
from gateway.mail.reading.unseen import without_unseen


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b" =?utf-8?q?caf=C3=A9?=", "café"),
        (b" =?UTF-8?B?Y2Fmw6k=?=", "café"),
        (b" =?utf-8?b?Y2Fmw6k?=", "café"),  # Without its padding.
        (b" =?utf-8?q?a_b?= c", "a b c"),
        (b" =?utf-8?q?con?= =?utf-8?q?fid?=\r\n =?utf-8?q?ential?=", "confidential"),
        (b" =?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", "café"),  # A letter is cut between two words.
        (b" =?utf-8?b?Y2Fmw?= =?utf-8?b?6k=?=", "café"),  # So is its base64.
        (b" =?utf-8?b?Y2Fm?= =?utf-8?q?=C3=A9?=", "café"),
        (b' "=?iso-8859-1?q?J=FCrgen?=" <j@corp.example>', '"Jürgen" <j@corp.example>'),
        (b" a=?utf-8?q?b?=c", "abc"),
        (b" =?utf-8?q?two words?=", "two words"),
        (b" =?utf-8*en?q?hi?=", "hi"),  # RFC 2231 5
        (b" =?utf-8?q?what? no?=", "what? no"),
        (b" =?utf-8?q?never ended", "never ended"),
        (b" =?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
        (b" =?x-unknown?q?caf=C3=A9?=", "café"),
        (b" =?x-unknown?q?caf=E9?=", "café"),
        (b" plain =? and ?= signs", "plain =? and ?= signs"),
        (b" se\xe2\x80\x8bcret", "secret"),  # A zero-width blank.
        (b" =?utf-8?q?se=C2=ADcret?=", "secret"),  # A soft hyphen.
        (b" raw \xc3\xa9 and =?utf-8?q?=C3=A9?=", "raw é and é"),
        (b" =?utf-8?q?bad=C3?= end", "badÃ end"),
    ],
)
def test_what_a_reader_sees(raw: bytes, text: str) -> None:
    assert text in field_texts(raw)


def test_a_wrong_charset_gives_what_each_reader_may_see() -> None:
    first, other = field_texts(b" =?iso-8859-1?q?caf=C3=A9?=")
    assert (first, other) == ("cafÃ©", "café")


def test_each_subject_counts_where_there_are_several() -> None:
    reading = read(b"Subject: one\r\nTo: a@x.example\r\nsubject: =?utf-8?q?two?=\r\n\r\n")
    assert reading.subjects == ("one", "two")
    assert reading.subject == "one"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=60), st.integers(1, 40))
def test_what_a_writer_encodes_is_read_whichever_octets_it_cuts_at(text: str, size: int) -> None:
    octets = text.encode()
    pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
    raw = b"\r\n ".join([b"=?utf-8?b?" + b64encode(piece) + b"?=" for piece in pieces])
    assert field_texts(b" " + raw)[0] == without_unseen(text)


def test_many_words_without_an_end_take_bounded_time() -> None:
    raw = b" " + b"=?a?q?" * 200_000
    assert field_texts(raw)
