"""What policies are called and what has become of them, for RCPT, trace and lists, without opening any key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from gateway.storage.mailboxes.model import PolicyRow, PolicyState
from gateway.world.clock import Clock

FRESH: Final = 30.0  # Seconds that names are remembered.
AGAIN: Final = 1.0  # Seconds until one that was not there is asked for again.


class Policies(Protocol):
    """The part of the store that knows policies."""

    async def policies(self) -> Sequence[PolicyRow]:
        """All of them."""


class PolicyNames:
    """One process'."""

    def __init__(self, rows: Policies, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock
        self._known: dict[int, tuple[str, PolicyState]] = {}
        self._until = 0.0
        self._asked = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._age = 0  # Counts what made us forget: an answer that was under way then does not last.

    async def name(self, policy: int) -> str | None:
        """Its name; None where there is no such policy. Raises StorageBroken, KeysClosed, SealBroken."""
        known = await self._look(policy)
        return None if known is None else known[0]

    async def is_purged(self, policy: int) -> bool:
        """Whether its keys were destroyed, so that no mail can be put under it any more."""
        known = await self._look(policy)
        return known is not None and known[1] is PolicyState.PURGED

    def recall(self, policy: int) -> PolicyState | None:
        """What has become of it, where that was asked a moment ago."""
        known = self._known.get(policy) if self._clock.monotonic() < self._until else None
        return None if known is None else known[1]

    def forget(self) -> None:
        """Something about policies has changed."""
        self._age += 1
        self._until, self._asked = 0.0, float("-inf")

    async def _look(self, policy: int) -> tuple[str, PolicyState] | None:
        now = self._clock.monotonic()
        # One that is not there may have come since; where it has not, nobody asks for it again and again.
        if now >= self._until or (policy not in self._known and now >= self._asked + AGAIN):
            if self._asking is None or self._asking.done():  # Whoever comes meanwhile waits for the same answer.
                self._asking = asyncio.get_running_loop().create_task(self._ask())
                self._asking.add_done_callback(_heard)
            await asyncio.shield(self._asking)
        return self._known.get(policy)

    async def _ask(self) -> None:
        age = self._age
        rows = await self._rows.policies()
        self._known = {row.id: (row.name, row.state) for row in rows}
        self._asked = self._clock.monotonic()
        if age == self._age:
            self._until = self._asked + FRESH


def _heard(task: asyncio.Task[None]) -> None:
    """Where whoever asked is gone, a fault is no matter of the log's: the next who asks meets it."""
    if not task.cancelled():
        task.exception()
