"""A clock that only the test moves."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count


class FakeClock:
    """Stands still until `advance`. `now` is the wall, `monotonic` starts at 1000; both move together.

    `sleepers` tells how many wait, so that a test can advance once somebody does.
    """

    def __init__(self, now: float = 1_793_700_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._order = count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    @property
    def sleepers(self) -> int:
        """How many wait in `sleep` or under a `timeout`."""
        return sum(not one.done() for _, _, one in self._waiting)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        await self._alarm(seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return self._timeout(seconds)

    async def advance(self, seconds: float) -> None:
        """Move on, waking whoever's time has come in its order, and let all that follows from it happen."""
        end = self._monotonic + seconds
        await _settle()
        while self._waiting and self._waiting[0][0] <= end:
            due, _, one = heapq.heappop(self._waiting)
            self._move(due)
            if not one.done():
                one.set_result(None)
                await _settle()
        self._move(end)
        await _settle()

    def _move(self, monotonic: float) -> None:
        step = max(0.0, monotonic - self._monotonic)
        self._now += step
        self._monotonic += step

    def _alarm(self, seconds: float) -> asyncio.Future[None]:
        one: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._monotonic + seconds, next(self._order), one))
        return one

    @asynccontextmanager
    async def _timeout(self, seconds: float | None) -> AsyncIterator[object]:
        async with asyncio.timeout(None) as block:
            if seconds is None:
                yield block
                return
            alarm = self._alarm(max(0.0, seconds))
            alarm.add_done_callback(
                lambda done: None if done.cancelled() else block.reschedule(asyncio.get_running_loop().time())
            )
            try:
                yield block
            finally:
                alarm.cancel()


async def _settle() -> None:
    """Run what is ready, and what that makes ready, a few times over."""
    for _ in range(20):
        await asyncio.sleep(0)
