"""The mail to the officer who hears of each message that a super user opens. Pure: octets made by hand."""

from __future__ import annotations

from gateway.mail.address import Address
from gateway.mail.date import rfc5322_date
from gateway.mail.envelope import Body, Envelope, Recipient
from gateway.mail.field import field, safe
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.rights.opening import OpenedMessage
from gateway.rules.text_part import quoted
from gateway.world.clock import rfc3339


def officer_mail(*, id: str, to: Address, account: str, opened: OpenedMessage, hostname: str, now: float) -> Mail:  # noqa: A002
    """`account` of this machine has opened that message. No word of its content, nor its subject."""
    text = "\r\n".join(
        (
            "A rights-managed message was opened by a super user, who need not be among its readers.",
            "",
            f"By account:  {safe(account)}",
            f"At:          {rfc3339(now)}",
            f"Sender:      {safe(opened.owner) or '-'}",
            f"Readers:     {len(opened.readers)}",
            f"Work:        {opened.work}",
            "",
            f"gateway rights log {opened.work} tells who else has opened it.",
        )
    )
    head = (
        field("Date", rfc5322_date(now)),
        field("From", f"Mail gateway <MAILER-DAEMON@{hostname}>"),
        field("To", f"<{to.text}>"),
        field("Subject", "A protected message was opened by a super user"),
        field("Message-ID", f"<{id}@{hostname}>"),
        field("Auto-Submitted", "auto-generated"),  # RFC 3834 5
        field("X-Auto-Response-Suppress", "All"),
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
    )
    octets = b"".join((*head, quoted(text.encode("utf-8", "replace")), b"\r\n"))
    envelope = Envelope(
        sender=None,
        recipients=(Recipient(to, notify="NEVER"),),
        body=Body.SEVEN_BIT if to.is_ascii else Body.EIGHT_BIT_MIME,
        smtputf8=not to.is_ascii,
    )
    return Mail(id=id, received=now, envelope=envelope, message=Message(octets, Held(octets)))
