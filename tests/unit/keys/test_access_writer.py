"""The recorder of a process: gathers, writes once a second at most, keeps what fails, counts what is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from threading import Thread

import pytest

from gateway.keys.access_log import GENESIS, MAX_LINES, opened, parsed
from gateway.keys.access_writer import GATHER, RETRY, AccessLog
from gateway.keys.uses import Operation
from gateway.storage.key_log_rows import Batch
from gateway.storage.writer import StorageBroken
from tests.fakes.clock import FakeClock
from tests.fakes.key_log import use
from tests.fakes.log import FakeSink, fake_log


class FakeChain:
    """Batches in memory. `away`: nothing is stored; `lossy`: it is stored, and an error comes all the same."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.away = False
        self.lossy = False
        self._doubtful: Batch | None = None

    def append(self, make: Callable[[int, bytes | None], Batch]) -> Batch:
        if self.away:
            raise StorageBroken("the database is away")
        last = self.batches[-1] if self.batches else None
        batch = make(1, None) if last is None else make(last.last + 1, last.after)
        assert batch.before == (GENESIS if last is None else last.after)
        self.batches.append(batch)
        if self.lossy:
            self._doubtful = batch
            raise StorageBroken("the connection was lost")
        return batch

    def again(self) -> Batch | None:
        if self.away:
            raise StorageBroken("the database is away")
        doubtful, self._doubtful = self._doubtful, None
        return doubtful

    def kinds(self) -> list[tuple[str, object]]:
        lines = [parsed(line) for batch in self.batches for line in opened(batch.lines)[0]]
        return [(line.kind, line.facts.get("about", line.facts.get("uses"))) for line in lines]


class World:
    def __init__(self, most: int = 1000) -> None:
        self.clock = FakeClock()
        self.chain = FakeChain()
        log, self.sink = fake_log()
        self.log = AccessLog(self.chain, who="worker-0", clock=self.clock, tell=log.tell, most=most)

    async def settle(self, until: Callable[[], bool]) -> None:
        """Until the thread has done it."""
        for _ in range(2000):
            if until():
                return
            await asyncio.sleep(0)
            await asyncio.to_thread(lambda: None)
        raise AssertionError("it never came")


@pytest.fixture
def world() -> World:
    return World()


def test_uses_are_written_in_their_order(world: World) -> None:
    for number in range(3):
        world.log.record(use(number))
    assert world.chain.batches == []
    assert world.log.flush()
    assert world.chain.kinds() == [("use", f"message 4XYZ00000{number}") for number in range(3)]
    assert world.log.flush() and len(world.chain.batches) == 1


def test_a_great_many_are_written_in_several_batches() -> None:
    world = World(most=20_000)
    for number in range(2 * MAX_LINES):
        world.log.record(use(number))
    assert world.log.flush()
    assert len(world.chain.batches) == 3 and len(world.chain.kinds()) == 2 * MAX_LINES


def test_many_threads_lose_nothing() -> None:
    world = World(most=20_000)

    def many() -> None:
        for number in range(1000):
            world.log.record(use(number))

    threads = [Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert world.log.flush()
    for thread in threads:
        thread.join()
    assert world.log.flush()
    assert len(world.chain.kinds()) == 4000


async def test_what_gathers_is_written_within_a_second(world: World) -> None:
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.log.run())
        await world.clock.advance(0)
        await world.settle(lambda: world.clock.sleepers == 1)
        for number in range(5):
            world.log.record(use(number))
        await world.clock.advance(GATHER / 2)
        assert world.chain.batches == []
        world.log.record(use(5))
        await world.clock.advance(GATHER / 2)
        await world.settle(lambda: len(world.chain.batches) == 1)
        assert GATHER < 1 and len(world.chain.kinds()) == 6
        run.cancel()


async def test_what_people_do_is_written_at_once(world: World) -> None:
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.log.run())
        await world.settle(lambda: world.clock.sleepers == 1)
        world.log.record(use(1))
        await world.clock.advance(0)
        await asyncio.to_thread(world.log.record, use(2, operation=Operation.DISABLE))
        await world.settle(lambda: len(world.chain.kinds()) == 2)
        run.cancel()


async def test_what_was_recorded_before_there_was_a_loop_is_written(world: World) -> None:
    world.log.record(use(1))
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.log.run())
        await world.clock.advance(GATHER)
        await world.settle(lambda: len(world.chain.kinds()) == 1)
        run.cancel()


async def test_a_database_that_is_away_is_told_once_and_written_to_later(world: World) -> None:
    world.chain.away = True
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.log.run())
        await world.settle(lambda: world.clock.sleepers == 1)
        world.log.record(use(1))
        await world.clock.advance(GATHER)
        await world.settle(lambda: world.log.failing is not None)
        for number in (2, 3):
            world.log.record(use(number))
            await world.settle(lambda: world.clock.sleepers == 1)
            await world.clock.advance(RETRY + GATHER)
        assert world.log.state()["unwritten"] == "the database is away"
        world.chain.away = False
        await world.settle(lambda: world.clock.sleepers == 1)
        await world.clock.advance(RETRY + GATHER)
        await world.settle(lambda: len(world.chain.kinds()) == 3)
        run.cancel()
    assert world.sink.events() == ["key_log_not_written", "key_log_written_again"]
    assert world.log.failing is None
    assert [about for _, about in world.chain.kinds()] == [f"message 4XYZ00000{number}" for number in (1, 2, 3)]


def test_what_was_stored_though_it_failed_is_written_once(world: World) -> None:
    world.chain.lossy = True
    world.log.record(use(1))
    assert not world.log.flush()
    world.chain.lossy = False
    world.log.record(use(2))
    assert world.log.flush()
    assert [about for _, about in world.chain.kinds()] == ["message 4XYZ000001", "message 4XYZ000002"]


def test_what_is_over_the_bound_is_counted_and_the_count_is_a_line() -> None:
    world = World(most=3)
    for number in range(8):
        world.log.record(use(number))
    assert world.log.flush()
    assert world.chain.kinds()[3:] == [("lost", 5)]
    assert events(world.sink) == [("key_log_lost", 5)]
    world.log.record(use(9))
    assert world.log.flush()
    assert world.chain.kinds()[4:] == [("use", "message 4XYZ000009")]


def events(sink: FakeSink) -> list[tuple[str, object]]:
    return [(event, facts.get("uses")) for _, event, facts in sink.lines]


def test_an_end_writes_what_there_is(world: World) -> None:
    world.log.record(use(1))
    world.log.close()
    assert len(world.chain.kinds()) == 1 and world.sink.events() == []


def test_an_end_without_a_database_says_how_much_is_lost(world: World) -> None:
    world.chain.away = True
    world.log.record(use(1))
    world.log.record(use(2))
    world.log.close()
    assert events(world.sink)[-1] == ("key_log_lost", 2)


async def test_a_use_after_the_loop_has_ended_is_written_at_the_end(world: World) -> None:
    loop = asyncio.new_event_loop()
    world.log._loop = loop
    loop.close()
    world.log.record(replace(use(1), operation=Operation.ROTATE))
    world.log.close()
    assert len(world.chain.kinds()) == 1
