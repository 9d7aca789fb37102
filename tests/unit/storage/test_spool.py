"""The spool: what was accepted is there afterwards, sealed, whole, and given out once."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.mail.delivery import Delivery, State, Status
from gateway.observe.events import DONE, HELD, RETRIED
from gateway.storage.entries import Taken, read
from gateway.storage.sealer import SealBroken
from gateway.storage.segments import Segments
from gateway.storage.spool import DATABASE, Spool
from gateway.storage.spool_rows import decode_record
from gateway.storage.spooling import Spooling
from gateway.storage.writer import StorageBroken, StorageFull
from tests.fakes.clock import FakeClock
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.spool import SpoolOf, delivery_of, event_of, fill, mail_of, message_of, put, sealer

LARGE = b"0123456789ABCDE\n" * 10_000  # 160,000 octets: a file.
NOW = 1_793_700_000.0


Of = SpoolOf | PostgresSpoolOf
IN_FILES = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # What only a spool in files has.


@pytest.fixture
async def of(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Of]:
    of: Of = SpoolOf(tmp_path / "0") if engine == "sqlite" else PostgresSpoolOf(request.getfixturevalue("postgres"))
    yield of
    await of.close()


@pytest.fixture
async def spool(of: Of) -> Spooling:
    return await of.open()


async def full(spool: Spooling, of: Of) -> None:
    """Let the disk with the database be full."""
    if isinstance(of, PostgresSpoolOf):
        of.fill()
    else:
        assert isinstance(spool, Spool)
        await fill(spool)


def no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


async def octets(spool: Spooling, delivery: Delivery) -> bytes:
    return b"".join([block async for block in (await spool.content(delivery)).blocks()])


async def check_nothing_is_given_out(spool: Spooling, of: Of) -> None:
    """While no delivery may be changed. On PostgreSQL it is the lease that can't be written."""
    if of.engine == "sqlite":
        assert await spool.due(NOW, 10, ()) == []
    else:
        with pytest.raises(StorageBroken):
            await spool.due(NOW, 10, ())


