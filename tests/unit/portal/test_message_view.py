"""A message as its reader is shown it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from gateway.portal.file_kind import FileKind
from gateway.portal.message_view import MAX_BODY, MAX_FILES, attached_message, file_text, message_view
from gateway.portal.people import MAX_PEOPLE, Person, people
from gateway.portal.sent_date import sent_date

HEAD = b"MIME-Version: 1.0\r\n"
PNG = b"\x89PNG\r\n\x1a\n"


def multipart(kind: str, *parts: bytes, boundary: str = "b") -> bytes:
    head = f"Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n".encode()
    lines = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return head + lines + b"--" + boundary.encode() + b"--\r\n"


def part(kind: str, body: bytes, *fields: str) -> bytes:
    return f"Content-Type: {kind}\r\n{''.join(field + chr(13) + chr(10) for field in fields)}\r\n".encode() + body


TEXT = part("text/plain", b"plain text")
HTML = part("text/html", b"<p>rich <b>text</b></p>")


def test_of_alternatives_html_and_text_say_the_same() -> None:
    view = message_view(HEAD + multipart("alternative", TEXT, HTML))
    assert view.html == "<p>rich <b>text</b></p>"
    assert view.text == "plain text"
    assert view.files == ()


def test_html_alone_has_a_text_too() -> None:
    assert message_view(HEAD + HTML).text == "rich text"


def test_texts_behind_each_other_are_all_shown() -> None:
    view = message_view(HEAD + multipart("mixed", TEXT, HTML, part("text/plain", b"a < footer")))
    assert view.text == "plain text\n\nrich text\n\na < footer"
    assert view.html is not None
    assert view.html.index("plain text") < view.html.index("<b>text</b>") < view.html.index("a &lt; footer")


def test_a_text_with_a_name_behind_the_first_is_a_file() -> None:
    view = message_view(HEAD + multipart("mixed", TEXT, part("text/plain; name=notes.txt", b"notes")))
    assert view.text == "plain text"
    assert [file.name for file in view.files] == ["notes.txt"]
    assert file_text(view.files[0]) == ("notes", True)


def test_an_invitation_beside_the_text_is_a_file() -> None:
    invitation = part("text/calendar; method=REQUEST", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR")
    view = message_view(HEAD + multipart("alternative", TEXT, HTML, invitation))
    assert [(file.name, file.kind, file.type) for file in view.files] == [
        ("attachment-1.ics", FileKind.TEXT, "text/calendar")
    ]


def test_pictures_that_the_text_shows_are_in_no_list() -> None:
    html = part("text/html", b"<img src='cid:a@x'>")
    shown = part("image/png; name=a.png", PNG, "Content-ID: <a@x>")
    other = part("image/png; name=b.png", PNG, "Content-ID: <b@x>")
    view = message_view(HEAD + multipart("related", html, shown, other))
    assert [file.name for file in view.files] == ["a.png", "b.png"]
    assert [file.name for file in view.listed] == ["b.png"]


def test_an_attached_message_keeps_its_own_files() -> None:
    inner = (
        b"Subject: Inside\r\nFrom: a@b.example\r\n"
        + HEAD
        + multipart("mixed", HTML, part("x/y; name=z", b"1"), boundary="c")
    )
    view = message_view(HEAD + multipart("mixed", TEXT, part("message/rfc822", inner)))
    assert view.text == "plain text"
    assert [(file.name, file.kind) for file in view.files] == [("attachment-1.eml", FileKind.MESSAGE)]
    message = attached_message(view.files[0])
    assert (message.subject, message.text, message.html) == ("Inside", "rich text", None)
    assert [file.name for file in message.files] == ["z"]


def test_files_are_found_by_the_number_in_their_path() -> None:
    view = message_view(HEAD + multipart("mixed", TEXT, part("x/y; name=a", b"1"), part("x/y; name=b", b"22")))
    assert [view.file(number) and view.file(number).name for number in range(4)] == [None, "a", "b", None]  # type: ignore[union-attr]
    assert b"".join(view.files[1].blocks()) == b"22"


def test_there_are_bounds_and_the_reader_is_told() -> None:
    long = message_view(HEAD + part("text/plain", b"x" * (MAX_BODY + 1)))
    assert long.is_cut and len(long.text) == MAX_BODY
    assert not message_view(HEAD + part("text/plain", b"x" * MAX_BODY)).is_cut
    many = message_view(HEAD + multipart("mixed", TEXT, *[part("x/y; name=a", b"1")] * (MAX_FILES + 1)))
    assert many.is_cut and len(many.files) == MAX_FILES


def test_the_fields_are_decoded_and_nothing_hides_in_them() -> None:
    view = message_view(
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>\r\nTo: a@b.example\r\nCc: c@b.example, d@b.example\r\n"
        b"Subject: =?utf-8?q?pay_=E2=80=AEexe.txt?=\r\nDate: Tue, 3 Nov 2026 08:12:00 +0100\r\n\r\ntext"
    )
    assert view.sender == (Person("Jürgen", "j@b.example"),)
    assert [one.address for one in (*view.to, *view.cc)] == ["a@b.example", "c@b.example", "d@b.example"]
    assert view.subject == "pay exe.txt"
    assert view.date == datetime(2026, 11, 3, 7, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "octets", [b"", b"\x00", b"\r\n\r\n", b"Content-Type: multipart/mixed\r\n\r\n--", b"\xff" * 100]
)
def test_any_octets_are_a_message(octets: bytes) -> None:
    assert message_view(octets).file(0) is None


def test_all_of_the_corpus_is_shown(corpus: Path) -> None:
    for file in sorted((corpus / "mime").iterdir()):
        view = message_view(file.read_bytes())
        assert view.text.strip() or view.files or view.html is not None or b"\r\n\r\n" not in file.read_bytes(), file
        for shown in view.files:
            assert sum(map(len, shown.blocks())) == shown.size


def named(value: bytes) -> list[tuple[str, str]]:
    view = message_view(b"To: " + value + b"\r\n\r\n")
    return [(one.name, one.address) for one in view.to]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"a@b.example", [("", "a@b.example")]),
        (b'"Last, First" <a@b.example>, c@d.example', [("Last, First", "a@b.example"), ("", "c@d.example")]),
        (b"a@b.example (Some One)", [("Some One", "a@b.example")]),
        (b'"boss@bank.example" <x@evil.example>', [("boss@bank.example", "x@evil.example")]),
        (b"boss@bank.example <x@evil.example>", [("boss@bank.example", "x@evil.example")]),
        (b"Team: a@b.example, c@d.example;", [("", "a@b.example"), ("", "c@d.example")]),
        (b"undisclosed-recipients:;", []),
        (b"=?utf-8?q?a=2Cb?= <a@b.example>", [("a,b", "a@b.example")]),
        (b"Somebody", [("Somebody", "")]),
        (b"<>", [("", "")]),
        (b'"a\\"b" <c@d.example>', [('a"b', "c@d.example")]),
        (b'"unclosed <a@b.example>', [("", '"unclosed <a@b.example>')]),
    ],
)
def test_people_are_told_apart(value: bytes, found: list[tuple[str, str]]) -> None:
    if value.startswith(b'"unclosed'):  # Whatever it is taken for, nothing of it is lost.
        assert "a@b.example" in "".join(map("".join, named(value)))
    else:
        assert named(value) == found


def test_more_people_than_a_page_shows_are_cut() -> None:
    view = message_view(b"To: " + b"a@b.example," * (MAX_PEOPLE + 5) + b"\r\n\r\n")
    assert len(view.to) == MAX_PEOPLE
    assert people(()) == ()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Tue, 3 Nov 2026 08:12:00 +0100", datetime(2026, 11, 3, 8, 12, tzinfo=timezone(timedelta(hours=1)))),
        ("3 nov 26 08:12 EST", datetime(2026, 11, 3, 8, 12, tzinfo=timezone(timedelta(hours=-5)))),
        ("Tue, 03 November 2026 08:12:60 -0330 (x)", datetime(2026, 11, 3, 11, 42, 59, tzinfo=UTC)),
        ("Sun, 1 Jan 1999 00:00:00 GMT", datetime(1999, 1, 1, tzinfo=UTC)),
        ("1 Jan 99 00:00:00", datetime(1999, 1, 1, tzinfo=UTC)),
        ("31 Feb 2026 00:00:00 +0000", None),
        ("1 Jan 2026 00:00:00 +9999", None),
        ("1 Jan 0001 00:00:00 +1400", None),  # In UTC there is no such year.
        ("31 Dec 9999 23:59:59 -1200", None),
        ("yesterday", None),
        ("", None),
    ],
)  # fmt: skip
def test_dates_of_all_ages_are_read(text: str, moment: datetime | None) -> None:
    assert sent_date(text) == moment
