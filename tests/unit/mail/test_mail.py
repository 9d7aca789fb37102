"""Header fields that are put on top of a mail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from gateway.mail.body_hash import HashTerms
from gateway.mail.message import Held, Message
from tests.fakes.spool import mail_of

HASHES = {HashTerms(): b"h"}


class Far:
    """Content that is not at hand."""

    size = 4
    inline = None

    async def blocks(self) -> AsyncIterator[bytes]:
        yield b"abcd"


def test_a_small_message_becomes_another_with_the_fields_in_front() -> None:
    mail = mail_of("Q1", Message(b"To: x\r\n\r\nx", Held(b"To: x\r\n\r\nx"), HASHES))
    topped = mail.topped(b"A: 1\r\n").topped(b"B: 2\r\n")
    assert topped.message.content.inline == topped.message.head == b"B: 2\r\nA: 1\r\nTo: x\r\n\r\nx"
    assert topped.message.hashes is HASHES
    assert topped.preface == b""
    assert replace(topped, message=mail.message) == mail


def test_a_large_one_keeps_its_octets_and_gets_a_preface() -> None:
    message = Message(b"To: x\r\n\r\n", Far())
    topped = mail_of("Q1", message).topped(b"A: 1\r\n").topped(b"B: 2\r\n")
    assert topped.message is message
    assert topped.preface == b"B: 2\r\nA: 1\r\n"
