"""Questions to a source elsewhere: remembered, asked once for all, bounded, and never a no where nobody answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.directory import asker as module
from gateway.directory.asker import BURST, PAUSE, Absence, Asker, Place
from gateway.directory.model import Answer, Finding
from gateway.directory.terms import AskTerms
from gateway.mail.address import Address, parse_address
from tests.fakes.clock import FakeClock

TERMS = AskTerms(known=3600, unknown=300, away=86400, timeout=10, at_once=4, per_minute=60)
YES, NO = Finding(Answer.KNOWN), Finding(Answer.UNKNOWN)
AWAY = Finding(Answer.UNSURE, "no connection", away=True)
DOUBT = Finding(Answer.UNSURE, "451 try later")
IDA, OTTO = parse_address("ida@corp.example"), parse_address("otto@corp.example")


@dataclass
class Source:
    """Answers as `findings` says by local part, `default` otherwise; `gate` holds all answers until it is set."""

    findings: dict[str, Finding] = field(default_factory=dict)
    default: Finding = NO
    gate: asyncio.Event | None = None
    asked: list[str] = field(default_factory=list)

    async def __call__(self, address: Address) -> Finding:
        self.asked.append(address.text)
        if self.gate is not None:
            await self.gate.wait()
        return self.findings.get(address.local, self.default)


class Stage:
    def __init__(self, terms: AskTerms = TERMS) -> None:
        self.clock = FakeClock()
        self.source = Source({"ida": YES})
        self.told: list[Absence | None] = []
        self.took: list[float] = []
        self.asker = Asker(
            self.source,
            terms,
            clock=self.clock,
            place=lambda address: Place("hop", address.domain),
            told=lambda absence, place: self.told.append(absence),
            took=self.took.append,
        )

    async def answer(self, address: Address | str) -> Answer:
        return (await self.asker.answer(parse_address(address) if isinstance(address, str) else address)).answer


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_yes_and_a_no_are_remembered_for_their_times(stage: Stage) -> None:
    assert await stage.answer(IDA) is Answer.KNOWN
    assert await stage.answer("IDA@Corp.Example") is Answer.KNOWN
    assert await stage.answer(OTTO) is Answer.UNKNOWN
    assert stage.asker.recall(OTTO) is Answer.UNKNOWN
    assert stage.source.asked == ["ida@corp.example", "otto@corp.example"]
    await stage.clock.advance(301)
    assert stage.asker.recall(OTTO) is None
    assert stage.asker.recall(IDA) is Answer.KNOWN
    await stage.clock.advance(3300)
    assert stage.asker.recall(IDA) is None


async def test_many_who_want_to_know_the_same_ask_once(stage: Stage) -> None:
    stage.source.gate = asyncio.Event()
    tasks = [asyncio.create_task(stage.answer(IDA)) for _ in range(50)]
    await stage.clock.advance(0)
    assert stage.source.asked == ["ida@corp.example"]
    tasks[0].cancel()  # Whoever asked first may go.
    stage.source.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [Answer.KNOWN] * 49


async def test_a_source_that_does_not_answer_in_time_is_away(stage: Stage) -> None:
    stage.source.gate = asyncio.Event()
    task = asyncio.create_task(stage.asker.answer(IDA))
    await stage.clock.advance(10.1)
    finding = await task
    assert (finding.answer, finding.away) == (Answer.UNSURE, True)
    assert "10 s" in finding.why
    assert stage.took == [10]


async def test_who_was_known_stays_known_while_nobody_answers(stage: Stage) -> None:
    assert await stage.answer(IDA) is Answer.KNOWN
    stage.source.findings["ida"] = AWAY
    await stage.clock.advance(3601)
    assert await stage.answer(IDA) is Answer.KNOWN
    assert stage.source.asked.count("ida@corp.example") == 2
    assert await stage.answer(IDA) is Answer.KNOWN  # Left alone meanwhile.
    assert stage.source.asked.count("ida@corp.example") == 2
    await stage.clock.advance(86400)
    assert await stage.answer(IDA) is Answer.UNSURE


async def test_a_place_that_is_away_is_left_alone_for_a_while_and_others_are_not(stage: Stage) -> None:
    stage.source.default = AWAY
    assert await stage.answer(OTTO) is Answer.UNSURE
    assert await stage.answer("x@corp.example") is Answer.UNSURE
    assert stage.source.asked == ["otto@corp.example"]
    assert await stage.answer("x@else.example") is Answer.UNSURE
    assert stage.source.asked == ["otto@corp.example", "x@else.example"]
    assert [one.place.part for one in stage.asker.absences] == ["corp.example", "else.example"]
    stage.source.default = NO
    await stage.clock.advance(PAUSE)
    assert await stage.answer(OTTO) is Answer.UNKNOWN
    assert [one and one.why for one in stage.told] == ["no connection", "no connection", None]
    assert [one.place.part for one in stage.asker.absences] == ["else.example"]


async def test_doubt_about_one_is_no_doubt_about_others_and_is_short(stage: Stage) -> None:
    stage.source.findings["grey"] = DOUBT
    assert await stage.answer("grey@corp.example") is Answer.UNSURE
    assert await stage.answer("grey@corp.example") is Answer.UNSURE
    assert await stage.answer(IDA) is Answer.KNOWN
    assert stage.source.asked == ["grey@corp.example", "ida@corp.example"]
    assert stage.told == []
    stage.source.findings["grey"] = YES
    await stage.clock.advance(module.DOUBT)
    assert await stage.answer("grey@corp.example") is Answer.KNOWN


async def test_doubt_does_not_end_what_was_known(stage: Stage) -> None:
    assert await stage.answer(IDA) is Answer.KNOWN
    stage.source.findings["ida"] = DOUBT
    await stage.clock.advance(3601)
    assert await stage.answer(IDA) is Answer.KNOWN


async def test_a_dictionary_attack_on_us_is_none_on_the_next_hop(stage: Stage) -> None:
    tasks = [asyncio.create_task(stage.answer(f"guess{number}@corp.example")) for number in range(500)]
    await stage.clock.advance(60)
    answers = await asyncio.gather(*tasks)
    # One a second, what may come at once, and those that may wait half the time-out.
    assert len(stage.source.asked) == BURST + 5 + 1
    assert answers.count(Answer.UNSURE) == 500 - len(stage.source.asked)
    assert stage.told == []  # It is no absence.
    assert await stage.answer(IDA) is Answer.KNOWN


async def test_questions_at_once_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    stage.source.gate = asyncio.Event()
    tasks = [asyncio.create_task(stage.answer(f"x{number}@corp.example")) for number in range(3)]
    await stage.clock.advance(0)
    assert len(stage.source.asked) == 2
    assert tasks[2].done() and tasks[2].result() is Answer.UNSURE
    stage.source.gate.set()
    await asyncio.gather(*tasks)


async def test_what_is_under_way_when_the_settings_change_ends_in_doubt_and_cancels_nobody(stage: Stage) -> None:
    stage.source.gate = asyncio.Event()
    task = asyncio.create_task(stage.answer(IDA))
    await stage.clock.advance(0)
    await stage.asker.close()
    assert await task is Answer.UNSURE


async def test_a_forgotten_memory_asks_again(stage: Stage) -> None:
    await stage.answer(OTTO)
    stage.asker.forget()
    await stage.answer(OTTO)
    assert len(stage.source.asked) == 2
