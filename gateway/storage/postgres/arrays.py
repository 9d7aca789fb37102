"""Arrays as a statement over a set of rows takes them: one value for each column, in PostgreSQL's binary form.

psycopg's own way looks at each element several times in Python, which with many rows costs more than the statement.
Leaves out: arrays of several dimensions, and reading any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any, Final

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

_HEAD: Final = Struct(">iiIii")  # Dimensions, whether there are NULLs, the elements' type, length, first index.
_LENGTH: Final = Struct(">i")
_LONG: Final = Struct(">iq")
_NULL: Final = _LENGTH.pack(-1)
_BYTEA, _INT8, _TEXT = 17, 20, 25  # The elements' types, as pg_type has them on every server.


class Array:
    """The values of one column, in the order of the rows; None is NULL."""

    __slots__ = ("values",)

    def __init__(self, values: Iterable[Any]) -> None:
        self.values = tuple(values)


class Texts(Array):
    """A `text[]` of strings."""


class Longs(Array):
    """A `bigint[]` of integers."""


class Octets(Array):
    """A `bytea[]` of bytes."""


class _TextsDumper(Dumper):
    format = Format.BINARY
    oid = 1009

    def dump(self, obj: Texts) -> Buffer:
        return _array(_TEXT, [None if value is None else value.encode() for value in obj.values])


class _OctetsDumper(Dumper):
    format = Format.BINARY
    oid = 1001

    def dump(self, obj: Octets) -> Buffer:
        return _array(_BYTEA, obj.values)


class _LongsDumper(Dumper):
    format = Format.BINARY
    oid = 1016

    def dump(self, obj: Longs) -> Buffer:
        pack = _LONG.pack
        pieces = [_NULL if value is None else pack(8, value) for value in obj.values]
        return b"".join([_head(_INT8, obj.values), *pieces])


def register(connection: psycopg.Connection[Any]) -> None:
    """From now on `connection` takes them as arguments."""
    for array, dumper in ((Texts, _TextsDumper), (Longs, _LongsDumper), (Octets, _OctetsDumper)):
        connection.adapters.register_dumper(array, dumper)


def _array(element: int, values: Sequence[bytes | None]) -> bytes:
    pieces = [_head(element, values)]
    for value in values:
        if value is None:
            pieces.append(_NULL)
        else:
            pieces.append(_LENGTH.pack(len(value)))
            pieces.append(value)
    return b"".join(pieces)


def _head(element: int, values: Sequence[Any]) -> bytes:
    # An empty array has no dimension at all.
    return _HEAD.pack(1, None in values, element, len(values), 1) if values else _HEAD.pack(0, 0, element, 0, 0)[:12]
