"""The shared database: one thread, one transaction for each call, errors in our words."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from gateway.storage.engine import meaning
from gateway.storage.keyrows import KeyRow
from gateway.storage.migrate import migrate_shared
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.shared import Shared
from gateway.storage.writer import StorageBroken, StorageFull

ROW = KeyRow(
    organisation="default",
    purpose="spool",
    version=1,
    vault="main",
    root="default",
    root_version=1,
    wrapped=b"\x01wrapped",
    created=5,
)


Either = Shared | PostgresShared


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrate_shared(tmp_path / "shared.db")
    return tmp_path / "shared.db"


@pytest.fixture
def sqlite(path: Path) -> Iterator[Shared]:
    shared = Shared(path)
    yield shared
    shared.close()


def count(connection: Connection) -> object:
    return connection.exec_driver_sql("SELECT count(*) FROM meta").scalar()


def add(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO meta VALUES ('a', 'b')")


def test_rows_of_keys_come_back_as_they_went_and_the_first_stays(shared: Either) -> None:
    other = KeyRow(**{**{name: getattr(ROW, name) for name in KeyRow.__slots__}, "wrapped": b"other", "created": 6})
    shared.add_missing_keys([])
    shared.add_missing_keys([ROW])
    shared.add_missing_keys([other])
    assert shared.keys() == [ROW]


async def test_a_call_that_fails_leaves_nothing_and_its_own_error_comes_out(shared: Either) -> None:
    def fail(connection: Connection) -> None:
        add(connection)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await shared.call(fail)
    assert await shared.call(count, read=True) == 0
    await shared.call(add)
    assert await shared.call(count, read=True) == 1


async def test_everything_happens_in_order_on_one_thread_of_its_own(shared: Either) -> None:
    threads: list[threading.Thread] = []
    places: list[int] = []

    def note(place: int) -> None:
        threads.append(threading.current_thread())
        places.append(place)

    await asyncio.gather(*(shared.call(lambda _, place=place: note(place)) for place in range(20)))  # type: ignore[misc]
    assert places == list(range(20))
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()


async def test_a_reader_does_not_wait_for_another_process_that_writes(path: Path, sqlite: Shared) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO meta VALUES ('other', '')")
    try:
        assert await asyncio.wait_for(sqlite.call(count, read=True), 2) == 0
    finally:
        other.execute("COMMIT")
        other.close()
    assert await sqlite.call(count, read=True) == 1


def test_each_commit_is_on_disk_before_it_is_told(sqlite: Shared) -> None:
    pragmas = sqlite.run(
        lambda connection: [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "temp_store", "secure_delete", "cache_size")
        ],
        read=True,
    )
    assert pragmas == ["wal", 2, 1, 2, 0, -2048]


def test_a_full_disk_has_its_own_error_and_stores_nothing(sqlite: Shared) -> None:
    def fill(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        connection.exec_driver_sql("INSERT INTO meta VALUES ('big', zeroblob(1000000))")

    with pytest.raises(StorageFull, match=r"shared.db is full"):
        sqlite.run(fill)
    assert sqlite.run(count) == 0


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    shared = Shared(tmp_path / "nowhere.db")
    with pytest.raises(StorageBroken, match=r"nowhere\.db can't be opened"):
        shared.keys()
    shared.close()
    assert not (tmp_path / "nowhere.db").exists()


def test_a_database_that_was_not_migrated_names_the_command(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    shared = Shared(path)
    with pytest.raises(StorageBroken, match="gateway migrate"):
        shared.keys()
    shared.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO meta VALUES (:a, :b, :c)",
        "INSERT INTO meta SELECT :b, :a WHERE :c = :c UNION ALL SELECT :b, :a",
        "INSERT INTO meta VALUES (CAST(:b AS text), :a), (:b, :c)",
        "SELECT abs(CAST(:b AS bigint)), :a, :c, CAST(:b AS nonsense(",
    ],
    ids=["columns", "twice", "twice in one", "syntax"],
)
def test_errors_never_show_parameters(shared: Either, statement: str) -> None:
    with pytest.raises(StorageBroken) as caught:
        shared.run(lambda db: db.execute(text(statement), {"a": "a", "b": "confidential", "c": "c"}))
    assert "confidential" not in str(caught.value)


async def test_closing_does_what_was_asked_and_refuses_the_rest(shared: Either) -> None:
    asked = asyncio.ensure_future(shared.call(add))
    await asyncio.sleep(0)
    await asyncio.to_thread(shared.close)
    await asked
    shared.close()
    with pytest.raises(StorageBroken, match="is closed"):
        await shared.call(count)
    again = Shared(shared._path) if isinstance(shared, Shared) else PostgresShared(shared._database)
    assert again.run(count) == 1
    again.close()


@pytest.mark.parametrize(("free", "kind"), [(0, StorageFull), (1 << 30, StorageBroken)])
def test_an_error_of_the_disk_is_a_full_one_where_it_is_full(
    path: Path, monkeypatch: pytest.MonkeyPatch, free: int, kind: type[Exception]
) -> None:
    monkeypatch.setattr("gateway.storage.engine.os.statvfs", lambda _: SimpleNamespace(f_bavail=free, f_frsize=1))
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR | 18 << 8  # SQLITE_IOERR_SHMOPEN
    assert type(meaning(path, DBAPIError(None, None, error))) is kind
