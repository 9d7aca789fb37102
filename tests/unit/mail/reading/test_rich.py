"""Texts of other forms."""

from __future__ import annotations

import pytest

from gateway.mail.reading import read
from gateway.mail.reading.rich import MAX_GROUPS, calendar, enriched, rtf


def test_enriched_text_loses_its_commands() -> None:
    assert enriched("se<bold>cr</bold>et\r\nwords\r\n\r\n<color><param>red</param>x</color>") == "secret words\r\nx"
    assert enriched("a << b") == "a < b"


def test_a_calendar_is_unfolded() -> None:
    octets = b"Content-Type: text/calendar\r\n\r\nBEGIN:VEVENT\r\nSUMMARY:the sec\r\n ret\\, one\\nand two\r\n"
    octets += b"X-ALT-DESC;FMTTYPE=text/html:<p>bo<b>ld\r\n"
    texts = [text.text for text in read(octets).texts]
    assert "SUMMARY:the secret, one\nand two" in texts[0]
    assert any("bold" in text for text in texts[1:])
    assert calendar("a\\\\b") == "a\\b"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"{\rtf1\ansi{\fonttbl{\f0 Secret;}}se\b cr\b0 et\par next}", "secret\nnext"),
        (r"{\rtf1\ansicpg1251 \'cf\'f0}", "Пр"),
        (r"{\rtf1\ansicpg932 \'93\'fa}", "日"),
        (r"{\rtf1 \u233?x}", "éx"),
        (r"{\rtf1\uc0 \u-10179 \u-8694 }", "\U0001f60a"),
        (r"{\rtf1{\*\generator secret}x\~y\{z\}}", "x y{z}"),
        (r"{\rtf1 never closed", "never closed"),
        (r"\u-10179 x", "\ufffdx"[:1]),
    ],
)
def test_rtf_is_read(source: str, text: str) -> None:
    found = rtf(source)
    assert text in found
    found.encode()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["{", "}", "\\", "\\'", "\\u", "{\\*", "\\bin", "\\u1 ", "\\uc9"])
def test_hostile_rtf_takes_bounded_time(piece: str) -> None:
    rtf(piece * (500_000 // len(piece)))


def test_groups_beyond_the_limit_are_left_in_order() -> None:
    deep = "{" * (MAX_GROUPS + 5) + "}" * (MAX_GROUPS + 5)
    assert rtf(deep + "{\\*x}y") == "y"


def test_a_message_of_rtf_is_read() -> None:
    assert [text.text for text in read(b"Content-Type: text/rtf\r\n\r\n{\\rtf1 secret}").texts] == ["secret"]


@pytest.mark.parametrize("kind", [b"text/x-amp-html", b"text/watch-html"])
def test_what_some_readers_show_instead_of_html_is_html(kind: bytes) -> None:
    (text,) = read(b"Content-Type: " + kind + b"\r\n\r\nam<b>ber</b>").texts
    assert text.text == "amber"
