"""What waited here goes on under an id of its own, and never as it lay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.app.resuming import Resuming
from gateway.delivery.outcome import Outcome, Verdict
from gateway.mail import reply as say
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Target
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.mail.opened import Layer, LayerKind, Opened
from gateway.mail.plan import Plan
from gateway.mail.reply import Refused, Reply
from gateway.mail.terms import Protection, Quarantine, Smime, Terms, Wanted
from gateway.observe.events import HANDED_ON, PROTECTED
from gateway.storage.writer import StorageFull
from tests.fakes.clock import FakeClock

CLEAR = Held(b"Subject: x\r\n\r\nsecret\r\n")
SEALED = Held(b"Subject: x\r\n\r\nsealed\r\n")
WANTED = Wanted(rule="Partners", smime=Smime.ENCRYPT)
WAITS = Terms(wanted=WANTED, require_tls=True, sign=True)


def delivery(terms: Terms, *names: str) -> Delivery:
    targets = tuple(Target(address=parse_address(name), notify="FAILURE") for name in names or ("a@x.example",))
    return Delivery(
        id="Q1.2",
        message="Q1",
        connector="",
        destination="protect",
        sender=parse_address("ida@corp.example"),
        targets=targets,
        size=CLEAR.size,
        created=1.0,
        next_attempt=2.0,
        ret="HDRS",
        envid="e1",
        terms=terms,
    )


class Way:
    """What left. `protect` is the stage: it protects whoever is not in `without`, and refuses with `refusal`."""

    def __init__(self) -> None:
        self.left: list[tuple[Mail, Plan, bool]] = []
        self.without: tuple[str, ...] = ()
        self.refusal: Reply | None = None
        self.fails: Exception | None = None
        self.resume = Resuming(protect=self.protect, leave=self.leave, ids=lambda: "Q2", clock=FakeClock())

    async def protect(self, plan: Plan) -> Plan:
        if self.refusal is not None:
            raise Refused(self.refusal)
        (mail,) = plan.copies
        everybody = mail.envelope.recipients
        some = tuple(one for one in everybody if one.address.text not in self.without)
        rest = tuple(one for one in everybody if one.address.text in self.without)
        done = replace(
            mail,
            envelope=replace(mail.envelope, recipients=some),
            message=Message(SEALED.octets, SEALED),
            terms=replace(mail.terms, wanted=None, protection=Protection.SMIME),
        )
        waits = replace(mail, envelope=replace(mail.envelope, recipients=rest))
        return Plan(copies=tuple(one for one in (done, waits) if one.envelope.recipients))

    async def leave(self, mail: Mail, plan: Plan, sign: bool) -> str:
        if self.fails is not None:
            raise self.fails
        self.left.append((mail, plan, sign))
        return mail.id


def verdicts(outcome: Outcome) -> list[tuple[str, Verdict]]:
    return [(one.address.text, one.verdict) for one in outcome.results]


async def test_what_can_be_protected_now_leaves_under_a_new_id() -> None:
    way = Way()
    outcome = await way.resume(delivery(WAITS, "a@x.example", "b@x.example"), CLEAR)
    assert verdicts(outcome) == [("a@x.example", Verdict.SENT), ("b@x.example", Verdict.SENT)]
    assert outcome.results[0].reply == "250 2.0.0 Goes on as Q2"
    ((mail, plan, sign),) = way.left
    (copy,) = plan.copies
    assert (mail.id, sign, plan.told) == ("Q2", True, ((HANDED_ON, {"from": "Q1.2"}),))
    assert copy.message.content is SEALED
    assert (copy.terms.protection, copy.terms.require_tls, copy.terms.wanted) == (Protection.SMIME, True, None)
    assert (copy.envelope.recipients[0].notify, copy.envelope.envid) == ("FAILURE", "e1")


async def test_whoever_can_still_not_be_protected_waits_on() -> None:
    way = Way()
    way.without = ("b@x.example",)
    outcome = await way.resume(delivery(WAITS, "a@x.example", "b@x.example"), CLEAR)
    assert verdicts(outcome) == [("a@x.example", Verdict.SENT), ("b@x.example", Verdict.LATER)]
    ((_, plan, _),) = way.left
    assert [copy.terms.wanted for copy in plan.copies] == [None]
    way.without = ("a@x.example",)
    assert verdicts(await way.resume(delivery(WAITS), CLEAR)) == [("a@x.example", Verdict.LATER)]
    assert len(way.left) == 1


@pytest.mark.parametrize(("reply", "verdict"), [(say.INTERNAL, Verdict.LATER), (say.NO_ROUTE, Verdict.NEVER)])
async def test_a_refusal_is_a_verdict_and_nothing_leaves(reply: Reply, verdict: Verdict) -> None:
    way = Way()
    way.refusal = reply
    outcome = await way.resume(delivery(WAITS), CLEAR)
    assert verdicts(outcome) == [("a@x.example", verdict)]
    assert outcome.results[0].reply == f"{reply.code} {reply.enhanced} {reply.text}"
    assert way.left == []


async def test_where_nothing_protects_it_waits() -> None:
    way = Way()
    resume = Resuming(protect=None, leave=way.leave, ids=lambda: "Q2", clock=FakeClock())
    assert verdicts(await resume(delivery(WAITS), CLEAR)) == [("a@x.example", Verdict.LATER)]
    assert way.left == []


async def test_what_is_held_stays_whoever_made_it_due() -> None:
    way = Way()
    terms = replace(WAITS, quarantine=Quarantine(rules=("Odd",)))
    assert verdicts(await way.resume(delivery(terms), CLEAR)) == [("a@x.example", Verdict.LATER)]
    assert way.left == []


async def test_what_was_released_leaves_as_the_rules_had_decided() -> None:
    way = Way()
    outcome = await way.resume(delivery(Terms(connector="partner")), CLEAR)
    ((_, plan, sign),) = way.left
    assert verdicts(outcome) == [("a@x.example", Verdict.SENT)]
    assert (plan.copies[0].terms.connector, plan.copies[0].message.content.inline, sign) == (
        "partner",
        CLEAR.octets,
        False,
    )


async def test_what_was_held_as_it_came_is_opened_once_more_so_that_it_is_decrypted_for_those_who_get_it_so() -> None:
    """What was found inside is not kept. Encrypted for the gateway's key its recipient could not read it."""
    way = Way()
    found = Opened(layers=(Layer(kind=LayerKind.ENVELOPED, ok=True),), octets=b"inside")
    seen: list[Opened | None] = []

    async def protect(plan: Plan) -> Plan:
        (mail,) = plan.copies
        seen.append(mail.opened)
        return replace(plan, copies=(replace(mail, message=Message(SEALED.octets, SEALED)),))

    async def open_again(mail: Mail) -> Mail:
        return replace(mail, opened=found)

    resume = Resuming(open=open_again, protect=protect, leave=way.leave, ids=lambda: "Q2", clock=FakeClock())
    outcome = await resume(delivery(Terms()), CLEAR)
    assert verdicts(outcome) == [("a@x.example", Verdict.SENT)]
    assert seen == [found]
    ((_, plan, _),) = way.left
    assert plan.copies[0].message.content is SEALED


