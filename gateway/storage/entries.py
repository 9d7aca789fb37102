"""What stands in the journal: entries, and the batches in which they were made durable. Pure.

An entry tells that a message was taken (with all the rows that it would have in the database), that a delivery is done,
or that messages were carried into the database. Columns come sealed and stay so.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

Row = tuple[Any, ...]

TAKEN: Final = 1
DONE: Final = 2
CARRIED: Final = 3

PAGE: Final = 4096  # Each batch begins on a page of its own, so that writing one never touches what is durable already.
MARK: Final = b"GJ\x00\x01"  # The last octet is the version.
# Mark, number of the segment, oldest segment that counts, octets of the entries, CRC-32 of all that and the entries.
_BATCH: Final = struct.Struct(">4sQQII")
_ENTRY: Final = struct.Struct(">IB")  # Octets behind it, kind.
_HEAD: Final = struct.Struct(">I")


class BadEntry(ValueError):
    """Octets that no entry of ours has: damage, or a newer gateway."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message: its row, those of its deliveries, and records; in each the sealed column stands last."""

    message: Row
    deliveries: Sequence[Row]
    records: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Done:
    """A delivery that is forgotten, and records of it."""

    delivery: str
    message: str
    records: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Carried:
    """Messages and records (their uids) that lie in the database now."""

    messages: Sequence[str]
    records: Sequence[int]


Entry = Taken | Done | Carried


def taken(message: Row, deliveries: Sequence[Row], records: Sequence[Row]) -> bytes:
    """A message as an entry. Its content may be None: it lies elsewhere then."""
    content = message[-1]
    sealed = [row[-1] for row in deliveries] + [row[-1] for row in records]
    head = orjson.dumps(
        (
            (*message[:-1], None if content is None else len(content)),
            [(*row[:-1], len(row[-1])) for row in deliveries],
            [(*row[:-1], len(row[-1])) for row in records],
        )
    )
    return b"".join(
        (
            _ENTRY.pack(4 + len(head) + (0 if content is None else len(content)) + sum(map(len, sealed)), TAKEN),
            _HEAD.pack(len(head)),
            head,
            content or b"",
            *sealed,
        )
    )


def done(delivery: str, message: str, records: Sequence[Row]) -> bytes:
    """A delivery's end as an entry."""
    head = orjson.dumps((delivery, message, [(*row[:-1], len(row[-1])) for row in records]))
    octets = b"".join((_HEAD.pack(len(head)), head, *[row[-1] for row in records]))
    return _ENTRY.pack(len(octets), DONE) + octets


def carried(messages: Sequence[str], records: Sequence[int]) -> bytes:
    """That they are carried, as an entry."""
    head = orjson.dumps((list(messages), list(records)))
    return _ENTRY.pack(4 + len(head), CARRIED) + _HEAD.pack(len(head)) + head


def read(octets: bytes) -> Entry:
    """The entry that begins and ends with `octets`. Raises BadEntry."""
    try:
        length, kind = _ENTRY.unpack_from(octets)
        (size,) = _HEAD.unpack_from(octets, _ENTRY.size)
        at = _ENTRY.size + _HEAD.size
        if length != len(octets) - _ENTRY.size or size > len(octets) - at:
            raise BadEntry("an entry is cut off")
        head = orjson.loads(octets[at : at + size])
        rest = _Rest(octets, at + size)
        match kind:
            case 1:
                message, deliveries, records = head
                entry: Entry = Taken(
                    rest.row(message), [rest.row(r) for r in deliveries], [rest.row(r) for r in records]
                )
            case 2:
                delivery, name, records = head
                entry = Done(_text(delivery), _text(name), rest.rows(records))
            case 3:
                messages, uids = head
                entry = Carried([_text(name) for name in messages], [int(uid) for uid in uids])
            case _:
                raise BadEntry(f"an entry of the unknown kind {kind}")
        rest.end()
    except (struct.error, TypeError, IndexError, ValueError) as error:
        raise error if isinstance(error, BadEntry) else BadEntry("an entry is damaged") from error
    return entry


class _Rest:
    """The sealed columns behind an entry's head, in its order."""

    def __init__(self, octets: bytes, at: int) -> None:
        self._octets = octets
        self._at = at

    def row(self, plain: Sequence[Any]) -> Row:
        """A row whose last column was replaced by its length."""
        if not isinstance(plain, list) or not plain:
            raise BadEntry("an entry has a row that is none")
        length = plain[-1]
        if length is None:
            return tuple(plain)
        if not isinstance(length, int) or not 0 <= length <= len(self._octets) - self._at:
            raise BadEntry("an entry is cut off")
        start = self._at
        self._at += length
        return (*plain[:-1], self._octets[start : self._at])

    def rows(self, plain: Sequence[Any]) -> list[Row]:
        """Several."""
        return [self.row(one) for one in plain]

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._octets):
            raise BadEntry("an entry is longer than it says")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadEntry("an entry has an id that is none")
    return value


# -- batches ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """What was made durable at once. `ends` is where the next one begins."""

    segment: int
    oldest: int
    entries: list[tuple[int, bytes]]  # Where each begins in its segment, and its octets.
    ends: int


HEAD: Final = _BATCH.size


def batch(segment: int, oldest: int, entries: Sequence[bytes]) -> list[bytes]:
    """The octets of a batch in pieces, filled up to whole pages."""
    size = sum(map(len, entries))
    crc = zlib.crc32(_BATCH.pack(MARK, segment, oldest, size, 0))
    for entry in entries:
        crc = zlib.crc32(entry, crc)
    filling = -(HEAD + size) % PAGE
    return [_BATCH.pack(MARK, segment, oldest, size, crc), *entries, bytes(filling)]


def batch_size(octets: int) -> int:
    """How long a batch with entries of so many octets is."""
    return HEAD + octets + -(HEAD + octets) % PAGE


def read_batch(octets: bytes, at: int) -> Batch | None:
    """The batch that begins at `at`, or None where none begins that is whole. Raises BadEntry: its entries are odd."""
    if len(octets) - at < HEAD:
        return None
    mark, segment, oldest, size, crc = _BATCH.unpack_from(octets, at)
    start = at + HEAD
    if mark != MARK or size > len(octets) - start:
        return None
    with memoryview(octets) as view:
        if zlib.crc32(view[start : start + size], zlib.crc32(_BATCH.pack(mark, segment, oldest, size, 0))) != crc:
            return None
    return Batch(segment, oldest, list(_split(octets, start, start + size)), at + batch_size(size))


def _split(octets: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    while at < end:
        if end - at < _ENTRY.size:
            raise BadEntry("a batch ends within an entry")
        length, _ = _ENTRY.unpack_from(octets, at)
        after = at + _ENTRY.size + length
        if after > end:
            raise BadEntry("a batch ends within an entry")
        yield at, octets[at:after]
        at = after