def ids(deliveries: list[Delivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


# -- accepting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"Subject: x\r\n\r\nx\r\n", LARGE], ids=["empty", "small", "large"])
async def test_what_was_accepted_is_there_after_a_restart(spool: Spooling, of: Of, content: bytes) -> None:
    (before,) = await put(spool, "Q1", content)
    spool = await of.reopen()
    (after,) = await spool.due(NOW, 10, ())
    assert after == before
    assert await octets(spool, after) == content


@pytest.mark.parametrize("content", [b"Subject: x\r\n\r\nx\r\n", LARGE], ids=["small", "large"])
async def test_a_deliverys_preface_stands_in_front_of_its_octets(spool: Spooling, of: Of, content: bytes) -> None:
    mail = mail_of("Q1", await message_of(spool, "Q1", content))
    before = [replace(delivery_of(mail, n), preface=b"X: %d\r\n" % n) for n in (1, 2)]
    await spool.accept(mail, before, [])
    for delivery in before:
        await spool.unlease(delivery)
    spool = await of.reopen()
    after = sorted(await spool.due(NOW, 10, ()), key=lambda one: one.id)
    assert after == before
    assert [await octets(spool, one) for one in after] == [b"X: 1\r\n" + content, b"X: 2\r\n" + content]
    assert (await spool.content(after[0])).size == len(content) + 6


async def test_accept_returns_after_the_commit(spool: Spooling, of: Of) -> None:
    await put(spool, "Q1", b"\0 octets", lease=True)
    if isinstance(of, SpoolOf):
        segments = Segments(of.folder / "journal")  # As another process would find it, had this one died here.
        faults = segments.recover()
        batches = list(segments.batches(faults))
        segments.close()
        assert not faults
        (taken,) = [read(octets) for batch in batches for _, octets in batch.entries]
        assert isinstance(taken, Taken)
        assert taken.message[0] == "Q1"
        assert [row[0] for row in taken.deliveries] == ["Q1.1"]
        assert len(taken.records) == 1
        return
    # Another connection sees only what is committed.
    assert of.rows("SELECT id FROM messages") == [("Q1",)]
    assert of.rows("SELECT id FROM deliveries") == [("Q1.1",)]
    assert of.record_count() == 1


async def test_message_deliveries_and_records_share_one_commit_with_other_sessions(spool: Spooling, of: Of) -> None:
    mails = [mail_of(f"Q{number}", await message_of(spool, f"Q{number}", b"x")) for number in range(20)]
    of.commits.clear()
    await asyncio.gather(*(spool.accept(mail, [delivery_of(mail)], []) for mail in mails))
    assert sum(of.commits) == 20
    assert len(of.commits) < 20


async def test_an_id_that_is_there_already_fails_alone_and_stores_nothing(spool: Spooling, of: Of) -> None:
    await put(spool, "Q1", b"first", lease=True)
    mail = mail_of("Q1", await message_of(spool, "Q1", b"second"))
    good = mail_of("Q2", await message_of(spool, "Q2", b"good"))
    results = await asyncio.gather(
        spool.accept(mail, [delivery_of(mail, 2)], [spool.new_record("Q1", [event_of("Q1")])]),
        spool.accept(good, [delivery_of(good)], []),
        return_exceptions=True,
    )
    assert isinstance(results[0], StorageBroken)
    assert results[1] is None
    await spool.unload()
    assert of.rows("SELECT id FROM deliveries ORDER BY id") == [("Q1.1",), ("Q2.1",)]
    assert not spool.is_leased("Q1.2")
    assert await octets(spool, (await spool.deliveries(["Q1"]))[0]) == b"first"


async def test_a_full_disk_stores_nothing(spool: Spooling, of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(spool, "Q1")
    await spool.unload()
    if isinstance(of, PostgresSpoolOf):
        of.fill()
    else:
        monkeypatch.setattr("gateway.storage.segments.os.pwritev", no_room)
        monkeypatch.setattr("gateway.storage.kernel_write.KernelWriter.begin", lambda *_: False)  # A thread does it.
    mail = mail_of("Q2", await message_of(spool, "Q2", b"x" * 100_000))
    with pytest.raises(StorageFull):
        await spool.accept(mail, [delivery_of(mail)], [spool.new_record("Q2", [event_of("Q2")])])
    monkeypatch.undo()
    assert not spool.is_leased("Q2.1")
    for table in ("messages", "deliveries"):
        assert len(of.rows(f"SELECT * FROM {table}")) == 1
    assert of.record_count() == 1
    assert ids(await spool.due(NOW, 10, ())) == ["Q1.1"]


# -- what lies on the disk --------------------------------------------------------------------------------------------


async def test_nothing_of_a_message_is_readable_in_any_file(spool: Spooling, of: Of) -> None:
    marker = b"MARKER"
    for id_, content in (("Q1", marker * 10), ("Q2", marker * 30_000)):
        message = await message_of(spool, id_, content)
        mail = mail_of(id_, message, "marker-to@marker-domain.example", sender="marker-from@corp.example")
        delivery = replace(delivery_of(mail, destination="marker-domain.example"), envid="MARKER-ENVID")
        await spool.accept(
            mail, [delivery], [spool.new_record(id_, [replace(event_of(id_), facts={"a": "MARKER-FACT"})])]
        )
        await spool.postpone(
            replace(delivery, targets=tuple(replace(t, reply="450 MARKER-REPLY") for t in delivery.targets)), []
        )
    if isinstance(of, SpoolOf):
        files = {path.name for path in of.folder.rglob("*") if path.is_file()}
        assert {DATABASE, f"{DATABASE}-wal", "Q2"} <= files
    assert of.contents == ["Q2"]
    assert b"marker" not in of.octets().lower()
    await of.close()
    assert b"marker" not in of.octets().lower()


async def test_a_delivery_moved_to_another_row_is_held_and_the_others_go_on(spool: Spooling, of: Of) -> None:
    await put(spool, "Q1")
    await put(spool, "Q2")
    await put(spool, "Q3")
    await spool.unload()
    of.alter("UPDATE deliveries SET sealed=(SELECT sealed FROM deliveries WHERE id='Q1.1') WHERE id='Q2.1'")
    assert ids(await spool.due(NOW, 10, ())) == ["Q1.1", "Q3.1"]
    assert of.rows("SELECT id FROM deliveries WHERE state='held'") == [("Q2.1",)]
    assert await spool.next_due() is None
    assert not spool.is_leased("Q2.1")


async def test_a_content_moved_to_another_row_does_not_open(spool: Spooling, of: Of) -> None:
    (first,) = await put(spool, "Q1", b"first")
    await put(spool, "Q2", b"second")
    await spool.unload()
    of.alter("UPDATE messages SET content=(SELECT content FROM messages WHERE id='Q2') WHERE id='Q1'")
    with pytest.raises(SealBroken):
        await spool.content(first)
    with pytest.raises(SealBroken):
        await spool.head("Q1")


async def test_octets_that_are_gone_are_told_as_such(spool: Spooling, of: Of) -> None:
    (delivery,) = await put(spool, "Q1")
    await spool.unload()
    of.alter("DELETE FROM messages")
    with pytest.raises(SealBroken, match="Q1 are gone"):
        await spool.content(delivery)
    with pytest.raises(SealBroken, match="Q1 are gone"):
        await spool.head("Q1")


@IN_FILES
async def test_files_that_no_message_knows_are_cleared_at_the_start(spool: Spool, of: SpoolOf) -> None:
    await put(spool, "Q1", LARGE)
    await message_of(spool, "Q2", LARGE)  # Whose commit never came.
    assert of.contents == ["Q1", "Q2"]
    spool = await of.reopen()
    assert of.contents == ["Q1"]
    assert await octets(spool, (await spool.deliveries())[0]) == LARGE


@IN_FILES
async def test_the_content_folder_is_made_where_it_is_missing(of: SpoolOf) -> None:
    (of.folder / "content").rmdir()
    await of.open()
    assert of.contents == []


# -- giving out -------------------------------------------------------------------------------------------------------


async def test_what_is_due_is_given_out_once_earliest_first(spool: Spooling) -> None:
    await put(spool, "Q1", due=NOW + 20)
    await put(spool, "Q2", due=NOW + 10)
    await put(spool, "Q3", due=NOW + 30.5)
    assert ids(await spool.due(NOW + 9, 10, ())) == []
    assert ids(await spool.due(NOW + 20, 10, ())) == ["Q2.1", "Q1.1"]
    assert ids(await spool.due(NOW + 20, 10, ())) == []
    assert ids(await spool.due(NOW + 40, 10, ())) == ["Q3.1"]


async def test_at_most_so_many_are_given_out_as_were_asked_for(spool: Spooling) -> None:
    for number in range(5):
        await put(spool, f"Q{number}", due=NOW + number)
    assert ids(await spool.due(NOW + 9, 2, ())) == ["Q0.1", "Q1.1"]
    assert ids(await spool.due(NOW + 9, 2, ())) == ["Q2.1", "Q3.1"]
    assert ids(await spool.due(NOW + 9, 2, ())) == ["Q4.1"]


async def test_two_who_ask_at_once_get_different_ones(spool: Spooling) -> None:
    for number in range(6):
        await put(spool, f"Q{number}")
    one, other = await asyncio.gather(spool.due(NOW, 6, ()), spool.due(NOW, 6, ()))
    assert sorted(ids(one) + ids(other)) == [f"Q{number}.1" for number in range(6)]


async def test_two_who_ask_at_once_get_different_ones_beside_a_damaged_row(spool: Spooling, of: Of) -> None:
    for number in range(6):
        await put(spool, f"Q{number}")
    await spool.unload()
    of.alter("UPDATE deliveries SET sealed=(SELECT content FROM messages WHERE id='Q0') WHERE id='Q0.1'")
    one, other = await asyncio.gather(spool.due(NOW, 6, ()), spool.due(NOW, 6, ()))
    assert sorted(ids(one) + ids(other)) == [f"Q{number}.1" for number in range(1, 6)]
    assert not spool.is_leased("Q0.1")


async def test_destinations_that_are_busy_are_left_out(spool: Spooling) -> None:
    await put(spool, "Q1", destinations=("busy.example", "free.example"))
    assert ids(await spool.due(NOW, 10, {("out", "busy.example")})) == ["Q1.2"]
    assert ids(await spool.due(NOW, 10, {("other", "busy.example")})) == ["Q1.1"]


async def test_what_is_accepted_is_leased_to_whoever_accepted_it(spool: Spooling) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)
    assert spool.is_leased("Q1.1")
    assert await spool.due(NOW, 10, ()) == []
    assert await spool.next_due() is None
    await spool.unlease(delivery)
    assert await spool.next_due() == NOW
    assert ids(await spool.due(NOW, 10, ())) == ["Q1.1"]


async def test_what_is_given_back_while_the_disk_is_full_is_given_out_afterwards(spool: Spooling, of: Of) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)
    of.refuse_updates()
    await spool.unlease(delivery)
    await check_nothing_is_given_out(spool, of)
    soon = await spool.next_due()
    assert soon is not None
    assert soon <= of.clock.now() + 1
    of.take_updates()
    assert ids(await spool.due(NOW, 10, ())) == ["Q1.1"]
    assert await spool.next_due() is None


@IN_FILES
async def test_a_spool_opens_though_nothing_can_be_written(spool: Spool, of: SpoolOf) -> None:
    # What is delivered makes room again; a gateway that did not start on a full disk would never get there.
    await put(spool, "Q1", lease=True)
    of.refuse_updates()
    spool = await of.reopen()
    assert [one.id for one in await spool.deliveries()] == ["Q1.1"]
    await check_nothing_is_given_out(spool, of)
    of.take_updates()
    assert ids(await spool.due(NOW, 10, ())) == ["Q1.1"]


async def test_what_was_given_back_and_held_stays_held(spool: Spooling) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)
    await spool.unlease(delivery)
    await spool.change([replace(delivery, state=State.HELD)], lambda d: event_of(d.message, HELD))
    assert await spool.due(NOW, 10, ()) == []
    assert [one.state for one in await spool.deliveries()] == [State.HELD]


