"""Statements on either engine's own driver, without SQLAlchemy between: a mailbox has too many rows for objects.

A statement is written once: `?` for a value, `??` for a list of values or for a `Span`, FOR UPDATE where SQLite needs
nothing. Statements of which none depends on another's answer are sent together: on PostgreSQL each by itself costs a
round trip. Leaves out: building statements from anything but this package's own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

Rows = list[tuple[Any, ...]]
Step = tuple[str, Sequence[object]]  # A statement and its values.

MOST_VALUES: Final = 500  # In one statement; SQLite takes 32,766, and plans for few of them are remembered.
_RUN: Final = 8  # UIDs in a row that are worth a statement of their own.
_INSERTED: Final = 32  # Rows in one INSERT; what is left over goes in halves, so that there are few statements to know.
_AT_ONCE: Final = 64  # Such statements in one round trip; they lie in memory until they are sent.
_LOCK: Final = " FOR UPDATE"  # Nobody else changes these rows until the transaction ends. On SQLite nobody does anyway.


@dataclass(frozen=True, slots=True)
class Span:
    """Some UIDs as a condition on the column `uid`: from the first to the last where `is_run`, else exactly these."""

    values: tuple[int, ...]
    is_run: bool

    @property
    def condition(self) -> str:
        """In SQL, with a `?` for each value."""
        return "uid BETWEEN ? AND ?" if self.is_run else f"uid IN ({_marks(len(self.values))})"


class Driver:
    """One open transaction. Errors are DBAPIErrors, which the shared database turns into its own; no values in them."""

    __slots__ = ("_cursor", "_errors", "_session", "is_sqlite")

    def __init__(self, connection: Connection) -> None:
        self.is_sqlite = connection.dialect.name == "sqlite"
        self._session: Any = connection.connection.driver_connection
        self._cursor = self._new_cursor()
        self._errors: type[Exception] = connection.dialect.loaded_dbapi.Error

    def rows(self, statement: str, *values: object) -> Rows:
        """All rows of a statement."""
        self._execute(statement, values)
        try:
            found: Rows = self._cursor.fetchall()
        except self._errors as error:
            raise DBAPIError(None, None, error) from error
        return found

    def row(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found = self.rows(statement, *values)
        return found[0] if found else None

    def number(self, statement: str, *values: object) -> int:
        """The one number that a statement gives; 0 for NULL and for no row."""
        found = self.rows(statement, *values)
        return int(found[0][0] or 0) if found else 0

    def do(self, statement: str, *values: object) -> int:
        """How many rows it changed."""
        self._execute(statement, values)
        return int(self._cursor.rowcount)

    def insert(self, head: str, rows: Sequence[Sequence[object]], tail: str = "") -> None:
        """These rows; `head` is the statement up to VALUES, `tail` what follows. Many rows are one statement."""
        for steps in chunks(inserts(head, rows, tail), _AT_ONCE):
            self.together(steps)

    def together(self, steps: Sequence[Step]) -> list[Rows]:
        """The rows that each statement gives, in their order; none for one that gives none. One round trip for all."""
        if self.is_sqlite or len(steps) < 2:
            return [self._given(statement, values) for statement, values in steps]
        from gateway.storage.postgres.volley import flush

        wanted = len(steps)
        try:
            steps = [*self._begun(), *steps]
            with self._session.pipeline():
                cursors = [self._sent(statement, values) for statement, values in steps]
                flush(self._session.pgconn)
            return [_rows(cursor) for cursor in cursors][len(steps) - wanted :]
        except self._errors as error:
            raise DBAPIError(None, None, error) from error

    @contextmanager
    def overwriting(self) -> Iterator[None]:
        """SQLite leaves what is deleted on its page unless it is told to overwrite it with zeros; PostgreSQL until
        VACUUM comes by.
        """
        if not self.is_sqlite:
            yield
            return
        self.rows("PRAGMA secure_delete=ON")
        try:
            yield
        finally:
            self.rows("PRAGMA secure_delete=OFF")

    def _begun(self) -> list[Step]:
        """What begins the transaction, where nothing has yet: psycopg would wait for the answer to its own BEGIN."""
        if self._session.autocommit or self._session.info.transaction_status:  # 0: idle.
            return []
        self._session.autocommit = True
        return [("BEGIN", ())]

    def _new_cursor(self) -> Any:
        # Octets come as octets: as text they would be twice as long.
        return self._session.cursor() if self.is_sqlite else self._session.cursor(binary=True)

    def _given(self, statement: str, values: Sequence[object]) -> Rows:
        self._execute(statement, values)
        try:
            return _rows(self._cursor)
        except self._errors as error:
            raise DBAPIError(None, None, error) from error

    def _sent(self, statement: str, values: Sequence[object]) -> Any:
        """Its cursor, which has the rows once the pipeline has ended."""
        cursor = self._new_cursor()
        cursor.execute(*self._said(statement, values))
        return cursor

    def _execute(self, statement: str, values: Sequence[object]) -> None:
        try:
            self._cursor.execute(*self._said(statement, values))
        except self._errors as error:
            raise DBAPIError(None, None, error) from error

    def _said(self, statement: str, values: Sequence[object]) -> Step:
        """Statement and values as the driver has them. Not remembered: the drivers remember what they are given."""
        if "??" in statement:
            statement, values = _expanded(statement, values)
        if self.is_sqlite:
            return statement.replace(_LOCK, ""), values
        # Of one type whatever its value: psycopg would have the server plan anew for each mix of short and long ones.
        from psycopg.types.numeric import Int8

        return statement.replace("?", "%s"), [Int8(one) if type(one) is int else one for one in values]


def chunks(values: Sequence[Any], most: int = MOST_VALUES) -> Iterator[tuple[Any, ...]]:
    """The values in their order, so many at once."""
    for first in range(0, len(values), most):
        yield tuple(values[first : first + most])


def inserts(head: str, rows: Sequence[Sequence[object]], tail: str = "") -> list[Step]:
    """Steps that insert these rows, many in each; `head` is the statement up to VALUES, `tail` what follows."""
    steps: list[Step] = []
    first, count = 0, _INSERTED
    while first < len(rows):
        while count > len(rows) - first:
            count //= 2
        some = rows[first : first + count]
        places = ",".join([f"({_marks(len(some[0]))})"] * count)
        steps.append((f"{head} VALUES {places}{tail}", [value for row in some for value in row]))
        first += count
    return steps


def spans(uids: Iterable[int]) -> list[Span]:
    """Spans that together hold exactly these: long runs by their ends, the others listed."""
    found: list[Span] = []
    singles: list[int] = []

    def end(low: int, high: int) -> None:
        if high - low >= _RUN:
            found.append(Span((low, high), True))
        else:
            singles.extend(range(low, high + 1))

    low, high = 0, -1
    for uid in sorted(set(uids)):
        if uid != high + 1:
            end(low, high)
            low = uid
        high = uid
    end(low, high)
    found += [Span(chunk, False) for chunk in chunks(singles)]
    return found


def _expanded(statement: str, values: Sequence[object]) -> tuple[str, Sequence[object]]:
    texts: list[str] = []
    flat: list[object] = []
    for value in values:
        if isinstance(value, Span):
            texts.append(value.condition)
            flat += value.values
        elif isinstance(value, tuple | list):
            texts.append(_marks(len(value)))
            flat += value
        else:
            flat.append(value)
    parts = statement.split("??")
    return "".join([parts[0], *(f"{text}{part}" for text, part in zip(texts, parts[1:], strict=True))]), flat


def _rows(cursor: Any) -> Rows:
    found: Rows = cursor.fetchall() if cursor.description is not None else []
    return found


@cache
def _marks(count: int) -> str:
    return ",".join("?" * count)
