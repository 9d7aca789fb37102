"""Edits of the header section touch the lines that they mean, and no other octet."""

from __future__ import annotations

import time

import pytest

from gateway.mail.address import parse_address
from gateway.mail.mime.editor import Editor
from gateway.rules.header_edit import header_edits
from gateway.rules.work import HeaderEdit, PrependSubject, RemoveField, SetField, ShowAddresses

TRACE = b"Received: from a\r\n\tby b\r\n"
PLAIN = TRACE + b"From: ida@corp.example\r\nSubject: hello\r\nTo: otto@partner.example\r\nX-A: 1\r\nx-a: 2\r\n"
BODY = b"\r\nSubject: not me\r\n\r\nbody \xff\r\n"
OLAF = parse_address("olaf@corp.example")


def made(section: bytes, *edits: HeaderEdit, body: bytes = BODY) -> bytes:
    editor = Editor(header_edits(section, edits))
    return editor.feed(section + body) + editor.end()


@pytest.mark.parametrize(
    ("edits", "old", "new"),
    [
        ([PrependSubject("[EXT] ")], b"Subject: hello", b"Subject: [EXT] hello"),
        ([PrependSubject("[A] "), PrependSubject("[B] ")], b"Subject: hello", b"Subject: [B] [A] hello"),
        ([PrependSubject("[Ü] ")], b"Subject: hello", b"Subject: =?utf-8?B?W8OcXQ==?= hello"),
        ([PrependSubject("=?x")], b"Subject: hello", b"Subject: =?utf-8?B?PT94?= hello"),
        ([SetField("X-A", "9")], b"X-A: 1\r\nx-a: 2", b"X-A: 9"),
        ([RemoveField("x-A")], b"X-A: 1\r\nx-a: 2\r\n", b""),
        ([RemoveField("X-None")], b"", b""),
        ([SetField("X-A", "9"), RemoveField("X-A")], b"X-A: 1\r\nx-a: 2\r\n", b""),
        ([SetField("X-B", "9")], b"From: ida", b"X-B: 9\r\nFrom: ida"),
        ([RemoveField("From"), SetField("From", "x@y")], b"From: ida@corp.example\r\n", b"From: x@y\r\n"),
        ([ShowAddresses("to", (OLAF,))], b"partner.example\r\n", b"partner.example, <olaf@corp.example>\r\n"),
        ([ShowAddresses("cc", (OLAF,))], b"From: ida", b"Cc: <olaf@corp.example>\r\nFrom: ida"),
    ],
)
def test_an_edit_changes_its_own_line_alone(edits: list[HeaderEdit], old: bytes, new: bytes) -> None:
    assert made(PLAIN, *edits) == PLAIN.replace(old, new, 1) + BODY


def test_a_value_can_not_begin_another_field() -> None:
    out = made(PLAIN, SetField("X-B", "1\r\nBcc: spy@evil.example\r\n\r\nbody"), PrependSubject("a\r\nBcc: x\n"))
    lines = out.split(b"\r\n")
    assert not any(line.lower().startswith(b"bcc") for line in lines)
    assert b"\n" not in out.replace(b"\r\n", b"")


def test_long_values_are_folded_and_no_line_is_over_998() -> None:
    out = made(PLAIN, SetField("X-B", "word " * 300), SetField("X-C", "a" * 2000), SetField("X-D", "ä" * 2000))
    assert max(map(len, out.split(b"\r\n"))) <= 78
    assert not any(not line.strip() for line in out[: out.index(b"\r\n\r\n")].split(b"\r\n"))


def test_a_mark_in_front_of_a_long_subject_stands_on_a_line_of_its_own() -> None:
    section = b"Subject: " + b"a" * 68 + b"\r\n rest\r\n"
    assert (
        made(section, PrependSubject("[EXTERNAL] "))
        == b"Subject: [EXTERNAL]\r\n " + b"a" * 68 + b"\r\n rest\r\n" + BODY
    )


def test_a_mark_and_an_encoded_word_stay_apart() -> None:
    section = b"Subject: =?utf-8?q?=C3=A4?=\r\n"
    assert made(section, PrependSubject("[EXT]")).startswith(b"Subject: [EXT] =?utf-8?q?=C3=A4?=\r\n")
    # Between two encoded words the blank is none, so that it stands inside of ours.
    assert made(section, PrependSubject("[Ü] ")).startswith(b"Subject: =?utf-8?B?W8OcXSA=?= =?utf-8?q?=C3=A4?=\r\n")


def test_every_subject_gets_the_mark_since_readers_differ_about_which_counts() -> None:
    out = made(b"Subject: a\r\nFrom: x\r\nSUBJECT: b\r\n", PrependSubject("[EXT] "))
    assert out.startswith(b"Subject: [EXT] a\r\nFrom: x\r\nSUBJECT: [EXT] b\r\n")


def test_a_message_without_a_subject_gets_one() -> None:
    assert made(b"From: x\r\n", PrependSubject("[EXT] ")).startswith(b"Subject: [EXT]\r\nFrom: x\r\n")


@pytest.mark.parametrize("section", [b"", b"Received: a\r\n"])
def test_a_new_field_stands_in_the_header_section_however_little_is_there(section: bytes) -> None:
    assert made(section, SetField("X-A", "1")) == section + b"X-A: 1\r\n" + BODY


def test_a_section_without_an_end_gets_whole_lines() -> None:
    assert made(b"Received: a", SetField("X-A", "1"), body=b"") == b"X-A: 1\r\nReceived: a"


def test_a_field_stands_above_a_line_that_is_none() -> None:
    out = made(TRACE + b"From: x\r\nnot a field\r\nSubject: y\r\n", SetField("X-A", "1"))
    assert out.startswith(TRACE + b"X-A: 1\r\nFrom: x\r\nnot a field\r\n")


@pytest.mark.parametrize("value", [b'"open <a@b.example>', b"a@b.example (open", b"<a@b.example"])
def test_an_address_is_not_hidden_behind_an_open_quotation(value: bytes) -> None:
    out = made(b"To: " + value + b"\r\nFrom: x\r\n", ShowAddresses("to", (OLAF,)))
    assert b"\r\nTo: <olaf@corp.example>\r\n" in b"\r\n" + out


def test_an_address_behind_an_empty_field_or_an_empty_group() -> None:
    assert made(b"To: \r\n", ShowAddresses("to", (OLAF,))).startswith(b"To: <olaf@corp.example>\r\n")
    out = made(b"To: undisclosed-recipients:;\r\n", ShowAddresses("to", (OLAF,)))
    assert out.startswith(b"To: undisclosed-recipients:;, <olaf@corp.example>\r\n")


def test_many_addresses_are_folded() -> None:
    out = made(PLAIN, ShowAddresses("to", tuple(parse_address(f"somebody{n}@corp.example") for n in range(20))))
    assert max(map(len, out.split(b"\r\n"))) <= 78
    assert out.count(b"somebody") == 20


def test_thousands_of_addresses_take_no_time() -> None:
    started = time.process_time()
    out = made(PLAIN, ShowAddresses("cc", tuple(parse_address(f"somebody{n}@corp.example") for n in range(10_000))))
    assert max(map(len, out.split(b"\r\n"))) <= 78
    assert out.count(b"somebody") == 10_000
    assert time.process_time() - started < 2.0
