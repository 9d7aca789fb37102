"""The runner's everyday: what is offered or due is carried, each recipient once, each destination for itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gateway.delivery.lane import AHEAD, MAX_BACKLOG
from gateway.delivery.lookout import POLL
from gateway.delivery.runner import MAX_OCTETS
from gateway.mail.delivery import State, Status
from tests.fakes.attempts import answering
from tests.fakes.queue import FakeQueue
from tests.fakes.terms import RETRY, outbound
from tests.unit.delivery.conftest import Stage


async def test_what_is_offered_is_sent_and_forgotten(stage: Stage) -> None:
    stage.make()
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.settle()
        assert stage.attempts.tried == [("Q1.1", "world", ("a@x.example",))]
        assert stage.queue.settled == ["Q1.1"]
        assert stage.queue.kinds() == ["attempt"]
        assert [(level, event) for level, event, _ in stage.log] == [("info", "sent")]
        (facts,) = stage.logged("sent")
        assert (facts["id"], facts["delivery"], facts["tls"]) == ("Q1", "Q1.1", "TLSv1.3")
        assert ("deliveries_total", {"connector": "world", "outcome": "sent"}, 1) in stage.counted


async def test_what_lies_in_the_queue_at_start_is_sent(stage: Stage) -> None:
    """What was sending when a process died is ready again, and its targets who have it stay as they are."""
    stage.make()
    one = stage.delivery(1, "a", "b")
    stage.queue.put(replace(one, targets=(replace(one.targets[0], status=Status.SENT), one.targets[1])))
    async with stage.running():
        assert stage.attempts.tried == [("Q1.1", "world", ("b@x.example",))]
        assert stage.queue.settled == ["Q1.1"]


async def test_what_is_offered_before_the_start_is_sent_after_it(stage: Stage) -> None:
    stage.make()
    stage.offer(stage.delivery())
    assert stage.attempts.tried == []
    async with stage.running():
        assert stage.queue.settled == ["Q1.1"]


async def test_greylisting_is_retried_with_growing_waits(stage: Stage) -> None:
    """Cases queue-01 and queue-02: every failure counts, and 4xx never bounces before expiry."""
    stage.make()
    stage.attempts.answers["x.example"] = answering("451 4.7.1 Greylisted")
    async with stage.running():
        stage.offer(stage.delivery())
        times = []
        await stage.settle()
        for _ in range(6):
            tries = len(stage.attempts.tried)
            due = stage.queue.rows["Q1.1"].next_attempt
            times.append(due - stage.clock.now())
            await stage.clock.advance(due - stage.clock.now() - 0.5)
            assert len(stage.attempts.tried) == tries
            await stage.clock.advance(0.6)
            assert len(stage.attempts.tried) == tries + 1
        assert [round(seconds) for seconds in times] == [60, 120, 240, 480, 960, 1920]
        assert stage.submitted == []
        row = stage.queue.rows["Q1.1"]
        assert (row.state, row.attempts) == (State.WAITING, 7)
        assert (row.targets[0].enhanced, row.targets[0].reply) == ("4.7.1", "451 4.7.1 Greylisted")
        assert stage.queue.kinds()[:3] == ["attempt", "recipient", "deferred"]


async def test_each_destination_has_its_own_limit(stage: Stage) -> None:
    stage.make(outbound("world", concurrency=2))
    stage.attempts.gates = {"x.example": asyncio.Event(), "y.example": asyncio.Event()}
    async with stage.running():
        stage.offer(*[stage.delivery(number) for number in range(5)])
        stage.offer(*[stage.delivery(number, domain="y.example") for number in range(5, 10)])
        await stage.settle()
        assert stage.attempts.active == {"x.example": 2, "y.example": 2}
        assert stage.runner.in_hand() == {
            "sending": ["Q0.1", "Q1.1", "Q5.1", "Q6.1"],
            "backlog": 6,
            "destinations": 2,
        }
        stage.attempts.gates["x.example"].set()
        await stage.settle()
        assert sorted(stage.queue.settled) == ["Q0.1", "Q1.1", "Q2.1", "Q3.1", "Q4.1"]
        assert stage.attempts.most == {"x.example": 2, "y.example": 2}


async def test_the_place_is_free_for_the_next_while_the_last_is_written(stage: Stage) -> None:
    stage.make(outbound("world", concurrency=1))
    stage.queue.fail_writes = 1
    async with stage.running():
        stage.offer(stage.delivery(1), stage.delivery(2))
        await stage.settle()
        assert stage.attempts.ids == ["Q1.1", "Q2.1"]
        assert stage.queue.settled == ["Q2.1"]
        await stage.clock.advance(1.0)
        assert stage.queue.settled == ["Q2.1", "Q1.1"]


async def test_the_common_limit_is_shared_out_in_turn(stage: Stage) -> None:
    stage.make(limit=2)
    stage.attempts.gates = {name: asyncio.Event() for name in ("x.example", "y.example")}
    async with stage.running():
        stage.offer(*[stage.delivery(number) for number in range(4)])
        stage.offer(stage.delivery(9, domain="y.example"))
        await stage.settle()
        assert stage.attempts.ids == ["Q0.1", "Q1.1"]
        stage.attempts.gates["x.example"].set()
        await stage.settle()
        assert "Q9.1" in stage.attempts.ids
        assert stage.attempts.active["y.example"] == 1
        stage.attempts.gates["y.example"].set()
        await stage.settle()
        assert len(stage.queue.settled) == 5


async def test_a_slow_destination_never_starves_the_others(stage: Stage) -> None:
    """Hundreds due for one that answers nothing; the one that is due behind all of them leaves at once."""
    stage.make()
    stage.attempts.gates = {"slow.example": asyncio.Event()}
    for number in range(500):
        stage.queue.put(stage.delivery(number, domain="slow.example"))
    stage.queue.put(replace(stage.delivery(900), next_attempt=stage.clock.now()))
    async with stage.running():
        assert stage.queue.settled == ["Q900.1"]
        assert stage.runner.in_hand()["backlog"] < AHEAD + 100
        stage.queue.put(stage.delivery(901))
        await stage.clock.advance(1.1)
        assert stage.queue.settled == ["Q900.1", "Q901.1"]
        stage.attempts.gates["slow.example"].set()
        await stage.clock.advance(10)
        assert stage.queue.rows == {}


async def test_a_backlog_over_its_count_goes_back_and_is_fetched_later(stage: Stage) -> None:
    stage.make(outbound("world", concurrency=1))
    stage.attempts.gates = {"x.example": asyncio.Event()}
    async with stage.running():
        stage.offer(*[stage.delivery(number) for number in range(MAX_BACKLOG + 3)])
        await stage.settle()
        assert len(stage.queue.leased) == MAX_BACKLOG + 1
        assert stage.runner.in_hand()["backlog"] == MAX_BACKLOG
        stage.attempts.gates["x.example"].set()
        for _ in range(MAX_BACKLOG):  # One after the other takes many turns of the loop.
            await stage.clock.advance(0.1)
        assert stage.queue.rows == {}
        assert len(stage.attempts.tried) == MAX_BACKLOG + 3


async def test_a_backlog_over_its_octets_goes_back_but_large_content_starts_at_once(stage: Stage) -> None:
    stage.make(outbound("world", concurrency=1))
    stage.attempts.gates = {"x.example": asyncio.Event()}
    large = bytes(MAX_OCTETS // 2 + 1)
    async with stage.running():
        stage.offer(stage.delivery(1), stage.delivery(2), stage.delivery(3), octets=large)
        await stage.settle()
        stage.attempts.gates["x.example"].set()
        await stage.clock.advance(2)
        assert stage.queue.rows == {}
        assert stage.queue.reads == ["Q3.1"], "the first two were in memory, the third was not"


async def test_the_rate_spaces_messages_to_one_destination(stage: Stage) -> None:
    stage.make(outbound("world", messages_per_minute=30))
    async with stage.running():
        stage.offer(*[stage.delivery(number) for number in range(3)])
        stage.offer(stage.delivery(9, domain="y.example"))
        await stage.settle()
        assert stage.attempts.ids == ["Q0.1", "Q9.1"]
        await stage.clock.advance(1.9)
        assert len(stage.attempts.tried) == 2
        await stage.clock.advance(0.2)
        assert stage.attempts.ids == ["Q0.1", "Q9.1", "Q1.1"]
        await stage.clock.advance(2)
        assert stage.queue.rows == {}


async def test_several_queues_are_served_and_one_more_can_be_adopted(stage: Stage) -> None:
    orphan = FakeQueue(stage.delivery(2))
    later = FakeQueue(stage.delivery(3))
    stage.queue.put(stage.delivery(1))
    stage.make(queues=(stage.queue, orphan))
    async with stage.running() as runner:
        assert (stage.queue.settled, orphan.settled) == (["Q1.1"], ["Q2.1"])
        runner.adopt(later)
        await stage.settle()
        assert later.settled == ["Q3.1"]


async def test_wake_tries_what_an_administrator_made_due(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = answering("451 4.2.0 Busy")
    async with stage.running() as runner:
        stage.offer(stage.delivery())
        await stage.settle()
        stage.attempts.answers.clear()
        stage.queue.change("Q1.1", state=State.READY, next_attempt=stage.clock.now())
        runner.wake()
        await stage.settle()
        assert stage.queue.settled == ["Q1.1"]


async def test_give_back_returns_what_waits_and_names_what_is_on_the_wire(stage: Stage) -> None:
    stage.make(outbound("world", concurrency=1))
    stage.attempts.gates = {"x.example": asyncio.Event()}
    async with stage.running() as runner:
        stage.offer(*[stage.delivery(number) for number in range(4)])
        await stage.settle()
        assert await runner.give_back(["Q0", "Q2.1", "Q3"]) == ["Q0.1"]
        assert stage.queue.leased == {"Q0.1", "Q1.1"}
        stage.queue.change("Q2.1", state=State.HELD)
        stage.attempts.gates["x.example"].set()
        await stage.clock.advance(60)
        assert set(stage.queue.rows) == {"Q2.1"}


async def test_expiry_ends_after_a_last_attempt(stage: Stage) -> None:
    stage.make(retry=replace(RETRY, expire=100.0))
    stage.attempts.answers["x.example"] = answering("451 4.2.0 Busy")
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.clock.advance(99)
        assert len(stage.attempts.tried) == 2
        assert stage.submitted == []
        await stage.clock.advance(2)
        assert len(stage.attempts.tried) == 3
        assert stage.queue.settled == ["Q1.1"]
        (notice,) = stage.submitted
        assert notice.message.content.inline is not None
        assert b"Status: 5.4.7\r\n" in notice.message.content.inline


async def test_what_may_not_be_sent_now_goes_back_and_is_fetched_when_it_may(stage: Stage) -> None:
    """A process that others may have taken for dead begins nothing: they may be sending it already."""
    stage.make()
    async with stage.running():
        stage.queue.fenced = True
        stage.offer(stage.delivery())
        await stage.settle()
        assert stage.attempts.tried == []
        assert stage.queue.rows["Q1.1"].attempts == 0
        stage.queue.fenced = False
        await stage.clock.advance(POLL + 0.1)
        assert stage.queue.settled == ["Q1.1"]


async def test_a_queue_that_failed_is_asked_again_when_it_is_said_to_work(stage: Stage) -> None:
    stage.make()
    async with stage.running():
        stage.queue.fail_reads = 1
        stage.runner.wake()
        await stage.settle()
        stage.queue.put(stage.delivery())
        stage.runner.wake()
        await stage.settle()
        assert stage.queue.settled == []  # It is left alone for a while.
        stage.runner.look()
        await stage.settle()
        assert stage.queue.settled == ["Q1.1"]
