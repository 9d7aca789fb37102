"""ORCPT on its way to the next hop and into a notice (RFC 3461 4.2, RFC 6533 3)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.orcpt import MAX_ORCPT, embedded, made, of_embedded, of_xtext, passed_on, shown, xtext
from gateway.mail.address import parse_address

PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize(
    ("text", "coded"),
    [
        ("otto@x.example", "otto@x.example"),
        ("a+b=c@x.example", "a+2Bb+3Dc@x.example"),
        ('"a b"@x.example', '"a+20b"@x.example'),
    ],
)
def test_an_address_becomes_xtext(text: str, coded: str) -> None:
    assert xtext(text) == coded
    assert of_xtext(coded) == text


@pytest.mark.parametrize("text", ["a+0Ab", "a+0D+0AAction: delivered", "x+C3+BC", "x+00"])
def test_xtext_that_hides_what_is_not_printable_stays_coded(text: str) -> None:
    assert of_xtext(text) == text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_xtext_reads_back(text: str) -> None:
    coded = xtext(text)
    assert re.fullmatch(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*", coded)
    assert of_xtext(coded) == text


@given(PLAIN)
def test_the_seven_bit_form_holds_plain_letters_alone_and_reads_back_where_one_can_print_it(text: str) -> None:
    coded = embedded(text)
    assert re.fullmatch(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]|\\x\{[0-9A-F]{2,6}\})*", coded)
    if text.isprintable():
        assert of_embedded(coded) == text


def test_what_is_made_up_names_the_recipient_of_rcpt() -> None:
    """RFC 3461 5.2.1 d."""
    assert made(parse_address("a+b@X.example"), utf8=False) == "rfc822;a+2Bb@X.example"
    assert made(parse_address("jörg+b@x.example"), utf8=True) == "utf-8;jörg\\x{2B}b@x.example"
    assert made(parse_address("jörg+b@x.example"), utf8=False) == "utf-8;j\\x{F6}rg\\x{2B}b@x.example"


def test_what_is_made_up_is_left_out_where_it_would_be_too_long() -> None:
    assert made(parse_address("ж" * 32 + "@" + ".".join(["ж" * 10] * 8)), utf8=False) == ""


def test_what_came_goes_on_letter_for_letter() -> None:
    """RFC 3461 5.2.1 d: not even the case of a letter may change."""
    for orcpt in ("rfc822;Otto+2BX@Partner.Example", "X-400;whatever", "RFC822;x", "utf-8;j\\x{F6}rg@x.example"):
        assert passed_on(orcpt, utf8=False) == passed_on(orcpt, utf8=True) == orcpt
    assert passed_on("utf-8;jörg@x.example", utf8=True) == "utf-8;jörg@x.example"


def test_letters_beyond_ascii_go_on_in_seven_bits_where_smtputf8_is_not_said() -> None:
    assert passed_on("utf-8;jörg@x.example", utf8=False) == "utf-8;j\\x{F6}rg@x.example"
    assert passed_on("rfc822;jörg@x.example", utf8=False) == ""
    assert passed_on("utf-8;" + "ж" * 200, utf8=False) == ""
    assert len(passed_on("utf-8;" + "ж" * 60, utf8=False)) <= MAX_ORCPT


@pytest.mark.parametrize(
    ("orcpt", "seven", "eight"),
    [
        ("rfc822;otto+2Bx@partner.example", "rfc822; otto+x@partner.example", "rfc822; otto+x@partner.example"),
        ("utf-8;jörg@x.example", "utf-8; j\\x{F6}rg@x.example", "utf-8; jörg@x.example"),
        ("utf-8;j\\x{F6}rg\\x{2B}a@x.example", "utf-8; j\\x{F6}rg\\x{2B}a@x.example", "utf-8; jörg+a@x.example"),
        ("x-400;anything", "x-400; anything", "x-400; anything"),
        ("utf-8;a\\x{0D}\\x{0A}Action: x", "utf-8; a\\x{5C}x{0D}\\x{5C}x{0A}Action:\\x{20}x", None),
        ("utf-8;a\\x{202E}b", "utf-8; a\\x{5C}x{202E}b", None),
        ("utf-8;a\\x{D800}b", "utf-8; a\\x{5C}x{D800}b", None),
        ("utf-8;a\\x{FFFFFF}b", "utf-8; a\\x{5C}x{FFFFFF}b", None),
    ],
)
def test_a_notice_shows_it_in_its_own_form(orcpt: str, seven: str, eight: str | None) -> None:
    assert shown(orcpt, international=False) == seven
    if eight is not None:
        assert shown(orcpt, international=True) == eight


@pytest.mark.parametrize("orcpt", ["", "rfc822", "rfc822;", ";x", "rfc 822;x", "rfc822;a\nb", "rfc822;jörg@x", "ü;x"])
def test_a_malformed_one_is_not_shown(orcpt: str) -> None:
    assert shown(orcpt, international=False) == shown(orcpt, international=True) == ""


@given(PLAIN, st.booleans())
def test_whatever_came_makes_up_no_field(text: str, international: bool) -> None:
    for orcpt in (text, f"rfc822;{text}", f"utf-8;{text}"):
        value = shown(orcpt, international=international)
        assert not re.search(r"[\x00-\x1f\x7f]", value)
        assert international or value.isascii()
