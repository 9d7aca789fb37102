"""A form that is sent twice goes out once."""

from __future__ import annotations

import asyncio

import pytest

from gateway.portal.desk import Away, NotSent
from gateway.portal.drafts import HOUR, MOST_AN_HOUR, REMEMBERED, Drafts
from tests.fakes.clock import FakeClock

KEY = ("work", "ben@partner.example", "draft")


class Sending:
    """Sends when it is let; `error` instead, once."""

    def __init__(self) -> None:
        self.sent = 0
        self.error: Exception | None = None
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> str:
        await self.go.wait()
        if (error := self.error) is not None:
            self.error = None
            raise error
        self.sent += 1
        return f"Q{self.sent}"


async def test_what_is_sent_again_gets_the_first_answer() -> None:
    drafts, sending = Drafts(FakeClock()), Sending()
    assert [await drafts.once(KEY, sending), await drafts.once(KEY, sending)] == ["Q1", "Q1"]
    assert await drafts.once((*KEY[:2], "another"), sending) == "Q2"


async def test_what_is_sent_twice_at_once_goes_out_once() -> None:
    drafts, sending = Drafts(FakeClock()), Sending()
    sending.go.clear()
    tasks = [asyncio.ensure_future(drafts.once(KEY, sending)) for _ in range(3)]
    await asyncio.sleep(0)
    sending.go.set()
    assert [await task for task in tasks] == ["Q1"] * 3


async def test_what_failed_may_be_sent_again() -> None:
    drafts, sending = Drafts(FakeClock()), Sending()
    sending.error = Away()
    with pytest.raises(Away):
        await drafts.once(KEY, sending)
    assert await drafts.once(KEY, sending) == "Q1"


async def test_whoever_waits_for_one_that_fails_sends_it_himself() -> None:
    drafts, sending = Drafts(FakeClock()), Sending()
    sending.error = Away()
    sending.go.clear()
    first, second = (asyncio.ensure_future(drafts.once(KEY, sending)) for _ in range(2))
    await asyncio.sleep(0)
    sending.go.set()
    with pytest.raises(Away):
        await first
    assert await second == "Q1"


async def test_a_browser_that_goes_away_keeps_nobody_from_sending() -> None:
    drafts, sending = Drafts(FakeClock()), Sending()
    sending.go.clear()
    first, second = (asyncio.ensure_future(drafts.once(KEY, sending)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    sending.go.set()
    assert await second == "Q1"


async def test_one_reader_sends_so_many_answers_an_hour() -> None:
    clock, sending = FakeClock(), Sending()
    drafts = Drafts(clock)
    for number in range(MOST_AN_HOUR):
        await drafts.once((*KEY[:2], f"{number}"), sending)
    with pytest.raises(NotSent) as caught:
        await drafts.once(KEY, sending)
    assert caught.value.reason == "slowed"
    assert await drafts.once(("another message", *KEY[1:]), sending)
    await clock.advance(HOUR)
    assert await drafts.once(KEY, sending)


async def test_only_so_many_are_remembered() -> None:
    drafts, sending = Drafts(FakeClock()), Sending()
    for number in range(REMEMBERED + 1):
        await drafts.once((f"{number}", "", ""), sending)
    assert len(drafts._sent) == len(drafts._times) == REMEMBERED
