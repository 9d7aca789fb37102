"""The writer of a SQLite database: one thread owns one connection, and what is asked at once shares one transaction.

Leaves out: several connections; a second writer of the same database waits for SQLite's lock (busy_timeout).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from gateway.storage.group import Group, StorageAway, StorageBroken, StorageFull, Work

__all__ = ["LOG_PAGES", "StorageAway", "StorageBroken", "StorageFull", "Writer", "open_database"]

T = TypeVar("T")

Run = Callable[[sqlite3.Connection], Any]

LOG_PAGES = 2000  # Of the write-ahead log, 4 KiB each, before they are carried into the database.


def _meaning(error: Exception) -> Exception:
    """What an error of SQLite means to whoever waits."""
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFull("the disk with the database is full")
    if isinstance(error, sqlite3.Error):
        return StorageBroken(f"{error.sqlite_errorname}: {error}" if hasattr(error, "sqlite_errorname") else str(error))
    return error


class Writer(Group[Run]):
    """`do` returns when the commit that holds its work is on disk.

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
        super().__init__(name=name, monotonic=monotonic, observe=observe)
        self._connect = connect
        self._connection: sqlite3.Connection | None = None

    async def do(self, run: Callable[[sqlite3.Connection], T], *, haste: bool = True) -> T:
        """The result of `run` once it is durable. Raises StorageFull, StorageBroken or what `run` raises.

        Without `haste` it shares the commit of the next work that has some, and waits PATIENCE for one.
        """
        result: T = await self._ask(run, haste)
        return result

    def later(self, run: Run) -> None:
        """Do it with some coming commit; nobody waits. For what a crash may undo without harm."""
        self._leave(run)

    def _nothing(self) -> Work[Run]:
        return Work(lambda _: None, None)

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._connection = self._connect()

    def _shut(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _commit(self, works: list[Work[Run]]) -> None:
        connection = self._connection
        if connection is None:
            raise RuntimeError("works before the connection is open")
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work in works:
                work.result = work.what(connection)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - a work's own error must reach its own caller
            self._rollback(connection)
            if len(works) == 1:
                works[0].error = _meaning(error)
            else:
                for work in works:
                    self._commit([work])

    @staticmethod
    def _rollback(connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:  # SQLite has rolled back by itself (disk full, I/O error).
                pass


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


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
