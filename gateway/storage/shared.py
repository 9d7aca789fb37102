"""The shared database: domain keys and the trace, beside every worker's spool and used by all processes.

It is opened before the domain keys are unwrapped, so it knows no sealer: whoever seals hands in sealed octets.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Final, TypeVar, cast

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from gateway.storage import tables
from gateway.storage.engine import READ, WRITE, meaning, open_engine
from gateway.storage.keyrows import KeyRow, replace_rows
from gateway.storage.writer import StorageBroken, Writer, open_database

T = TypeVar("T")

_PATIENCE: Final = 2000  # Milliseconds that cutting off the log waits for readers.


class Shared:
    """Two connections, each on a thread of its own: one for what is written for every message, one for all else.

    Each call is one transaction; calls of a kind are done in their order. Opening happens with the first call. Calls
    raise StorageFull, StorageBroken, or what their function raises.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: Engine | None = None
        self._closed = False
        self._writer: Writer | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shared-database")

    def __repr__(self) -> str:
        return f"Shared({str(self._path)!r})"

    async def call(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
        """The result of `run`, once its transaction is on disk. `read`: it only reads, and waits for no writer.

        A caller that is cancelled does not undo it.
        """
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, run, read)

    async def write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `run`, once it is on disk: the way of what happens for each message, without SQLAlchemy.

        Whatever is asked for at the same moment shares one commit. Raises StorageFull, StorageBroken.
        """
        self._check_open()
        if self._writer is None:
            self._writer = Writer(
                lambda: _open_unsynced(str(self._path.absolute())),
                name="shared-writer",
                monotonic=lambda: 0.0,
                observe=lambda works, seconds: None,
            )
            try:
                self._writer.start(asyncio.get_running_loop())
            except sqlite3.Error as error:
                self._writer = None
                raise StorageBroken(f"{self._path} can't be opened: {error}") from error
        return await self._writer.do(run)

    async def sync(self) -> None:
        """What was written before is on disk when this returns. Raises OSError."""
        await asyncio.to_thread(_sync, Path(f"{self._path}-wal"))

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `run`, which only reads and waits for no writer."""

        def bare(connection: Connection) -> T:
            return run(cast(sqlite3.Connection, connection.connection.driver_connection))

        return await self.call(bare, read=True)

    def run(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
        """As `call`, for the command line and for the start of a process: it blocks."""
        self._check_open()
        return self._thread.submit(self._transact, run, read).result()

    def scrub(self, tables: Sequence[str]) -> None:
        """See SharedStore: the log is carried into the database and cut off, whatever tables it is about."""
        self._check_open()
        self._thread.submit(self._cut_log).result()

    def close(self) -> None:
        """Do what was asked for and close. Blocks. Nothing may be asked for afterwards."""
        if not self._closed:
            self._closed = True
            if self._writer is not None:
                self._writer.close()
            self._thread.submit(self._dispose)
            self._thread.shutdown(wait=True)

    # -- keys ---------------------------------------------------------------------------------------

    def keys(self) -> list[KeyRow]:
        """Every wrapped domain key. Blocks."""
        return self.run(
            lambda connection: [KeyRow(**row) for row in connection.execute(select(tables.domain_keys)).mappings()],
            read=True,
        )

    def add_missing_keys(self, rows: Iterable[KeyRow]) -> None:
        """Add those rows whose organisation, purpose and version are not there yet, in one transaction. Blocks."""
        statement = insert(tables.domain_keys).prefix_with("OR IGNORE", dialect="sqlite")
        values = [asdict(row) for row in rows]
        if values:
            self.run(lambda connection: connection.execute(statement, values))

    def replace_keys(self, changes: Sequence[tuple[KeyRow, KeyRow]]) -> None:
        """Put each second row in the place of the first, in one transaction. Blocks; raises KeyRowsChanged."""
        self.run(lambda connection: replace_rows(connection, changes))

    # -- on the thread ------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise StorageBroken(f"{self._path} is closed")

    def _transact(self, run: Callable[[Connection], T], read: bool) -> T:
        if self._engine is None:
            # One connection that stays: everything happens on this thread.
            self._engine = open_engine(self._path, StaticPool)
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(begin=READ if read else WRITE)
                with connection.begin():
                    return run(connection)
        except DBAPIError as error:
            raise meaning(self._path, error) from error

    def _cut_log(self) -> None:
        try:
            with closing(open_database(str(self._path.absolute()))) as connection:
                connection.execute(f"PRAGMA busy_timeout={_PATIENCE}")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StorageBroken(f"{self._path}: {error}") from error

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _open_unsynced(path: str) -> sqlite3.Connection:
    """With NORMAL SQLite syncs its log before it carries it into the database, and leaves the rest to us."""
    connection = open_database(path)
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def _sync(log: Path) -> None:
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # Nothing was written since it was carried into the database, which syncs it.
        return
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
