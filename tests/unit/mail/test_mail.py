"""Header fields that are put on top of a mail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import MISSING, fields, replace

from gateway.mail.address import parse_address
from gateway.mail.authentication import Authentication
from gateway.mail.body_hash import HashTerms
from gateway.mail.envelope import Body, Client, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.mail.opened import Opened
from gateway.mail.signing import Signed
from gateway.mail.terms import Protection, Quarantine, Terms, Wanted
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


def test_nothing_that_a_mail_has_is_lost_on_the_way() -> None:
    mail = replace(
        mail_of("Q1", Message(b"x", Held(b"x"))),
        client=Client(address="192.0.2.7", port=1, helo="x", esmtp=True, listener="l", tls=None),
        connector="partner",
        preface=b"P: 1\r\n",
        authentication=Authentication(dkim=()),
        signed=Signed(domain="corp.example"),
        opened=Opened(layers=()),
        terms=Terms(require_tls=True),
    )
    plain = mail_of("Q2", mail.message)
    for field in fields(Mail):
        if field.default is not MISSING:  # So that a new one is thought of here too.
            assert getattr(mail, field.name) != getattr(plain, field.name), field.name
    topped = mail.topped(b"A: 1\r\n")
    assert replace(topped, message=mail.message) == mail
    found = Authentication(dkim=(), skipped=1)
    assert replace(mail.topped(b"A: 1\r\n", found), message=mail.message) == replace(mail, authentication=found)
    message, envelope, terms = Message(b"s", Held(b"s")), mail.envelope, Terms(protection=Protection.RIGHTS)
    protected = mail.as_copy(envelope, message, terms)
    assert protected == replace(mail, message=message, envelope=envelope, terms=terms, opened=None)
    read = mail.as_copy(envelope, message, terms, opened=mail.opened)
    assert read == replace(mail, message=message, envelope=envelope, terms=terms)


def test_a_large_one_keeps_its_octets_and_gets_a_preface() -> None:
    message = Message(b"To: x\r\n\r\n", Far())
    topped = mail_of("Q1", message).topped(b"A: 1\r\n").topped(b"B: 2\r\n")
    assert topped.message is message
    assert topped.preface == b"B: 2\r\nA: 1\r\n"


def test_an_envelope_around_other_octets_is_the_same_but_for_whom_and_what_they_are() -> None:
    envelope = Envelope(
        sender=parse_address("ida@corp.example"),
        recipients=(Recipient(parse_address("otto@partner.example")),),
        body=Body.EIGHT_BIT_MIME,
        smtputf8=True,
        ret="FULL",
        envid="e",
    )
    for field in fields(Envelope):
        if field.default is not MISSING:  # As above.
            assert getattr(envelope, field.name) != field.default, field.name
    others = (Recipient(parse_address("anna@partner.example")),)
    found = envelope.around(others, Body.SEVEN_BIT)
    assert found == replace(envelope, recipients=others, body=Body.SEVEN_BIT)


def test_terms_of_what_is_protected_ask_for_no_protection_and_for_all_else_as_before() -> None:
    terms = Terms(
        require_tls=True,
        connector="partner",
        protection=Protection.SMIME,
        wanted=Wanted(rule="r"),
        reason="why",
        quarantine=Quarantine(rules=("r",)),
        sign=True,
        remove_rights=True,
    )
    for field in fields(Terms):
        assert getattr(terms, field.name) != field.default, field.name  # As above.
    assert terms.having(Protection.RIGHTS) == replace(terms, protection=Protection.RIGHTS, wanted=None, reason=None)
