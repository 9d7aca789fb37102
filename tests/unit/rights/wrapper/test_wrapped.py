"""A wrapped mail as its readers see it: in three languages, escaped, with nothing from elsewhere."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from html.parser import HTMLParser
from string import Formatter

import pytest

from gateway.mail.address import parse_address
from gateway.rights.branding import Branding
from gateway.rights.logo import read_logo
from gateway.rights.wording import WORDINGS
from gateway.rights.wrapper.html import html
from gateway.rights.wrapper.letter import Letter
from gateway.rights.wrapper.outside import head_of
from gateway.rights.wrapper.proof import Proof
from gateway.rights.wrapper.sender import MOST, Sender, sender_of
from gateway.rights.wrapper.text import text
from gateway.rights.wrapper.wrapped import Wrapper
from tests.fakes.logo import png

RPMSG = bytes.fromhex("76e80460c411e386") + b"\xff" * 3000
MARK = "0123456789abcdef0123456789abcd"
FIELDS = b"From: ida@corp.example\r\nTo: otto@partner.example\r\n"
LINK = "https://portal.corp.example:8443/m/" + "A" * 43
EVIL = '<script>alert("x")</script>&copy;'


def said(one: Letter) -> str:
    return text(one, one.explained)


def letter(**changed: object) -> Letter:
    usual = Letter(
        sender=Sender("Ida Berg", "ida@corp.example"),
        recipient="otto@partner.example",
        url="https://portal.corp.example:8443",
        link=LINK,
        expires=1_793_700_000.0,
        branding=Branding(name="Corp & Co"),
    )
    return replace(usual, **changed)  # type: ignore[arg-type]


class Seen(HTMLParser):
    """The tags of a document, with their attributes, and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""


