"""How many octets of messages all connections of a process hold at once. Who wants more waits until others are done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Memory:
    """Octets that may be held. First come, first served, so that a large wish is never passed over for ever."""

    def __init__(self, octets: int, *, large: Memory | None = None, large_from: int = 0) -> None:
        """Wishes of `large_from` octets or more are held in `large` instead, so that slow ones keep only each other."""
        self._large = large
        self._large_from = large_from
        self._whole = octets
        self._free = octets
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def free(self) -> int:
        """Octets that nobody holds."""
        return self._free

    @asynccontextmanager
    async def held(self, octets: int) -> AsyncIterator[None]:
        """A block that holds so many; a wish beyond the whole counts as the whole."""
        taken = await self.take(octets)
        try:
            yield
        finally:
            self.give(taken)

    async def take(self, octets: int) -> int:
        """Hold them until `give` is called with what this returns: how many were taken."""
        if self._large is not None and octets >= self._large_from:
            return await self._large.take(octets)
        octets = min(octets, self._whole)
        await self._take(octets)
        return octets

    def give(self, octets: int) -> None:
        """They are not held any more."""
        if self._large is not None and octets >= self._large_from:
            self._large.give(octets)
            return
        self._free += octets
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._free):
            wish, turn = self._waiting.popleft()
            if not turn.done():  # Else whoever wished it is gone.
                self._free -= wish
                turn.set_result(None)

    async def _take(self, octets: int) -> None:
        if not self._waiting and octets <= self._free:
            self._free -= octets
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((octets, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # It was given just before.
                self.give(octets)
            else:
                turn.cancel()
                self.give(0)  # Who stands behind may have room.
            raise
