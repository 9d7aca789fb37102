"""An attempt at a connector whose mail ends here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.connectors.model import Deliver
from gateway.delivery.attempt import Attempts
from gateway.delivery.mailman import ending
from gateway.delivery.outcome import Result, Verdict
from gateway.delivery.verdicts import of_all
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Status, Success, Target
from gateway.mail.message import Content
from gateway.world.clock import SystemClock
from tests.fakes.chance import FakeChance
from tests.fakes.names import FakeNames
from tests.fakes.outbounds import make_outbound
from tests.unit.delivery.test_attempt import MESSAGE, delivery


class Post:
    """A mailman who does as he is told, and remembers what he was given."""

    def __init__(self, *results: Result) -> None:
        self.results = results
        self.given: list[tuple[str, tuple[str, ...], bytes | None]] = []

    async def deliver(self, delivery: Delivery, targets: tuple[Target, ...], content: Content) -> tuple[Result, ...]:
        self.given.append((delivery.id, tuple(one.address.text for one in targets), content.inline))
        return self.results


async def test_what_ends_here_is_given_to_the_mailman_for_those_who_still_wait() -> None:
    sent = of_all((Target(address=parse_address("b@x.test")),), Verdict.SENT, "2.1.5", "250 2.1.5 Delivered")
    post = Post(*sent)
    attempts = Attempts(names=FakeNames(), clock=SystemClock(), chance=FakeChance(), hostname="gw.test", mailman=post)
    outbound = replace(make_outbound(folder=Path("x")), deliver=Deliver.MAILBOX)
    what = delivery("a@x.test", "b@x.test")
    a, b = what.targets
    what = replace(what, targets=(replace(a, status=Status.SENT), replace(b, notify="SUCCESS")))
    outcome = await attempts.attempt(what, outbound, MESSAGE)
    assert post.given == [("Q.1", ("b@x.test",), MESSAGE.octets)]
    assert [one.success for one in outcome.results] == [Success.DELIVERED], "its sender asked to hear of it"
    assert [(hop.host, hop.outcome) for hop in outcome.hops] == [("out", "delivered")]
    assert outcome.unreachable is False
    outcome = await attempts.attempt(replace(what, sender=None), outbound, MESSAGE)
    assert [one.success for one in outcome.results] == [None], "there is nobody to be told"


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([(Verdict.NEVER, "there is no such mailbox"), (Verdict.LATER, "the mailbox is full")], "the mailbox is full"),
        ([(Verdict.NEVER, "there is no such mailbox here")], "refused"),
        ([(Verdict.LATER, "the mailbox is closed"), (Verdict.SENT, None)], "delivered"),
    ],
)
def test_how_an_attempt_at_mailboxes_ended_is_told(results: list[tuple[Verdict, str | None]], words: str) -> None:
    whose = parse_address("a@x.test")
    made = [Result(address=whose, verdict=one, reply="", enhanced="", reason=why) for one, why in results]
    assert ending(made) == words


async def test_where_no_mailboxes_are_open_mail_waits() -> None:
    attempts = Attempts(names=FakeNames(), clock=SystemClock(), chance=FakeChance(), hostname="gw.test")
    outbound = replace(make_outbound(folder=Path("x")), deliver=Deliver.MAILBOX)
    outcome = await attempts.attempt(delivery(), outbound, MESSAGE)
    assert {(one.verdict, one.enhanced) for one in outcome.results} == {(Verdict.LATER, "4.3.5")}
