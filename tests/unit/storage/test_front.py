"""The front of a spool: what is taken ends in the journal or is carried inside; no crash loses it or brings it back."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.mail.delivery import Delivery, State
from gateway.storage import front
from gateway.storage.spool import Spool
from gateway.storage.writer import StorageBroken, StorageFull
from tests.fakes.spool import SpoolOf, delivery_of, event_of, mail_of, message_of, put


@pytest.fixture
async def of(tmp_path: Path) -> AsyncIterator[SpoolOf]:
    of = SpoolOf(tmp_path / "spool")
    yield of
    await of.close()


@pytest.fixture
async def spool(of: SpoolOf) -> Spool:
    return await of.open()


async def inside(spool: Spool) -> list[str]:
    """The messages in the database."""
    return await spool._writer.do(lambda db: [row[0] for row in db.execute("SELECT id FROM messages ORDER BY id")])


async def after_a_crash(of: SpoolOf, folder: Path) -> set[str]:
    """The deliveries that the next process would find, had this one died now."""
    shutil.copytree(of.folder, folder)
    other = SpoolOf(folder, make=False)
    found = [one.id for one in await (await other.open()).deliveries()]
    await other.close()
    shutil.rmtree(folder)
    assert len(found) == len(set(found))
    return set(found)


async def test_a_message_that_leaves_at_once_never_reaches_the_database(spool: Spool) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)
    assert await inside(spool) == []
    assert (await spool.counts())[0] == {"ready": 1}
    await spool.done(delivery, [event_of("Q1")])
    assert await inside(spool) == []
    assert await spool.counts() == ({}, None)
    assert await spool.deliveries() == []


async def test_what_waits_or_is_asked_for_is_carried_inside(spool: Spool) -> None:
    for number in range(1, 6):
        await put(spool, f"Q{number}", b"octets", lease=True)
    deliveries = {one.id: one for one in await spool.deliveries(["Q1"])}
    assert await inside(spool) == ["Q1"]
    assert list(deliveries) == ["Q1.1"]
    await spool.head("Q2")
    assert await inside(spool) == ["Q1", "Q2"]
    assert [one.id for one in await spool.deliveries()] == [f"Q{number}.1" for number in range(1, 6)]
    assert await inside(spool) == [f"Q{number}" for number in range(1, 6)]


async def test_a_message_too_long_for_the_journal_goes_into_the_database(
    spool: Spool, of: SpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "MAX_ENTRY", 100)
    await put(spool, "Q1", lease=True)
    assert await inside(spool) == ["Q1"]
    assert [one.id for one in await (await of.reopen()).deliveries()] == ["Q1.1"]


async def test_what_was_done_is_not_back_after_a_crash(spool: Spool, of: SpoolOf, tmp_path: Path) -> None:
    (one,) = await put(spool, "Q1", lease=True)
    (other,) = await put(spool, "Q2", lease=True)
    await spool.unload()
    await spool.done(one, [])
    assert await after_a_crash(of, tmp_path / "crashed") == {"Q2.1"}
    await spool.done(other, [])
    assert await after_a_crash(of, tmp_path / "crashed") == set()


async def test_an_end_that_is_asked_for_while_the_message_is_carried_counts(spool: Spool, of: SpoolOf) -> None:
    first, second = await put(spool, "Q1", destinations=("a.example", "b.example"), lease=True)
    await asyncio.gather(spool.unload(), spool.done(first, []), spool.deliveries(), spool.unload())
    assert [one.id for one in await spool.deliveries()] == ["Q1.2"]
    await asyncio.gather(spool.done(second, []), spool.unload())
    assert await spool.deliveries() == []
    assert await (await of.reopen()).deliveries() == []


async def test_what_can_not_be_carried_stays_and_is_carried_later(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)

    async def full(*_: object, **__: object) -> None:
        raise StorageFull("full")

    with monkeypatch.context() as patch:
        patch.setattr(spool._writer, "do", full)
        with pytest.raises(StorageFull):
            await spool.postpone(replace(delivery, state=State.WAITING), [])
    assert await inside(spool) == []
    await spool.postpone(replace(delivery, state=State.WAITING, next_attempt=5.0), [])
    (stored,) = await spool.deliveries()
    assert (stored.state, stored.next_attempt) == (State.WAITING, 5.0)


async def test_an_entry_that_the_disk_damaged_is_told_and_the_others_are_carried(spool: Spool, of: SpoolOf) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)
    await put(spool, "Q2", lease=True)
    (file,) = (of.folder / "journal").iterdir()
    octets = bytearray(file.read_bytes())
    at = octets.index(b'"Q1"')
    octets[at - 2 : at + 2] = b"\xff\xff\xff\xff"
    file.write_bytes(octets)
    assert [one.id for one in await spool.deliveries()] == ["Q2.1"]
    with pytest.raises(StorageBroken):
        await spool.postpone(delivery, [])
    await spool.done(delivery, [])


async def test_segments_are_let_go_when_nothing_in_them_counts(
    spool: Spool, of: SpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = b"x" * 100_000
    for first in range(0, 152, 8):  # What is done waits a moment for others, so some are done together.
        come = [await put(spool, f"Q{number:03}", big, lease=True) for number in range(first, first + 8)]
        await asyncio.gather(*(spool.done(one, [event_of(one.message)]) for (one,) in come))
        spool.forget_records([record.uid for record in of.moved])
        of.moved.clear()
        spool.forget_records(list(spool._front._fresh.records()))
    assert len(list((of.folder / "journal").iterdir())) <= 3


async def test_with_too_many_segments_the_oldest_is_carried_inside(
    spool: Spool, of: SpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "SOFT", 2)
    monkeypatch.setattr(front, "HARD", 3)
    big = b"x" * 120_000
    for number in range(240):
        await put(spool, f"Q{number:03}", big, lease=True)
    assert spool._front._journal.span(spool._front._fresh.oldest()) <= 5
    assert len(await inside(spool)) > 100
    assert len(await spool.deliveries()) == 240
    assert len(await (await of.reopen()).deliveries()) == 240


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_a_crash_loses_nothing_and_brings_nothing_back(
    of: SpoolOf, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of what must be there, beside the spool, over a few hundred random deeds and crashes."""
    monkeypatch.setattr(front, "SOFT", 1)
    monkeypatch.setattr(front, "HARD", 2)
    chance = random.Random(seed)
    spool = await of.open()
    held: dict[str, Delivery] = {}
    number = 0
    for deed in range(120):
        match chance.choice(("take", "take", "take", "done", "done", "postpone", "unload", "list", "restart")):
            case "take":
                number += 1
                id_ = f"Q{number:04}"
                octets = b"x" * chance.choice((10, 5000, 120_000, 300_000))
                mail = mail_of(id_, await message_of(spool, id_, octets))
                deliveries = [delivery_of(mail, place) for place in range(1, chance.choice((1, 1, 3)) + 1)]
                await spool.accept(mail, deliveries, [spool.new_record(id_, [event_of(id_)])])
                held |= {one.id: one for one in deliveries}
            case "done" if held:
                some = [held.pop(chance.choice(list(held))) for _ in range(min(len(held), chance.choice((1, 4))))]
                works = [spool.done(one, [event_of(one.message)]) for one in some]
                await asyncio.gather(*works, *([spool.unload()] if chance.random() < 0.3 else []))
            case "postpone" if held:
                one = held[chance.choice(list(held))]
                await spool.postpone(replace(one, attempts=one.attempts + 1), [])
                spool.lease(one)
            case "unload":
                await spool.unload()
            case "list":
                assert {one.id for one in await spool.deliveries()} == set(held)
            case "restart":
                spool = await of.reopen()
                for one in held.values():
                    spool.lease(one)
        if deed % 10 == 0:
            assert await after_a_crash(of, tmp_path / "crashed") == set(held)
    assert await after_a_crash(of, tmp_path / "crashed") == set(held)
    files = {one.message for one in held.values() if one.size > 200_000}
    assert set(of.contents) >= files
