"""Header sections, sound and broken."""

from __future__ import annotations

import pytest

from gateway.mail.reading import Flaw, read
from gateway.mail.reading import header as module
from gateway.mail.reading.header import MAX_FIELDS, MAX_HEAD


def test_fields_are_in_order_with_what_stands_there() -> None:
    reading = read(b"Received: a\r\n\tb\r\nX-Tag: One\r\nx-tag :two\r\n\r\nbody")
    assert [(field.name, field.text) for field in reading.fields] == [
        ("received", "a\tb"),
        ("x-tag", "One"),
        ("x-tag", "two"),
    ]
    assert reading.fields[0].raw == b" a\r\n\tb\r"


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_any_line_end_is_taken(end: bytes) -> None:
    reading = read(end.join([b"Subject: one", b" two", b"To: a@x.example", b"", b"the body"]))
    assert reading.subject == "one two"
    assert [text.text for text in reading.texts] == ["the body"]


def test_a_first_line_of_a_mailbox_is_passed_over() -> None:
    reading = read(b"From ida Thu Nov 26 09:00:00 2026\r\nSubject: x\r\n\r\nb")
    assert reading.subject == "x"
    assert not reading.flaws


def test_a_body_without_an_empty_line_is_read() -> None:
    reading = read(b"Subject: x\r\nthe secret words\r\nand more\r\n")
    assert reading.subject == "x"
    assert [text.text for text in reading.texts] == ["the secret words\r\nand more\r\n"]
    assert {Flaw.HEAD, Flaw.NO_END_OF_HEAD} <= reading.flaws


def test_a_line_that_is_no_field_is_offered_as_text_and_what_follows_it_as_fields() -> None:
    reading = read(b"Subject: x\r\nthe secret words\r\nX-Late: y\r\n\r\nbody")
    assert any("the secret words" in text.text for text in reading.texts)
    assert "body" in [text.text for text in reading.texts]
    assert [field.text for field in reading.named("x-late")] == ["y"]


def test_a_parameter_on_a_line_that_is_not_indented_belongs_to_its_field() -> None:
    head = b'Content-Type: application/x;\r\nname="a:b.exe"\r\nContent-Transfer-Encoding: base64\r\n\r\nTVo='
    (attachment,) = read(head).attachments
    assert attachment.name == "a:b.exe"
    assert attachment.octets() == b"MZ"


def test_what_is_no_message_is_text() -> None:
    (text,) = read(b"nothing that anybody could read\nas a header").texts
    assert text.text == "nothing that anybody could read\nas a header"
    assert read(b"").texts == ()
    assert read(b"\r\n\r\n").subject == ""


def test_a_head_is_read_to_its_limit_and_its_mime_fields_beyond() -> None:
    filler = b"X-Filler: " + b"x" * 990 + b"\r\n"
    count = MAX_HEAD // len(filler) + 1
    late = b'Subject: late\r\nX-Late: y\r\nContent-Type: application/x; name="a.exe"\r\n'
    reading = read(filler * count + late + b"\r\nbody")
    assert reading.subject == "late"
    assert [one.name for one in reading.attachments] == ["a.exe"]
    assert not reading.named("x-late")
    assert Flaw.LONG_HEAD in reading.flaws


def test_a_head_within_its_limit_is_read_whole() -> None:
    reading = read(b"X: " + b"x" * (MAX_HEAD - 20) + b"\r\nX-Late: y\r\n\r\nbody")
    assert len(b"X: \r\nX-Late: y\r\n") + MAX_HEAD - 20 <= MAX_HEAD
    assert [field.text for field in reading.named("x-late")] == ["y"]
    assert Flaw.LONG_HEAD not in reading.flaws


def test_fields_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_FIELDS == 10_000
    monkeypatch.setattr(module, "MAX_FIELDS", 3)
    assert len(read(b"A: 1\r\nB: 2\r\nC: 3\r\n\r\n").fields) == 3
    assert Flaw.LONG_HEAD not in read(b"A: 1\r\nB: 2\r\nC: 3\r\n\r\n").flaws
    reading = read(b"A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nSubject: s\r\n\r\n")
    assert [field.name for field in reading.fields] == ["a", "b", "c", "subject"]
    assert Flaw.LONG_HEAD in reading.flaws


@pytest.mark.timeout(20)
def test_a_header_of_10_mib_is_read() -> None:
    octets = b"Subject: x\r\n" + b"X-A: b\r\n" * (10 * 1024 * 1024 // 8) + b"\r\nthe body"
    reading = read(octets)
    assert reading.subject == "x"
    assert len(reading.fields) <= MAX_FIELDS + 100
    assert [text.text for text in reading.texts] == ["the body"]
