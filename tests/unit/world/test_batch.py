"""Works that are done one behind the other, when several have come."""

from __future__ import annotations

import asyncio

import pytest

from gateway.world.batch import MOST, TURNS, Batch


async def others(turns: int, seen: list[str]) -> None:
    """Somebody else who has something to do in each turn."""
    for _ in range(turns):
        seen.append("other")
        await asyncio.sleep(0)


async def test_what_comes_within_some_turns_is_done_with_nobody_between() -> None:
    batch, seen = Batch(), list[str]()

    async def late(turns: int, name: str) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        await batch.run(lambda: seen.append(name))
        return name

    async with asyncio.TaskGroup() as group:
        group.create_task(others(TURNS * 3, seen))
        tasks = [group.create_task(late(turns, f"{turns}")) for turns in (0, 3, TURNS - 2)]
    assert [task.result() for task in tasks] == ["0", "3", f"{TURNS - 2}"]
    first = seen.index("0")
    assert seen[first : first + 3] == ["0", "3", f"{TURNS - 2}"]
    assert 0 < first < len(seen) - 3


async def test_one_alone_waits_for_some_turns_and_no_longer() -> None:
    seen = list[str]()
    async with asyncio.TaskGroup() as group:
        group.create_task(others(TURNS * 3, seen))
        group.create_task(Batch().run(lambda: seen.append("work")))
    assert TURNS <= seen.index("work") <= TURNS + 2


async def test_what_one_raises_is_nothing_to_the_others() -> None:
    batch = Batch()

    def fails() -> int:
        raise ValueError("mine")

    def ends() -> int:
        raise StopIteration

    async def stopped() -> int:
        with pytest.raises(RuntimeError):  # What a coroutine makes of it (PEP 479).
            await batch.run(ends)
        return 3

    made = await asyncio.gather(
        batch.run(lambda: 1), batch.run(fails), stopped(), batch.run(lambda: 2), return_exceptions=True
    )
    assert (made[0], made[2], made[3]) == (1, 3, 2)
    assert isinstance(made[1], ValueError)


async def test_work_for_which_nobody_waits_any_more_is_not_done() -> None:
    batch, seen = Batch(), list[str]()
    gone = asyncio.create_task(batch.run(lambda: seen.append("gone")))
    stays = asyncio.create_task(batch.run(lambda: seen.append("stays")))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert (seen, gone.cancelled()) == (["stays"], True)


async def test_not_more_than_some_are_done_in_a_row() -> None:
    batch, seen = Batch(), list[str]()
    async with asyncio.TaskGroup() as group:
        for number in range(MOST * 2 + 1):
            group.create_task(batch.run(lambda number=number: seen.append(f"{number}")))  # type: ignore[misc]
        group.create_task(others(TURNS * 3, seen))
    rows = [row.split() for row in " ".join(seen).split("other")]
    assert max(map(len, rows)) == MOST
    assert [one for row in rows for one in row] == [f"{number}" for number in range(MOST * 2 + 1)]


def test_what_a_loop_left_undone_holds_nobody_up_in_the_next() -> None:
    batch, seen = Batch(), list[str]()

    async def leaves() -> None:
        task = asyncio.create_task(batch.run(lambda: seen.append("left")))
        await asyncio.sleep(0)
        task.cancel()

    async def stays() -> None:
        await asyncio.wait_for(batch.run(lambda: seen.append("done")), 5)

    asyncio.run(leaves())
    asyncio.run(stays())
    assert seen == ["done"]
