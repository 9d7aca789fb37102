"""Compound files as they are read ([MS-CFB], version 3): hostile until a signature says otherwise."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.rights.container import compound as cfb
from gateway.rights.container import limits
from gateway.rights.container.damaged import Damaged

Path: TypeAlias = tuple[str, ...]
_Runs: TypeAlias = list[tuple[int, int]]
"""Sectors of a chain in order, as (first, how many follow one another)."""

_HEADER: Final = struct.Struct(cfb.HEADER_FORM)
_ENTRY: Final = struct.Struct(cfb.ENTRY_FORM)


@dataclass(frozen=True, slots=True)
class _Stream:
    """Where the octets of a stream lie."""

    size: int
    runs: _Runs
    is_mini: bool


class CompoundFile:
    """A compound file in memory, its directory and chains read and judged as it is made.

    No sector belongs to two chains, or twice to one, so that all streams together are no longer than the file. How the
    directory's tree is sorted and coloured is not judged: some writers have it otherwise, and nothing here needs it.
    """

    def __init__(self, octets: bytes | memoryview) -> None:
        """Raises `Damaged` where the octets are no compound file of version 3, or pass a limit."""
        self._octets = memoryview(octets)
        if len(octets) < cfb.SECTOR:
            raise Damaged("compound file: no header")
        header = _HEADER.unpack_from(octets)
        signature, _, _, version, byte_order, shift, mini_shift, _ = header[:8]
        _, fats, directory, _, cutoff, mini_fat, mini_fats, difat, _ = header[8:]
        if signature != cfb.SIGNATURE:
            raise Damaged("compound file: signature")
        if (version, byte_order, shift, mini_shift) != (cfb.VERSION, cfb.BYTE_ORDER, 9, 6) or cutoff != cfb.CUTOFF:
            raise Damaged("compound file: not of version 3")
        self._sectors = _Sectors(-(-(len(octets) - cfb.SECTOR) // cfb.SECTOR))
        self._sectors.table = self._fat(fats, difat)
        entries = self._octets_of(self._sectors.chain(directory, None), None)
        if not entries or len(entries) > limits.ENTRIES * cfb.ENTRY or len(entries) % cfb.SECTOR:
            raise Damaged("compound file: size of the directory")

        root = _entry(entries, 0)
        if root.kind != cfb.ROOT:
            raise Damaged("compound file: no root")
        mini_runs = self._sectors.chain(root.start, _needed(root.size, cfb.SECTOR))
        self._mini_stream = memoryview(self._octets_of(mini_runs, root.size))
        self._mini_sectors = _Sectors(-(-root.size // cfb.MINI_SECTOR))
        self._mini_sectors.table = _numbers(self._octets_of(self._sectors.chain(mini_fat, mini_fats), None))

        self._storages: set[Path] = {()}
        self._streams: dict[Path, _Stream] = {}
        for path, entry in _walk(entries, root.child):
            if path in self._storages or path in self._streams:
                raise Damaged("compound file: two of one name")
            if entry.kind == cfb.STORAGE:
                self._storages.add(path)
            else:
                self._streams[path] = self._stream(entry)

    def has_storage(self, *path: str) -> bool:
        """Whether there is a storage of this path."""
        return _folded(path) in self._storages

    def has_stream(self, *path: str) -> bool:
        """Whether there is a stream of this path."""
        return _folded(path) in self._streams

    def size(self, *path: str) -> int:
        """How many octets the stream of this path has. Raises `Damaged` where there is none."""
        return self._found(path).size

    def read(self, *path: str) -> bytes:
        """The octets of the stream of this path. Raises `Damaged` where there is none."""
        stream = self._found(path)
        if not stream.is_mini:
            return self._octets_of(stream.runs, stream.size)
        return b"".join(_pieces(self._mini_stream, 0, cfb.MINI_SECTOR, stream.runs, stream.size))

    def place(self, *path: str) -> tuple[int, int] | None:
        """Where the stream of this path begins in the file, and its size; None where it does not lie there in one
        piece. Raises `Damaged` where there is none.
        """
        stream = self._found(path)
        if stream.is_mini or len(stream.runs) != 1:
            return None
        return (stream.runs[0][0] + 1) * cfb.SECTOR, stream.size

    def _found(self, path: Path) -> _Stream:
        stream = self._streams.get(_folded(path))
        if stream is None:
            raise Damaged(f"compound file: no stream {path[-1].strip()}")
        return stream

    def _fat(self, count: int, difat: int) -> array[int]:
        """The FAT of so many sectors (2.3); `difat` is where the list of the later ones begins (2.5)."""
        if count > self._sectors.count:
            raise Damaged("compound file: size of the FAT")
        places = list(struct.unpack_from(f"<{cfb.HEADER_FATS}I", self._octets, _HEADER.size))
        while len(places) < count:
            self._sectors.take(difat, 1)
            *further, difat = struct.unpack(f"<{cfb.NUMBERS}I", self._sector(difat))
            places += further
        octets = bytearray()
        for place in places[:count]:
            self._sectors.take(place, 1)
            octets += self._sector(place)
        return _numbers(octets)

    def _sector(self, number: int) -> memoryview:
        start = (number + 1) * cfb.SECTOR
        if start + cfb.SECTOR > len(self._octets):
            raise Damaged("compound file: ends early")
        return self._octets[start : start + cfb.SECTOR]

    def _stream(self, entry: _Entry) -> _Stream:
        if entry.size >= cfb.CUTOFF:
            runs = self._sectors.chain(entry.start, _needed(entry.size, cfb.SECTOR))
            end = (sum(runs[-1]) + 1) * cfb.SECTOR - -entry.size % cfb.SECTOR
            if end > len(self._octets):
                raise Damaged("compound file: ends early")
            return _Stream(entry.size, runs, is_mini=False)
        runs = self._mini_sectors.chain(entry.start, _needed(entry.size, cfb.MINI_SECTOR))
        if runs and sum(runs[-1]) * cfb.MINI_SECTOR - -entry.size % cfb.MINI_SECTOR > len(self._mini_stream):
            raise Damaged("compound file: the mini stream ends early")
        return _Stream(entry.size, runs, is_mini=True)

    def _octets_of(self, runs: _Runs, size: int | None) -> bytes:
        """Of whole sectors, up to `size`; the one copy that is made of a stream."""
        octets = b"".join(_pieces(self._octets, cfb.SECTOR, cfb.SECTOR, runs, size))
        if size is not None and len(octets) != size:
            raise Damaged("compound file: ends early")
        return octets


class _Sectors:
    """The sectors of a file or mini stream: which follows which, and which are taken."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.table: array[int] = array("I")
        self._taken = bytearray(count)

    def take(self, first: int, count: int) -> None:
        """Say that these belong to somebody now. Raises `Damaged` where they already do, or lie outside."""
        if first + count > self.count:
            raise Damaged("compound file: a sector outside the file")
        if self._taken.find(1, first, first + count) >= 0:
            raise Damaged("compound file: a sector in two places")
        self._taken[first : first + count] = b"\1" * count

    def chain(self, start: int, count: int | None) -> _Runs:
        """The first `count` sectors of the chain from `start`, or all of them up to its end; they are taken now.

        What a writer has set aside behind a stream's last octet is not looked at.
        """
        runs: _Runs = []
        table, end = self.table, min(len(self.table), self.count)
        left = self.count if count is None else count
        at = start
        while left:
            if at == cfb.END_OF_CHAIN and count is None:
                break
            if at >= end:
                raise Damaged("compound file: a chain ends early or leaves the file")
            length = 1
            last = min(left, end - at)
            while length < last and table[at + length - 1] == at + length:
                length += 1
            self.take(at, length)
            runs.append((at, length))
            left -= length
            at = table[at + length - 1]
        return runs


