"""Statements on either engine's own driver, without SQLAlchemy between: a mailbox has too many rows for objects.

A statement is written once: `?` for a value, `??` for a list of values or for a `Span`, FOR UPDATE where SQLite needs
nothing. Leaves out: building statements from anything but this package's own words.
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

MOST_VALUES: Final = 500  # In one statement; SQLite takes 32,766, and plans for few of them are remembered.
_RUN: Final = 8  # UIDs in a row that are worth a statement of their own.
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

    __slots__ = ("_cursor", "_errors", "is_sqlite")

    def __init__(self, connection: Connection) -> None:
        self.is_sqlite = connection.dialect.name == "sqlite"
        driver: Any = connection.connection.driver_connection
        self._cursor = driver.cursor()
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

    def many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """The statement once for each row of values."""
        if len(rows) == 1:
            self._execute(statement, rows[0])
        elif rows:
            try:
                self._cursor.executemany(_said(statement, self.is_sqlite), rows)
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

    def _execute(self, statement: str, values: Sequence[object]) -> None:
        if "??" in statement:
            statement, values = _expanded(statement, values)
        try:
            self._cursor.execute(_said(statement, self.is_sqlite), values)
        except self._errors as error:
            raise DBAPIError(None, None, error) from error


def chunks(values: Sequence[Any], most: int = MOST_VALUES) -> Iterator[tuple[Any, ...]]:
    """The values in their order, so many at once."""
    for first in range(0, len(values), most):
        yield tuple(values[first : first + most])


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


@cache
def _marks(count: int) -> str:
    return ",".join("?" * count)


def _said(statement: str, is_sqlite: bool) -> str:
    """The statement as the driver has it. Not remembered: the drivers remember what they are given."""
    return statement.replace(_LOCK, "") if is_sqlite else statement.replace("?", "%s")
