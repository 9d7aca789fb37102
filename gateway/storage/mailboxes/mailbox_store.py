"""Everything that is kept of mailboxes, behind one name: each operation one transaction, durable when it returns."""

from __future__ import annotations

from gateway.storage.mailboxes.blob_names import BlobNames
from gateway.storage.mailboxes.content_store import ContentStore
from gateway.storage.mailboxes.folder_store import FolderStore
from gateway.storage.mailboxes.intake import Intake
from gateway.storage.mailboxes.mailbox_rows import MailboxRows
from gateway.storage.mailboxes.message_store import MessageStore
from gateway.storage.mailboxes.policy_rows import PolicyRows
from gateway.storage.mailboxes.transfers import Transfers


class MailboxStore(MailboxRows, FolderStore, MessageStore, Intake, Transfers, ContentStore, PolicyRows, BlobNames):
    """The tables whose names begin with `mailbox`.

    Made with `MailboxStore(shared, sealer, chance=chance, clock=clock)`. Every call raises StorageFull, StorageBroken,
    SealBroken, KeysClosed, and what it says of itself (`faults`).
    """

    def __repr__(self) -> str:
        return "MailboxStore()"
