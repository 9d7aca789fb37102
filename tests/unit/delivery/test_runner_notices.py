"""Notices of success and of delay, told by the runner: to whom, when, and how often (RFC 3461 4.1, 5.2)."""

from __future__ import annotations

import email
from dataclasses import replace
from email.message import Message

import pytest

from gateway.delivery.outcome import Outcome
from gateway.delivery.verdicts import with_success
from gateway.mail.delivery import Delivery, State, Status, Success
from gateway.mail.mail import Mail
from gateway.mail.reply import INTERNAL, NO_ROUTE, Refused
from tests.fakes.attempts import Answer, answering
from tests.fakes.terms import RETRY
from tests.unit.delivery.conftest import Stage

HOUR = 3600.0
GREYLISTED = answering("451 4.7.1 Come back later")


def relayed(*replies: str, how: Success = Success.RELAYED) -> Answer:
    """As by a host without DSN."""
    answer = answering(*(replies or ("250 2.0.0 OK",)))

    def told(delivery: Delivery) -> Outcome:
        outcome = answer(delivery)
        return replace(outcome, results=with_success(outcome.results, delivery.waiting, how))

    return told


def groups(mail: Mail) -> list[Message]:
    """The groups of fields in its second part: about the message, then one for each recipient."""
    parsed = email.message_from_bytes(mail.message.content.inline or b"")
    payload = parsed.get_payload()
    assert isinstance(payload, list)
    status = payload[1].get_payload()  # type: ignore[union-attr]
    assert isinstance(status, list)
    return status  # type: ignore[return-value]


def told(mail: Mail) -> list[tuple[str | None, str | None]]:
    return [(one["Final-Recipient"], one["Action"]) for one in groups(mail)[1:]]


async def test_success_is_told_to_whom_asked_and_the_delivery_is_forgotten(stage: Stage) -> None:
    """Case queue-20: relayed, not delivered; one notice for all of one attempt."""
    stage.make()
    stage.attempts.answers["x.example"] = relayed()
    async with stage.running():
        stage.offer(stage.delivery(1, "a", "b", notify="SUCCESS"))
        await stage.settle()
        (notice,) = stage.submitted
        assert told(notice) == [("rfc822; a@x.example", "relayed"), ("rfc822; b@x.example", "relayed")]
        assert groups(notice)[1]["Status"] == "2.0.0"
        assert notice.envelope.sender is None
        assert [one.address.text for one in notice.envelope.recipients] == ["ida@corp.example"]
        assert b"Auto-Submitted: auto-replied\r\n" in (notice.message.content.inline or b"")
        assert stage.queue.settled == ["Q1.1"]
        assert stage.queue.kinds() == ["attempt", "recipient", "recipient", "notified", "done"]
        assert stage.events("notified")[0]["action"] == "relayed"


@pytest.mark.parametrize("notify", [None, "NEVER", "FAILURE", "DELAY", "FAILURE,DELAY"])
async def test_success_is_not_told_to_whom_did_not_ask(stage: Stage, notify: str | None) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = relayed()
    async with stage.running():
        stage.offer(stage.delivery(notify=notify))
        await stage.settle()
        assert stage.submitted == []
        assert stage.queue.settled == ["Q1.1"]
        assert stage.queue.kinds() == ["attempt"], "the hot path's one event"


