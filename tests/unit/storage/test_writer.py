"""Group commit: one thread, one connection, one commit for whatever is asked at the same moment."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.storage.group import MAX_BATCH
from gateway.storage.writer import StorageBroken, StorageFull, Writer, open_database


class Commits(list[int]):
    """How many works each commit had."""

    def observe(self, works: int, seconds: float) -> None:
        assert threading.current_thread() is threading.main_thread()
        assert seconds == 0.0
        self.append(works)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    sqlite3.connect(tmp_path / "x.db").close()
    with_table = open_database(str(tmp_path / "x.db"))
    with_table.execute("CREATE TABLE t(x INTEGER PRIMARY KEY)")
    with_table.close()
    return tmp_path / "x.db"


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture
async def writer(path: Path, commits: Commits) -> AsyncIterator[Writer]:
    writer = Writer(lambda: open_database(str(path)), name="w", monotonic=lambda: 0.0, observe=commits.observe)
    writer.start(asyncio.get_running_loop())
    yield writer
    await asyncio.to_thread(writer.close)


def insert(number: int) -> Callable[[sqlite3.Connection], int]:
    return lambda db: db.execute("INSERT INTO t VALUES (?)", (number,)).rowcount


def stored(path: Path) -> list[int]:
    """What another process sees."""
    other = open_database(str(path), read_only=True)
    try:
        return [row[0] for row in other.execute("SELECT x FROM t ORDER BY x")]
    finally:
        other.close()


class Gate:
    """A work that holds the thread until it is opened, so that others gather behind it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.entered = threading.Event()

    def __call__(self, db: sqlite3.Connection) -> None:
        self.entered.set()
        assert self._event.wait(20)

    def open(self) -> None:
        self._event.set()


async def held(writer: Writer) -> tuple[Gate, asyncio.Future[None]]:
    """The thread, held."""
    gate = Gate()
    waiting = asyncio.ensure_future(writer.do(gate))
    await asyncio.to_thread(gate.entered.wait, 20)
    return gate, waiting


async def test_do_returns_when_others_can_see_it(writer: Writer, path: Path) -> None:
    assert await writer.do(lambda db: db.execute("INSERT INTO t VALUES (1)").rowcount) == 1
    assert stored(path) == [1]


async def test_works_of_the_same_moment_share_a_commit(writer: Writer, path: Path, commits: Commits) -> None:
    gate, waiting = await held(writer)
    works = [asyncio.ensure_future(writer.do(insert(n))) for n in range(10)]
    await asyncio.sleep(0)
    assert stored(path) == []
    gate.open()
    await asyncio.gather(waiting, *works)
    assert commits == [1, 10]
    assert stored(path) == list(range(10))


async def test_a_commit_has_at_most_256_works(writer: Writer, path: Path, commits: Commits) -> None:
    gate, waiting = await held(writer)
    works = [asyncio.ensure_future(writer.do(insert(n))) for n in range(MAX_BATCH + 1)]
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(waiting, *works)
    assert commits == [1, 256, 1]


