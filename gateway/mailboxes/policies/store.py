"""What policies and mailbox keys ask of storage. `gateway.storage.mailboxes.mailbox_store.MailboxStore` fulfils it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.storage.mailboxes.model import ContentRow, Mailbox, PolicyRow, WrappedKey


class PolicyStore(Protocol):
    """Rows of policies. Calls raise StorageFull, StorageBroken, KeysClosed, SealBroken."""

    def new_id(self) -> int:
        """An id for a policy or a mailbox: drawn, since what is wrapped for it names it before its row is there."""

    async def policies(self) -> list[PolicyRow]:
        """All of them, purged ones too."""

    async def policy(self, id_: int) -> PolicyRow | None:
        """The one of that id."""

    async def add_policy(self, policy: PolicyRow) -> PolicyRow:
        """Keep a new one; as it is kept. Raises PolicyThere."""

    async def replace_policy(self, before: PolicyRow, after: PolicyRow) -> PolicyRow | None:
        """Put `after` in the place of `before`, one row; as it is kept. None where it has changed since it was read.

        Its being the default stays, but for one that is purged now. What no longer stands in it is overwritten where
        the engine can.
        """

    async def set_default_policy(self, id_: int | None) -> bool:
        """The policy of new mailboxes from now on; None: none."""

    async def all_mailboxes(self, *, policy: int | None = None) -> list[Mailbox]:
        """Every mailbox, or those under that policy."""


class KeyStore(PolicyStore, Protocol):
    """Rows of mailboxes and contents, as far as their keys go."""

    async def get(self, id_: int) -> Mailbox | None:
        """The mailbox of that id."""

    async def assign(self, before: Mailbox, key: WrappedKey, next_key: WrappedKey | None = None) -> bool:
        """Put these wrapped keys in the place of those of `before`: one row. False where they are others by now."""

    async def rolling(self) -> list[Mailbox]:
        """Those that have a next key."""

    async def contents_left(self, mailbox: int, version: int) -> int:
        """How many contents of the mailbox lie under an older key than `version`."""

    async def contents_under_older(self, mailbox: int, version: int, *, limit: int) -> list[ContentRow]:
        """Some of them."""

    async def rewrap(self, changes: Sequence[tuple[ContentRow, ContentRow]]) -> int:
        """Put key version, map and head of each second row in the place of the first's; how many were changed."""

    async def finish_roll(self, mailbox: int) -> bool:
        """Destroy the mailbox's old key. False, and nothing changes, where a content still needs it."""
