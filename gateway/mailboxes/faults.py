"""Why a mailbox can't be read or written now. Each text speaks to the person who has to act; none holds a secret.

    MailboxClosed
      PolicyDenied   the owners of the root keys have withdrawn them: their will, until they change it
      PolicyAway     a vault or the database does not answer: passing
      PolicyPurged   the policy was destroyed by its custodian's order: for ever
      KeyBroken      a wrapped key is damaged, or belongs elsewhere (row k12)
    PolicyRefused    what was asked of a policy is not done; the text says what would be right

Mail for a closed mailbox waits, whichever it is; IMAP answers NO [UNAVAILABLE] (RFC 5530 3).
"""

from __future__ import annotations


class MailboxClosed(Exception):
    """The keys of a mailbox can't be had. `policy` and `mailbox` are names, None where they are not known."""

    def __init__(self, text: str, *, policy: str | None = None, mailbox: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.policy = policy
        self.mailbox = mailbox

    @property
    def is_final(self) -> bool:
        """Whether nothing brings it back."""
        return False

    def of(self, mailbox: str) -> MailboxClosed:
        """The same, told of that mailbox."""
        return type(self)(f"the mailbox {mailbox} is closed: {self.text}", policy=self.policy, mailbox=mailbox)


class PolicyDenied(MailboxClosed):
    """The owner of the root keys says no, or one of them does and the other vault is silent."""


class PolicyAway(MailboxClosed):
    """Neither the vaults of the roots nor the availability key's gave an answer; passing."""


class PolicyPurged(MailboxClosed):
    """Every wrapped copy of the policy key was destroyed."""

    @property
    def is_final(self) -> bool:
        return True


class KeyBroken(MailboxClosed):
    """A wrapped key does not open where it stands: it is damaged, or was moved there from elsewhere."""


class PolicyRefused(Exception):
    """What was asked of a policy or a mailbox's key is refused. Nothing has changed."""
