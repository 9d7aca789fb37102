"""Which data encryption policies hang on a key of a vault: told before it is disabled or deleted, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from gateway.app.policy_backups import known_backups
from gateway.keys.vault import VaultKey
from gateway.mailboxes.policies.past import Backup, needs
from gateway.mailboxes.policies.policy import root_name
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import CopyKind, Mailbox, PolicyRow, PolicyState
from gateway.storage.sealer import Sealer
from gateway.storage.sharing import SharedStore
from gateway.world.chance import Chance
from gateway.world.clock import Clock

MOST_NAMED: Final = 100  # Mailboxes of one policy that are named; how many there are is always told.


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyUse:
    """A policy whose key lies under the key. `kind` None: only backups of former times need it.

    `other`: the policy's other root, as VAULT/KEY; `other_answers`: whether that one may be used now, None where nobody
    has asked; `backups` are paths.
    """

    policy: str
    kind: CopyKind | None
    key_version: int
    other: str | None
    mailboxes: tuple[str, ...]
    count: int
    backups: tuple[str, ...]
    other_answers: bool | None = None

    def told(self) -> dict[str, Any]:
        """In the form of `gateway key list --json`."""
        return {
            "kind": "policy",
            "policy": self.policy,
            "as": "backup" if self.kind is None else self.kind.value,
            "key_version": self.key_version,
            "other": self.other,
            **({} if self.other_answers is None else {"other_answers": self.other_answers}),
            "mailboxes": self.count,
            "addresses": list(self.mailboxes),
            "backups": list(self.backups),
        }


@dataclass(frozen=True, slots=True)
class PolicyBook:
    """What is known of all policies at one moment."""

    rows: tuple[PolicyRow, ...] = ()
    mailboxes: tuple[Mailbox, ...] = ()
    backups: tuple[Backup, ...] = ()

    def uses(self, key: VaultKey) -> tuple[PolicyUse, ...]:
        """The policies that hang on that key."""
        name = f"{key.vault}/{key.name}"
        return tuple(use for row in self.rows for use in self._of(row, name))

    def _of(self, row: PolicyRow, name: str) -> Iterable[PolicyUse]:
        mine = [one.address for one in self.mailboxes if one.policy == row.id]
        kinds = {copy.kind: root_name(copy) for copy in row.copies}
        for need in needs(row, self.backups):
            if need.key != name:
                continue
            kind = next((one for one, root in kinds.items() if root == name), None) if need.is_current else None
            others = [root for one, root in kinds.items() if root != name and one is not CopyKind.AVAILABILITY]
            counts = kind is not None and row.state is not PolicyState.PURGED
            yield PolicyUse(
                policy=row.name,
                kind=kind,
                key_version=need.version,
                other=others[0] if len(others) == 1 else None,
                mailboxes=tuple(sorted(mine)[:MOST_NAMED]) if counts else (),
                count=len(mine) if counts else 0,
                backups=tuple(one.path for one in need.backups),
            )


def policy_book(shared: SharedStore, sealer: Sealer, chance: Chance, clock: Clock) -> PolicyBook:
    """All policies, mailboxes and backups. Blocks, on a thread without a loop.

    Raises StorageFull, StorageBroken, KeysClosed, SealBroken.
    """
    store = MailboxStore(shared, sealer, chance=chance, clock=clock)

    async def read() -> PolicyBook:
        rows = await store.policies()
        if not rows:
            return PolicyBook()
        return PolicyBook(tuple(rows), tuple(await store.all_mailboxes()), tuple(await known_backups(shared)))

    return asyncio.run(read())
