"""One thread that owns one database connection: whatever is asked of it at the same moment shares one commit.

Leaves out: several connections; a second writer of the same database waits for SQLite's lock (busy_timeout).
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

PLENTY = 512 << 20  # Octets free on the disk; with less, room counts more than speed.
LOG_PAGES = 2000  # Of the write-ahead log, 4 KiB each, before they are carried into the database.
MAX_BATCH = 256  # Works in one commit; with more the first of them would wait too long.
# Where the commit before had more than one work, the next waits a little for more: fewer, larger commits.
GATHER = 0.002  # Seconds.
PATIENCE = 0.05  # Seconds that a work without haste waits for others to share its commit.


class StorageFull(Exception):
    """The disk is full, or as full as the settings let it be. Nothing was stored."""


class StorageBroken(Exception):
    """The database does not do what was asked: locked for too long, damaged, gone. Nothing was stored."""


class _Work:
    """Something to do on the connection, and who waits for its commit."""

    __slots__ = ("error", "future", "result", "run")

    def __init__(self, run: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any] | None) -> None:
        self.run = run
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None


def _meaning(error: Exception) -> Exception:
    """What an error of SQLite means to whoever waits."""
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFull("the disk with the database is full")
    if isinstance(error, sqlite3.Error):
        return StorageBroken(f"{error.sqlite_errorname}: {error}" if hasattr(error, "sqlite_errorname") else str(error))
    return error


class Writer:
    """Group commit: `do` returns when the commit that holds its work is on disk.

    A work that fails, fails alone: the batch is rolled back and its works are done again one by one, so a work must
    have no effect besides that on the connection.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        name: str,
        monotonic: Callable[[], float],
        observe: Callable[[int, float], None],
    ) -> None:
        """`observe` is told works and seconds of each commit; it is called in the loop's thread."""
        self._connect = connect
        self._works: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._unhurried: deque[_Work] = deque()
        self._nudge: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._monotonic = monotonic
        self._observe = observe
        self._opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._closed = False
        self._company = False  # Whether the last commit had haste for more than one work.
        self._pause = threading.Event()  # Never set.

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the connection. Raises what opening it raises."""
        self._loop = loop
        self._thread.start()
        if (error := self._opened.get()) is not None:
            raise error

    async def do(self, run: Callable[[sqlite3.Connection], T], *, haste: bool = True) -> T:
        """The result of `run` once it is durable. Raises StorageFull, StorageBroken or what `run` raises.

        Without `haste` it shares the commit of the next work that has some, and waits PATIENCE for one.
        """
        if self._closed or self._loop is None:
            raise StorageBroken("the database is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        work = _Work(run, future)
        if haste:
            self._works.put(work)
        else:
            self._queue_unhurried(work)
        return await future

    def later(self, run: Callable[[sqlite3.Connection], Any]) -> None:
        """Do it with some coming commit; nobody waits. For what a crash may undo without harm."""
        if not self._closed:
            self._queue_unhurried(_Work(run, None))

    def close(self) -> None:
        """Finish what was asked and close the connection. Blocks for as long as that takes."""
        if not self._closed:
            self._closed = True
            if self._nudge is not None:
                self._nudge.cancel()
            self._works.put(None)
            self._thread.join()

    def _queue_unhurried(self, work: _Work) -> None:
        """Its thread is not woken for it: that costs more than the work itself."""
        self._unhurried.append(work)
        if self._nudge is None and self._loop is not None:
            self._nudge = self._loop.call_later(PATIENCE, self._hurry)

    def _hurry(self) -> None:
        self._nudge = None
        if self._unhurried:
            self._works.put(_Work(lambda _: None, None))

    def _run(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:  # noqa: BLE001 - whatever it is, whoever started us has to hear of it
            self._opened.put(error)
            return
        self._opened.put(None)
        try:
            while self._batch(connection):
                pass
        finally:
            connection.close()

    def _batch(self, connection: sqlite3.Connection) -> bool:
        """Wait for works, do them in one transaction. False when the last one is done."""
        works: list[_Work] = []
        goes_on = True
        work = self._works.get()
        if self._company and work is not None:
            self._pause.wait(GATHER)
        while True:
            if work is None:
                goes_on = False
                break
            works.append(work)
            if len(works) >= MAX_BATCH:
                break
            try:
                work = self._works.get_nowait()
            except queue.Empty:
                break
        self._company = len(works) > 1
        while self._unhurried and (len(works) < MAX_BATCH or not goes_on):
            works.append(self._unhurried.popleft())
        if works:
            began = self._monotonic()
            self._commit(connection, works)
            self._tell(works, self._monotonic() - began)
        if self._unhurried and len(works) >= MAX_BATCH:  # What is left over has nobody else who would wake us for it.
            self._works.put(_Work(lambda _: None, None))
        return goes_on

    def _commit(self, connection: sqlite3.Connection, works: list[_Work]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work in works:
                work.result = work.run(connection)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - a work's own error must reach its own caller
            self._rollback(connection)
            if len(works) == 1:
                works[0].error = _meaning(error)
            else:
                for work in works:
                    self._commit(connection, [work])

    @staticmethod
    def _rollback(connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:  # SQLite has rolled back by itself (disk full, I/O error).
                pass

    def _tell(self, works: list[_Work], seconds: float) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._settle, works, seconds)
        except RuntimeError:  # The loop is closed: nobody waits any more.
            pass

    def _settle(self, works: list[_Work], seconds: float) -> None:
        self._observe(len(works), seconds)
        for work in works:
            future = work.future
            if future is None or future.done():
                continue
            if work.error is not None:
                future.set_exception(work.error)
            else:
                future.set_result(work.result)


def open_for_writing(path: str) -> sqlite3.Connection:
    """A connection for whoever writes all day."""
    connection = open_database(path)
    lengthen_log(connection, path)
    return connection


def open_database(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection as all of ours are: WAL, every commit on disk, transactions begun by hand."""
    uri = f"file:{_quoted(path)}?mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    if not read_only:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        connection.execute("PRAGMA journal_size_limit=67108864")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def lengthen_log(connection: sqlite3.Connection, path: str) -> None:
    """Write the write-ahead log to its whole length once. Blocks for some tenths of a second.

    Commits then overwrite what is there, and making them durable takes two thirds of the time: the file system has
    nothing to allocate and to note. Where it can't be done, commits are slower, and that is all.
    """
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size >= LOG_PAGES * 4096:
        return
    disk = os.statvfs(log.parent)
    if disk.f_bavail * disk.f_frsize < PLENTY:
        return
    try:
        connection.execute("DROP TABLE IF EXISTS lengthening")
        connection.execute("CREATE TABLE lengthening(octets BLOB)")
        connection.execute("INSERT INTO lengthening VALUES (zeroblob(?))", (LOG_PAGES * 4096 * 11 // 10,))
        connection.execute("DROP TABLE lengthening")
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    except sqlite3.Error:
        with suppress(sqlite3.Error):  # On a full disk too we must start: what we deliver makes room.
            connection.execute("DROP TABLE IF EXISTS lengthening")


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
