"""What all gateways on one PostgreSQL database share besides the queue: domain keys and the trace.

It is opened before the domain keys are unwrapped, so it knows no sealer: whoever seals hands in sealed octets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from select import POLLIN, poll
from typing import Any, TypeVar, cast

from psycopg import Cursor, Error, OperationalError
from psycopg.pq import Format
from psycopg.sql import SQL, Identifier
from sqlalchemy import Connection as Bound
from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from gateway.storage import tables
from gateway.storage.keyrows import KeyRow, replace_rows
from gateway.storage.postgres.connection import Connection, Database
from gateway.storage.postgres.meaning import is_lost, meaning
from gateway.storage.writer import StorageBroken

T = TypeVar("T")


class PostgresShared:
    """One connection on a thread of its own, opened with the first call, and anew after it was lost.

    Each call is one transaction, or for one that only reads each statement: under READ COMMITTED that is no different,
    and saves the round trips of BEGIN and COMMIT. Calls are done in their order. They raise StorageFull, StorageBroken,
    or what their function raises. The methods are those of `gateway.storage.shared.Shared`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engine: Engine | None = None
        self._raw: Connection | None = None  # What the engine has its one connection of.
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shared-database")

    def __repr__(self) -> str:
        return f"PostgresShared({self._database.shown})"

    async def call(self, run: Callable[[Bound], T], *, read: bool = False) -> T:
        """The result of `run`, once its transaction is on disk. `read`: it only reads, so it may be done twice.

        A caller that is cancelled does not undo it.
        """
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, run, read)

    async def write(self, run: Callable[[Connection], T]) -> T:
        """The result of `run`, once it is on disk: without SQLAlchemy."""
        return await self.call(_bare(run))

    async def read(self, run: Callable[[Connection], T]) -> T:
        """The result of `run`, which only reads, without SQLAlchemy."""
        return await self.call(_bare(run), read=True)

    async def sync(self) -> None:
        """Every commit is on disk already."""

    def run(self, run: Callable[[Bound], T], *, read: bool = False) -> T:
        """As `call`, for the command line and for the start of a process: it blocks."""
        self._check_open()
        return self._thread.submit(self._transact, run, read).result()

    def scrub(self, tables: Sequence[str]) -> None:
        """See SharedStore: VACUUM, by a connection of its own, since it is no part of a transaction."""
        self._check_open()
        with closing(self._database.connect("scrub")) as connection:
            for name in tables:
                try:
                    connection.execute(SQL("VACUUM {}").format(Identifier(name)))
                except Error as error:
                    raise meaning(self._database.shown, error) from error

    def close(self) -> None:
        """Do what was asked for and close. Blocks. Nothing may be asked for afterwards."""
        if not self._closed:
            self._closed = True
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
        """Add those rows whose organisation, purpose and version are not there yet, in one transaction. Blocks.

        Another node that does the same at this moment is waited for, and then its rows stay: read them again.
        """
        # In one order everywhere, so that two nodes never wait for each other.
        ordered = sorted(rows, key=lambda row: (row.organisation, row.purpose, row.version))
        values = [asdict(row) for row in ordered]
        if values:
            statement = insert(tables.domain_keys).on_conflict_do_nothing()
            self.run(lambda connection: connection.execute(statement, values))

    def replace_keys(self, changes: Sequence[tuple[KeyRow, KeyRow]]) -> None:
        """Put each second row in the place of the first, in one transaction. Blocks; raises KeyRowsChanged."""
        self.run(lambda connection: replace_rows(connection, changes))

    # -- on the thread ------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise StorageBroken(f"{self._database.shown} is closed")

    def _transact(self, run: Callable[[Bound], T], read: bool) -> T:
        if self._has_ended():  # Before anybody writes: later nobody could tell whether that took place.
            self._dispose()
        fresh = self._engine is None
        try:
            return self._once(run, read)
        except DBAPIError as error:
            cause = error.orig if isinstance(error.orig, Exception) else error
            if is_lost(cause):
                self._dispose()
                if read and not fresh:  # A connection that had been idle: a firewall or a failover may have ended it.
                    return self._transact(run, read)
            raise meaning(self._database.shown, cause) from error

    def _once(self, run: Callable[[Bound], T], read: bool) -> T:
        if self._engine is None:
            # One connection that stays: everything happens on this thread.
            self._engine = self._database.engine("shared", StaticPool, cursors=_BinaryCursor)
        with self._engine.connect() as connection, connection.begin():
            self._raw = cast(Connection, connection.connection.driver_connection)
            _set_autocommit(self._raw, read)
            return run(connection)

    def _has_ended(self) -> bool:
        """Whether the server has said something that nobody asked for, which is the end of the connection."""
        if self._raw is None:
            return False
        try:
            waiting = poll()
            waiting.register(self._raw.fileno(), POLLIN)
            return bool(waiting.poll(0))
        except (OSError, Error):  # It is closed on our side.
            return True

    def _dispose(self) -> None:
        self._raw = None
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _set_autocommit(connection: Connection, wanted: bool) -> None:
    if connection.autocommit != wanted:
        try:
            connection.autocommit = wanted
        except Error as error:  # psycopg has another error for this, by which nobody would know it for lost.
            raise DBAPIError(None, None, OperationalError("the connection is lost")) from error


class _BinaryCursor(Cursor[tuple[Any, ...]]):
    """Octets come as octets: as text, which is psycopg's default, they would be twice as long."""

    def __init__(self, connection: Connection, *, row_factory: Any = None) -> None:
        super().__init__(connection, row_factory=row_factory)
        self.format = Format.BINARY


def _bare(run: Callable[[Connection], T]) -> Callable[[Bound], T]:
    return lambda bound: run(cast(Connection, bound.connection.driver_connection))
