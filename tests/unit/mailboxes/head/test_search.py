"""What SEARCH finds."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.mailboxes.head import Needle, Searched, search
from gateway.mailboxes.head.search import MAX_NEEDLE, MAX_TEXT, TooLong

MESSAGE = Searched(
    b"From: =?iso-8859-1?Q?J=F6rg?= <joerg@corp.example>\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?= from\r\n the STRASSE\r\n"
    b"X-Empty:\r\nDate: Tue, 3 Nov 2026 23:12:00 -1200\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"RGllIEtvc3RlbiBmw7xyDQpkaWUgw5xiZXJmYWhydC4=\r\n"
    b"--x\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<p>Gl\xfcck <b>wunsch</b>karte &amp; mehr</p>\r\n"
    b"--x\r\nContent-Type: application/octet-stream\r\n\r\nhidden in octets\r\n--x--\r\n"
)


def needle(text: str) -> Needle:
    return Needle.of(text)


@pytest.mark.parametrize("text", ["grüße", "GRÜSSE FROM", "from the straße", "Gru\u0308ße"])
def test_a_subject_is_found_by_its_letters(text: str) -> None:
    assert MESSAGE.header("SUBJECT", needle(text))


def test_an_address_and_a_name_are_found_in_from() -> None:
    assert MESSAGE.header("from", needle("JÖRG"))
    assert MESSAGE.header("From", needle("joerg@corp"))
    assert not MESSAGE.header("to", needle("joerg@corp"))


def test_an_empty_needle_finds_any_field_that_is_there() -> None:
    assert MESSAGE.header("X-Empty", needle(""))
    assert not MESSAGE.header("X-Other", needle(""))


@pytest.mark.parametrize("text", ["kosten für die überfahrt", "glückwunsch", "GLÜCK", "wunschkarte & mehr"[:11]])
def test_a_text_is_found_whatever_its_encoding_charset_and_markup(text: str) -> None:
    assert not MESSAGE.header("subject", needle(text))
    if text == "glückwunsch":
        assert MESSAGE.body(needle("glück wunschkarte"))
    else:
        assert MESSAGE.body(needle(text))
        assert MESSAGE.text(needle(text))


def test_body_looks_into_no_header_and_text_into_both() -> None:
    assert not MESSAGE.body(needle("grüße"))
    assert MESSAGE.text(needle("grüße"))


def test_a_header_is_made_ready_once_for_all_that_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: two hundred keys in one SEARCH over headers of a MiB would keep a thread for hours."""
    made: list[str] = []
    original = search.folded

    def counted(text: str) -> str:
        made.append(text)
        return original(text)

    message = Searched(b"Subject: One\r\nX-A: two\r\n\r\nbody\r\n")
    needles = [needle(f"absent {number}") for number in range(20)]
    monkeypatch.setattr(search, "folded", counted)
    for one in needles:
        assert not message.header("subject", one)
        assert not message.text(one)
    assert message.text(Needle("two")) and message.header("SUBJECT", Needle("one"))
    assert len(made) == 3, "two fields and a body"


def test_what_is_no_text_is_not_searched() -> None:
    assert not MESSAGE.text(needle("hidden in octets"))


def test_the_day_is_the_one_that_the_message_names() -> None:
    assert MESSAGE.sent() == date(2026, 11, 3)
    assert Searched(b"Subject: a\r\n\r\n").sent() is None


def test_a_needle_has_a_limit() -> None:
    needle("x" * MAX_NEEDLE)
    with pytest.raises(TooLong):
        needle("x" * (MAX_NEEDLE + 1))


def test_a_text_is_searched_up_to_a_limit() -> None:
    message = Searched(b"Subject: a\r\n\r\nfirst " + b"x" * MAX_TEXT + b" last")
    assert message.body(needle("first"))
    assert not message.body(needle("last"))
