"""Transactions that are asked for at the same moment, done as one: their commit is the dear part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection

from gateway.storage.accounts import Transactions
from gateway.storage.writer import StorageBroken, StorageFull

T = TypeVar("T")
W = TypeVar("W")  # What is asked for.
R = TypeVar("R")  # What comes of it.

MOST: Final = 64  # Works in one transaction: none waits long for the others.


class Gathering(Generic[W, R]):
    """Works of one process, of one kind: those of one moment are handed to one function, in one transaction.

    Where it fails for several, each is done alone, and fails alone; so it may run twice for a work, the first time
    undone. Where storage says the same of two in a row, it is no work's own fault, and the others are told so, untried:
    each would wait for the same database to answer.
    """

    def __init__(self, shared: Transactions, run: Callable[[Connection, Sequence[W]], Sequence[R]]) -> None:
        """`run` gives the result of each work, in their order."""
        self._shared = shared
        self._run = run
        self._waiting: list[tuple[W, asyncio.Future[R], int]] = []
        self._task: asyncio.Task[None] | None = None

    async def do(self, work: W, *, order: int = 0) -> R:
        """The result of `work`, once it is on disk. Raises StorageFull, StorageBroken, or what `run` raises.

        Of those in one transaction the one of lesser `order` comes first: where works lock rows, two processes must
        not lock the same ones in different orders. A caller that is cancelled does not undo it.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future, order))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            some.sort(key=_order)
            works, futures = [one[0] for one in some], [one[1] for one in some]
            if len(some) > 1 and await self._is_done(works, futures):
                continue
            await self._each(works, futures)

    async def _each(self, works: list[W], futures: list[asyncio.Future[R]]) -> None:
        before: Exception | None = None
        for place, (work, future) in enumerate(zip(works, futures, strict=True)):
            fault = await self._alone(work, future)
            if isinstance(fault, StorageFull | StorageBroken) and repr(fault) == repr(before):
                for other in futures[place + 1 :]:
                    if not other.done():
                        other.set_exception(type(fault)(*fault.args))
                return
            before = fault

    async def _is_done(self, works: list[W], futures: list[asyncio.Future[R]]) -> bool:
        try:
            results = await self._shared.call(lambda connection: self._run(connection, works))
        except Exception:  # noqa: BLE001 - whichever it was says so again, alone
            return False
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)
        return True

    async def _alone(self, work: W, future: asyncio.Future[R]) -> Exception | None:
        """What it failed for, which whoever asked has heard."""
        try:
            [result] = await self._shared.call(lambda connection: self._run(connection, [work]))
        except Exception as error:  # noqa: BLE001 - whoever asked hears of it
            if not future.done():
                future.set_exception(error)
            return error
        if not future.done():
            future.set_result(result)
        return None


class Together(Gathering[Callable[[Connection], Any], Any]):
    """Works of any kind, each a function of the connection, done one after the other."""

    def __init__(self, shared: Transactions) -> None:
        super().__init__(shared, lambda connection, works: [run(connection) for run in works])

    async def do(self, work: Callable[[Connection], T], *, order: int = 0) -> T:
        """See Gathering."""
        result: T = await super().do(work, order=order)
        return result


def _order(work: tuple[Any, Any, int]) -> int:
    return work[2]
