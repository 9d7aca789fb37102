"""Texts in the forms in which words are looked for (semantics r01 to r04)."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.reading.unseen import without_unseen
from gateway.rules.text import Form, literal, normalise, wanted


def holds(text: str, value: str) -> bool:
    one = wanted(value)
    form = normalise(text) if one.form is Form.WORDS else literal(text)
    return re2.search(one.pattern, form) is not None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("the cat sat", "cat"),
        ("(CAT), dog", "cat"),  # r02
        ("cat", "CAT"),
        ("strictly\r\n private", "strictly private"),  # r03
        ("strictly\u00a0\u2003private", "strictly private"),
        ("strictly, private", "strictly private"),
        ("mu\u0308ller", "m\u00fcller"),  # r04
        ("M\u00dcLLER", "mu\u0308ller"),
        ("STRASSE", "stra\u00dfe"),
        ("\uff23\uff21\uff34", "cat"),  # Letters of full width.
        ("\u201ccat\u201d \u2014", "cat"),
        ("se\u200bcret", "secret"),
        ("[SECURE] plan", "[secure]"),
        ("Re:[secure]plan", "[secure]"),
        ("[secure] plan", "secure"),
        ("an e-mail.", "e-mail"),
        ("use C++ here", "c++"),
        ("ida@corp.example", "corp.example"),
        ("ida@corp.example", "corp"),
        ("\u3053\u308c\u306f\u6a5f\u5bc6\u3067\u3059", "\u6a5f\u5bc6"),  # No blanks are written there.
        ("\u0939\u093f\u0928\u094d\u0926\u0940 x", "\u0939\u093f\u0928\u094d\u0926\u0940"),
        ("100 % sure", "100"),
        ("\u0391\u03a3", "\u03b1\u03c3"),
    ],
)
def test_it_is_there(text: str, value: str) -> None:
    assert holds(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("concatenate", "cat"),  # r01
        ("secure plan", "[secure]"),
        ("[secured] plan", "[secure]"),
        ("xe-mail", "e-mail"),
        ("e-mails", "e-mail"),
        ("e mail", "e-mail"),
        ("abc++", "c++"),
        ("strictlyprivate", "strictly private"),
        ("strictly not private", "strictly private"),
        ("cat\u0301", "cat"),
        ("\u00fccat", "cat"),
        ("mullers", "muller"),
        ("", "cat"),
        ("...", "cat"),
    ],
)
def test_it_is_not_there(text: str, value: str) -> None:
    assert not holds(text, value)


@pytest.mark.parametrize("value", ["", " ", "\u200b", "\u00ad \n"])
def test_a_value_that_nobody_sees_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="no letter"):
        wanted(value)


@pytest.mark.parametrize("value", ["a.b*c", "(x", "[", "\\", "a|b", "^$", "{2}", "?+"])
def test_punctuation_means_itself(value: str) -> None:
    assert holds(f"x {value} y", value)
    assert not holds("aabbcc x y 2", value)


@given(st.text(max_size=60))
def test_a_form_is_its_own_form(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert normalise(normalise(text)) == normalise(text)
    assert normalise(literal(text)) == normalise(text)
    for form in (normalise(text), literal(text)):
        assert form[0] == form[-1] == " "
        assert "  " not in form


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), st.text(st.characters(codec="utf-8"), max_size=30)
)
def test_what_is_written_between_blanks_is_found(value: str, text: str) -> None:
    try:
        wanted(value)
    except ValueError:
        return
    # Whoever reads a mail has taken out what nobody sees, controls among it.
    assert holds(without_unseen(f"{text} . {value} . {text}"), value)


def test_a_control_inside_a_value_is_none_of_it() -> None:
    assert holds("found: 00", "0\x1b0")
