"""Records on their way from the spools to the shared database: once, in their order, and before their mail leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from gateway.storage import mover as mover_module
from gateway.storage.mover import GATHER, MAX_BATCH, QUIET, RETRY, SYNC, Mover
from gateway.storage.record import Prepared
from gateway.storage.sealer import KeysClosed
from gateway.storage.spool import Spool
from gateway.storage.writer import StorageBroken, StorageFull
from tests.fakes.clock import FakeClock
from tests.fakes.transport import settle


class FakeStore:
    """Keeps records by message and uid, as the shared database does. `fails`: so many puts raise `error` first."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], Prepared] = {}
        self.puts: list[int] = []
        self.fails = 0
        self.syncs = 0
        self.sync_fails = False
        self.error: Exception = StorageBroken("gateway.db: database is locked")
        self.gate: asyncio.Event | None = None

    async def sync(self) -> None:
        if self.sync_fails:
            raise OSError(5, "the disk does not answer")
        self.syncs += 1

    async def put(self, records: Sequence[Prepared]) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            self.fails -= 1
            raise self.error
        if records:
            self.puts.append(len(records))
        for record in records:
            self.kept.setdefault((record.message, record.uid), record)


class FakeSpool:
    """Remembers which records it may forget."""

    def __init__(self) -> None:
        self.forgotten: list[int] = []

    def forget_records(self, uids: Sequence[int]) -> None:
        self.forgotten += uids


def record(uid: int, message: str = "Q1") -> Prepared:
    return Prepared(message, uid, 0, b"", b"sealed")


