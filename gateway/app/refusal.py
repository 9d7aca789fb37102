"""What stands in the way of a mailbox, as its recipient's result (RFC 3463 3.3, RFC 5248). Pure.

The words reach the sender in a notice, so they name neither policies nor vaults nor which mailbox an alias means; the
log and the trace have those. What can pass waits: a mailbox that is closed may be opened again, one that is full be
emptied. RFC 3463 has X.2.2 as a persistent transient failure: the recipient can make room. A message that is larger
than all that the mailbox may hold never fits (X.2.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.connectors.inbound import is_always_taken
from gateway.delivery.outcome import Placed, Result, Verdict
from gateway.mail.address import Address
from gateway.mail.delivery import Target
from gateway.mailboxes.faults import KeyBroken, MailboxClosed, PolicyAway, PolicyDenied, PolicyPurged
from gateway.storage.mailboxes.faults import OverQuota
from gateway.storage.mailboxes.model import Mailbox
from gateway.storage.sealer import SealBroken
from gateway.storage.writer import StorageBroken, StorageFull

CLOSED: Final = "mailbox_closed"
FULL: Final = "mailbox_full"
FAULT: Final = "mailbox_fault"
MISSING: Final = "mailbox_missing"
CLOSED_WORDS: Final = "the mailbox is closed"  # By these the queue is searched once a policy opens: see `closed_mail`.


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody has not got it. `event`, `level` and `why` are for the log."""

    code: int
    enhanced: str
    words: str
    event: str = FAULT
    level: str = "error"
    why: str = ""

    def result(self, target: Target, placed: Placed | None) -> Result:
        """For one recipient."""
        verdict = Verdict.NEVER if self.code >= 500 else Verdict.LATER
        reply = f"{self.code} {self.enhanced} {self.words[:1].upper()}{self.words[1:]}"
        return Result(
            address=target.address,
            verdict=verdict,
            reply=reply,
            enhanced=self.enhanced,
            reason=self.words,
            placed=placed,
        )


def unknown(address: Address) -> Refusal:
    """There is no mailbox for `address`. Postmaster and abuse of ours are always taken (RFC 5321 4.5.1, RFC 2142), so
    what is for them waits until somebody gives them one.
    """
    if is_always_taken(address):
        why = f"mail for {address} waits; right would be: gateway mailbox alias add MAILBOX {address}"
        return Refusal(450, "4.2.1", "there is no mailbox for this address yet", MISSING, "warning", why)
    return Refusal(
        550, "5.1.1", "there is no such mailbox here", MISSING, "info", f"no mailbox takes mail for {address}"
    )


def refusal_of(error: Exception, mailbox: Mailbox | None, size: int) -> Refusal:
    """What `error` means for whoever was to get a message of `size` octets in `mailbox`. What is unknown is a fault of
    ours, and passing.
    """
    match error:
        case PolicyPurged():
            return _closed(450, "4.2.1", f"{CLOSED_WORDS}: its encryption policy was destroyed", error)
        case PolicyDenied():
            return _closed(450, "4.2.1", f"{CLOSED_WORDS}: the keys of its encryption policy are withheld", error)
        case PolicyAway():
            return _closed(451, "4.7.5", f"{CLOSED_WORDS}: its keys can't be had now", error)
        case KeyBroken():
            return _closed(451, "4.7.5", f"{CLOSED_WORDS}: its key does not open", error)
        case MailboxClosed():
            return _closed(451, "4.2.1", CLOSED_WORDS, error)
        case OverQuota():
            return _full(error, mailbox, size)
        case StorageFull():
            return Refusal(452, "4.3.1", "there is no room for mailboxes", why=str(error))
        case StorageBroken():
            return Refusal(451, "4.3.0", "mailboxes can't be written now", why=str(error))
        case SealBroken():
            return Refusal(451, "4.3.0", "what is kept of the mailbox is damaged", why=str(error))
        case OSError():
            return Refusal(451, "4.3.0", "contents of mailboxes can't be written now")
    return Refusal(451, "4.3.0", "a fault in the gateway; see its log")


def _closed(code: int, enhanced: str, words: str, error: MailboxClosed) -> Refusal:
    return Refusal(code, enhanced, words, CLOSED, "warning", error.text)


def _full(error: OverQuota, mailbox: Mailbox | None, size: int) -> Refusal:
    if mailbox is not None and mailbox.quota is not None and size > mailbox.quota:
        words = "the message is larger than all that the mailbox may hold"
        return Refusal(552, "5.2.3", words, FULL, "info", str(error))
    return Refusal(452, "4.2.2", "the mailbox is full", FULL, "info", str(error))