async def test_leases_end_with_the_process(spool: Spooling, of: Of) -> None:
    await put(spool, "Q1", lease=True)
    spool = await of.reopen()
    assert ids(await spool.due(NOW, 10, ())) == ["Q1.1"]


async def test_held_deliveries_are_not_given_out(spool: Spooling) -> None:
    (delivery,) = await put(spool, "Q1")
    assert await spool.change([replace(delivery, state=State.HELD)], lambda d: event_of(d.message, HELD)) == ["Q1.1"]
    assert await spool.due(NOW + 99, 10, ()) == []
    assert await spool.next_due() is None


async def test_next_due_is_the_earliest_that_nobody_has(spool: Spooling) -> None:
    assert await spool.next_due() is None
    await put(spool, "Q1", due=NOW + 20)
    await put(spool, "Q2", due=NOW + 10)
    assert await spool.next_due() == NOW + 10
    (second,) = await spool.due(NOW + 10, 10, ())
    assert await spool.next_due() == NOW + 20
    await spool.postpone(replace(second, next_attempt=NOW + 15), [])
    assert await spool.next_due() == NOW + 15
    await spool.due(NOW + 15, 10, ())
    assert await spool.next_due() == NOW + 20


# -- settling ---------------------------------------------------------------------------------------------------------


