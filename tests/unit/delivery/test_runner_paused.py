"""While nothing can be sealed or opened the runner starts nothing, loses nothing and counts nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

import pytest

from gateway.mail.delivery import Delivery, Status
from gateway.mail.message import Content
from gateway.observe.events import Event
from gateway.storage.sealer import KeysClosed
from tests.fakes.attempts import answering, unreachable
from tests.fakes.queue import FakeQueue
from tests.unit.delivery.conftest import Stage


class Sealed(FakeQueue):
    """A queue that can be neither read nor written while it is `closed`."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.tried_to_write = 0
        self.looks = 0

    def _check(self) -> None:
        if self.closed:
            raise KeysClosed("the domain key 'spool' is not at hand")

    async def due(self, now: float, limit: int, busy: Collection[tuple[str, str]]) -> list[Delivery]:
        self.looks += 1
        self._check()
        return await super().due(now, limit, busy)

    async def content(self, delivery: Delivery) -> Content:
        self._check()
        return await super().content(delivery)

    async def done(self, delivery: Delivery, events: Sequence[Event]) -> None:
        self.tried_to_write += 1
        self._check()
        await super().done(delivery, events)

    async def postpone(self, delivery: Delivery, events: Sequence[Event]) -> None:
        self.tried_to_write += 1
        self._check()
        await super().postpone(delivery, events)


@pytest.fixture
def sealed(stage: Stage) -> Sealed:
    stage.queue = queue = Sealed()
    return queue


def close(stage: Stage, queue: Sealed) -> Callable[[], None]:
    """Close everything; what is given back opens it."""
    queue.closed = True
    stage.runner.pause()

    def reopen() -> None:
        queue.closed = False
        stage.runner.resume()

    return reopen


async def test_nothing_starts_while_it_is_paused(stage: Stage, sealed: Sealed) -> None:
    stage.make()
    sealed.put(stage.delivery(1))
    async with stage.running():
        await stage.settle()
        assert sealed.settled == ["Q1.1"]
        reopen = close(stage, sealed)
        sealed.put(stage.delivery(2))
        stage.offer(stage.delivery(3))  # It was accepted a moment before.
        stage.runner.wake()
        looks = sealed.looks
        await stage.clock.advance(7200)
        assert len(stage.attempts.tried) == 1
        assert sealed.looks == looks
        reopen()
        await stage.settle()
        assert sorted(sealed.settled) == ["Q1.1", "Q2.1", "Q3.1"]
    assert stage.logged("queue_not_read") == []


async def test_what_is_in_hand_ends_and_is_kept_until_it_can_be_written(stage: Stage, sealed: Sealed) -> None:
    stage.make()
    stage.attempts.gates["x.example"] = asyncio.Event()
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.settle()
        reopen = close(stage, sealed)
        stage.attempts.gates["x.example"].set()
        await stage.clock.advance(600)
        assert sealed.tried_to_write == 0  # It knows that it can't.
        assert "Q1.1" in sealed.leased
        reopen()
        await stage.clock.advance(1)
        assert sealed.settled == ["Q1.1"]
    assert len(stage.attempts.tried) == 1  # The next hop got it once.
    assert stage.logged("queue_not_written") == []


async def test_keys_that_close_during_a_write_make_no_line_for_each_delivery(stage: Stage, sealed: Sealed) -> None:
    stage.make()
    async with stage.running():
        sealed.closed = True  # A moment before the runner hears of it.
        stage.offer(*(stage.delivery(number) for number in range(1, 6)))
        await stage.clock.advance(30)
        assert sealed.settled == []
        sealed.closed = False
        await stage.clock.advance(1.1)  # Soon, and not after pauses that have grown meanwhile.
        assert len(sealed.settled) == 5
    assert stage.log == [line for line in stage.log if line[1] == "sent"]


async def test_a_delivery_whose_content_does_not_open_now_waits_without_an_attempt(
    stage: Stage, sealed: Sealed
) -> None:
    stage.make()
    sealed.put(stage.delivery())
    content, broken = sealed.content, True

    async def closed(delivery: Delivery) -> Content:
        if broken:
            raise KeysClosed("version 2 is not known to this process yet")
        return await content(delivery)

    sealed.content = closed  # type: ignore[method-assign]
    async with stage.running():
        await stage.clock.advance(5)
        row = sealed.rows["Q1.1"]
        assert (row.attempts, row.targets[0].status) == (0, Status.WAITING)
        broken = False
        await stage.clock.advance(2)
        assert sealed.settled == ["Q1.1"]
    assert stage.logged("attempt_fault") == stage.logged("content_broken") == []


async def test_a_queue_that_does_not_open_now_is_looked_into_again_soon(stage: Stage, sealed: Sealed) -> None:
    stage.make()
    sealed.put(stage.delivery())
    sealed.closed = True
    async with stage.running():
        await stage.clock.advance(5)
        sealed.closed = False
        await stage.clock.advance(1.1)
        assert sealed.settled == ["Q1.1"]
    assert stage.logged("queue_not_read") == []


async def test_a_stop_while_it_is_paused_ends_in_its_time_and_forgets_what_it_could_not_write(
    stage: Stage, sealed: Sealed
) -> None:
    stage.make()
    stage.attempts.gates["x.example"] = asyncio.Event()
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.settle()
        close(stage, sealed)
        stage.attempts.gates["x.example"].set()
        await stage.settle()
        stopping = asyncio.ensure_future(stage.runner.drain(5))
        await stage.clock.advance(6)
        await stopping
        assert "Q1.1" in sealed.rows  # The next process sends it once more.
        sealed.leased.clear()  # Leases end with the process.
    assert len(stage.logged("queue_not_written_at_stop")) == 1


async def test_an_unreachable_destination_is_not_asked_by_all_at_once_afterwards(stage: Stage, sealed: Sealed) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = unreachable("451 4.4.1 No answer")
    stage.attempts.gates["x.example"] = asyncio.Event()
    async with stage.running():
        stage.offer(*(stage.delivery(number) for number in range(1, 30)))
        await stage.settle()
        reopen = close(stage, sealed)
        stage.attempts.gates["x.example"].set()
        await stage.clock.advance(30)
        before = len(stage.attempts.tried)
        reopen()
        await stage.clock.advance(2)
        assert len(stage.attempts.tried) - before <= 1
        assert all(row.attempts == 1 for row in sealed.rows.values())
        stage.attempts.answers["x.example"] = answering("250 2.1.5 OK")
        await stage.clock.advance(200)
        assert sealed.rows == {}


async def test_a_bounce_waits_for_the_keys_and_is_then_told_once(stage: Stage, sealed: Sealed) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = answering("550 5.1.1 No such user")
    stage.attempts.gates["x.example"] = asyncio.Event()
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.settle()
        reopen = close(stage, sealed)
        stage.attempts.gates["x.example"].set()
        await stage.clock.advance(100)
        assert stage.submitted == []
        reopen()
        await stage.clock.advance(2)
        assert len(stage.submitted) == 1
        assert sealed.settled == ["Q1.1"]
    assert stage.logged("notice_not_stored") == []