async def test_a_work_that_fails_fails_alone(writer: Writer, path: Path) -> None:
    gate, waiting = await held(writer)

    def fails(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (99)")
        raise KeyError("of its own")

    good = [asyncio.ensure_future(writer.do(insert(n))) for n in range(3)]
    bad = asyncio.ensure_future(writer.do(fails))
    doubled = asyncio.ensure_future(writer.do(lambda db: db.execute("INSERT INTO t VALUES (1)")))
    await asyncio.sleep(0)
    gate.open()
    results = await asyncio.gather(waiting, *good, bad, doubled, return_exceptions=True)
    assert results[1:4] == [1, 1, 1]
    assert isinstance(results[4], KeyError)
    assert isinstance(results[5], StorageBroken)
    assert "SQLITE_CONSTRAINT" in str(results[5])
    assert stored(path) == [0, 1, 2]


async def test_the_thread_goes_on_after_a_failure(writer: Writer, path: Path) -> None:
    with pytest.raises(StorageBroken):
        await writer.do(lambda db: db.execute("INSERT INTO missing VALUES (1)"))
    await writer.do(lambda db: db.execute("INSERT INTO t VALUES (1)"))
    assert stored(path) == [1]


async def test_a_full_database_is_told_as_such_and_nothing_is_stored(writer: Writer, path: Path) -> None:
    await writer.do(lambda db: db.execute("CREATE TABLE b(x BLOB)"))
    pages = await writer.do(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await writer.do(lambda db: db.execute(f"PRAGMA max_page_count={pages + 2}").fetchone())
    with pytest.raises(StorageFull):
        await writer.do(lambda db: db.execute("INSERT INTO b VALUES (zeroblob(100000))"))
    await writer.do(lambda db: db.execute("INSERT INTO t VALUES (1)"))
    assert stored(path) == [1]
    assert await writer.do(lambda db: db.execute("SELECT count(*) FROM b").fetchone()[0]) == 0


async def test_what_is_done_later_is_done_with_the_next_commit_or_soon(
    writer: Writer, path: Path, commits: Commits
) -> None:
    writer.later(lambda db: db.execute("INSERT INTO t VALUES (1)"))
    await writer.do(lambda db: db.execute("INSERT INTO t VALUES (2)"))
    assert stored(path) == [1, 2]
    assert commits == [2]
    async with asyncio.timeout(30):
        writer.later(lambda db: db.execute("INSERT INTO t VALUES (3)"))
        while len(commits) < 2:
            await asyncio.sleep(0.01)
    assert stored(path) == [1, 2, 3]


async def test_many_works_without_haste_are_all_done_without_anybody_else(writer: Writer, path: Path) -> None:
    count = 2 * MAX_BATCH + 10
    async with asyncio.timeout(10):
        await asyncio.gather(*(writer.do(insert(n), haste=False) for n in range(count)))
    assert stored(path) == list(range(count))


async def test_closing_does_what_was_asked_for_first(writer: Writer, path: Path) -> None:
    gate, waiting = await held(writer)
    work = asyncio.ensure_future(writer.do(lambda db: db.execute("INSERT INTO t VALUES (1)")))
    writer.later(lambda db: db.execute("INSERT INTO t VALUES (2)"))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(asyncio.to_thread(writer.close))
    gate.open()
    await asyncio.gather(closing, waiting, work)
    assert stored(path) == [1, 2]
    with pytest.raises(StorageBroken, match="closed"):
        await writer.do(lambda db: None)
    writer.later(lambda db: None)
    writer.close()


async def test_a_caller_that_is_cancelled_disturbs_nobody(writer: Writer, path: Path) -> None:
    gate, waiting = await held(writer)
    gone = asyncio.ensure_future(writer.do(lambda db: db.execute("INSERT INTO t VALUES (1)")))
    stays = asyncio.ensure_future(writer.do(lambda db: db.execute("INSERT INTO t VALUES (2)")))
    await asyncio.sleep(0)
    gone.cancel()
    gate.open()
    await asyncio.gather(waiting, stays)
    assert gone.cancelled()
    assert 2 in stored(path)


async def test_a_database_that_is_not_there_is_told_at_the_start(tmp_path: Path, commits: Commits) -> None:
    writer = Writer(
        lambda: open_database(str(tmp_path / "no.db")), name="w", monotonic=lambda: 0.0, observe=commits.observe
    )
    with pytest.raises(sqlite3.OperationalError):
        writer.start(asyncio.get_running_loop())


@pytest.mark.parametrize("name", ["a?b.db", "a#b.db", "a%41.db"])
def test_odd_file_names_are_taken_as_they_are(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    database = open_database(str(tmp_path / name))
    database.execute("CREATE TABLE t(x)")
    database.close()
    assert (tmp_path / name).stat().st_size > 0


def test_every_commit_is_synchronous(path: Path) -> None:
    database = open_database(str(path))
    assert database.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert database.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    database.close()
