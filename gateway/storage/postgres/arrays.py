"""Arrays as a statement over a set of rows takes them: one value for each column, in PostgreSQL's binary form.

psycopg's own way looks at each element several times in Python, which with many rows costs more than the statement.
Leaves out: arrays of several dimensions, and reading any.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any, ClassVar, Final

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

_HEAD: Final = Struct(">iiIii")  # Dimensions, whether there are NULLs, the elements' type, length, first index.
_LENGTH: Final = Struct(">i")
_LONG: Final = Struct(">iq")
_ONE: Final = Struct(">iiIiii")  # An array of one element, up to that element's octets.
_ONE_LONG: Final = Struct(">iiIiiiq")
_NULL: Final = _LENGTH.pack(-1)
_BYTEA, _INT8, _TEXT = 17, 20, 25  # The elements' types, as pg_type has them on every server.


class Array(ABC):
    """The values of one column, in the order of the rows; None is NULL."""

    __slots__ = ("values",)
    oid: ClassVar[int]  # As pg_type has it.

    def __init__(self, values: Iterable[Any]) -> None:
        self.values = tuple(values)

    @abstractmethod
    def octets(self) -> bytes:
        """As the server reads it."""


class Texts(Array):
    """A `text[]` of strings."""

    __slots__ = ()
    oid = 1009

    def octets(self) -> bytes:
        values = self.values
        if len(values) == 1 and values[0] is not None:  # As for most messages.
            octets: bytes = values[0].encode()
            return _ONE.pack(1, 0, _TEXT, 1, 1, len(octets)) + octets
        return _array(_TEXT, [None if value is None else value.encode() for value in values])


class Longs(Array):
    """A `bigint[]` of integers."""

    __slots__ = ()
    oid = 1016

    def octets(self) -> bytes:
        if len(self.values) == 1 and self.values[0] is not None:
            return _ONE_LONG.pack(1, 0, _INT8, 1, 1, 8, self.values[0])
        pack = _LONG.pack
        pieces = [_NULL if value is None else pack(8, value) for value in self.values]
        return b"".join([_head(_INT8, self.values), *pieces])


class Octets(Array):
    """A `bytea[]` of bytes."""

    __slots__ = ()
    oid = 1001

    def octets(self) -> bytes:
        return _array(_BYTEA, self.values)


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> Buffer:
        return obj.octets()


class _TextsDumper(_Dumper):
    oid = Texts.oid


class _OctetsDumper(_Dumper):
    oid = Octets.oid


class _LongsDumper(_Dumper):
    oid = Longs.oid


def oids(kinds: Iterable[type[Array]]) -> tuple[int, ...]:
    """The types of these columns."""
    return tuple(kind.oid for kind in kinds)


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
