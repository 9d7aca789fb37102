"""Few answers hold a message at once, and nobody keeps others waiting by himself."""

from __future__ import annotations

import asyncio

import pytest

from gateway.portal.desk import Away
from gateway.portal.turns import PATIENCE, Turn, Turns
from tests.fakes.clock import FakeClock


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_reader_waits_for_himself_and_not_for_others() -> None:
    turns = Turns(FakeClock(), at_once=5, of_reader=2)
    held = [await turns.take("otto"), await turns.take("otto")]
    third = asyncio.create_task(turns.take("otto"))
    await settle()
    assert not third.done()
    other = await turns.take("ida")
    held[0].end()
    await settle()
    assert third.done()
    for one in (held[1], other, await third):
        one.end()
    assert len(turns) == 0, "nobody is remembered who has none"


async def test_all_of_them_wait_for_the_first_that_ends() -> None:
    turns = Turns(FakeClock(), at_once=2, of_reader=2)
    held = [await turns.take("a"), await turns.take("b")]
    waiting = [asyncio.create_task(turns.take(name)) for name in ("c", "d")]
    await settle()
    assert not any(one.done() for one in waiting)
    held[1].end()
    held[1].end()  # Twice is once.
    await settle()
    assert [one.done() for one in waiting] == [True, False]
    held[0].end()
    await settle()
    assert waiting[1].done()


async def test_who_waits_too_long_is_told_to_come_again_and_takes_no_turn() -> None:
    clock = FakeClock()
    turns = Turns(clock, at_once=2, of_reader=1)
    held = await turns.take("otto")
    waiting = asyncio.create_task(turns.take("otto"))
    await settle()
    await clock.advance(PATIENCE + 1)
    with pytest.raises(Away):
        await waiting
    held.end()
    assert isinstance(await turns.take("otto"), Turn)


@pytest.mark.parametrize("at_once", [1, 5])
async def test_who_goes_away_while_he_waits_takes_no_turn(at_once: int) -> None:
    turns = Turns(FakeClock(), at_once=at_once, of_reader=1)
    held = await turns.take("otto")
    waiting = [asyncio.create_task(turns.take("otto")), asyncio.create_task(turns.take("otto"))]
    await settle()
    waiting[0].cancel()
    await settle()
    held.end()
    (await waiting[1]).end()
    assert len(turns) == 0
