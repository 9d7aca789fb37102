"""How many octets of messages all connections of a process hold at once. Who wants more waits until others are done.

Each account has a share, so that nobody's own connections, however many and however slow, take all of it from others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    octets: int
    account: str
    turn: asyncio.Future[None]


class Memory:
    """Octets that may be held. First come, first served, so that a large wish is never passed over for ever; who waits
    for their own share keeps nobody else waiting.
    """

    def __init__(
        self, octets: int, *, share: int | None = None, large: Memory | None = None, large_from: int = 0
    ) -> None:
        """Wishes of `large_from` octets or more are held in `large` instead, so that slow ones keep only each other.

        `share`: octets that one account holds at most; None: as many as there are.
        """
        self._large = large
        self._large_from = large_from
        self._whole = octets
        self._free = octets
        self._share = octets if share is None else min(share, octets)
        self._held: Counter[str] = Counter()  # By account.
        self._waiting: deque[_Wish] = deque()

    @property
    def free(self) -> int:
        """Octets that nobody holds."""
        return self._free

    def of(self, account: str) -> AccountMemory:
        """The same, for the connections of one account."""
        return AccountMemory(self, account)

    async def take(self, octets: int, account: str) -> int:
        """Hold them until `give` is called with what this returns: how many were taken."""
        if not octets:
            return 0
        if self._large is not None and octets >= self._large_from:
            return await self._large.take(octets, account)
        octets = min(octets, self._share)
        await self._take(octets, account)
        return octets

    def give(self, octets: int, account: str) -> None:
        """They are not held any more."""
        if self._large is not None and octets >= self._large_from:
            self._large.give(octets, account)
            return
        self._free += octets
        self._held[account] -= octets
        if not self._held[account]:
            del self._held[account]
        self._serve()

    async def _take(self, octets: int, account: str) -> None:
        wish = _Wish(octets, account, asyncio.get_running_loop().create_future())
        self._waiting.append(wish)
        self._serve()
        try:
            await wish.turn
        except asyncio.CancelledError:
            if wish.turn.done() and not wish.turn.cancelled():  # It was given just before.
                self.give(octets, account)
            else:
                wish.turn.cancel()
                self._serve()  # Who stands behind may have room.
            raise

    def _serve(self) -> None:
        """Give their turn to all who have room, in their order."""
        if not self._waiting:
            return
        kept: deque[_Wish] = deque()
        wait: set[str] = set()  # Accounts whose next wish has no room in their share.
        is_full = False
        for wish in self._waiting:
            if wish.turn.done():  # Whoever wished it is gone.
                continue
            if is_full or wish.account in wait:
                kept.append(wish)
            elif self._held[wish.account] + wish.octets > self._share:
                wait.add(wish.account)
                kept.append(wish)
            elif wish.octets > self._free:
                is_full = True
                kept.append(wish)
            else:
                self._free -= wish.octets
                self._held[wish.account] += wish.octets
                wish.turn.set_result(None)
        self._waiting = kept


@dataclass(frozen=True, slots=True)
class AccountMemory:
    """The memory as one account has it. A wish beyond the account's share counts as the share."""

    memory: Memory
    account: str

    @asynccontextmanager
    async def held(self, octets: int) -> AsyncIterator[None]:
        """A block that holds so many."""
        taken = await self.take(octets)
        try:
            yield
        finally:
            self.give(taken)

    async def take(self, octets: int) -> int:
        """Hold them until `give` is called with what this returns: how many were taken."""
        return await self.memory.take(octets, self.account)

    def give(self, octets: int) -> None:
        """They are not held any more."""
        self.memory.give(octets, self.account)