@pytest.mark.parametrize(("length", "encoding"), [(899, b"7bit"), (900, b"quoted-printable")])
def test_a_line_that_servers_may_break_is_encoded(length: int, encoding: bytes) -> None:
    one = letter(link="https://portal.corp.example/" + "a" * (length - 28))
    head = Wrapper.made(RPMSG, one.branding, MARK).head(FIELDS, one)
    plain = head[head.index(b"text/plain") : head.index(b"text/html")]
    assert b"Content-Transfer-Encoding: " + encoding + b"\r\n" in plain
    assert max(map(len, head.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("language", list(WORDINGS))
@pytest.mark.parametrize("with_logo", [False, True])
def test_a_mail_is_whole_in_every_language(language: str, with_logo: bool) -> None:
    logo = read_logo(png()) if with_logo else None
    branding = Branding(name="Corp & Co", language=language, logo=logo)
    wrapper = Wrapper.made(RPMSG, branding, MARK)
    octets = wrapper.head(FIELDS, letter(branding=branding)) + b"".join(wrapper.pieces) + wrapper.tail
    assert Proof().holds([octets])
    assert octets.isascii() and max(map(len, octets.split(b"\r\n"))) <= 998
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    kinds = [part.get_content_type() for part in found.walk()]
    related = ["multipart/related"] if with_logo else []
    pictures = ["image/png"] if with_logo else []
    said = ["multipart/alternative", "text/plain", "text/html"]
    assert kinds == ["multipart/mixed", *related, *said, *pictures, "application/x-microsoft-rpmsg-message"]
    parts = {part.get_content_type(): part for part in found.walk()}
    assert parts["application/x-microsoft-rpmsg-message"].get_payload(decode=True) == RPMSG
    plain, page = (parts[f"text/{kind}"].get_content() for kind in ("plain", "html"))
    assert LINK in plain.split() and "ida@corp.example" in plain
    seen = Seen(page)
    assert seen.open == []
    assert dict(seen.tags)["html"] == {"lang": language, "dir": "rtl" if language == "ar" else "ltr"}
    assert [attributes["href"] for tag, attributes in seen.tags if tag == "a"] == [LINK, LINK]  # Button and its text.
    shown = [attributes for tag, attributes in seen.tags if tag == "img"]
    assert len(shown) == with_logo
    for picture in shown:
        assert picture["alt"] == "Corp & Co" and picture["width"] == "170"
        assert picture["src"] == f"cid:{parts['image/png']['Content-ID'].strip('<>')}"
    assert not re.search(r"url\(|@import|<script|<form|<iframe|<link\b", page)


def test_a_link_stays_in_one_piece_where_the_text_is_ascii() -> None:
    wrapper = Wrapper.made(RPMSG, Branding(name="Corp"), MARK)
    head = wrapper.head(FIELDS, letter(branding=Branding(name="Corp")))
    assert head.count(LINK.encode()) == 4


@pytest.mark.parametrize("language", list(WORDINGS))
def test_what_people_wrote_is_shown_as_it_stands(language: str) -> None:
    branding = Branding(
        name=EVIL,
        language=language,
        introduction_text=EVIL,
        read_button_text=EVIL,
        email_text=EVIL,
        disclaimer_text=f"{EVIL}\nsecond line {{sender}}",
        privacy_statement_url="https://corp.example/?a=1&b=2",
    )
    evil = letter(branding=branding, sender=Sender(EVIL, EVIL), recipient=EVIL)
    page = html(evil, evil.explained, None)
    seen = Seen(page)
    assert "script" not in {tag for tag, _ in seen.tags}
    assert seen.text.count(EVIL) >= 8
    assert "second line {sender}" in seen.text
    assert ("a", "https://corp.example/?a=1&b=2") in [(tag, one.get("href")) for tag, one in seen.tags]
    assert "https://corp.example/?a=1&b=2" in said(letter(branding=branding))


@pytest.mark.parametrize("trick", ["--=_m" + MARK, "\nFrom here", "\x1b[31m", "x" * 950])
def test_no_text_of_the_administrator_breaks_the_mail(trick: str) -> None:
    branding = Branding(name="Corp", disclaimer_text=f"a\n{trick}\nb")
    wrapper = Wrapper.made(RPMSG, branding, MARK)
    octets = wrapper.head(FIELDS, letter(branding=branding)) + b"".join(wrapper.pieces) + wrapper.tail
    assert Proof().holds([octets])
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert len([part for part in found.walk() if not part.is_multipart()]) == 3
    said = found.get_body(("plain",))
    assert said is not None and trick.strip() in said.get_content()


@pytest.mark.parametrize("language", list(WORDINGS))
def test_a_page_around_a_mail_does_not_turn_it(language: str) -> None:
    """Mail programs on the web take off `html` and `body`, and with them the direction."""
    one = letter(branding=Branding(name="Corp", language=language))
    table = next(found for tag, found in Seen(html(one, one.explained, None)).tags if tag == "table")
    assert (table["lang"], table["dir"]) == (language, "rtl" if WORDINGS[language].is_rtl else "ltr")


def test_a_name_without_blanks_makes_no_phone_scroll_sideways() -> None:
    one = letter(sender=Sender("N" * 60, "a" * 64 + "@corp.example"))
    for tag, found in Seen(html(one, one.explained, None)).tags:
        if tag == "p" or found.get("class") == "bar":
            assert "word-break:break-word" in (found["style"] or "")


def test_a_line_of_plain_text_runs_as_its_sentence_and_not_as_the_name_in_front() -> None:
    arabic = letter(branding=Branding(name="Corp", language="ar"))
    assert "\n\u2068Ida Berg (ida@corp.example)\u2069 " in said(arabic)
    assert "\nIda Berg (ida@corp.example) has sent" in said(letter())


def test_texts_of_the_administrator_in_several_lines_leave_as_lines_of_mail() -> None:
    two = "one\ntwo"
    branding = Branding(name=two, introduction_text=two, read_button_text=two, email_text=two, disclaimer_text=two)
    head = Wrapper.made(RPMSG, branding, MARK).head(FIELDS, letter(branding=branding))
    assert head.count(b"\n") == head.count(b"\r") == head.count(b"\r\n")
    assert head.count(b"one\r\ntwo") >= 3


def test_a_zero_octet_in_a_text_of_the_administrator_moves_nothing() -> None:
    zero = "a\0b"
    branding = Branding(name=zero, introduction_text=zero, read_button_text=zero, email_text=zero, disclaimer_text=zero)
    one = letter(branding=branding)
    bare = Branding(name="ab", introduction_text="ab", read_button_text="ab", email_text="ab", disclaimer_text="ab")
    same = letter(branding=bare)
    assert html(one, one.explained, None) == html(same, same.explained, None)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file[:-2] + b"\r\nThe plain words.\r\n",
        lambda file: file[:200] + b"*" + file[201:],
        lambda file: file[:200] + b" " + file[201:],
        lambda file: file[:200] + b"\0" + file[201:],
        lambda file: file[:200] + b"\xe9" + file[201:],
        lambda file: file[:76] + file[77:],  # A letter less: octets that are none.
        lambda file: b"UGxhaW4gd29yZHM=" + file,
        lambda file: b"UGxhaW4gd29yZHM=\r\n" + file,
        lambda file: file[:100] + b"\r\n" + file[100:],
        lambda file: file[:100] + b"====" + file[104:],
    ],
)
def test_the_last_look_takes_base64_alone_for_the_file(spoil: Callable[[bytes], bytes]) -> None:
    """A fault of ours that puts plain text behind the file's first line is found."""
    wrapper = Wrapper.made(RPMSG, Branding(name="Corp"), MARK)
    head = wrapper.head(FIELDS, letter(branding=Branding(name="Corp")))
    front, empty, file = b"".join(wrapper.pieces).partition(b"base64\r\n\r\n")
    assert Proof().holds([head + front + empty + file + wrapper.tail])
    assert not Proof().holds([head + front + empty + spoil(file) + wrapper.tail])
    assert not Proof().holds([head, front + empty + spoil(file), wrapper.tail])


