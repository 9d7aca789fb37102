"""What may go wrong around the runner: nothing is lost, nobody gets it twice, and nothing turns in tight loops."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.delivery.outcome import Outcome
from gateway.mail.delivery import Delivery, State, Status
from gateway.mail.reply import INTERNAL, NO_ROUTE, Refused
from gateway.storage.sealer import SealBroken
from tests.fakes.attempts import answering, unreachable
from tests.fakes.queue import FakeQueue
from tests.fakes.terms import RETRY, outbound
from tests.unit.delivery.conftest import Stage

PARTIAL = answering("250 2.1.5 OK", "550 5.1.1 No such user", "451 4.2.0 Busy")


async def test_partial_success_sends_bounces_and_waits_all_at_once(stage: Stage) -> None:
    """Case queue-04: first delivered, second in a DSN, third alone retried."""
    stage.make()
    stage.attempts.answers["x.example"] = PARTIAL
    async with stage.running():
        stage.offer(stage.delivery(1, "a", "b", "c"))
        await stage.settle()
        row = stage.queue.rows["Q1.1"]
        assert [target.status for target in row.targets] == [Status.SENT, Status.FAILED, Status.WAITING]
        (notice,) = stage.submitted
        octets = notice.message.content.inline or b""
        assert octets.count(b"Final-Recipient:") == 1
        assert b"Final-Recipient: rfc822; b@x.example\r\n" in octets
        assert b"Subject: Offer" in octets
        assert stage.queue.kinds() == ["attempt", "recipient", "recipient", "recipient", "notified", "deferred"]
        assert stage.events("notified")[0]["notice"] == "N1"
        stage.attempts.answers.clear()
        await stage.clock.advance(61)
        assert stage.attempts.tried[1:] == [("Q1.1", "world", ("c@x.example",))]
        assert stage.queue.settled == ["Q1.1"]
        assert len(stage.submitted) == 1


async def test_the_notice_is_submitted_before_anything_is_forgotten(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = answering("550 5.1.1 No such user")
    stage.gate = asyncio.Event()
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.settle()
        assert "Q1.1" in stage.queue.rows
        assert stage.queue.settled == []
        stage.gate.set()
        await stage.settle()
        assert stage.queue.settled == ["Q1.1"]
        assert stage.queue.kinds() == ["attempt", "recipient", "notified", "done"]


@pytest.mark.parametrize("refusal", [Refused(INTERNAL), OSError(28, "No space left on device"), RuntimeError("?")])
async def test_a_notice_that_can_t_be_stored_keeps_the_delivery(stage: Stage, refusal: Exception) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = PARTIAL
    stage.refuse = refusal
    async with stage.running():
        stage.offer(stage.delivery(1, "a", "b", "c"))
        await stage.settle()
        row = stage.queue.rows["Q1.1"]
        assert [target.status for target in row.targets] == [Status.SENT, Status.WAITING, Status.WAITING]
        assert row.next_attempt == stage.clock.now() + 60
        assert len(stage.logged("notice_not_stored")) == 1
        stage.refuse = None
        stage.attempts.answers["x.example"] = answering("550 5.1.1 No such user")
        await stage.clock.advance(61)
        assert stage.attempts.tried[1][2] == ("b@x.example", "c@x.example")
        assert len(stage.submitted) == 1
        assert stage.queue.settled == ["Q1.1"]


async def test_a_notice_that_hangs_is_given_up_and_tried_again(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = answering("550 5.1.1 No")
    stage.gate = asyncio.Event()
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.clock.advance(61)
        row = stage.queue.rows["Q1.1"]
        assert (row.attempts, row.targets[0].status) == (1, Status.WAITING)
        assert stage.queue.leased == set()
        stage.gate.set()
        await stage.clock.advance(61)
        assert stage.queue.settled == ["Q1.1"]


async def test_expired_mail_outlives_a_notice_that_can_t_be_stored(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = unreachable("450 4.7.320 Bad", reason="certificate-expired")
    stage.refuse = Refused(INTERNAL)
    async with stage.running():
        stage.offer(stage.delivery(created=stage.clock.now() - RETRY.expire))
        await stage.settle()
        assert stage.queue.rows["Q1.1"].next_attempt > stage.clock.now()
        stage.refuse = None
        await stage.clock.advance(61)
        assert stage.queue.settled == ["Q1.1"]
        (notice,) = stage.submitted
        assert b"x-gateway; certificate-expired" in (notice.message.content.inline or b"")


async def test_a_sender_whom_no_connector_reaches_is_given_up_loudly(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = answering("550 5.1.1 No")
    stage.refuse = Refused(NO_ROUTE)
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.settle()
        assert stage.queue.settled == ["Q1.1"]
        assert len(stage.logged("notice_refused")) == 1


@pytest.mark.parametrize(
    ("sender", "notify"), [(None, None), ("ida@corp.example", "NEVER"), ("ida@corp.example", "DELAY")]
)
async def test_who_wants_to_hear_nothing_hears_nothing(stage: Stage, sender: str | None, notify: str | None) -> None:
    """A null sender's mail, every notice among it, never makes a notice (RFC 5321 4.5.5)."""
    stage.make()
    stage.attempts.answers["x.example"] = answering("550 5.1.1 No such user")
    async with stage.running():
        stage.offer(stage.delivery(sender=sender, notify=notify))
        await stage.settle()
        assert stage.queue.settled == ["Q1.1"]
        assert stage.submitted == []


