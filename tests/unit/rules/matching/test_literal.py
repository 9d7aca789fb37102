"""Letters that a pattern can't do without."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.matching.fold import has_twins, scanned_as_written
from gateway.rules.matching.literal import required
from gateway.rules.shapes.pattern import options


@pytest.mark.parametrize(
    ("pattern", "letters"),
    [
        ("secret", {"secret"}),
        ("Project-\\d+", {"project "}),
        (r"\bcat[a-z]", {" cat"}),
        (r"\bcat\b", {" cat "}),
        (r"^total:\s*sum\s*=", {" total "}),
        (r":\s*total\s*=", {" total "}),
        (r"x?total\s*", {"total"}),
        (r"(?:alpha|beta)gamma", {"gamma"}),
        (r"(?:alpha|beta)", {"alpha", "beta"}),
        (r"(?P<kind>alpha)+", {"alpha"}),
        (r"ab+cd", None),
        (r"abc+d", {"abc"}),
        (r"abcd{2,3}", {"abcd"}),
        (r"abcd?", {"abc"}),
        (r"\d{3}-\d{2}-\d{4}", None),
        (r"alpha|\d", None),
        (r"(?:alpha)?beta", {"beta"}),
        (r"(?:alpha)*\d", None),
        (r"[[:alpha:]]]xyz", {" xyz"}),
        (r"[]a]xyz", {"xyz"}),
        (r"[^\]]xyz", {"xyz"}),
        (r"(?i)alpha", None),
        (r"\Qa.b\E", None),
        (r"alpha{,3}", None),
        (r"alpha\x41", None),
        (r"münchen", {"nchen"}),
        ("abc|", None),
        ("", None),
    ],
)
def test_what_is_known_of_a_pattern(pattern: str, letters: set[str] | None) -> None:
    assert required(pattern) == letters


PIECES = st.sampled_from(
    (
        *(
            "abc",
            "ABCD",
            "cat",
            "x",
            "-",
            " ",
            "_",
            "\\.",
            ".",
            "\\d",
            "\\s",
            "\\W",
            "\\w",
            "\\b",
            "\\B",
            "^",
            "$",
            "[a-c]",
        ),
        *("[^x]", "[[:digit:]]", "é", "ß", "\\n", "\\x61", "\\pL", "(?:", "(", "|", ")", "*", "+", "?", "{2}", "{0,1}"),
        *("{,2}", "+?"),
    )
)
TEXTS = st.text(st.sampled_from("abcdxABCDtT019 .-_\néßMk\u00a0日"), max_size=30)


@given(st.lists(PIECES, max_size=9).map("".join), st.lists(TEXTS, min_size=1, max_size=8), TEXTS)
def test_no_text_that_matches_is_without_them(pattern: str, texts: list[str], around: str) -> None:
    try:
        compiled = re2.compile(pattern, options())
    except re2.error:
        return
    letters = required(pattern)
    if letters is None:
        return
    for text in [*texts, *(around + one for one in letters), *(one + around for one in letters)]:
        if compiled.search(text) is not None:
            assert not has_twins(text)
            assert any(one.encode() in scanned_as_written(text) for one in letters), (pattern, text, letters)