def test_the_last_look_takes_files_of_all_lengths() -> None:
    for length in (8, 56, 57, 58, 57 * 1023, 57 * 1024, 57 * 1024 + 1, 57 * 2048 + 5):
        wrapper = Wrapper.made(RPMSG[:8] + bytes(length - 8), Branding(name="Corp"), MARK)
        head = wrapper.head(FIELDS, letter(branding=Branding(name="Corp")))
        assert Proof().holds([head + b"".join(wrapper.pieces) + wrapper.tail]), length


def test_every_language_says_the_same_with_the_same_things_put_in() -> None:
    english, *others = WORDINGS.values()
    for other in others:
        for name in english.__slots__:
            one, two = getattr(english, name), getattr(other, name)
            if isinstance(one, str) and name != "language":
                assert two and named(one) == named(two), name
        assert len(other.months) == 12


def named(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_an_end_is_told_in_words() -> None:
    assert WORDINGS["en"].date(1_793_693_520.0) == "3 November 2026, 08:12 UTC"
    assert WORDINGS["de"].date(1_793_693_520.0) == "3. November 2026, 08:12 Uhr (UTC)"
    assert "can be read until 3 November 2026, 10:00 UTC" in said(letter())
    assert "can be read until" not in said(letter(expires=None))


@pytest.mark.parametrize(
    ("field", "name", "address"),
    [
        (b"Ida Berg <ida@corp.example>", "Ida Berg", "ida@corp.example"),
        (b'"Berg, Ida" <ida@corp.example>', "Berg, Ida", "ida@corp.example"),
        (b"=?utf-8?q?Ida_M=C3=BCller?= <ida@corp.example>", "Ida Müller", "ida@corp.example"),
        (b"ida@corp.example", "", "ida@corp.example"),
        (b'"boss@corp.example" <x@elsewhere.example>', "", "x@elsewhere.example"),  # A name that is another address.
        (b"=?utf-8?q?a=E2=80=AEb=00c?= <x@y.example>", "abc", "x@y.example"),  # It would turn letters round.
        (b"a@x.example, b@x.example", "", "path@corp.example"),
        (b"nonsense <", "", "path@corp.example"),
        (b"<x@y.example>", "", "x@y.example"),
    ],
)
def test_a_sender_is_told_by_what_his_from_says_for_sure(field: bytes, name: str, address: str) -> None:
    message = head_of(b"From: " + field + b"\r\n\r\n")
    assert sender_of(message, parse_address("path@corp.example")) == Sender(name, address)


@pytest.mark.parametrize(
    ("fields", "name", "address"),
    [
        (b"From: Ben Blum <portal@corp.example>\r\nReply-To: <ben@x.example>", "Ben Blum", "ben@x.example"),
        (b'From: "ben@x.example" <portal@corp.example>\r\nReply-To: <ben@x.example>', "", "ben@x.example"),
        (b"From: Ben Blum <portal@corp.example>", "Ben Blum", "portal@corp.example"),
        (
            b"From: Ben Blum <portal@corp.example>\r\nReply-To: a@x.example, b@x.example",
            "Ben Blum",
            "portal@corp.example",
        ),
    ],
)
def test_the_sender_of_an_answer_is_its_reader_and_not_the_portal(fields: bytes, name: str, address: str) -> None:
    assert sender_of(head_of(fields + b"\r\n\r\n"), None, is_answer=True) == Sender(name, address)


def test_whom_other_mail_wants_answers_for_is_not_taken_for_its_sender() -> None:
    message = head_of(b"From: Ida <ida@corp.example>\r\nReply-To: <boss@elsewhere.example>\r\n\r\n")
    assert sender_of(message, None) == Sender("Ida", "ida@corp.example")


def test_a_name_has_a_limit() -> None:
    message = head_of(b"From: " + b"n" * (MOST + 1) + b" <x@y.example>\r\n\r\n")
    assert len(sender_of(message, None).name) == MOST
    assert sender_of(head_of(b"\r\n"), None) == Sender("", "")