async def test_a_delay_is_told_once_and_the_end_too(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = answering("450 4.7.317 No TLS")
    async with stage.running():
        stage.offer(stage.delivery(notify="DELAY,FAILURE"))
        await stage.clock.advance(4 * 3600 - 1)
        assert stage.submitted == []
        await stage.clock.advance(12 * 3600)
        (late,) = stage.submitted
        assert b"Action: delayed\r\n" in (late.message.content.inline or b"")
        assert stage.queue.rows["Q1.1"].delay_told
        assert stage.queue.rows["Q1.1"].targets[0].notify == "DELAY,FAILURE"  # As it came, for the next hop.
        await stage.clock.advance(5 * 86400)
        assert len(stage.submitted) == 2
        assert b"Action: failed\r\n" in (stage.submitted[1].message.content.inline or b"")
        assert stage.queue.settled == ["Q1.1"]


async def test_content_that_does_not_open_is_held_and_the_others_go_on(stage: Stage) -> None:
    stage.make()
    stage.queue.put(stage.delivery(1), stage.delivery(2))
    stage.queue.broken = {"Q1.1"}
    async with stage.running():
        assert stage.queue.rows["Q1.1"].state is State.HELD
        assert stage.queue.settled == ["Q2.1"]
        assert [level for level, event, _ in stage.log if event == "content_broken"] == ["error"]
        assert stage.events("held")[0]["delivery"] == "Q1.1"
        await stage.clock.advance(3600)
        assert stage.attempts.ids == ["Q2.1"]


async def test_what_is_held_since_it_does_not_open_says_so_instead_of_an_older_reply(stage: Stage) -> None:
    stage.make()
    delivery = stage.delivery(1, "a", "b")
    sent = replace(delivery.targets[0], status=Status.SENT, reply="250 2.0.0 OK", enhanced="2.0.0")
    busy = replace(delivery.targets[1], reply="451 4.2.1 Busy", enhanced="4.2.1", host="mx.x.example")
    stage.queue.put(replace(delivery, targets=(sent, busy)))
    stage.queue.broken = {"Q1.1"}
    async with stage.running():
        first, second = stage.queue.rows["Q1.1"].targets
        assert first == sent
        assert (second.status, second.reason) == (Status.WAITING, "its sealed content does not open")
        assert (second.enhanced, second.reply, second.host) == ("4.3.0", None, None)


async def test_a_segment_that_breaks_in_mid_transfer_is_held(stage: Stage) -> None:
    stage.make()
    stage.attempts.raises["x.example"] = SealBroken("segment 3")
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.settle()
        assert stage.queue.rows["Q1.1"].state is State.HELD


async def test_a_fault_of_ours_lets_the_delivery_wait_and_is_logged_once(stage: Stage) -> None:
    stage.make()
    stage.attempts.raises["x.example"] = KeyError("some of the content")
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.settle()
        row = stage.queue.rows["Q1.1"]
        assert (row.state, row.targets[0].enhanced) == (State.WAITING, "4.3.0")
        assert row.next_attempt == stage.clock.now() + 60
        (facts,) = stage.logged("attempt_fault")
        assert facts["error"] == "KeyError"
        assert "some of the content" not in str(stage.log)
        await stage.clock.advance(59)
        assert len(stage.attempts.tried) == 1


async def test_a_write_that_fails_is_repeated_and_nothing_is_sent_twice(stage: Stage) -> None:
    stage.make()
    stage.queue.fail_writes = 3
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.settle()
        assert stage.runner.in_hand()["sending"] == ["Q1.1"]
        await stage.clock.advance(1 + 2 + 4)
        assert stage.queue.settled == ["Q1.1"]
        assert len(stage.attempts.tried) == 1
        assert len(stage.logged("queue_not_written")) == 1


async def test_a_queue_that_can_t_be_read_is_left_alone_and_the_others_go_on(stage: Stage) -> None:
    bad = FakeQueue(stage.delivery(2))
    bad.fail_reads = 1
    stage.queue.put(stage.delivery(1))
    stage.make(queues=(bad, stage.queue))
    async with stage.running() as runner:
        assert stage.queue.settled == ["Q1.1"]
        await stage.clock.advance(30)
        runner.wake()
        await stage.clock.advance(29)
        assert len(bad.asked) == 1
        await stage.clock.advance(2)
        assert bad.settled == ["Q2.1"]


async def test_a_fault_between_attempt_and_queue_sets_one_delivery_aside(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.make()
    monkeypatch.setattr("gateway.delivery.ledger.settle", lambda *_, **__: 1 / 0)
    async with stage.running():
        stage.offer(stage.delivery(1))
        await stage.settle()
        assert len(stage.logged("runner_fault")) == 1
        monkeypatch.undo()
        stage.offer(stage.delivery(2))
        await stage.settle()
        assert stage.queue.settled == ["Q2.1"]
        await stage.clock.advance(61)
        assert stage.queue.settled == ["Q2.1", "Q1.1"]


# -- unreachable destinations -----------------------------------------------------------------------------------------


async def test_what_waits_for_an_unreachable_destination_waits_too(stage: Stage) -> None:
    stage.make(outbound("world", concurrency=1))
    gate = stage.attempts.gates["x.example"] = asyncio.Event()
    stage.attempts.answers["x.example"] = unreachable(reason="starttls-not-supported")
    async with stage.running():
        stage.offer(*[stage.delivery(number) for number in range(4)])
        stage.offer(stage.delivery(9, domain="y.example"))
        await stage.settle()
        gate.set()
        await stage.settle()
        assert stage.attempts.ids == ["Q0.1", "Q9.1"]
        for number in range(4):
            row = stage.queue.rows[f"Q{number}.1"]
            assert (row.state, row.attempts) == (State.WAITING, 1)
            assert row.targets[0].reason == "starttls-not-supported"
        assert stage.queue.leased == set()
        await stage.clock.advance(59)
        assert len(stage.attempts.tried) == 2
        await stage.clock.advance(1.5)
        assert len(stage.attempts.tried) == 3, "one alone asks again"
        assert {stage.queue.rows[f"Q{number}.1"].attempts for number in range(4)} == {2}


async def test_fresh_mail_for_an_unreachable_destination_waits_with_its_reason(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = unreachable(reason="certificate-expired")
    async with stage.running():
        stage.offer(stage.delivery(1))
        await stage.clock.advance(10)
        stage.offer(stage.delivery(2))
        await stage.settle()
        assert stage.attempts.ids == ["Q1.1"]
        row = stage.queue.rows["Q2.1"]
        assert (row.attempts, row.targets[0].reason) == (1, "certificate-expired")
        assert row.next_attempt == stage.clock.now() + 60


async def test_fresh_mail_brings_forward_when_an_unreachable_destination_is_asked(stage: Stage) -> None:
    """What has waited for days may wait for hours more; that must not keep new mail from trying after a minute."""
    stage.make()
    stage.attempts.answers["x.example"] = unreachable()
    async with stage.running():
        stage.offer(stage.delivery(1, attempts=12))
        await stage.settle()
        assert stage.queue.rows["Q1.1"].next_attempt > stage.clock.now() + 3600
        stage.offer(stage.delivery(2))
        await stage.clock.advance(61)
        assert stage.attempts.ids == ["Q1.1", "Q2.1"]


async def test_all_goes_once_the_destination_is_reached_again(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = unreachable()
    async with stage.running():
        stage.offer(*[stage.delivery(number) for number in range(3)])
        await stage.settle()
        stage.attempts.answers.clear()
        await stage.clock.advance(61)
        assert stage.queue.rows == {}


async def test_one_alone_asks_again_and_then_all_may(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = unreachable()
    async with stage.running():
        stage.offer(*[stage.delivery(number) for number in range(12)])
        await stage.settle()
        assert len(stage.attempts.tried) == 8
        stage.attempts.answers.clear()
        gate = stage.attempts.gates["x.example"] = asyncio.Event()
        await stage.clock.advance(61)
        assert stage.attempts.active["x.example"] == 1
        stage.attempts.gates["x.example"] = asyncio.Event()
        gate.set()
        await stage.settle()
        assert stage.attempts.active["x.example"] == 8
        stage.attempts.gates["x.example"].set()
        await stage.settle()
        assert stage.queue.rows == {}


async def test_old_mail_does_not_put_off_when_an_unreachable_destination_is_asked(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = unreachable()
    async with stage.running():
        stage.offer(stage.delivery(1))
        await stage.settle()
        stage.offer(stage.delivery(2, attempts=12))
        await stage.clock.advance(61)
        assert stage.attempts.ids == ["Q1.1", "Q1.1"]


async def test_wake_asks_an_unreachable_destination_again(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = unreachable()
    async with stage.running() as runner:
        stage.offer(stage.delivery(1))
        await stage.settle()
        stage.attempts.answers.clear()
        stage.queue.change("Q1.1", state=State.READY, next_attempt=stage.clock.now())
        runner.wake()
        await stage.settle()
        assert stage.queue.settled == ["Q1.1"]


async def test_thousands_due_for_a_dead_destination_do_not_hold_up_one_for_a_live_one(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["dead.example"] = unreachable()
    for number in range(3000):
        stage.queue.put(stage.delivery(number, domain="dead.example"))
    stage.queue.put(stage.delivery(9000))
    async with stage.running():
        await stage.clock.advance(5)
        assert stage.queue.settled == ["Q9000.1"]
        assert len([id_ for id_ in stage.attempts.ids if id_ != "Q9000.1"]) <= 8
        assert all(row.attempts == 1 for row in stage.queue.rows.values())


# -- stop and reload --------------------------------------------------------------------------------------------------


async def test_drain_lets_what_is_in_hand_finish_and_gives_the_rest_back(stage: Stage) -> None:
    stage.make(outbound("world", concurrency=1))
    gate = stage.attempts.gates["x.example"] = asyncio.Event()
    async with stage.running() as runner:
        stage.offer(stage.delivery(1), stage.delivery(2))
        await stage.settle()
        stop = asyncio.ensure_future(runner.drain(30.0))
        await stage.clock.advance(5)
        assert not stop.done()
        gate.set()
        await stage.settle()
        assert stop.done()
        assert stage.queue.settled == ["Q1.1"]
        assert set(stage.queue.rows) == {"Q2.1"}
        assert stage.queue.rows["Q2.1"].state is State.READY


async def test_drain_cuts_off_what_does_not_finish(stage: Stage) -> None:
    stage.make(outbound("world", messages_per_minute=1))
    stage.attempts.gates["x.example"] = asyncio.Event()
    async with stage.running() as runner:
        stage.offer(stage.delivery(1), stage.delivery(2))
        await stage.settle()
        stop = asyncio.ensure_future(runner.drain(30.0))
        await stage.clock.advance(31)
        assert stop.done()
        assert set(stage.queue.rows) == {"Q1.1", "Q2.1"}
        assert stage.queue.rows["Q1.1"].attempts == 0


async def test_drain_during_a_notice_notes_who_has_it(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = PARTIAL
    stage.gate = asyncio.Event()
    async with stage.running() as runner:
        stage.offer(stage.delivery(1, "a", "b", "c"))
        await stage.settle()
        stop = asyncio.ensure_future(runner.drain(3.0))
        await stage.clock.advance(4)
        assert stop.done()
        statuses = [target.status for target in stage.queue.rows["Q1.1"].targets]
        assert statuses == [Status.SENT, Status.WAITING, Status.WAITING]


async def test_drain_cuts_off_the_second_notice_too(stage: Stage) -> None:
    """Late mail of which one recipient failed: a notice of failure hangs, and one of delay would after it."""
    stage.make()
    stage.attempts.answers["x.example"] = answering("550 5.1.1 No", "451 4.2.0 Busy")
    stage.gate = asyncio.Event()
    async with stage.running() as runner:
        stage.offer(stage.delivery(1, "a", "b", created=stage.clock.now() - 5 * 3600))
        await stage.settle()
        stop = asyncio.ensure_future(runner.drain(3.0))
        await stage.clock.advance(4)
        assert stop.done()
        assert [target.status for target in stage.queue.rows["Q1.1"].targets] == [Status.WAITING, Status.WAITING]


async def test_drain_does_not_wait_for_a_disk_that_stays_full(stage: Stage) -> None:
    stage.make()
    async with stage.running() as runner:
        stage.queue.fail_writes = 1000
        stage.offer(stage.delivery(1))
        await stage.settle()
        stop = asyncio.ensure_future(runner.drain(3.0))
        await stage.clock.advance(4)
        assert stop.done()
        assert len(stage.logged("queue_not_written_at_stop")) == 1
        stage.queue.leased.clear()


async def test_a_stop_writes_down_who_has_it_where_the_database_is_back_by_then(stage: Stage) -> None:
    """The outage was long, so the next try would come later than the stop has time; forgotten, it is sent twice."""
    stage.make()
    async with stage.running() as runner:
        stage.queue.fail_writes = 1000
        stage.offer(stage.delivery(1))
        await stage.clock.advance(600)
        stop = asyncio.ensure_future(runner.drain(0.5))
        await stage.settle()
        stage.queue.fail_writes = 0
        await stage.clock.advance(1)
        assert stop.done()
        assert stage.queue.settled == ["Q1.1"]
        assert stage.logged("queue_not_written_at_stop") == []


async def test_who_has_it_is_written_down_within_seconds_after_a_long_outage(stage: Stage) -> None:
    stage.make()
    async with stage.running():
        stage.queue.fail_writes = 100_000
        stage.offer(stage.delivery(1))
        for _ in range(610):
            await stage.clock.advance(1)
        stage.queue.fail_writes = 0
        for _ in range(6):
            await stage.clock.advance(1)
        assert stage.queue.settled == ["Q1.1"]
        assert len(stage.logged("queue_not_written")) == 1


async def test_what_is_offered_during_a_stop_is_given_back(stage: Stage) -> None:
    stage.make()
    gate = stage.attempts.gates["x.example"] = asyncio.Event()
    async with stage.running() as runner:
        stage.offer(stage.delivery(1))
        await stage.settle()
        stop = asyncio.ensure_future(runner.drain(30.0))
        await stage.settle()
        stage.offer(stage.delivery(2))
        gate.set()
        await stage.settle()
        assert stop.done()
        assert set(stage.queue.rows) == {"Q2.1"}


async def test_a_runner_that_is_cancelled_gives_its_leases_back(stage: Stage) -> None:
    stage.make(outbound("world", concurrency=1))
    stage.attempts.gates["x.example"] = asyncio.Event()
    async with stage.running():
        stage.offer(stage.delivery(1), stage.delivery(2))
        await stage.settle()
        assert stage.task is not None
        stage.task.cancel()
        await stage.settle()
        assert stage.task.cancelled()
        assert stage.queue.leased == set()
        assert set(stage.queue.rows) == {"Q1.1", "Q2.1"}


async def test_a_connector_that_is_gone_is_chosen_again_by_domain(stage: Stage) -> None:
    stage.make(outbound("old", mx=False))
    stage.attempts.answers["old"] = answering("451 4.2.0 Busy")
    async with stage.running() as runner:
        stage.offer(stage.delivery(1, connector="old", destination=""))
        await stage.settle()
        runner.reconfigure((outbound("new"),), RETRY)
        await stage.clock.advance(61)
        assert stage.attempts.tried[1:] == [("Q1.1", "new", ("a@x.example",))]
        assert stage.queue.settled == ["Q1.1"]


async def test_the_queue_learns_by_which_connector_it_goes_now(stage: Stage) -> None:
    stage.make(outbound("new"))
    stage.attempts.answers["x.example"] = answering("451 4.2.0 Busy")
    async with stage.running():
        stage.offer(stage.delivery(1, connector="old", destination=""))
        await stage.settle()
        row = stage.queue.rows["Q1.1"]
        assert (row.connector, row.destination) == ("new", "x.example")


async def test_what_was_stored_under_a_gone_connector_fills_no_memory(stage: Stage) -> None:
    stage.make(outbound("new"))
    gate = stage.attempts.gates["x.example"] = asyncio.Event()
    stage.queue.put(*[stage.delivery(number, connector="old", destination="") for number in range(400)])
    async with stage.running():
        assert ("old", "") in stage.queue.asked[-1][1]
        assert len(stage.queue.leased) < 200
        gate.set()
        await stage.clock.advance(20)
        assert stage.queue.rows == {}


async def test_a_connector_that_asks_otherwise_now_is_chosen_again(stage: Stage) -> None:
    """It had a smart host and looks up MX now: there is no destination to look up in what was stored."""
    seen: list[str] = []

    def note(delivery: Delivery) -> Outcome:
        seen.append(delivery.destination)
        return answering("250 2.0.0 OK")(delivery)

    stage.make(outbound("world"))
    stage.attempts.answers["x.example"] = note
    async with stage.running():
        stage.offer(stage.delivery(1, destination=""))
        await stage.settle()
        assert seen == ["x.example"]


async def test_without_any_connector_it_waits_with_that_reason(stage: Stage) -> None:
    stage.make(outbound("other", "other.example"))
    async with stage.running():
        stage.offer(stage.delivery(1, connector="old", destination=""))
        await stage.settle()
        assert stage.attempts.tried == []
        target = stage.queue.rows["Q1.1"].targets[0]
        assert (target.enhanced, target.reason) == ("4.4.4", "no connector leads to this domain")
        assert stage.queue.rows["Q1.1"].connector == "old"


async def test_recipients_of_a_gone_connector_part_by_their_own_connectors(stage: Stage) -> None:
    """Nobody leaves under another's TLS terms."""
    stage.make(outbound("a", "x.example"), outbound("b", "y.example", mx=False))
    one = stage.delivery(1, "a", connector="old", destination="")
    two = stage.delivery(2, "b", domain="y.example")
    three = stage.delivery(3, "c", domain="z.example")
    both = replace(one, targets=one.targets + two.targets + three.targets)
    async with stage.running():
        stage.offer(both)
        await stage.settle()
        assert stage.attempts.tried == [("Q1.1", "a", ("a@x.example",)), ("Q1.1", "b", ("b@y.example",))]
        statuses = [target.status for target in stage.queue.rows["Q1.1"].targets]
        assert statuses == [Status.SENT, Status.SENT, Status.WAITING]


async def test_a_reload_takes_what_waits_in_memory_along(stage: Stage) -> None:
    stage.make(outbound("old", mx=False, concurrency=1))
    gate = stage.attempts.gates["old"] = asyncio.Event()
    async with stage.running() as runner:
        stage.offer(*[stage.delivery(number, connector="old", destination="") for number in range(3)])
        await stage.settle()
        runner.reconfigure((outbound("new"),), RETRY)
        await stage.settle()
        assert stage.attempts.ids == ["Q0.1", "Q1.1", "Q2.1"], "the new one's limit counts, not the old one's"
        gate.set()
        await stage.settle()
        assert [(id_, name) for id_, name, _ in stage.attempts.tried] == [
            ("Q0.1", "old"),
            ("Q1.1", "new"),
            ("Q2.1", "new"),
        ]
        assert stage.queue.rows == {}
