"""Works of one moment in one transaction, in an order that is the same in every process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from gateway.storage.sharing import SharedStore
from gateway.storage.together import Together
from gateway.storage.writer import StorageBroken

T = TypeVar("T")


async def test_works_of_one_moment_are_done_in_their_order_and_answered_each(shared: SharedStore) -> None:
    together = Together(shared)
    done: list[int] = []

    def work(number: int) -> int:
        done.append(number)
        return number * 10

    def asked(number: int) -> asyncio.Task[int]:
        return asyncio.ensure_future(together.do(lambda _: work(number), order=number))

    assert await asyncio.gather(*(asked(number) for number in (3, 1, 2))) == [30, 10, 20]
    assert done == [1, 2, 3]


async def test_one_that_fails_leaves_the_others_done(shared: SharedStore) -> None:
    together = Together(shared)

    def fail(connection: Connection) -> int:
        raise ValueError("mine alone")

    both = await asyncio.gather(together.do(fail, order=1), together.do(lambda _: 5, order=2), return_exceptions=True)
    assert [str(one) for one in both] == ["mine alone", "5"]
    with pytest.raises(ValueError, match="mine alone"):
        await together.do(fail)


class Away:
    """A database that does not answer. `asked` counts."""

    def __init__(self, *faults: Exception) -> None:
        self.asked = 0
        self._faults = list(faults)

    async def call(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
        self.asked += 1
        await asyncio.sleep(0)
        fault = self._faults[min(self.asked, len(self._faults)) - 1]
        raise type(fault)(*fault.args)


async def test_a_database_that_is_away_is_not_waited_for_by_each() -> None:
    """Sixty-four, each with ten seconds of patience, would hold up everybody's mail for ten minutes."""
    away = Away(StorageBroken("no answer"))
    together = Together(away)
    found = await asyncio.gather(*(together.do(lambda _: 1) for _ in range(50)), return_exceptions=True)
    assert [repr(one) for one in found] == ["StorageBroken('no answer')"] * 50
    assert len(set(map(id, found))) == 50, "each has its own, since whoever raises it writes on it"
    assert away.asked == 3


async def test_what_storage_says_of_each_is_told_to_each() -> None:
    away = Away(*(StorageBroken(f"error {number}") for number in range(5)))
    together = Together(away)
    found = await asyncio.gather(*(together.do(lambda _: 1) for _ in range(4)), return_exceptions=True)
    assert [str(one) for one in found] == ["error 1", "error 2", "error 3", "error 4"]
