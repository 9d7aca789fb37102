"""Asking a next hop about a recipient, and when its no is believed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.connectors.model import Outbound, TlsLevel
from gateway.delivery.probe import BLIND_NOES, TRUST, WEAR, WEAR_OF_NO, Probes, Question, of_replies
from gateway.delivery.said import Said
from gateway.directory.model import Answer, Finding
from gateway.mail.address import Address, parse_address
from gateway.world.names import Mx
from tests.fakes.certificates import make_certificate
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.names import FakeNames
from tests.fakes.nexthop import CLOSE, OFFERS, FakeNextHop
from tests.fakes.nexthop import Answer as HopAnswer
from tests.fakes.outbounds import make_outbound

YES, NO = "250 2.1.5 ok", "550 5.1.1 no such user"
IDA = parse_address("ida@corp.example")


class Stage:
    def __init__(self, names: FakeNames | None = None) -> None:
        self.clock = FakeClock()
        self.probes = Probes(
            names=names or FakeNames(), clock=self.clock, chance=FakeChance(), hostname="mx.corp.example"
        )

    async def ask(
        self, outbound: Outbound, address: Address | str = IDA, destination: str = "", sender: Address | None = None
    ) -> Finding:
        one = parse_address(address) if isinstance(address, str) else address
        return await self.probes.ask(Question(outbound, destination, one), sender, at_once=2, patience=5)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    one = Stage()
    yield one
    await one.probes.close()


@asynccontextmanager
async def hop(*rcpt: HopAnswer, offers: Sequence[str] = OFFERS, **says: HopAnswer) -> AsyncIterator[FakeNextHop]:
    async with FakeNextHop({"RCPT": rcpt, **says} if rcpt else says, offers=offers) as one:
        yield one


def to(one: FakeNextHop, level: TlsLevel = TlsLevel.OPPORTUNISTIC, ca: Path | None = None) -> Outbound:
    return make_outbound(("127.0.0.1", one.port), level=level, ca=ca)


@pytest.mark.parametrize("offers", [OFFERS, ()], ids=["pipelining", "one by one"])
async def test_it_asks_with_a_null_sender_takes_it_back_and_keeps_the_connection(
    stage: Stage, offers: Sequence[str]
) -> None:
    async with hop(YES, NO, offers=offers) as one:
        outbound = to(one)
        assert (await stage.ask(outbound)).answer is Answer.KNOWN
        assert (await stage.ask(outbound, "otto@corp.example")).answer is Answer.UNKNOWN
        assert one.commands == [
            [
                b"EHLO mx.corp.example",
                *(b"MAIL FROM:<>", b"RCPT TO:<ida@corp.example>", b"RSET"),
                *(b"MAIL FROM:<>", b"RCPT TO:<otto@corp.example>", b"RSET"),
            ]
        ]
        assert one.messages == []


async def test_a_set_sender_is_said(stage: Stage) -> None:
    async with hop() as one:
        await stage.ask(to(one), sender=parse_address("probe@corp.example"))
        assert b"MAIL FROM:<probe@corp.example>" in one.commands[0]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("250 ok", Answer.KNOWN),
        ("251 2.1.5 will forward", Answer.KNOWN),
        ("252 2.1.5 can't say", Answer.KNOWN),
        ("552 5.2.2 mailbox full", Answer.KNOWN),
        ("550 5.1.1 unknown", Answer.UNKNOWN),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", Answer.UNKNOWN),
        ("551 5.1.6 moved", Answer.UNKNOWN),
        ("553 5.1.3 what address is that", Answer.UNKNOWN),
        ("450 4.2.1 greylisted", Answer.UNSURE),
        ("451 4.3.0 later", Answer.UNSURE),
        ("550 5.7.1 we do not like you", Answer.UNSURE),
        ("550 5.1.0 sender refused", Answer.UNSURE),
        ("550 5.1.8 bad sender", Answer.UNSURE),
        ("554 5.7.1 relay access denied", Answer.UNSURE),
        ("554 no", Answer.UNSURE),
        ("530 5.7.0 STARTTLS first", Answer.UNSURE),
        ("503 5.5.1 sequence", Answer.UNSURE),
        ("501 5.1.3 syntax", Answer.UNSURE),
    ],
)
async def test_only_what_says_that_nobody_has_the_address_is_a_no(stage: Stage, reply: str, answer: Answer) -> None:
    async with hop(reply) as one:
        finding = await stage.ask(to(one))
    assert finding.answer is answer
    assert not finding.away


@pytest.mark.parametrize(
    "says",
    [
        {"greeting": "554 5.7.1 go away"},
        {"greeting": "421 4.3.2 busy"},
        {"greeting": CLOSE},
        {"MAIL": "550 5.7.1 your address is listed"},
        {"MAIL": "451 4.3.0 later"},
        {"RCPT": "421 4.7.0 too many errors"},
        {"RCPT": CLOSE},
    ],
)
async def test_a_host_that_does_not_let_us_ask_is_away(stage: Stage, says: dict[str, HopAnswer]) -> None:
    async with FakeNextHop(says) as one:
        finding = await stage.ask(to(one))
    assert (finding.answer, finding.away) == (Answer.UNSURE, True)
    assert finding.why


async def test_nobody_there_is_away(stage: Stage) -> None:
    async with hop() as one:
        outbound = to(one)
    finding = await stage.ask(outbound)
    assert (finding.answer, finding.away) == (Answer.UNSURE, True)


async def test_a_kept_connection_that_died_is_replaced(stage: Stage) -> None:
    async with hop() as one:
        outbound = to(one)
        await stage.ask(outbound)
        one.hang_up()
        assert (await stage.ask(outbound)).answer is Answer.KNOWN
        assert len(one.commands) == 2


async def test_a_connection_is_ended_before_the_host_tires_of_it(stage: Stage) -> None:
    async with hop(YES, NO) as one:
        outbound = to(one)
        for number in range(WEAR):
            await stage.ask(outbound, f"guess{number}@corp.example")
        refused = [sum(command.startswith(b"RCPT") for command in commands) for commands in one.commands]
    assert len(refused) > 2
    assert max(refused) <= WEAR // WEAR_OF_NO + 2  # Postfix slows down after ten noes.


async def test_forced_tls_holds_for_questions_too(stage: Stage) -> None:
    async with hop(NO) as one:
        finding = await stage.ask(to(one, TlsLevel.ENCRYPTION_ONLY))
        assert (finding.answer, finding.away) == (Answer.UNSURE, True)
        assert "STARTTLS" in finding.why
        assert not any(command.startswith((b"MAIL", b"RCPT")) for command in one.commands[0])


async def test_questions_go_over_tls_where_the_host_has_it(stage: Stage, tmp_path: Path) -> None:
    async with FakeNextHop(tls=make_certificate(tmp_path, "mx.corp.example").server) as one:
        assert (await stage.ask(to(one, TlsLevel.ENCRYPTION_ONLY))).answer is Answer.KNOWN
        assert one.in_tls == [True]


# -- a host that says no to everybody ---------------------------------------------------------------------------------


async def test_a_host_that_refuses_everybody_is_not_believed_for_long(stage: Stage) -> None:
    async with hop(NO) as one:
        outbound = to(one)
        answers = [(await stage.ask(outbound, f"x{number}@corp.example")).answer for number in range(BLIND_NOES + 2)]
        assert answers == [Answer.UNKNOWN] * BLIND_NOES + [Answer.UNSURE] * 2
        finding = await stage.ask(outbound)
        assert finding.away
        assert "refuses postmaster too" in finding.why


async def test_a_vague_no_is_believed_only_after_postmaster_was_taken(stage: Stage) -> None:
    async with hop("550 not here", NO, YES, "550 not here") as one:
        outbound = to(one)
        assert (await stage.ask(outbound)).answer is Answer.UNKNOWN
        asked = [command for command in one.commands[0] if command.startswith(b"RCPT")]
        assert asked[1:] == [b"RCPT TO:<postmaster@corp.example>", b"RCPT TO:<postmaster>"]
        assert (await stage.ask(outbound, "otto@corp.example")).answer is Answer.UNKNOWN
        assert sum(command.startswith(b"RCPT") for command in one.commands[0]) == 4
    async with hop("550 5.4.1 Access denied") as one:
        assert (await stage.ask(make_outbound(("127.0.0.1", one.port), concurrency=9), destination="b")).away


async def test_one_yes_makes_its_noes_believed_for_a_while(stage: Stage) -> None:
    async with hop(YES, NO) as one:
        outbound = to(one)
        await stage.ask(outbound)
        for number in range(BLIND_NOES + 3):
            assert (await stage.ask(outbound, f"x{number}@corp.example")).answer is Answer.UNKNOWN
        await stage.clock.advance(TRUST + 1)
        answers = [(await stage.ask(outbound, f"y{number}@corp.example")).answer for number in range(BLIND_NOES + 1)]
        assert answers[-1] is Answer.UNSURE


# -- MX, names --------------------------------------------------------------------------------------------------------


async def test_a_domain_that_does_not_exist_has_nobody_and_one_that_can_not_be_looked_up_is_doubt() -> None:
    names = FakeNames({"null.example": (Mx(0, ""),), "lost.example": ()}, unavailable=frozenset({"away.example"}))
    stage = Stage(names)
    outbound = make_outbound()
    assert (await stage.ask(outbound, "x@gone.example", "gone.example")).answer is Answer.UNKNOWN
    assert (await stage.ask(outbound, "x@null.example", "null.example")).answer is Answer.UNKNOWN
    for domain in ("away.example", "lost.example"):
        finding = await stage.ask(outbound, f"x@{domain}", domain)
        assert (finding.answer, finding.away) == (Answer.UNSURE, True)
    await stage.probes.close()


async def test_letters_beyond_ascii_need_smtputf8_and_domains_do_not(stage: Stage) -> None:
    async with hop() as one:
        await stage.ask(to(one), "jörg@köln.example")
        await stage.ask(to(one), "ida@köln.example")
        said = [command for commands in one.commands for command in commands]
        assert "MAIL FROM:<> SMTPUTF8" in [command.decode() for command in said]
        assert "RCPT TO:<jörg@köln.example>" in [command.decode() for command in said]
        assert b"RCPT TO:<ida@xn--kln-sna.example>" in said
    async with hop(offers=()) as one:
        assert (await stage.ask(to(one), "jörg@corp.example")).answer is Answer.UNSURE
        assert not any(command.startswith(b"RCPT") for command in one.commands[0])


def test_the_reply_to_mail_says_nothing_about_the_recipient() -> None:
    finding, sure = of_replies(Said(550, "5.1.1 no"), None, "mx")
    assert (finding.answer, finding.away, sure) == (Answer.UNSURE, True, False)
