"""Names and passwords in the form in which they are compared."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts.names import MAX_NAME, MAX_PASSWORD, BadName, BadPassword, normal_name, prepared_password


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ida", "ida"),
        ("ida@Corp.Example", "ida@corp.example"),
        ("ＩＤＡ", "ida"),  # noqa: RUF001 - wide letters
        ("JÖRG", "jörg"),
        ("jo\u0308rg", "j\u00f6rg"),
        ("ﬁn", "fin"),
        ("o'neill", "o'neill"),
        ("x" * MAX_NAME, "x" * MAX_NAME),
    ],
)
def test_a_name_is_the_same_however_it_is_written(text: str, name: str) -> None:
    assert normal_name(text) == name


@pytest.mark.parametrize(
    "text",
    ["", " ", "ida otto", "-x", "a\x00b", "a\x7f", "x" * (MAX_NAME + 1), "\u200bx", "a\u00a0b", "\ud800", "\u2028"],
)
def test_what_is_no_name_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(BadName) as caught:
        normal_name(text)
    assert not text.strip() or text not in str(caught.value)


def test_a_name_that_grows_when_it_is_normalised_keeps_the_bound() -> None:
    with pytest.raises(BadName):
        normal_name("\ufdfa" * 30)  # One letter becomes eighteen.


@given(st.text(max_size=40))
def test_a_normal_name_stays_as_it_is(text: str) -> None:
    try:
        name = normal_name(text)
    except BadName:
        return
    assert normal_name(name) == name


@pytest.mark.parametrize(
    ("one", "other"),
    [("pass word", "pass\u00a0word"), ("k\u00f6nig", "ko\u0308nig"), ("a\u3000b", "a b")],
)
def test_a_password_is_the_same_from_any_keyboard(one: str, other: str) -> None:
    assert prepared_password(one) == prepared_password(other)


def test_look_alikes_stay_different_in_passwords() -> None:
    assert prepared_password("ﬁ") != prepared_password("fi")
    assert prepared_password("Secret") != prepared_password("secret")
    assert prepared_password(" x ") == b" x "


@pytest.mark.parametrize(
    "text", ["", "a\x00b", "a\tb", "x" * (MAX_PASSWORD + 1), "é" * (MAX_PASSWORD // 2 + 1), "\udc80"]
)
def test_what_can_be_no_password_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(BadPassword) as caught:
        prepared_password(text)
    assert not text or text not in str(caught.value)


def test_a_letter_that_is_not_assigned_yet_is_refused() -> None:
    assert unicodedata.category("\u0378") == "Cn"
    with pytest.raises(BadPassword):
        prepared_password("x\u0378")


def test_the_longest_password_is_taken() -> None:
    assert len(prepared_password("x" * MAX_PASSWORD)) == MAX_PASSWORD
