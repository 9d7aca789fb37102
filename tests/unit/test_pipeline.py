"""The one way of a message: stages in their order, and nothing stored where one of them says no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.mail import reply as say
from gateway.mail.delivery import Delivery
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.mail.plan import Plan
from gateway.mail.reply import Refused
from gateway.mail.terms import Quarantine, Smime, Terms, Wanted
from gateway.pipeline import Pipeline, signed
from gateway.storage.writer import StorageFull
from tests.fakes.spool import delivery_of, mail_of


class Stages:
    """What each stage was given, in order. `fails` names the stage that raises `error`."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []
        self.fails: str | None = None
        self.error: Exception = Refused(say.LOOP)
        self.admitted = mail_of("Q2", Message(b"y", Held(b"y")))
        self.pipeline = Pipeline(admit=self._admit, route=self._route, spool=self._spool)

    def _stage(self, name: str, *given: object) -> None:
        self.seen.append((name, given))
        if self.fails == name:
            raise self.error

    def _admit(self, mail: Mail) -> Mail:
        self._stage("admit", mail)
        return self.admitted

    def _route(self, plan: Plan) -> tuple[Delivery, ...]:
        self._stage("route", plan)
        return tuple(delivery_of(copy) for copy in plan.copies)

    async def _spool(self, mail: Mail, plan: Plan, deliveries: tuple[Delivery, ...]) -> None:
        self._stage("spool", mail, plan, deliveries)


MAIL = mail_of("Q1", Message(b"x", Held(b"x")))


async def test_each_stage_is_given_what_the_one_before_made() -> None:
    stages = Stages()
    assert await stages.pipeline.accept(MAIL) == "Q2"
    admitted = stages.admitted
    plan = Plan(copies=(admitted,), touched=False)
    assert stages.seen == [
        ("admit", (MAIL,)),
        ("route", (plan,)),
        ("spool", (admitted, plan, (delivery_of(admitted),))),
    ]


@pytest.mark.parametrize("error", [Refused(say.LOOP), StorageFull("full"), ValueError("x")])
@pytest.mark.parametrize("stage", ["admit", "route", "spool"])
async def test_a_stage_that_fails_ends_the_way(stage: str, error: Exception) -> None:
    stages = Stages()
    stages.fails, stages.error = stage, error
    with pytest.raises(type(error)):
        await stages.pipeline.accept(MAIL)
    assert stages.seen[-1][0] == stage


async def test_what_rules_decide_is_protected_before_it_is_signed() -> None:
    stages = Stages()
    decided, protected = Plan(copies=(MAIL,)), Plan(copies=(mail_of("Q1", Message(b"sealed", Held(b"sealed"))),))

    async def opened(mail: Mail) -> Mail:
        stages.seen.append(("open", mail))
        return mail

    async def rules(mail: Mail) -> Plan:
        stages.seen.append(("rules", mail))
        return decided

    async def protect(plan: Plan) -> Plan:
        stages.seen.append(("protect", plan))
        return protected

    async def sign(mail: Mail) -> Mail:
        stages.seen.append(("sign", mail))
        return mail

    pipeline = replace(stages.pipeline, open=opened, rules=rules, protect=protect, sign=sign)
    await pipeline.accept(MAIL)
    assert stages.seen[1:5] == [
        ("open", stages.admitted),
        ("rules", stages.admitted),
        ("protect", decided),
        ("sign", protected.copies[0]),
    ]


async def test_copies_of_one_message_are_signed_once_and_what_waits_is_not() -> None:
    asked = []

    async def sign(mail: Mail) -> Mail:
        asked.append(mail)
        return mail.topped(b"DKIM-Signature: x\r\n")

    over_tls = replace(MAIL, terms=Terms(require_tls=True))
    waits = replace(MAIL, terms=Terms(wanted=Wanted(rule="x", smime=Smime.SIGN)))
    held = replace(MAIL, terms=Terms(quarantine=Quarantine(rules=("x",))))
    notice = mail_of("Q1", Message(b"n", Held(b"n")), sender=None)
    plan = await signed(Plan(copies=(MAIL, over_tls, waits, held), notices=(notice,)), sign)
    assert asked == [MAIL, notice]
    assert [one.message.content.inline for one in plan.mails] == [
        *[b"DKIM-Signature: x\r\nx"] * 2,
        *[b"x"] * 2,
        b"DKIM-Signature: x\r\nn",
    ]
    assert plan.copies[0].message is plan.copies[1].message
    assert [one.terms for one in plan.copies[1:]] == [over_tls.terms, waits.terms, held.terms]
