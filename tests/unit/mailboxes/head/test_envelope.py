"""ENVELOPE."""

from __future__ import annotations

from gateway.mailboxes.head.envelope import EMPTY, envelope
from gateway.mailboxes.head.fields import fields_of
from tests.imap_values import Value, parsed


def read(section: bytes) -> list[Value]:
    (found,) = parsed(envelope(fields_of(section)))
    assert isinstance(found, list)
    return found


IDA: Value = [[None, None, b"ida", b"corp.example"]]


def test_the_fields_stand_in_their_order() -> None:
    found = read(
        b"Message-ID: <1@corp.example>\r\nIn-Reply-To: <0@corp.example>\r\nDate: Tue, 3 Nov 2026 08:12:00 +0000\r\n"
        b"Subject: a  folded\r\n\tsubject\r\nFrom: ida@corp.example\r\nSender: s@x\r\nReply-To: r@x\r\nTo: t@x\r\n"
        b"Cc: c@x\r\nBcc: b@x\r\n"
    )
    people: list[Value] = [[[None, None, name, b"x"]] for name in (b"s", b"r", b"t", b"c", b"b")]
    assert found == [
        b"Tue, 3 Nov 2026 08:12:00 +0000", b"a folded subject", IDA, *people, b"<0@corp.example>", b"<1@corp.example>",
    ]  # fmt: skip


def test_sender_and_reply_to_that_are_missing_or_empty_are_the_authors() -> None:
    assert read(b"From: ida@corp.example\r\nReply-To: \r\n")[2:5] == [IDA, IDA, IDA]


def test_without_fields_all_is_nil() -> None:
    assert envelope({}) == EMPTY


def test_an_empty_subject_is_there() -> None:
    assert read(b"Subject:\r\n")[1] == b""


def test_of_several_fields_all_addresses_are_listed() -> None:
    assert read(b"To: ida@corp.example\r\nTo: b@x\r\n")[5] == [*IDA, [None, None, b"b", b"x"]]  # type: ignore[misc]