async def test_postponing_stores_all_that_is_known(spool: Spooling, of: Of) -> None:
    await put(spool, "Q1")
    (delivery,) = await spool.due(NOW, 1, ())
    (target,) = delivery.targets
    later = replace(
        delivery,
        connector="other",
        destination="elsewhere.example",
        targets=(replace(target, status=Status.FAILED, reply="550 no", enhanced="5.1.1", reason="x", host="mx"),),
        attempts=3,
        state=State.WAITING,
        next_attempt=NOW + 60.25,
    )
    await spool.postpone(later, [event_of("Q1")])
    spool = await of.reopen()
    assert await spool.due(NOW + 60, 1, ()) == []
    assert await spool.due(NOW + 61, 1, {("other", "elsewhere.example")}) == []
    assert await spool.due(NOW + 61, 1, ()) == [later]


async def test_a_message_goes_with_its_last_delivery(spool: Spooling, of: Of) -> None:
    first, second = await put(spool, "Q1", LARGE, destinations=("a.example", "b.example"), lease=True)
    await spool.unload()
    await spool.done(first, [])
    assert of.rows("SELECT id FROM messages") == [("Q1",)]
    assert of.contents == ["Q1"]
    assert await octets(spool, second) == LARGE
    await spool.done(second, [])
    assert of.rows("SELECT id FROM messages") == []
    assert of.rows("SELECT id FROM deliveries") == []
    assert of.contents == []
    assert not spool.is_leased("Q1.1")


@IN_FILES
async def test_events_of_a_settlement_are_to_be_moved_after_their_commit(spool: Spool, of: SpoolOf) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)
    await spool.postpone(delivery, [])
    assert of.moved == []
    await spool.done(delivery, [event_of("Q1", DONE)])
    (record,) = of.moved
    assert (record.uid,) in of.rows("SELECT seq FROM records")


