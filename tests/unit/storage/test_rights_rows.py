"""What readers need of a wrapped mail: on the disk with the mail itself, and then in the shared database, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.message import Held, Message
from gateway.storage.blob_folder import FolderBlobs
from gateway.storage.postgres.connection import Database
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.rights import RightsStore
from gateway.storage.rights_rows import RightsRow, read_row
from gateway.storage.sealer import SealBroken
from gateway.storage.shared import Shared
from gateway.storage.sharing import SharedStore
from gateway.storage.traces import TraceStore
from tests.fakes.chance import FakeChance
from tests.fakes.migrated import put_shared
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.round_trips import trips_of
from tests.fakes.spool import SpoolOf, delivery_of, event_of, mail_of
from tests.unit.storage.test_rights import LINKS, MESSAGE, WORK, sealer, whole

ROW = RightsRow(
    work=str(WORK),
    message=-5,
    queue="4ABC",
    created=1_000_500,
    expires=None,
    size=6,
    stored="row",
    sealed=b"sealed",
    key=b"key",
    copy=b"",
    links=(b"a" * 32, b"b" * 32),
)


def kept(shared: SharedStore, tmp_path: Path, executor: ThreadPoolExecutor) -> RightsStore:
    blobs = FolderBlobs(tmp_path / "copies", executor)
    return RightsStore(shared, sealer(), chance=FakeChance("copies"), blobs=blobs, executor=executor)


@pytest.mark.parametrize("row", [ROW, replace(ROW, key=None, copy=None, links=(), expires=7)])
def test_a_row_is_read_as_it_was_written(row: RightsRow) -> None:
    assert read_row(row.octets()) == row


@given(st.integers(0, len(ROW.octets()) - 1), st.integers(0, 255))
def test_a_damaged_row_is_refused_or_is_another_row(at: int, octet: int) -> None:
    octets = bytearray(ROW.octets())
    for damaged in (bytes(octets[:at]), bytes([*octets[:at], octet, *octets[at + 1 :]])):
        try:
            read_row(damaged)
        except SealBroken:
            continue
        assert len(damaged) == len(octets)


def test_a_row_of_a_newer_gateway_is_refused_by_name() -> None:
    with pytest.raises(SealBroken, match="newer gateway"):
        read_row(b"\x02" + ROW.octets()[1:])


async def test_on_sqlite_it_lies_in_the_spool_until_it_was_moved_and_moving_it_twice_changes_nothing(
    tmp_path: Path,
) -> None:
    put_shared(tmp_path / "shared.db")
    shared, of = Shared(tmp_path / "shared.db"), SpoolOf(tmp_path / "spool")
    traces = TraceStore(shared, of.sealer)
    try:
        with ThreadPoolExecutor(1) as executor:
            store = kept(shared, tmp_path, executor)
            spool = await of.open()
            left = spool.new_left("Q1", await store.left(MESSAGE, b"copy"))
            mail = mail_of("Q1", Message(b"", Held(b"wrapped")))
            await spool.accept(mail, [delivery_of(mail)], [spool.new_record("Q1", [event_of("Q1")]), left])
            assert await store.get(WORK) is None
            spool = await of.reopen()
            found = await spool.records()
            assert sorted(record.kind for record in found) == ["rights", "trace"]
            for _ in range(2):
                await traces.put(found)
            linked = await store.by_link(LINKS[1])
            assert linked is not None
            assert (linked.message.work, linked.reader) == (WORK, "bob@partner.example")
            assert await whole(await store.copy(WORK)) == b"copy"
            assert [name for name, _ in await traces.find(id="Q1")] == ["Q1"]
    finally:
        await of.close()
        shared.close()


async def test_on_sqlite_a_damaged_one_is_left_where_it_is(tmp_path: Path) -> None:
    of = SpoolOf(tmp_path / "spool")
    spool = await of.open()
    try:
        with ThreadPoolExecutor(1) as executor:
            store = kept(Shared(tmp_path / "no.db"), tmp_path, executor)
            await spool.note([spool.new_left("Q1", await store.left(MESSAGE, None))])
        await spool._writer.do(lambda db: db.execute("UPDATE records SET sealed=x'01000000ff'"))
        assert await spool.records() == []
        assert of.record_count() == 1
    finally:
        await of.close()


async def test_on_postgresql_it_is_one_transaction_with_the_message(postgres: str, tmp_path: Path) -> None:
    of, shared = PostgresSpoolOf(postgres), PostgresShared(Database.at(postgres))
    try:
        with ThreadPoolExecutor(1) as executor:
            store = kept(shared, tmp_path, executor)
            spool = await of.open()
            records = [spool.new_record("Q1", [event_of("Q1")]), spool.new_left("Q1", await store.left(MESSAGE, b"x"))]
            mail = mail_of("Q1", Message(b"", Held(b"wrapped")))
            await spool.accept(mail, [delivery_of(mail)], records)
            linked = await store.by_link(LINKS[0])
            assert linked is not None
            assert linked.reader == "Zoe@Partner.example"
            assert await whole(await store.copy(WORK)) == b"x"
            await spool.note([spool.new_left("Q1", await store.left(MESSAGE, b"y"))])
            assert await whole(await store.copy(WORK)) == b"x"
    finally:
        await of.close()
        shared.close()


@pytest.mark.parametrize("at_once", [True, False])
async def test_on_postgresql_many_are_one_statement_each_with_its_links_and_what_is_absent(
    postgres: str, tmp_path: Path, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, shared = PostgresSpoolOf(postgres), PostgresShared(Database.at(postgres))
    works = [UUID(int=number + 1, version=4) for number in range(3)]
    links = [bytes([number]) * 32 for number in range(6)]
    readers = [(), (("one@x.example", links[0]),), (("two@x.example", links[1]), ("three@x.example", links[2]))]
    try:
        with ThreadPoolExecutor(1) as executor:
            store = kept(shared, tmp_path, executor)
            spool = await of.open()
            if not at_once:  # As where others of the same transaction have to see an answer.
                monkeypatch.setattr(spool._writer, "_at_once", lambda db, works: False)
            left = [
                spool.new_left(
                    f"Q{place}",
                    await store.left(replace(MESSAGE, work=work, readers=readers[place], expires=expires), copy),
                )
                for place, (work, expires, copy) in enumerate(
                    zip(works, (None, 5_000.0, None), (b"copy", None, b""), strict=True)
                )
            ]
            await spool.note(left)
            found = [await store.get(work) for work in works]
            assert [one.expires for one in found if one is not None] == [None, 5_000.0, None]
            assert await whole(await store.copy(works[0])) == b"copy"
            assert await store.copy(works[1]) is None
            assert await whole(await store.copy(works[2])) == b""
            for link, reader in ((links[0], "one"), (links[1], "two"), (links[2], "three")):
                linked = await store.by_link(link)
                assert linked is not None and linked.reader == f"{reader}@x.example"
    finally:
        await of.close()
        shared.close()


async def test_on_postgresql_a_wrapped_message_waits_for_the_database_as_often_as_a_plain_one(
    postgres: str, tmp_path: Path
) -> None:
    of, shared = PostgresSpoolOf(postgres), PostgresShared(Database.at(postgres))
    try:
        with ThreadPoolExecutor(1) as executor:
            store = kept(shared, tmp_path, executor)
            spool = await of.open()
            counts = []
            for id_, is_wrapped in (("Q0", False), ("Q1", False), ("Q2", True)):  # The first learns the statements.
                mail = mail_of(id_, Message(b"", Held(b"a message")))
                records = [spool.new_record(id_, [event_of(id_)])]
                if is_wrapped:
                    records.append(spool.new_left(id_, await store.left(MESSAGE, b"copy")))
                assert spool._writer._db is not None
                with trips_of(spool._writer._db, tmp_path) as trips:
                    await spool.accept(mail, [delivery_of(mail)], records)
                counts.append(trips.count)
            assert counts[1:] == [1, 1]
            assert await store.get(WORK) is not None
    finally:
        await of.close()
        shared.close()
