"""Names of folders: modified UTF-7, patterns of LIST, INBOX in any case."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.folder_name import BadName, decoded, encoded, matcher, normal, quoted


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", b"INBOX"),
        ("R&D", b"R&-D"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("台北", b"&U,BTFw-"),  # RFC 3501 5.1.3
        ("日本語", b"&ZeVnLIqe-"),
        ("a\U0001f600", b"a&2D3eAA-"),
    ],
)
def test_names_beyond_ascii_travel_in_modified_utf7(name: str, wire: bytes) -> None:
    assert encoded(name) == wire
    assert decoded(wire) == name


@given(st.text(max_size=30))
def test_whatever_is_encoded_is_decoded(name: str) -> None:
    if not any("\ud800" <= letter <= "\udfff" for letter in name):
        assert decoded(encoded(name)) == name


@pytest.mark.parametrize("wire", [b"&", b"&abc", b"x&Jj", b"&AP-", b"&!!!-", b"\xff\xfe", b"&2D0-"])
def test_a_damaged_name_is_refused_and_not_read_for_ever(wire: bytes) -> None:
    with pytest.raises(BadName):
        decoded(wire)


def test_utf8_is_understood() -> None:
    assert decoded("Entwürfe".encode()) == "Entwürfe"


def test_quotes_and_backslashes_are_escaped() -> None:
    assert quoted('a"b\\c') == b'"a\\"b\\\\c"'


@pytest.mark.parametrize(
    ("name", "stored"),
    [("inbox", "INBOX"), ("Inbox/Work", "INBOX/Work"), ("inboxes", "inboxes"), ("x/inbox", "x/inbox")],
)
def test_inbox_is_one_folder_in_any_case(name: str, stored: str) -> None:
    assert normal(name) == stored


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("Work", "*", True),
        ("Work/2026", "*", True),
        ("Work/2026", "%", False),
        ("Work/2026", "%/%", True),
        ("Work/2026", "Work/*", True),
        ("Work", "Work/*", False),
        ("Work/2026/Q1", "Work/%", False),
        ("Work", "W%k", True),
        ("Work", "W*rk*", True),
        ("Work", "work", False),
        ("", "*", True),
    ],
)
def test_an_asterisk_is_anything_and_a_percent_sign_one_level(name: str, pattern: str, fits: bool) -> None:
    assert matcher(pattern)(name) is fits


def test_hostile_patterns_take_bounded_time() -> None:
    begun = perf_counter()
    for pattern in ("*a" * 499 + "b", "%a*" * 333 + "b", "*%" * 500, "\\E.[(" * 200):
        fits = matcher(pattern)
        assert fits("a" * 1000) is (pattern == "*%" * 500)
    assert perf_counter() - begun < 2
    with pytest.raises(BadName):
        matcher("a" * 1001)