@dataclass(frozen=True, slots=True)
class _Entry:
    """One of the directory (2.6.1)."""

    name: str
    kind: int
    siblings: tuple[int, int]
    child: int
    start: int
    size: int


def _entry(directory: bytes, number: int) -> _Entry:
    raw, length, kind, _, left, right, child, _, _, _, _, start, size, high = _ENTRY.unpack_from(
        directory, number * cfb.ENTRY
    )
    if kind not in (cfb.STORAGE, cfb.STREAM, cfb.ROOT):
        raise Damaged("compound file: kind of an entry")
    if not 2 <= length <= len(raw) or length % 2 or raw[length - 2 : length] != b"\0\0":
        raise Damaged("compound file: name of an entry")
    try:
        name = raw[: length - 2].decode("utf-16-le")
    except UnicodeDecodeError:
        raise Damaged("compound file: name of an entry") from None
    if kind != cfb.STORAGE and high:
        raise Damaged("compound file: size of a stream")
    return _Entry(name, kind, (left, right), child, start, size)


def _walk(directory: bytes, top: int) -> Iterator[tuple[Path, _Entry]]:
    """All entries below the root whose tree begins at `top`, with their paths. Raises `Damaged` where they loop."""
    seen = bytearray(len(directory) // cfb.ENTRY)
    seen[0] = 1  # The root itself.
    waiting: list[tuple[int, Path]] = [(top, ())]
    while waiting:
        number, above = waiting.pop()
        if number == cfb.NO_STREAM:
            continue
        if number >= len(seen) or seen[number]:
            raise Damaged("compound file: the directory loops or leaves itself")
        seen[number] = 1
        entry = _entry(directory, number)
        if entry.kind == cfb.ROOT:
            raise Damaged("compound file: a second root")
        path = (*above, cfb.folded(entry.name))
        if len(path) > limits.DEPTH:
            raise Damaged("compound file: too deep")
        waiting += [(sibling, above) for sibling in entry.siblings]
        if entry.kind == cfb.STORAGE:
            waiting.append((entry.child, path))
        yield path, entry


def _pieces(octets: memoryview, base: int, sector: int, runs: _Runs, size: int | None) -> Iterator[memoryview]:
    left = len(octets) if size is None else size
    for first, count in runs:
        start = base + first * sector
        length = min(count * sector, left)
        left -= length
        yield octets[start : start + length]


def _needed(octets: int, sector: int) -> int:
    return -(-octets // sector)


def _numbers(octets: bytes | bytearray) -> array[int]:
    numbers: array[int] = array("I")
    numbers.frombytes(octets[: len(octets) // 4 * 4])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _folded(path: Path) -> Path:
    return tuple(cfb.folded(name) for name in path)
