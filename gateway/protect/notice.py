"""The notice to a sender whose message some recipients never get, because it could not be protected for them (a06).

The header alone goes back, whatever RET said: what had to be protected does not leave as an attachment. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.delivery.dsn import build
from gateway.delivery.kind import Kind
from gateway.mail.delivery import Delivery, Status, Target
from gateway.mail.envelope import Recipient
from gateway.mail.mail import Mail

ENHANCED: Final = "5.7.5"  # RFC 3463 3.8: cryptographic failure, as of a key that is not available.

_WORDS: Final = {
    "no-certificate": "no certificate is known for the recipient",
    "certificate-expired": "the recipient's certificate has expired",
    "no-signing-identity": "nobody who wrote it has a certificate to sign with",
    "sender-not-ours": "it comes from elsewhere, and only mail from here is signed",
}


@dataclass(frozen=True, slots=True)
class Lost:
    """A recipient who never gets the message; `rule` asked for the protection, `reason` is why it can't be had."""

    recipient: Recipient
    rule: str
    reason: str


def sentence(rule: str, reason: str) -> str:
    """Why, in words for the sender."""
    words = _WORDS.get(reason, reason)
    return f'the rule "{rule}" lets the message leave with S/MIME only, and that is not possible here ({words})'


def refusal_notice(
    mail: Mail, lost: Sequence[Lost], *, hostname: str, contact: str | None, now: float, id: str
) -> Mail | None:
    """The notice, stored under the message's own queue id; `id` names it in its Message-ID. None where the sender is
    null, or asked to hear nothing of these recipients.
    """
    sender = mail.envelope.sender
    targets = tuple(
        Target(
            address=one.recipient.address,
            status=Status.FAILED,
            reason=sentence(one.rule, one.reason),
            enhanced=ENHANCED,
            notify=one.recipient.notify,
            orcpt=one.recipient.orcpt,
        )
        for one in lost
    )
    wishing = tuple(target for target in targets if target.wants(Kind.FAILURE))
    if sender is None or not wishing:
        return None
    delivery = Delivery(
        id=f"{mail.id}.0",
        message=mail.id,
        connector="",
        destination="",
        sender=sender,
        targets=wishing,
        size=mail.message.size,
        created=mail.received,
        next_attempt=now,
        ret="HDRS",
        envid=mail.envelope.envid,
    )
    head = mail.preface + mail.message.head
    notice = build(delivery, wishing, kind=Kind.FAILURE, head=head, hostname=hostname, contact=contact, now=now, id=id)
    return replace(notice, id=mail.id)
