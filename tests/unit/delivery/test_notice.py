"""What of the original goes back with a notice: never a text that a rule wanted protected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.delivery.kind import Kind
from gateway.delivery.notice import Notices
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.mail.terms import Smime, Terms, Wanted
from tests.fakes.spool import delivery_of, mail_of

ORIGINAL = b"From: ida@corp.example\r\nSubject: one\r\n\r\nthe plain words\r\n"


@pytest.mark.parametrize(
    ("terms", "whole"),
    [
        (Terms(), True),
        (Terms(connector="out"), True),
        (Terms(wanted=Wanted(rule="Partners", smime=Smime.ENCRYPT)), False),
        (Terms(require_tls=True), False),  # Whoever hands the notice on may know no TLS.
    ],
)
async def test_the_whole_original_goes_back_unless_it_waited_for_its_protection(terms: Terms, whole: bool) -> None:
    submitted: list[Mail] = []

    async def submit(mail: Mail) -> str:
        submitted.append(mail)
        return mail.id

    notices = Notices(submit=submit, ids=lambda: "N1", hostname="mx.corp.example", contact=None)
    delivery = delivery_of(mail_of("Q1", Message(ORIGINAL, Held(ORIGINAL))))
    delivery = replace(delivery, ret="FULL", terms=terms)
    await notices.tell(delivery, delivery.targets, Held(ORIGINAL), kind=Kind.FAILURE, now=1_793_700_060.0)
    octets = submitted[0].message.content.inline or b""
    assert (b"the plain words" in octets) is whole
    assert b"Subject: one" in octets
