"""The key-access log in the shared database: batches are added at its end and removed at its front, none is changed.

Several processes, on PostgreSQL of several machines, add to one chain. Each transaction reads the end and adds to it;
on SQLite it holds the only lock for writing from its start, on PostgreSQL an advisory lock until its end. Leaves out:
what lines mean and hashes prove (`gateway.keys.access_log`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Text,
    cast,
    delete,
    func,
    insert,
    select,
    text,
)

from gateway.storage.inserting import insert_into
from gateway.storage.key_log_rows import Batch, HeadRow
from gateway.storage.tables import key_log, key_log_heads

T = TypeVar("T")

HEAD: Final = "head"
START: Final = "start"
FRONT: Final = -(1 << 63)  # Before every line, of rows with impossible numbers too,
BACK: Final = (1 << 63) - 1  # and behind it.
_LOCK: Final = 0x6B_65_79_20_6C_6F_67  # "key log". Held on PostgreSQL by whoever changes the log.

# Cast, since in SQLite somebody who means harm may put text where octets belong, and no reading must end at that.
_BATCH_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (
    key_log.c.first,
    *(cast(key_log.c[name], BigInteger).label(name) for name in ("last", "time")),
    *(cast(key_log.c[name], LargeBinary).label(name) for name in ("before", "after", "lines")),
)
_HEAD_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (
    *(cast(key_log_heads.c[name], Text).label(name) for name in ("kind", "vault", "key")),
    *(cast(key_log_heads.c[name], BigInteger).label(name) for name in ("line", "version")),
    *(cast(key_log_heads.c[name], LargeBinary).label(name) for name in ("statement", "signature")),
)

Make = Callable[[int, bytes | None], Batch]


class Transactions(Protocol):
    """The shared database, as it is asked here."""

    def run(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
        """The result of `run`, once its transaction is on disk. Blocks. Raises StorageFull, StorageBroken."""


class KeyLogStore:
    """The tables `key_log` and `key_log_heads`. Every method blocks and raises StorageFull, StorageBroken."""

    def __init__(self, shared: Transactions) -> None:
        self._shared = shared
        self._doubtful: Batch | None = None

    def __repr__(self) -> str:
        return "KeyLogStore()"

    # -- writing ------------------------------------------------------------------------------------------------------

    def append(self, make: Make) -> Batch:
        """Add the batch that `make` makes of the number of its first line and the hash before it (None: there is none).

        An error may come after everything was stored (a connection lost at the commit): `again` tells.
        """
        made: Batch | None = None

        def run(connection: Connection) -> Batch:
            nonlocal made
            _lock(connection)
            tip = _tip(connection)
            made = make(1, None) if tip is None else make(tip[0] + 1, tip[1])
            connection.execute(insert(key_log).values(_values(made)))
            return made

        self._doubtful = None
        try:
            return self._shared.run(run)
        except BaseException:
            self._doubtful = made
            raise

    def again(self) -> Batch | None:
        """The batch of the last `append` that failed, where it was stored all the same."""
        doubtful = self._doubtful
        if doubtful is None:
            return None
        there = select(key_log.c.after).where(key_log.c.first == doubtful.first, key_log.c.last == doubtful.last)
        row = self._shared.run(lambda connection: connection.execute(there).first(), read=True)
        self._doubtful = None
        return doubtful if row is not None and bytes(row.after) == doubtful.after else None

    def add_head(self, head: HeadRow) -> None:
        """Add what was signed; one that is there already for its kind and line stays."""
        self._shared.run(lambda connection: _add_head(connection, head))

    def drop_heads(self, lines: Sequence[tuple[str, int]]) -> None:
        """Remove statements, by kind and line, that nobody signed."""
        heads = key_log_heads.c

        def run(connection: Connection) -> None:
            for kind, line in lines:
                connection.execute(delete(key_log_heads).where(heads.kind == kind, heads.line == line))

        self._shared.run(run)

    def remove(self, start: HeadRow) -> int:
        """Remove the batches up to `start.line`, where one ends; `start` stands for them from now on.

        How many lines were removed; 0 where another process was first, and then nothing is changed.
        """
        line = start.line

        def run(connection: Connection) -> int:
            _lock(connection)
            first = connection.execute(select(func.min(key_log.c.first))).scalar_one()
            tip = _tip(connection)
            if first is None or first > line or tip is None or tip[0] <= line:
                return 0
            connection.execute(delete(key_log).where(key_log.c.first <= line, key_log.c.last <= line))
            heads = key_log_heads.c
            connection.execute(delete(key_log_heads).where(heads.kind == HEAD, heads.line < line))
            connection.execute(delete(key_log_heads).where(heads.kind == START))
            _add_head(connection, start)
            return int(line - first + 1)

        return self._shared.run(run)

    # -- reading ------------------------------------------------------------------------------------------------------

    def tip(self) -> tuple[int, bytes] | None:
        """Number and hash of the last line; None where there is none."""
        return self._shared.run(_tip, read=True)

    def end_of_batch(self, line: int) -> bytes | None:
        """The hash of `line` where a batch ends with it."""
        # By the key, since `last` has no index: the batch that holds a line is the newest that begins before it.
        statement = select(key_log.c.last, key_log.c.after).where(key_log.c.first <= line)
        statement = statement.order_by(key_log.c.first.desc()).limit(1)
        row = self._shared.run(lambda connection: connection.execute(statement).first(), read=True)
        return None if row is None or row.last != line else bytes(row.after)

    def batches(self, after: int, limit: int) -> list[Batch]:
        """The batches that begin behind line `after`, in their order, at most so many."""
        statement = select(*_BATCH_COLUMNS).where(key_log.c.first > after).order_by(key_log.c.first).limit(limit)
        return self._shared.run(lambda connection: [_batch(row) for row in connection.execute(statement)], read=True)

    def batches_back(self, before: int, limit: int) -> list[Batch]:
        """The batches that begin before line `before`, the newest first, at most so many."""
        statement = (
            select(*_BATCH_COLUMNS).where(key_log.c.first < before).order_by(key_log.c.first.desc()).limit(limit)
        )
        return self._shared.run(lambda connection: [_batch(row) for row in connection.execute(statement)], read=True)

    def since(self, time: int) -> int:
        """The first line of the first batch with a line of `time` or later; behind the end where there is none."""
        columns = key_log.c
        statement = select(columns.first).where(columns.time >= time).order_by(columns.first).limit(1)

        def run(connection: Connection) -> int:
            found = connection.execute(statement).scalar()
            tip = _tip(connection)
            return int(found) if found is not None else 1 + (0 if tip is None else tip[0])

        return self._shared.run(run, read=True)

    def before(self, time: int) -> tuple[int, bytes] | None:
        """Number and hash of the last line before the first batch with a line of `time` or later.

        `time`: milliseconds since 1970. None: nothing comes before it. The newest batch always counts as later, so
        that the chain never begins anew.
        """

        def run(connection: Connection) -> tuple[int, bytes] | None:
            columns = key_log.c
            younger = select(columns.first, columns.before).where(columns.time >= time).order_by(columns.first).limit(1)
            newest = select(columns.first, columns.before).order_by(columns.first.desc()).limit(1)
            row = connection.execute(younger).first() or connection.execute(newest).first()
            first = connection.execute(select(func.min(columns.first))).scalar()
            return None if row is None or row.first == first else (row.first - 1, bytes(row.before))

        return self._shared.run(run, read=True)

    def heads(self) -> list[HeadRow]:
        """Everything that was signed, by kind and line."""
        statement = select(*_HEAD_COLUMNS).order_by(key_log_heads.c.kind, key_log_heads.c.line)
        return self._shared.run(lambda connection: [_head(row) for row in connection.execute(statement)], read=True)

    def newest_head(self, kind: str = HEAD) -> HeadRow | None:
        """The one of that kind with the highest line."""
        heads = key_log_heads.c
        statement = select(*_HEAD_COLUMNS).where(heads.kind == kind).order_by(heads.line.desc()).limit(1)
        row = self._shared.run(lambda connection: connection.execute(statement).first(), read=True)
        return None if row is None else _head(row)


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _tip(connection: Connection) -> tuple[int, bytes] | None:
    row = connection.execute(select(key_log.c.last, key_log.c.after).order_by(key_log.c.first.desc()).limit(1)).first()
    return None if row is None else (int(row.last), bytes(row.after))


def _add_head(connection: Connection, head: HeadRow) -> None:
    values = {name: getattr(head, name) for name in key_log_heads.columns.keys()}
    connection.execute(insert_into(connection, key_log_heads).values(**values).on_conflict_do_nothing())


def _values(batch: Batch) -> dict[str, Any]:
    return {name: getattr(batch, name) for name in key_log.columns.keys()}


def _batch(row: Row[Any]) -> Batch:
    return Batch(row.first, row.last, row.time, bytes(row.before), bytes(row.after), bytes(row.lines))


def _head(row: Row[Any]) -> HeadRow:
    statement, signature = bytes(row.statement), bytes(row.signature)
    return HeadRow(row.kind, row.line, statement, row.vault, row.key, row.version, signature)
