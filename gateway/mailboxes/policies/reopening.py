"""Policies that were closed when somebody wanted them: looked at until they open, so that mail for them need not wait.

A look asks a vault what it tells of a key, which is no use of it; the key itself is asked for once that says yes. Each
process looks after those that it has met, and at its start after those for whose mailboxes mail waits from before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Protocol

from gateway.keys.vault import KeyFault, Vault
from gateway.mailboxes.faults import MailboxClosed
from gateway.mailboxes.policies.life import judge
from gateway.mailboxes.policies.policy import ROOTS
from gateway.mailboxes.policies.policy_keys import PolicyKeys
from gateway.mailboxes.policies.store import PolicyStore
from gateway.storage.mailboxes.model import PolicyRow, PolicyState


class Waiting(Protocol):
    """Mail that waits for closed mailboxes."""

    async def policies(self) -> set[int]:
        """The policies, by id, of the mailboxes for which some waits here. Raises what storage raises."""

    async def hasten(self, policies: set[int]) -> None:
        """Have it tried now: these are open again. Raises what storage raises."""


class Reopening:
    """One process'. `look` is called again and again. Raises what storage raises; the next look goes on."""

    def __init__(
        self, store: PolicyStore, keys: PolicyKeys, vaults: Mapping[str, Vault], *, executor: Executor
    ) -> None:
        """`executor` runs what waits for vaults."""
        self._store = store
        self._keys = keys
        self._vaults = vaults
        self._executor = executor
        self._has_asked = False  # For whom mail waits from before our start.
        self._again: set[int] = set()  # What was in the middle of an attempt when they opened waits since.

    async def look(self, waiting: Waiting) -> None:
        """See which have opened, and have the mail for them tried."""
        if not self._has_asked:
            self._keys.shut |= await waiting.policies()
            self._has_asked = True
        for policy in list(self._keys.shut):
            await self._try(policy)
        opened = self._keys.take_reopened()
        if told := opened | self._again:
            self._again |= opened  # Should what follows fail.
            await waiting.hasten(told)
        self._again = opened

    async def _try(self, policy: int) -> None:
        row = await self._store.policy(policy)
        if row is None or row.state is PolicyState.PURGED:
            self._keys.shut.discard(policy)  # It never opens again.
            return
        loop = asyncio.get_running_loop()
        if row.state is PolicyState.READY and await loop.run_in_executor(self._executor, self._may_open, row):
            try:
                await self._keys.key(policy)
            except MailboxClosed:
                return

    def _may_open(self, row: PolicyRow) -> bool:
        """Whether the vault of a root says yes. Blocks."""
        for copy in row.copies:
            if copy.kind in ROOTS:
                try:
                    judge(self._vaults, copy)
                except KeyFault:
                    continue
                return True
        return False
