"""The front of a spool when writes fail, callers are cancelled or entries are damaged: nothing lost, nothing back."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.mail.delivery import Delivery, State
from gateway.storage import front, spool_sql
from gateway.storage.spool import Spool
from gateway.storage.spooling import Hands
from gateway.storage.writer import StorageBroken, StorageFull
from tests.fakes.spool import SpoolOf, delivery_of, event_of, mail_of, message_of, put

LARGE = b"x" * 200_000
TOGETHER = 8
WRITE = "gateway.storage.segments.os.pwritev"
REAL = os.pwritev


@pytest.fixture
async def of(tmp_path: Path) -> AsyncIterator[SpoolOf]:
    of = SpoolOf(tmp_path / "spool")
    yield of
    await of.close()


@pytest.fixture
async def spool(of: SpoolOf) -> Spool:
    return await of.open()


async def after_a_crash(of: SpoolOf, folder: Path) -> list[str]:
    """The deliveries that the next process would find, had this one died now."""
    shutil.copytree(of.folder, folder)
    other = SpoolOf(folder, make=False)
    found = [one.id for one in await (await other.open()).deliveries()]
    await other.close()
    shutil.rmtree(folder)
    return found


def written_and_broken(descriptor: int, pieces: Sequence[bytes], at: int) -> int:
    """The octets are on the disk, and yet it says that they are not."""
    REAL(descriptor, pieces, at)
    raise OSError(errno.EIO, "Input/output error")


async def cancelled(work: Coroutine[Any, Any, Any], turns: int) -> None:
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def come_and_go(spool: Spool, first: int) -> None:
    """Some messages, which are done again. What is done waits a moment for others, so they are done together."""
    come = [await put(spool, f"Q{number}", b"x" * 120_000, lease=True) for number in range(first, first + TOGETHER)]
    await asyncio.gather(*(spool.done(delivery, []) for (delivery,) in come))
    spool.forget_records(list(spool._front._fresh.records()))


async def drained(spool: Spool) -> None:
    """Everything that goes on by itself is done."""
    while spool._front._tasks:
        await asyncio.wait(set(spool._front._tasks))


# -- callers that go away ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", range(4))
async def test_a_list_that_is_interrupted_brings_nothing_back(
    spool: Spool, of: SpoolOf, turns: int, tmp_path: Path
) -> None:
    """`gateway queue list`, Ctrl-C: what it had begun to carry inside ended in the journal and was sent once more."""
    deliveries = [(await put(spool, f"Q{number}", lease=True))[0] for number in range(3)]
    await cancelled(spool.deliveries(), turns)
    for delivery in deliveries:
        await spool.done(delivery, [])
    await drained(spool)
    assert await after_a_crash(of, tmp_path / "crashed") == []
    assert await spool.counts() == ({}, None)


@pytest.mark.parametrize("octets", [b"x", LARGE])
@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_a_message_whose_session_ends_while_it_is_stored_leaves(on_disk: Path, octets: bytes, turns: int) -> None:
    """On a disk, where storing takes longer than some turns of the loop."""
    of = SpoolOf(on_disk / "spool")
    spool = await of.open()
    looked: list[bool] = []
    spool.attend(Hands(sending=tuple, give_back=_nothing, look=lambda: looked.append(True), wake=_none))
    mail = mail_of("Q1", await message_of(spool, "Q1", octets))
    record = spool.new_record("Q1", [event_of("Q1")])
    await cancelled(spool.accept(mail, [delivery_of(mail)], [record]), turns)
    await drained(spool)
    assert looked == [True]
    assert [one.uid for one in of.moved] == [record.uid]
    (due,) = await spool.due(mail.received, 10, [])
    content = await spool.content(due)
    assert b"".join([block async for block in content.blocks()]) == octets
    await spool.done(due, [])
    assert await (await of.reopen()).deliveries() == []
    await of.close()


async def _nothing(_: object) -> tuple[str, ...]:
    return ()


def _none() -> None:
    pass


async def test_an_end_whose_caller_goes_away_counts(spool: Spool, of: SpoolOf, tmp_path: Path) -> None:
    first, second = await put(spool, "Q1", destinations=("a.example", "b.example"), lease=True)
    await cancelled(spool.done(first, []), 2)
    await spool.done(second, [])
    assert await spool.counts() == ({}, None)
    assert await after_a_crash(of, tmp_path / "crashed") == []


# -- a disk that refuses -----------------------------------------------------------------------------------------------


async def test_a_message_that_was_refused_is_not_back_after_a_crash(
    spool: Spool, of: SpoolOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that failed may be on the disk. Its sender was told 4xx, and its content was forgotten."""
    with monkeypatch.context() as patch:
        patch.setattr(WRITE, written_and_broken)
        with pytest.raises(StorageBroken):
            await put(spool, "Q1", LARGE, lease=True)
    assert spool._leased == set()
    await put(spool, "Q2", lease=True)
    assert await after_a_crash(of, tmp_path / "crashed") == ["Q2.1"]


