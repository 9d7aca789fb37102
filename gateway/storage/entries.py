"""What stands in the journal: entries, and the batches in which they were made durable. Pure.

An entry tells that a message was taken (with all the rows that it would have in the database), that a delivery is done,
or that messages were carried into the database. Columns come sealed and stay so. Whoever changes the columns or the
form of an entry raises the version in MARK, reads the former one too, and begins a segment for what he writes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from isal.isal_zlib import crc32

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

# What stands in the columns of each kind of row; the sealed one is its length in an entry's head, or None.
_MESSAGE: Final = (str, int, int)
_DELIVERY: Final = (str, str, str, int, str, int, int, int, int)
_RECORD: Final = (int, str, str)
_MOST: Final = 1 << 63  # What SQLite takes for a number is less.


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
                entry: Entry = _checked(
                    rest.row(message, _MESSAGE, may_lack=True),
                    rest.rows(deliveries, _DELIVERY),
                    rest.rows(records, _RECORD),
                )
            case 2:
                delivery, name, records = head
                entry = Done(_text(delivery), _text(name), rest.rows(records, _RECORD))
            case 3:
                messages, uids = head
                entry = Carried([_text(name) for name in messages], [_number(uid) for uid in uids])
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

    def row(self, plain: object, columns: Sequence[type], *, may_lack: bool = False) -> Row:
        """A row whose last column was replaced by its length, or by None where it `may_lack` that column."""
        if not isinstance(plain, list) or len(plain) != len(columns) + 1:
            raise BadEntry("an entry has a row that is none")
        for value, kind in zip(plain, columns, strict=False):
            (_text if kind is str else _number)(value)
        length = plain[-1]
        if length is None and may_lack:
            return tuple(plain)
        if not 0 <= _number(length) <= len(self._octets) - self._at:
            raise BadEntry("an entry is cut off")
        start = self._at
        self._at += length
        return (*plain[:-1], self._octets[start : self._at])

    def rows(self, plain: object, columns: Sequence[type]) -> list[Row]:
        """Several."""
        if not isinstance(plain, list):
            raise BadEntry("an entry has rows that are none")
        return [self.row(one, columns) for one in plain]

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._octets):
            raise BadEntry("an entry is longer than it says")


def _checked(message: Row, deliveries: list[Row], records: list[Row]) -> Taken:
    id_ = message[0]
    # It names a file: one that leads out of its folder would have another file deleted.
    if not id_ or "/" in id_ or "\0" in id_ or id_ in (".", ".."):
        raise BadEntry("an entry has an id that is none")
    if any(row[1] != id_ for row in deliveries):
        raise BadEntry("an entry has a delivery of another message")
    return Taken(message, deliveries, records)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadEntry("an entry has a number or nothing where text belongs")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -_MOST <= value < _MOST:
        raise BadEntry("an entry has something else where a number belongs")
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
    crc = crc32(_BATCH.pack(MARK, segment, oldest, size, 0))
    for entry in entries:
        crc = crc32(entry, crc)
    filling = -(HEAD + size) % PAGE
    return [_BATCH.pack(MARK, segment, oldest, size, crc), *entries, bytes(filling)]


def batch_size(octets: int) -> int:
    """How long a batch with entries of so many octets is."""
    return HEAD + octets + -(HEAD + octets) % PAGE


@dataclass(frozen=True, slots=True)
class BatchHead:
    """What stands before the entries of a batch that is whole: `size` is theirs, in octets."""

    segment: int
    oldest: int
    size: int


def batch_head(octets: bytes, at: int, least: int = 1) -> BatchHead | None:
    """The head of the batch that begins at `at`, or None where none begins that is whole and of segment `least` on."""
    if len(octets) - at < HEAD:
        return None
    mark, segment, oldest, size, crc = _BATCH.unpack_from(octets, at)
    start = at + HEAD
    if mark != MARK or size > len(octets) - start or not (1 <= oldest <= segment and least <= segment):
        return None
    with memoryview(octets) as view:
        if crc32(view[start : start + size], crc32(_BATCH.pack(mark, segment, oldest, size, 0))) != crc:
            return None
    return BatchHead(segment, oldest, size)


def is_newer(octets: bytes) -> bool:
    """Whether a newer gateway than this one began a segment with `octets`."""
    return len(octets) >= len(MARK) and octets[: len(MARK) - 1] == MARK[:-1] and octets[len(MARK) - 1] > MARK[-1]


def read_batch(octets: bytes, at: int) -> Batch | None:
    """The batch that begins at `at`, or None where none begins that is whole. Raises BadEntry: its entries are odd."""
    head = batch_head(octets, at)
    if head is None:
        return None
    start = at + HEAD
    entries = list(_split(octets, start, start + head.size))
    return Batch(head.segment, head.oldest, entries, at + batch_size(head.size))


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