async def test_what_is_changed_by_hand_leaves_alone_what_is_in_hand(spool: Spooling) -> None:
    first, second = await put(spool, "Q1", destinations=("a.example", "b.example"))
    await spool.change([replace(second, next_attempt=NOW + 5)], lambda d: event_of(d.message, RETRIED))
    (first,) = await spool.due(NOW, 10, ())
    held = [replace(one, state=State.HELD) for one in (first, second)]
    assert await spool.change(held, lambda d: event_of(d.message, HELD)) == ["Q1.2"]
    assert [one.state for one in await spool.deliveries(["Q1"])] == [State.READY, State.HELD]
    assert not spool.is_leased("Q1.2")


async def test_deliveries_are_found_by_message_and_by_their_own_id(spool: Spooling) -> None:
    await put(spool, "Q1", destinations=("a.example", "b.example"))
    await put(spool, "Q2")
    assert ids(await spool.deliveries()) == ["Q1.1", "Q1.2", "Q2.1"]
    assert ids(await spool.deliveries(["Q1"])) == ["Q1.1", "Q1.2"]
    assert ids(await spool.deliveries(["Q1.2", "Q2", "Q9"])) == ["Q1.2", "Q2.1"]
    assert ids(await spool.deliveries(["Q1", "Q1.1", "Q1"])) == ["Q1.1", "Q1.2"]
    assert ids(await spool.deliveries([])) == []


async def test_counts_tell_states_and_the_oldest(spool: Spooling) -> None:
    assert await spool.counts() == ({}, None)
    await put(spool, "Q1")
    (delivery,) = await spool.due(NOW, 1, ())
    await put(spool, "Q2")
    await spool.postpone(replace(delivery, state=State.WAITING), [])
    assert await spool.counts() == ({"ready": 1, "waiting": 1}, NOW)


@pytest.mark.parametrize("content", [b"Subject: x\r\n\r\n", LARGE, LARGE * 10])
async def test_the_head_of_a_message_is_its_beginning(spool: Spooling, content: bytes) -> None:
    await put(spool, "Q1", content)
    assert await spool.head("Q1") == content[: 256 * 1024]


# -- records ----------------------------------------------------------------------------------------------------------


@IN_FILES
async def test_records_that_a_process_left_are_found_by_the_next(spool: Spool, of: SpoolOf) -> None:
    await put(spool, "Q1")
    await spool.note([spool.new_record("Q2", [event_of("Q2")])])
    assert [record.message for record in of.moved] == ["Q2"]
    spool = await of.reopen()
    first, second = await spool.records()
    assert [first.message, second.message] == ["Q1", "Q2"]
    assert second == of.moved[0]
    opened = decode_record(sealer().open("trace", f"Q1/{first.uid}", first.sealed), first.uid)
    assert opened.events == [event_of("Q1")]
    spool.forget_records([first.uid])
    spool = await of.reopen()
    assert [record.message for record in await spool.records()] == ["Q2"]


@IN_FILES
async def test_records_come_in_portions_each_behind_the_one_before(spool: Spool) -> None:
    await spool.note([spool.new_record(f"Q{number}", [event_of(f"Q{number}")]) for number in range(5)])
    found: list[str] = []
    after = 0
    while some := await spool.records(after, 2):
        found += [record.message for record in some]
        after = some[-1].uid
    assert found == [f"Q{number}" for number in range(5)]


@IN_FILES
async def test_a_damaged_record_is_left_where_it_is(spool: Spool) -> None:
    await spool.note([spool.new_record(f"Q{number}", [event_of(f"Q{number}")]) for number in range(3)])
    await spool._writer.do(lambda db: db.execute("UPDATE records SET sealed=x'00' WHERE message='Q1'"))
    assert [record.message for record in await spool.records()] == ["Q0", "Q2"]


@IN_FILES
async def test_numbers_of_records_grow_though_the_clock_went_back(spool: Spool, of: SpoolOf) -> None:
    await put(spool, "Q1")
    await spool.unload()
    (before,) = await spool.records()
    of.clock = FakeClock(NOW - 86_400)
    spool = await of.reopen()
    await put(spool, "Q2")
    await spool.unload()
    _, after = await spool.records()
    assert after.uid > before.uid


@IN_FILES
async def test_opening_what_is_no_database_is_told(of: SpoolOf) -> None:
    (of.folder / DATABASE).write_bytes(b"no database at all, but long enough to be looked at" * 30)
    with pytest.raises((StorageBroken, sqlite3.DatabaseError)):
        await of.open()
