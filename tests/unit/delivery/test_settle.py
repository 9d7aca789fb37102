"""What becomes of a delivery after an attempt."""

from __future__ import annotations

from dataclasses import replace

from gateway.cli.story import sentence
from gateway.delivery.outcome import Hop, Outcome, Placed, Result, Verdict
from gateway.delivery.settle import Settled, fault, later, settle
from gateway.delivery.seven_bit import Conversion
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, State, Status, Target
from tests.fakes.attempts import HOST, answering, result, unreachable
from tests.fakes.chance import FakeChance
from tests.fakes.terms import RETRY

NOW = 1_793_700_000.0
LATE = NOW + RETRY.expire


def delivery(*names: str) -> Delivery:
    return Delivery(
        id="Q1.1",
        message="Q1",
        connector="world",
        destination="x.example",
        sender=parse_address("ida@corp.example"),
        targets=tuple(Target(address=parse_address(f"{name}@x.example")) for name in names or ("a",)),
        size=100,
        created=NOW,
        next_attempt=NOW,
    )


def test_sent_to_one_over_one_host_is_told_in_one_event() -> None:
    settled = settle(delivery(), answering("250 2.0.0 OK")(delivery()), now=NOW, retry=RETRY, chance=FakeChance())
    assert settled.finished
    assert settled.closing is None
    (event,) = settled.events
    assert (event.message, event.event) == ("Q1", "attempt")
    assert event.facts == {
        "delivery": "Q1.1",
        "host": HOST,
        "address": "192.0.2.1",
        "tls": {
            "version": "TLSv1.3",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "authenticated": True,
            "fallback": False,
        },
        "outcome": "delivered",
        "seconds": 0.25,
        "recipients": [{"address": "a@x.example", "status": "sent", "reply": "250 2.0.0 OK", "enhanced": "2.0.0"}],
        "done": True,
    }


def test_sent_at_the_second_host_tells_each_hop() -> None:
    one = delivery()
    first, second = unreachable()(one), answering("250 2.0.0 OK")(one)
    settled = settle(one, replace(second, hops=first.hops + second.hops), now=NOW, retry=RETRY, chance=FakeChance())
    assert [event.event for event in settled.events] == ["attempt", "attempt", "recipient"]
    assert settled.closing is not None
    assert settled.closing.event == "done"


def test_each_recipient_has_its_own_fate_in_one_attempt() -> None:
    """Case queue-04."""
    one = delivery("a", "b", "c")
    settled = settle(
        one,
        answering("250 2.1.5 OK", "550 5.1.1 No such user", "451 4.2.0 Busy")(one),
        now=NOW,
        retry=RETRY,
        chance=FakeChance(share=1.0),
    )
    assert not settled.finished
    assert [target.status for target in settled.delivery.targets] == [Status.SENT, Status.FAILED, Status.WAITING]
    assert [target.address.text for target in settled.failed] == ["b@x.example"]
    assert settled.failed[0].reply == "550 5.1.1 No such user"
    assert (settled.delivery.state, settled.delivery.attempts) == (State.WAITING, 1)
    assert settled.delivery.next_attempt == NOW + 60
    assert settled.closing is not None
    assert settled.closing.facts == {"delivery": "Q1.1", "next_attempt": "2026-11-03T10:01:00.000Z", "attempts": 1}
    assert [event.facts.get("status") for event in settled.events] == [None, "sent", "failed", "waiting"]


def test_who_has_it_is_left_alone_in_the_next_attempt() -> None:
    one = delivery("a", "b")
    first = settle(
        one, answering("250 2.0.0 OK", "451 4.2.0 Busy")(one), now=NOW, retry=RETRY, chance=FakeChance()
    ).delivery
    assert [target.address.text for target in first.waiting] == ["b@x.example"]
    second = settle(first, answering("452 4.2.2 Full")(first), now=NOW + 60, retry=RETRY, chance=FakeChance()).delivery
    assert [target.status for target in second.targets] == [Status.SENT, Status.WAITING]
    assert second.attempts == 2
    assert (second.targets[1].enhanced, second.targets[1].reply) == ("4.2.2", "452 4.2.2 Full")


def test_422_waits_like_any_4xx() -> None:
    """Case queue-01: what begins with 4 is passing, whatever follows."""
    one = delivery()
    settled = settle(one, answering("422 4.2.2 Over quota")(one), now=NOW, retry=RETRY, chance=FakeChance())
    assert not settled.finished
    assert settled.failed == ()