async def test_a_key_that_is_away_when_held_mail_is_released_makes_it_wait() -> None:
    way = Way()

    async def open_again(mail: Mail) -> Mail:
        raise Refused(say.OPENING_AWAY)

    resume = Resuming(open=open_again, protect=None, leave=way.leave, ids=lambda: "Q2", clock=FakeClock())
    assert verdicts(await resume(delivery(Terms()), CLEAR)) == [("a@x.example", Verdict.LATER)]
    assert way.left == []


async def test_who_never_gets_what_waited_hears_of_the_rule_and_the_reason() -> None:
    way = Way()
    row = {"recipient": "b@x.example", "step": "refused", "rule": "Partners", "reason": "no-certificate"}

    async def protect(plan: Plan) -> Plan:
        return Plan(copies=(), told=((PROTECTED, {"recipients": [row]}),))

    resume = Resuming(protect=protect, leave=way.leave, ids=lambda: "Q2", clock=FakeClock())
    outcome = await resume(delivery(WAITS, "a@x.example", "b@x.example"), CLEAR)
    assert verdicts(outcome) == [("a@x.example", Verdict.NEVER), ("b@x.example", Verdict.NEVER)]
    assert [one.enhanced for one in outcome.results] == ["5.7.5", "5.7.5"]
    assert outcome.results[1].reason is not None
    assert 'the rule "Partners" lets the message leave with S/MIME only' in outcome.results[1].reason
    assert "no certificate is known for the recipient" in (outcome.results[1].reply or "")


async def test_a_full_disk_is_no_verdict() -> None:
    way = Way()
    way.fails = StorageFull("full")
    with pytest.raises(StorageFull):
        await way.resume(delivery(WAITS), CLEAR)