class Moving:
    """A mover that runs."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore()
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.mover = Mover(self.store, clock=self.clock, tell=self._tell)
        self.fake = FakeSpool()
        self.spool = cast(Spool, self.fake)
        self.done: list[int] = []

    def _tell(self, level: str, event: str, **facts: Any) -> None:
        self.told.append((level, event, facts))

    def move(self, *uids: int, then: bool = True) -> None:
        call = (lambda: self.done.extend(uids)) if then else None
        self.mover.move(self.spool, [record(uid) for uid in uids], call)


@pytest.fixture
async def moving() -> AsyncIterator[Moving]:
    moving = Moving()
    running = asyncio.get_running_loop().create_task(moving.mover.run())
    yield moving
    running.cancel()


async def test_mail_leaves_after_its_records_are_stored(moving: Moving) -> None:
    moving.store.gate = asyncio.Event()
    moving.move(1)
    await moving.clock.advance(1)
    assert moving.done == []
    assert moving.fake.forgotten == []
    moving.store.gate.set()
    await settle()
    assert moving.done == [1]


async def test_a_record_that_comes_alone_is_carried_at_once_and_those_of_a_stream_gather(moving: Moving) -> None:
    moving.move(1)
    await settle()
    assert moving.done == [1], "the clock has not moved"
    moving.move(2)
    moving.move(3)
    await settle()
    assert moving.done == [1]
    await moving.clock.advance(GATHER)
    assert (moving.done, moving.store.puts) == ([1, 2, 3], [1, 2])
    await moving.clock.advance(QUIET)
    moving.move(4)
    await settle()
    assert moving.done == [1, 2, 3, 4]


async def test_a_spool_forgets_what_is_on_the_disk_elsewhere_and_not_before(moving: Moving) -> None:
    moving.move(1)
    await moving.clock.advance(0.5)
    moving.move(2)
    await moving.clock.advance(0.1)
    assert (moving.done, moving.store.syncs, moving.fake.forgotten) == ([1, 2], 0, [])
    await moving.clock.advance(SYNC)
    moving.move(3)
    await moving.clock.advance(0.1)
    assert (moving.store.syncs, moving.fake.forgotten) == (1, [1, 2, 3])


async def test_what_could_not_be_brought_to_the_disk_stays_in_its_spool(moving: Moving) -> None:
    moving.store.sync_fails = True
    moving.move(1)
    await moving.clock.advance(1)
    await moving.mover.finish(5)
    assert moving.fake.forgotten == []
    assert [event for _, event, _ in moving.told] == ["trace_not_synced"]
    moving.store.sync_fails = False
    await moving.mover.finish(5)
    assert moving.fake.forgotten == [1]


async def test_records_of_the_same_moment_share_a_transaction(moving: Moving) -> None:
    for uid in range(10):
        moving.move(uid)
    await moving.clock.advance(1)
    assert moving.store.puts == [10]
    assert moving.done == list(range(10))


async def test_a_transaction_has_at_most_500_parts_and_the_rest_follows(moving: Moving) -> None:
    for uid in range(MAX_BATCH + 1):
        moving.move(uid)
    await moving.clock.advance(1)
    assert moving.store.puts == [MAX_BATCH, 1]
    await moving.mover.finish(5)
    assert moving.fake.forgotten == list(range(MAX_BATCH + 1))


async def test_what_nobody_waits_for_is_moved_all_the_same(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mover_module, "PATIENCE", 0.0)
    moving.move(1, then=False)
    await asyncio.sleep(0.01)
    await moving.clock.advance(1)
    await moving.mover.finish(5)
    assert moving.fake.forgotten == [1]


async def test_a_record_that_is_moved_twice_is_there_once(moving: Moving) -> None:
    moving.move(1)
    await moving.clock.advance(1)
    moving.move(1)
    await moving.clock.advance(1)
    assert list(moving.store.kept) == [("Q1", 1)]


@pytest.mark.parametrize("error", [StorageBroken("locked"), StorageFull("full")])
async def test_a_database_that_refuses_is_told_once_and_tried_until_it_works(moving: Moving, error: Exception) -> None:
    moving.store.fails, moving.store.error = 3, error
    moving.move(1)
    await moving.clock.advance(0.5)
    assert moving.mover.failing
    await moving.clock.advance(2 * RETRY)
    assert moving.done == []
    assert [event for _, event, _ in moving.told] == ["trace_not_written"]
    await moving.clock.advance(2 * RETRY)
    assert moving.done == [1]
    assert not moving.mover.failing
    assert [event for _, event, _ in moving.told] == ["trace_not_written", "trace_written_again"]


async def test_records_wait_for_keys_that_are_not_at_hand(moving: Moving) -> None:
    # Search tokens are made when a record is moved; a worker that ended there took its sessions with it.
    moving.store.error, moving.store.fails = KeysClosed("the domain key 'token' is not at hand"), 3
    moving.move(1)
    await moving.clock.advance(2 * RETRY)
    assert moving.done == []
    assert moving.told == []
    await moving.clock.advance(2 * RETRY)
    assert moving.done == [1]


async def test_too_much_that_waits_is_told(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mover_module, "MAX_WAITING", 3)
    moving.store.gate = asyncio.Event()
    moving.move(1, 2)
    await moving.clock.advance(1)
    assert not moving.mover.is_full
    moving.move(3)
    assert moving.mover.is_full
    moving.store.gate.set()
    await moving.clock.advance(1)
    assert not moving.mover.is_full


async def test_finish_waits_for_everything(moving: Moving) -> None:
    moving.store.gate = asyncio.Event()
    moving.move(1)
    finishing = asyncio.ensure_future(moving.mover.finish(5))
    await moving.clock.advance(1)
    assert not finishing.done()
    moving.store.gate.set()
    await settle()
    assert finishing.done()
    assert moving.told == []


async def test_finish_gives_up_after_its_time_and_says_what_stays(moving: Moving) -> None:
    moving.store.gate = asyncio.Event()
    moving.move(1, 2)
    finishing = asyncio.ensure_future(moving.mover.finish(5))
    await moving.clock.advance(6)
    assert finishing.done()
    assert moving.told == [("warning", "trace_left_in_spool", {"records": 2})]


async def test_finish_is_at_once_where_nothing_waits(moving: Moving) -> None:
    await moving.mover.finish(5)
    assert moving.told == []
