"""The one way of a message: stages in their order, and nothing stored where one of them says no."""

from __future__ import annotations

import pytest

from gateway.mail import reply as say
from gateway.mail.delivery import Delivery
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.mail.reply import Refused
from gateway.pipeline import Pipeline
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

    def _route(self, mail: Mail) -> tuple[Delivery, ...]:
        self._stage("route", mail)
        return (delivery_of(mail),)

    async def _spool(self, mail: Mail, deliveries: tuple[Delivery, ...]) -> None:
        self._stage("spool", mail, deliveries)


MAIL = mail_of("Q1", Message(b"x", Held(b"x")))


async def test_each_stage_is_given_what_the_one_before_made() -> None:
    stages = Stages()
    assert await stages.pipeline.accept(MAIL) == "Q2"
    admitted = stages.admitted
    assert stages.seen == [
        ("admit", (MAIL,)),
        ("route", (admitted,)),
        ("spool", (admitted, (delivery_of(admitted),))),
    ]


@pytest.mark.parametrize("error", [Refused(say.LOOP), StorageFull("full"), ValueError("x")])
@pytest.mark.parametrize("stage", ["admit", "route", "spool"])
async def test_a_stage_that_fails_ends_the_way(stage: str, error: Exception) -> None:
    stages = Stages()
    stages.fails, stages.error = stage, error
    with pytest.raises(type(error)):
        await stages.pipeline.accept(MAIL)
    assert stages.seen[-1][0] == stage
