"""Works that are done one behind the other, when several have come."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from gateway.world.batch import MOST, TURNS, Batch, as_step, finished


async def others(turns: int, seen: list[str]) -> None:
    """Somebody else who has something to do in each turn."""
    for _ in range(turns):
        seen.append("other")
        await asyncio.sleep(0)


def steps(seen: list[str], name: str, count: int = 1) -> Generator[None, None, str]:
    """A work that tells its steps."""
    for number in range(count):
        if number:
            yield
        seen.append(f"{name}{number}" if count > 1 else name)
    return name


async def test_what_comes_within_some_turns_is_done_with_nobody_between() -> None:
    batch, seen = Batch(), list[str]()

    async def late(turns: int, name: str) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await batch.run(steps(seen, name))

    async with asyncio.TaskGroup() as group:
        group.create_task(others(TURNS * 3, seen))
        tasks = [group.create_task(late(turns, name)) for turns, name in ((0, "a"), (3, "b"), (TURNS - 2, "c"))]
    assert [task.result() for task in tasks] == ["a", "b", "c"]
    first = seen.index("a")
    assert seen[first : first + 3] == ["a", "b", "c"]
    assert 0 < first < len(seen) - 3


async def test_a_step_is_done_for_all_before_the_next_of_any() -> None:
    batch, seen = Batch(), list[str]()
    works = (steps(seen, "a", 3), steps(seen, "b", 2), steps(seen, "c"))
    assert await asyncio.gather(*map(batch.run, works)) == ["a", "b", "c"]
    assert seen == ["a0", "b0", "c", "a1", "b1", "a2"]


async def test_one_alone_waits_for_some_turns_and_no_longer() -> None:
    seen = list[str]()
    async with asyncio.TaskGroup() as group:
        group.create_task(others(TURNS * 3, seen))
        group.create_task(Batch().run(steps(seen, "work")))
    assert TURNS <= seen.index("work") <= TURNS + 2


async def test_what_one_raises_is_nothing_to_the_others() -> None:
    batch, seen = Batch(), list[str]()

    def fails() -> Generator[None, None, str]:
        yield
        raise ValueError("mine")

    works = (steps(seen, "a", 3), fails(), steps(seen, "b", 2))
    made = await asyncio.gather(*map(batch.run, works), return_exceptions=True)
    assert (made[0], made[2]) == ("a", "b")
    assert isinstance(made[1], ValueError)


async def test_work_for_which_nobody_waits_any_more_is_not_done() -> None:
    batch, seen = Batch(), list[str]()
    gone = asyncio.create_task(batch.run(steps(seen, "gone")))
    stays = asyncio.create_task(batch.run(steps(seen, "stays")))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert (seen, gone.cancelled()) == (["stays"], True)


async def test_not_more_than_some_are_done_in_a_row() -> None:
    batch, seen = Batch(), list[str]()
    names = [f"{number}" for number in range(MOST * 2 + 1)]
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(batch.run(steps(seen, name)))
        group.create_task(others(TURNS * 3, seen))
    rows = [row.split() for row in " ".join(seen).split("other")]
    assert max(map(len, rows)) == MOST
    assert [one for row in rows for one in row] == names


def test_what_a_loop_left_undone_holds_nobody_up_in_the_next() -> None:
    batch, seen = Batch(), list[str]()

    async def leaves() -> None:
        task = asyncio.create_task(batch.run(steps(seen, "left")))
        await asyncio.sleep(0)
        task.cancel()

    async def stays() -> None:
        await asyncio.wait_for(batch.run(steps(seen, "done")), 5)

    asyncio.run(leaves())
    asyncio.run(stays())
    assert seen == ["done"]


def test_steps_are_done_at_once_where_nobody_else_is_there() -> None:
    seen = list[str]()
    assert finished(steps(seen, "a", 3)) == "a"
    assert seen == ["a0", "a1", "a2"]
    assert finished(as_step(lambda: 5)) == 5
    with pytest.raises(ZeroDivisionError):
        finished(as_step(lambda: 1 // 0))