async def test_what_could_not_be_noted_as_carried_is_noted_with_the_next(
    spool: Spool, of: SpoolOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(WRITE, broken)
        await spool.unload()
    await spool.done(delivery, [])
    await put(spool, "Q2", lease=True)
    assert await after_a_crash(of, tmp_path / "crashed") == ["Q2.1"]


async def test_a_crash_between_the_database_and_the_journal_has_each_once(
    spool: Spool, of: SpoolOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(spool, "Q1", destinations=("a.example", "b.example"), lease=True)
    await put(spool, "Q2", LARGE, lease=True)
    note = spool._front._note
    found: list[list[str]] = []

    async def crashes(messages: Sequence[str], records: Sequence[int]) -> None:
        found.append(sorted(await after_a_crash(of, tmp_path / "before")))
        await note(messages, records)
        found.append(sorted(await after_a_crash(of, tmp_path / "after")))

    monkeypatch.setattr(spool._front, "_note", crashes)
    await spool.unload()
    assert found == [["Q1.1", "Q1.2", "Q2.1"]] * 4


async def test_where_another_fails_to_carry_a_message_it_is_tried_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (delivery,) = await put(spool, "Q1", b"octets", lease=True)
    real = spool._writer.do
    fails = [StorageBroken("locked")]

    async def once(*arguments: Any, **options: Any) -> Any:
        if fails:
            await asyncio.sleep(0)
            raise fails.pop()
        return await real(*arguments, **options)

    monkeypatch.setattr(spool._writer, "do", once)
    unloaded, content = await asyncio.gather(spool.unload(), spool.content(delivery), return_exceptions=True)
    assert isinstance(unloaded, StorageBroken)
    assert not isinstance(content, BaseException)
    assert content.inline == b"octets"


async def test_a_database_without_room_holds_up_nothing_that_can_leave(
    spool: Spool, of: SpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart on a full disk: what stands in the journal is listed, read and delivered from there."""
    await put(spool, "Q1", b"small", destinations=("a.example", "b.example"), lease=True)
    await put(spool, "Q2", LARGE, lease=True)
    await put(spool, "Q3", due=9e9, lease=True)

    def full(*_: object) -> None:
        raise StorageFull("the disk with the database is full")

    with monkeypatch.context() as patch:
        patch.setattr(spool_sql, "store", full)
        patch.setattr(spool_sql, "store_records", full)
        again = await of.reopen()
        every = ["Q1.1", "Q1.2", "Q2.1", "Q3.1"]
        assert [one.id for one in await again.deliveries()] == every
        assert [one.id for one in await again.deliveries(["Q1", "Q2.1"])] == every[:3]
        assert (await again.counts())[0] == {"ready": 4}
        now = of.clock.now()
        some = await again.due(now, 1, [("out", "a.example")])
        assert len(some) == 1
        due = some + await again.due(now, 10, [("out", "a.example")])
        assert sorted(one.id for one in due) == ["Q1.2", "Q2.1"]
        assert await again.next_due() is not None
        for one in due:
            content = await again.content(one)
            octets = b"".join([block async for block in content.blocks()])
            assert octets == (LARGE if one.message == "Q2" else b"small")
            await again.done(one, [])
        assert (await again.head("Q1"))[:5] == b"small"
        with pytest.raises(StorageFull):
            await again.postpone(replace(due[0], id="Q1.1", state=State.WAITING), [])
    assert [one.id for one in await again.due(of.clock.now(), 10, [])] == ["Q1.1"]
    assert [one.id for one in await again.deliveries()] == ["Q1.1", "Q3.1"]
    assert of.contents == []


async def test_a_database_that_takes_nothing_for_long_ends_in_refusals(
    spool: Spool, of: SpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "SOFT", 1)
    monkeypatch.setattr(front, "HARD", 2)
    monkeypatch.setattr(front, "MOST", 3)

    def full(db: sqlite3.Connection, *_: object) -> None:
        raise StorageFull("the disk with the database is full")

    taken = []
    with monkeypatch.context() as patch:
        patch.setattr(spool_sql, "store", full)
        with pytest.raises(StorageFull, match="the journal is full"):
            for number in range(1000):
                await put(spool, f"Q{number:04}", b"x" * 120_000, lease=True)
                taken.append(f"Q{number:04}.1")
    assert len(list((of.folder / "journal").iterdir())) <= 5
    assert [one.id for one in await spool.deliveries()] == taken
    await put(spool, "R", lease=True)


# -- segments ----------------------------------------------------------------------------------------------------------


async def test_one_message_that_takes_long_keeps_no_more_than_some_segments(
    spool: Spool, of: SpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its segment counts, so those behind it do too: it is carried inside before they are many."""
    monkeypatch.setattr(front, "SOFT", 2)
    monkeypatch.setattr(front, "HARD", 3)
    await put(spool, "Q0", lease=True)
    for first in range(1, 400, TOGETHER):
        await come_and_go(spool, first)
    assert len(list((of.folder / "journal").iterdir())) <= 6
    assert [one.id for one in await spool.deliveries()] == ["Q0.1"]


async def test_a_damaged_entry_keeps_no_segments_and_ends_as_any(
    spool: Spool, of: SpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "SOFT", 2)
    monkeypatch.setattr(front, "HARD", 3)
    (damaged,) = await put(spool, "Q0", lease=True)
    (file,) = (of.folder / "journal").iterdir()
    octets = bytearray(file.read_bytes())
    octets[octets.index(b'"Q0"') - 2] = 0xFF
    file.write_bytes(octets)
    for first in range(1, 300, TOGETHER):
        await come_and_go(spool, first)
    assert len(list((of.folder / "journal").iterdir())) <= 6
    await spool.done(damaged, [])
    assert await spool.counts() == ({}, None)


# -- everything at once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_cancelled_or_fails_nothing_is_lost_and_nothing_done_is_back(
    of: SpoolOf, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deeds at the same moment, some cancelled, on a disk that fails now and then; crashes in between."""
    monkeypatch.setattr(front, "SOFT", 1)
    monkeypatch.setattr(front, "HARD", 2)
    chance = random.Random(seed)
    spool = await of.open()
    held: dict[str, Delivery] = {}  # Acknowledged and not ended.
    unsure: set[str] = set()  # Cancelled or refused half-way: may be there or not.
    failing = False
    numbers = iter(range(10_000))

    def write(descriptor: int, pieces: list[bytes], at: int) -> int:
        if failing and chance.random() < 0.5:
            return written_and_broken(descriptor, pieces, at)
        return REAL(descriptor, pieces, at)

    monkeypatch.setattr(WRITE, write)

    async def take() -> None:
        id_ = f"Q{next(numbers):05}"
        mail = mail_of(id_, await message_of(spool, id_, b"x" * chance.choice((10, 5000, 120_000))))
        some = [delivery_of(mail, place) for place in range(1, chance.choice((1, 1, 3)) + 1)]
        unsure.update(one.id for one in some)
        await spool.accept(mail, some, [spool.new_record(id_, [event_of(id_)])])
        unsure.difference_update(one.id for one in some)
        held.update({one.id: one for one in some})

    async def end() -> None:
        if not held:
            return
        one = held.pop(chance.choice(list(held)))
        unsure.add(one.id)
        await spool.done(one, [event_of(one.message)])
        unsure.discard(one.id)

    async def attempt(work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        try:
            await work()
        except (StorageBroken, StorageFull):
            pass

    async def another() -> None:
        await put(spool, f"R{next(numbers)}")

    for _ in range(25):
        failing = chance.random() < 0.3
        deeds: list[asyncio.Task[None]] = []
        for _ in range(chance.randrange(1, 8)):
            kind = chance.choice(("take", "take", "take", "end", "end", "unload", "list"))
            works: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
                "take": take,
                "end": end,
                "unload": spool.unload,
                "list": spool.deliveries,
            }
            deeds.append(asyncio.create_task(attempt(works[kind])))
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        for deed in deeds:
            if chance.random() < 0.2:
                deed.cancel()
        await asyncio.wait(deeds)
        failing = False
        await drained(spool)
        await attempt(another)  # What is owed is made good.
        found = await after_a_crash(of, tmp_path / "crashed")
        assert len(found) == len(set(found))
        assert set(held) <= set(found)
        assert {id_ for id_ in found if id_[0] == "Q"} <= set(held) | unsure
        if chance.random() < 0.2:
            spool = await of.reopen()
            for one in held.values():
                spool.lease(one)