def test_expiry_gives_up_with_the_last_reason() -> None:
    """Case t17: the TLS reason survives until the sender is told."""
    one = replace(delivery(), attempts=30)
    outcome = unreachable("450 4.7.320 The certificate fails", reason="certificate-expired")(one)
    settled = settle(one, outcome, now=LATE, retry=RETRY, chance=FakeChance())
    assert settled.finished
    (failed,) = settled.failed
    assert (failed.status, failed.enhanced, failed.reason) == (Status.FAILED, "5.4.7", "certificate-expired")
    assert failed.reply == "450 4.7.320 The certificate fails"
    assert settled.closing is not None
    assert settled.closing.event == "done"


def test_keep_gives_nobody_up_but_notes_who_has_it() -> None:
    one = delivery("a", "b", "c")
    outcome = answering("250 2.0.0 OK", "550 5.1.1 No", "451 4.2.0 Busy")(one)
    for now in (NOW, LATE):
        settled = settle(one, outcome, now=now, retry=RETRY, chance=FakeChance(), keep=True)
        assert not settled.finished
        assert settled.failed == ()
        assert [target.status for target in settled.delivery.targets] == [
            Status.SENT,
            Status.WAITING,
            Status.WAITING,
        ]
        assert now < settled.delivery.next_attempt <= now + 60


def test_a_recipient_whom_the_attempt_forgot_waits() -> None:
    one = delivery("a", "b")
    outcome = Outcome(results=(result(one.targets[0].address),))
    settled = settle(one, outcome, now=NOW, retry=RETRY, chance=FakeChance())
    assert [target.status for target in settled.delivery.targets] == [Status.SENT, Status.WAITING]
    assert settled.delivery.targets[1].enhanced == "4.3.0"


def test_an_outcome_without_results_settles_nothing() -> None:
    settled = settle(delivery(), Outcome(results=()), now=NOW, retry=RETRY, chance=FakeChance())
    assert not settled.finished


def test_later_and_fault_speak_for_every_waiting_recipient() -> None:
    one = delivery("a", "b")
    cause = result(parse_address("z@x.example"), "450 4.4.1 No answer")
    assert [got.address.text for got in later(one, cause).results] == ["a@x.example", "b@x.example"]
    assert {got.reply for got in later(one, cause).results} == {"450 4.4.1 No answer"}
    assert {got.enhanced for got in fault(one, "4.3.0 x", "4.3.0", "why").results} == {"4.3.0"}


def judge(what: Delivery, outcome: Outcome) -> Settled:
    return settle(what, outcome, now=NOW, retry=RETRY, chance=FakeChance())


def test_which_mailbox_it_was_and_under_which_policy_is_told_of_those_who_have_it_and_of_those_who_wait() -> None:
    what = delivery("a", "b")
    a, b = (target.address for target in what.targets)
    there = Placed(mailbox="ida@corp.example", folder="INBOX", policy="house")
    sent = Result(address=a, verdict=Verdict.SENT, reply="250 ok", enhanced="2.1.5", placed=there)
    closed = Result(
        address=b, verdict=Verdict.LATER, reply="450 no", enhanced="4.2.1", placed=Placed(mailbox="bo@corp.example")
    )
    hop = Hop(host="mailboxes", address=None, outcome="delivered", seconds=0.1)
    settled = judge(what, Outcome(results=(sent, closed), hops=(hop,)))
    told = [event.facts for event in settled.events if event.event == "recipient"]
    where = [(one["mailbox"], one["folder"], one["policy"]) for one in told]
    assert where == [("ida@corp.example", "INBOX", "house"), ("bo@corp.example", None, None)]
    both = replace(closed, verdict=Verdict.SENT)
    (event,) = judge(what, Outcome(results=(sent, both), hops=(hop,))).events
    assert [one["mailbox"] for one in event.facts["recipients"]] == ["ida@corp.example", "bo@corp.example"]  # type: ignore[attr-defined]


def test_a_conversion_is_told_in_front_of_its_attempt() -> None:
    one = delivery()
    sent = answering("250 2.0.0 OK")(one)
    done = Conversion(
        encodings=("base64",), taken_off=1, signed=("corp.example/s1",), unsigned="the vault denies the key", broken=2
    )
    outcome = replace(sent, hops=(replace(sent.hops[0], converted=done),))
    settled = settle(one, outcome, now=NOW, retry=RETRY, chance=FakeChance())
    assert settled.finished
    assert [event.event for event in settled.events] == ["converted", "attempt", "recipient"]
    assert settled.closing is not None
    assert settled.events[0].facts == {
        "delivery": "Q1.1",
        "host": HOST,
        "encodings": ["base64"],
        "taken_off": 1,
        "signed": ["corp.example/s1"],
        "unsigned": "the vault denies the key",
        "broken_signatures": 2,
    }
    words = sentence({"event": "converted", **settled.events[0].facts})
    assert words.startswith(f"Delivery Q1.1 was converted to 7 bits for {HOST}")
    assert "signed anew by corp.example/s1" in words
