"""Blobs without a message are deleted, in an order that survives any end; a store that is away is asked again later."""

from __future__ import annotations

import asyncio

import pytest

from gateway.mailboxes.contents import garbage
from gateway.mailboxes.contents.garbage import EVERY, SOONEST, Garbage
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_blobs import Crash, MemoryMailboxBlobs, MemoryNames, Steps


class Yard:
    """Names that are garbage, their blobs, and who collects them."""

    def __init__(self, count: int, age: float = 86400.0) -> None:
        self.steps = Steps()
        self.blobs, self.names = MemoryMailboxBlobs(self.steps), MemoryNames(self.steps)
        self.clock, self.told = FakeClock(), list[str]()
        for number in range(count):
            name = f"{number:032x}"
            self.blobs.kept[name] = b"x"
            self.names.states[name] = "garbage"
        self.collector = Garbage(
            self.names,
            self.blobs,
            clock=self.clock,
            tell=lambda level, event, **facts: self.told.append(event),
            age=age,
        )

    @property
    def left(self) -> tuple[int, int]:
        return len(self.blobs.kept), len(self.names.states)


async def test_a_crash_at_any_step_forgets_no_name_whose_blob_is_there() -> None:
    whole = Yard(3)
    assert await whole.collector.collect() == 3
    assert whole.left == (0, 0)
    for at in range(len(whole.steps.done)):
        yard = Yard(3)
        yard.steps.crash_at = at
        with pytest.raises(Crash):
            await yard.collector.collect()
        assert yard.blobs.kept.keys() <= yard.names.states.keys()
        yard.steps.crash_at = None
        await yard.collector.collect()
        assert yard.left == (0, 0)


async def test_without_credentials_for_deleting_it_waits_and_does_not_turn_in_circles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "BATCH", 2)
    yard = Yard(5)
    yard.blobs.may_delete = False
    assert await yard.collector.collect() == 0
    assert yard.left == (5, 5)


async def test_others_go_first_between_two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "BATCH", 2)
    yard = Yard(5)
    task = asyncio.create_task(yard.collector.collect())
    await yard.clock.advance(0)
    assert yard.left == (3, 3)
    await yard.clock.advance(garbage.PAUSE)
    assert yard.left == (1, 1)
    await yard.clock.advance(garbage.PAUSE)
    assert await task == 5


@pytest.mark.parametrize(("age", "every"), [(86400.0, EVERY), (60.0, 60.0), (0.0, SOONEST)])
async def test_a_store_that_is_away_is_told_and_asked_again(age: float, every: float) -> None:
    yard = Yard(2, age)
    yard.blobs.away = True
    task = asyncio.create_task(yard.collector.run())
    await yard.clock.advance(0)
    yard.blobs.away = False
    await yard.clock.advance(every - 1)
    assert (yard.told, yard.left) == (["mailbox_garbage_not_collected"], (2, 2))
    await yard.clock.advance(1)
    assert (yard.told[1:], yard.left) == (["mailbox_garbage_collected"], (0, 0))
    task.cancel()
