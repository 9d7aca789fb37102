"""Works of one moment in one transaction, in an order that is the same in every process."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection

from gateway.storage.sharing import SharedStore
from gateway.storage.together import Together


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
