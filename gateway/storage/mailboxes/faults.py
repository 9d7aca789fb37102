"""What storing in a mailbox is refused for. Each text is for people; whoever meets one has changed nothing."""

from __future__ import annotations


class MailboxFault(Exception):
    """Base of what follows."""


class NoMailbox(MailboxFault):
    """There is no such mailbox, or it is being removed."""


class NoFolder(MailboxFault):
    """The mailbox has no such folder (any more)."""


class FolderThere(MailboxFault):
    """The mailbox has a folder of that name already."""


class FolderRefused(MailboxFault):
    """INBOX is not deleted, a name is not allowed, or there are too many folders."""


class AddressTaken(MailboxFault):
    """A mailbox has that address, alias or catch-all already."""


class OverQuota(MailboxFault):
    """The mailbox would hold more octets than its quota allows; nothing was added."""


class TooManyKeywords(MailboxFault):
    """The folder's keywords are all given away, or one is too long."""


class KeyChanged(MailboxFault):
    """The mailbox has another key by now: read it again, wrap the content's map under that, and add it again."""


class BlobsCollected(MailboxFault):
    """The names were reserved so long ago that their blobs may be deleted by now: write the content anew."""


class PolicyThere(MailboxFault):
    """There is a policy of that name already."""
