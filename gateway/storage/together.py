"""Transactions that are asked for at the same moment, done as one: their commit is the dear part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from gateway.storage.accounts import Transactions

T = TypeVar("T")
_Work = tuple[Callable[[Connection], Any], asyncio.Future[Any], int]

MOST: Final = 64  # Works in one transaction: none waits long for the others.


class Together:
    """Works of one process, done in their order. Where one of several fails, each is done alone, and fails alone.

    So the function of a work may run twice, the first time undone.
    """

    def __init__(self, shared: Transactions) -> None:
        self._shared = shared
        self._waiting: list[_Work] = []
        self._task: asyncio.Task[None] | None = None

    async def do(self, run: Callable[[Connection], T], *, order: int = 0) -> T:
        """The result of `run`, once it is on disk. Raises StorageFull, StorageBroken, or what `run` raises.

        Of those in one transaction the one of lesser `order` comes first: where works lock rows, two processes must
        not lock the same ones in different orders. A caller that is cancelled does not undo it.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((run, future, order))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            works, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            works.sort(key=_order)
            if len(works) > 1 and await self._is_done(works):
                continue
            for run, future, _ in works:
                await self._alone(run, future)

    async def _is_done(self, works: list[_Work]) -> bool:
        try:
            results = await self._shared.call(lambda connection: [run(connection) for run, _, _ in works])
        except Exception:  # noqa: BLE001 - whichever it was says so again, alone
            return False
        for (_, future, _), result in zip(works, results, strict=True):
            if not future.done():
                future.set_result(result)
        return True

    async def _alone(self, run: Callable[[Connection], Any], future: asyncio.Future[Any]) -> None:
        try:
            result = await self._shared.call(run)
        except Exception as error:  # noqa: BLE001 - whoever asked hears of it
            if not future.done():
                future.set_exception(error)
            return
        if not future.done():
            future.set_result(result)


def _order(work: _Work) -> int:
    return work[2]