async def test_success_failure_and_waiting_in_one_attempt_are_each_told_for_themselves(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = relayed("250 2.1.5 OK", "550 5.1.1 No such user", "451 4.2.0 Busy")
    async with stage.running():
        stage.offer(stage.delivery(1, "a", "b", "c", notify="SUCCESS,FAILURE"))
        await stage.settle()
        assert [told(mail) for mail in stage.submitted] == [
            [("rfc822; b@x.example", "failed")],
            [("rfc822; a@x.example", "relayed")],
        ]
        row = stage.queue.rows["Q1.1"]
        assert [(one.status, one.owed) for one in row.targets] == [
            (Status.SENT, None),
            (Status.FAILED, None),
            (Status.WAITING, None),
        ]
        stage.attempts.answers["x.example"] = relayed()
        await stage.clock.advance(61)
        assert told(stage.submitted[2]) == [("rfc822; c@x.example", "relayed")]
        assert len(stage.submitted) == 3
        assert stage.queue.settled == ["Q1.1"]


@pytest.mark.parametrize("refusal", [Refused(INTERNAL), OSError(28, "No space left on device")])
async def test_a_success_that_can_t_be_told_is_told_later_and_the_mail_is_not_sent_twice(
    stage: Stage, refusal: Exception
) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = relayed(how=Success.DELIVERED)
    stage.refuse = refusal
    async with stage.running():
        stage.offer(stage.delivery(notify="SUCCESS"))
        await stage.settle()
        row = stage.queue.rows["Q1.1"]
        assert (row.state, row.attempts, row.waiting) == (State.WAITING, 1, ())
        assert (row.targets[0].status, row.targets[0].owed) == (Status.SENT, Success.DELIVERED)
        await stage.clock.advance(61)
        assert stage.submitted == []
        assert stage.queue.rows["Q1.1"].attempts == 2
        stage.refuse = None
        await stage.clock.advance(130)
        assert [told(mail) for mail in stage.submitted] == [[("rfc822; a@x.example", "delivered")]]
        assert stage.queue.settled == ["Q1.1"]
        assert stage.attempts.ids == ["Q1.1"], "the mail itself went once"


async def test_a_success_that_nobody_can_hear_is_let_go(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = relayed()
    stage.refuse = Refused(NO_ROUTE)
    async with stage.running():
        stage.offer(stage.delivery(notify="SUCCESS"))
        await stage.settle()
        assert stage.queue.settled == ["Q1.1"]
        assert stage.logged("notice_refused")


async def test_a_success_owed_survives_a_failure_that_can_t_be_told(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = relayed("250 2.1.5 OK", "550 5.1.1 No such user")
    stage.refuse = Refused(INTERNAL)
    async with stage.running():
        stage.offer(stage.delivery(1, "a", "b", notify="SUCCESS,FAILURE"))
        await stage.settle()
        row = stage.queue.rows["Q1.1"]
        assert [(one.status, one.owed) for one in row.targets] == [
            (Status.SENT, Success.RELAYED),
            (Status.WAITING, None),
        ]
        stage.refuse = None
        stage.attempts.answers["x.example"] = answering("550 5.1.1 No such user")
        await stage.clock.advance(61)
        assert sorted(told(mail)[0][1] or "" for mail in stage.submitted) == ["failed", "relayed"]
        assert stage.queue.settled == ["Q1.1"]


@pytest.mark.parametrize(
    ("sender", "notify", "heard"),
    [
        ("ida@corp.example", None, True),
        ("ida@corp.example", "DELAY", True),
        ("ida@corp.example", "SUCCESS,DELAY", True),
        ("ida@corp.example", "FAILURE", False),
        ("ida@corp.example", "SUCCESS", False),
        ("ida@corp.example", "NEVER", False),
        (None, None, False),
        (None, "DELAY", False),
    ],
)
async def test_a_delay_is_told_to_whom_notify_allows(
    stage: Stage, sender: str | None, notify: str | None, heard: bool
) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = GREYLISTED
    async with stage.running():
        stage.offer(stage.delivery(sender=sender, notify=notify))
        await stage.clock.advance(4 * HOUR + 1)
        assert len(stage.submitted) == (1 if heard else 0)
        if heard:
            (group,) = groups(stage.submitted[0])[1:]
            assert (group["Action"], group["Status"]) == ("delayed", "4.7.1")
            assert group["Will-Retry-Until"] == "Sun, 8 Nov 2026 10:00:00 +0000"
            assert group["Diagnostic-Code"] == "smtp; 451 4.7.1 Come back later"
        await stage.clock.advance(20 * HOUR)
        assert len(stage.submitted) == (1 if heard else 0), "once for each delivery"


@pytest.mark.parametrize(("after", "heard"), [(600.0, 1), (None, 0), (6 * 86400.0, 0)])
async def test_when_a_delay_is_told_is_for_the_settings_to_say(stage: Stage, after: float | None, heard: int) -> None:
    stage.make(retry=replace(RETRY, delay_notice=after))
    stage.attempts.answers["x.example"] = GREYLISTED
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.clock.advance(598)
        assert stage.submitted == []
        await stage.clock.advance(3)
        assert len(stage.submitted) == heard
        await stage.clock.advance(4 * 86400)
        assert len(stage.submitted) == heard


async def test_a_delay_told_before_a_restart_is_not_told_again(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = GREYLISTED
    late = replace(stage.delivery(created=stage.clock.now() - 6 * HOUR, attempts=9), delay_told=True)
    async with stage.running():
        stage.offer(late)
        await stage.clock.advance(10 * HOUR)
        assert stage.submitted == []


async def test_a_delay_that_can_t_be_told_is_told_at_the_next_attempt(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = GREYLISTED
    stage.refuse = Refused(INTERNAL)
    async with stage.running():
        stage.offer(stage.delivery(created=stage.clock.now() - 5 * HOUR))
        await stage.settle()
        assert not stage.queue.rows["Q1.1"].delay_told
        stage.refuse = None
        await stage.clock.advance(61)
        assert len(stage.submitted) == 1
        assert stage.queue.rows["Q1.1"].delay_told


async def test_a_delay_for_tls_says_so_in_text_and_diagnostic(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = answering("450 4.7.320 The certificate fails", reason="certificate-expired")
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.clock.advance(4 * HOUR + 1)
        (notice,) = stage.submitted
        octets = notice.message.content.inline or b""
        assert b"certificate has expired" in b" ".join(octets.split())
        assert (
            groups(notice)[1]["Diagnostic-Code"].replace("\r\n", "").startswith("x-gateway; certificate-expired: 450")
        )


async def test_t17_forced_tls_that_fails_for_five_days_ends_with_5_4_7_and_its_reason(stage: Stage) -> None:
    stage.make()
    stage.attempts.answers["x.example"] = answering(
        "450 4.4.317 The host does not offer STARTTLS", reason="starttls-not-supported"
    )
    async with stage.running():
        stage.offer(stage.delivery())
        await stage.clock.advance(5 * 86400 - 10)
        assert [told(mail)[0][1] for mail in stage.submitted] == ["delayed"]
        assert "Q1.1" in stage.queue.rows
        await stage.clock.advance(20)
        notice = stage.submitted[1]
        (group,) = groups(notice)[1:]
        assert (group["Action"], group["Status"]) == ("failed", "5.4.7")
        assert "starttls-not-supported" in group["Diagnostic-Code"]
        text = " ".join((notice.message.content.inline or b"").decode().split())
        assert "could not be delivered for 5 days" in text
        assert "offers no encrypted connection (starttls-not-supported)" in text
        assert stage.queue.settled == ["Q1.1"]
