"""Octets as IMAP has them."""

from __future__ import annotations

import pytest

from gateway.mailboxes.head.wire import MAX_QUOTED, literal, literal8, nstring, shown, string


@pytest.mark.parametrize(
    ("octets", "written"),
    [
        (b"", b'""'),
        (b"plain", b'"plain"'),
        (b'a "b" \\c', b'"a \\"b\\" \\\\c"'),
        (b"two\r\nlines", b"{10}\r\ntwo\r\nlines"),
        (b"Gr\xc3\xbc\xc3\x9fe", b"{7}\r\nGr\xc3\xbc\xc3\x9fe"),
        (b"nul\x00", b"{4}\r\nnul\x80"),
        (b"x" * (MAX_QUOTED + 1), b"{4097}\r\n" + b"x" * 4097),
    ],
)
def test_a_string_is_quoted_where_it_may_be(octets: bytes, written: bytes) -> None:
    assert string(octets) == written


def test_nothing_is_nil_and_an_empty_string_is_not() -> None:
    assert nstring(None) == b"NIL"
    assert nstring(b"") == b'""'


def test_a_literal_has_no_nul_but_keeps_its_size() -> None:
    assert literal(b"a\x00b") == b"{3}\r\na\x80b"


def test_a_literal8_is_told_by_its_tilde_where_it_has_to_be_one() -> None:
    assert literal8(b"a\x00b") == b"~{3}\r\na\x00b"
    assert literal8(b"ab") == b"{2}\r\nab"


def test_runs_of_blanks_are_shown_as_one() -> None:
    assert shown(b"a  b\tc \t d") == b"a b c d"
