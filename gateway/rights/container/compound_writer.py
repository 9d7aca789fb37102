"""Compound files as they are written ([MS-CFB], version 3): storages in storages, mini stream, DIFAT."""

from __future__ import annotations

import re
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

from gateway.rights.container import compound as cfb

Octets: TypeAlias = bytes | memoryview
Tree: TypeAlias = Mapping[str, "Octets | Tree"]
"""A storage: by name, the octets of a stream or another storage."""
_Shape: TypeAlias = tuple[tuple[str, "int | _Shape"], ...]
"""A storage's names in order, each with its streams' sectors, or what is in it; sectors of the mini stream count below
zero.
"""

_MOST_NAME: Final = 31  # UTF-16 units without the zero behind them (2.6.1).
_MOST_OCTETS: Final = 1 << 31  # Of a file whose sectors have 512 octets (2.6.3).
_NEVER: Final = -1
_SMALL: Final = 1 << 16  # Octets in a file whose layout is kept: few kilobytes each.
_SIZE: Final = struct.Struct("<I")
_UNNAMEABLE = re.compile("[/\\\\:!\0]")  # 2.6.1


@dataclass(frozen=True, slots=True)
class Written:
    """A compound file in pieces, so that what is large is not copied: `head`, and then all of `streams`.

    `streams` are those of 4,096 octets and more, in the order in which the tree was given, each with zeros up to the
    end of its last sector; header, tables, directory and all shorter streams are the head. `sizes`: where their
    lengths stand in it, in four octets each, from its beginning on, and which of them that is.
    """

    head: bytes = field(repr=False)
    streams: tuple[Octets, ...] = field(repr=False)
    sizes: tuple[tuple[int, int], ...] = ()

    def join(self) -> bytes:
        """The file as one."""
        return b"".join((self.head, *self.streams))

    def runs(self) -> tuple[bytes, ...]:
        """The head in pieces, between which those lengths stand. The same for all files whose streams have the same
        names and as many sectors, where those that are in the head are the same.
        """
        places = [place for place, _ in self.sizes]
        begins = [0, *[place + cfb.ENTRY_SIZE for place in places]]
        return tuple([self.head[at:end] for at, end in zip(begins, [*places, len(self.head)], strict=True)])


@dataclass(slots=True)
class _Entry:
    """One of the directory (2.6.1), while it is put together. Sizes of streams are filled in for each file."""

    name: str
    kind: int
    room: int = 0  # Of a stream, as in a `_Shape`.
    colour: int = cfb.BLACK
    left: int = cfb.NO_STREAM
    right: int = cfb.NO_STREAM
    child: int = cfb.NO_STREAM
    start: int = 0
    size: int = 0

    def octets(self) -> bytes:
        name = self.name.encode("utf-16-le")
        ids = (self.left, self.right, self.child)
        place = (self.start, self.size, 0)
        return struct.pack(cfb.ENTRY_FORM, name, len(name) + 2, self.kind, self.colour, *ids, b"", 0, b"", b"", *place)


@dataclass(frozen=True, slots=True)
class _Layout:
    """What files of one shape have in common. `sizes`: where the size of each stream stands in the directory; `minis`
    and `larges`: which of the streams lie where, all in the order of the tree. `large_sizes`: where those of the large
    ones stand in the head.
    """

    tables: bytes  # Header, FAT, DIFAT.
    directory: bytes
    sizes: tuple[int, ...]
    mini_fat: bytes
    minis: tuple[int, ...]
    larges: tuple[int, ...]
    large_sizes: tuple[tuple[int, int], ...]


def write_compound(root: Tree) -> Written:
    """A compound file that holds `root`.

    Raises ValueError for names that a directory can't hold, for two that it takes for one, and over 2 GiB.
    """
    contents: list[Octets] = []
    shape = _shape(root, contents)
    # Messages are alike: what depends on names and on numbers of sectors alone is mostly there already.
    is_small = sum(map(len, contents)) <= _SMALL
    layout = _known_layout(shape) if is_small else _layout(shape)
    directory = bytearray(layout.directory)
    for at, content in zip(layout.sizes, contents, strict=True):
        _SIZE.pack_into(directory, at, len(content))
    mini: list[Octets] = []
    for number in layout.minis:
        content = contents[number]
        mini += (content, bytes(-len(content) % cfb.MINI_SECTOR))
    filler = bytes(-sum(map(len, mini)) % cfb.SECTOR)
    head = b"".join((layout.tables, directory, layout.mini_fat, *mini, filler))
    streams = tuple([piece for number in layout.larges for piece in _whole(contents[number])])
    return Written(head, streams, layout.large_sizes)


def _shape(tree: Tree, contents: list[Octets]) -> _Shape:
    """The tree's shape; the octets of its streams are put behind `contents`."""
    shape: list[tuple[str, int | _Shape]] = []
    for name, content in tree.items():
        if isinstance(content, (bytes, memoryview)):
            contents.append(content)
            size = len(content)
            shape.append((name, -(-size // cfb.SECTOR) if size >= cfb.CUTOFF else -size // cfb.MINI_SECTOR))
        else:
            shape.append((name, _shape(content, contents)))
    return tuple(shape)


def _layout(shape: _Shape) -> _Layout:
    entries = [_Entry("Root Entry", cfb.ROOT)]
    streams: list[int] = []  # Their places among the entries.
    entries[0].child = _add(entries, streams, shape)
    minis = [entries[at] for at in streams if entries[at].room < 0]
    large = list(enumerate([at for at in streams if entries[at].room > 0]))
    larges = [entries[at] for _, at in large]
    mini_fat = _mini_fat(minis)
    mini = sum(-entry.room for entry in minis) * cfb.MINI_SECTOR

    directory = _sectors(len(entries) * cfb.ENTRY)
    others = directory + _sectors(len(mini_fat)) + _sectors(mini) + sum(entry.room for entry in larges)
    fats, difats = _tables(others)
    if (1 + fats + difats + others) * cfb.SECTOR > _MOST_OCTETS:
        raise ValueError("a compound file of version 3 has no room for more than 2 GiB")

    fat = array("I", [cfb.FAT_SECTOR]) * fats + array("I", [cfb.DIFAT_SECTOR]) * difats
    first_directory = _chain(fat, directory)
    first_mini_fat = _chain(fat, _sectors(len(mini_fat)))
    entries[0].start, entries[0].size = _chain(fat, _sectors(mini)), mini
    for entry in larges:
        entry.start = _chain(fat, entry.room)
    fat.extend([cfb.FREE] * (fats * cfb.NUMBERS - len(fat)))
    header = _header(fats, difats, first_directory, first_mini_fat, _sectors(len(mini_fat)))
    tables = b"".join((header, _little_endian(fat), _difat(fats, difats)))
    return _Layout(
        tables=tables,
        directory=_filled(b"".join(entry.octets() for entry in entries), _unallocated()),
        sizes=tuple(at * cfb.ENTRY + cfb.ENTRY_SIZE_AT for at in streams),
        mini_fat=mini_fat,
        minis=tuple(number for number, at in enumerate(streams) if entries[at].room < 0),
        larges=tuple(number for number, at in enumerate(streams) if entries[at].room > 0),
        large_sizes=tuple(sorted((len(tables) + at * cfb.ENTRY + cfb.ENTRY_SIZE_AT, number) for number, at in large)),
    )


@lru_cache(maxsize=64)
def _known_layout(shape: _Shape) -> _Layout:
    return _layout(shape)


def _add(entries: list[_Entry], streams: list[int], shape: _Shape) -> int:
    """Put what is in a storage, and all below it, behind `entries`, and the places of the streams behind `streams`.

    Returns the top of the storage's own tree.
    """
    keyed = sorted((cfb.order(name), name) for name, _ in shape)
    before = None
    for key, name in keyed:
        if not 2 <= len(key[1]) <= 2 * _MOST_NAME or _UNNAMEABLE.search(name) or key == before:
            raise ValueError("a compound file can't hold something of this name, or not twice")
        before = key
    first = len(entries)
    places = {name: at for at, (_, name) in enumerate(keyed, first)}
    inside = dict(shape)
    for name in places:
        room = inside[name]
        if isinstance(room, int):
            entries.append(_Entry(name, cfb.STREAM, room, start=cfb.END_OF_CHAIN))
        else:
            entries.append(_Entry(name, cfb.STORAGE))
    count = len(places)
    # The deepest level is red where it is not full: all ways down then have as many black ones, and no red one is
    # below another.
    red = _NEVER if count & (count + 1) == 0 else count.bit_length() - 1
    top = _balance(entries, first, first + count, 0, red)
    for name, room in shape:  # In the caller's order, not in the directory's.
        if isinstance(room, int):
            streams.append(places[name])
        else:
            entries[places[name]].child = _add(entries, streams, room)
    return top


def _balance(entries: list[_Entry], first: int, end: int, level: int, red: int) -> int:
    """Make a balanced tree of entries that stand in order (2.6.4); its top."""
    if first == end:
        return cfb.NO_STREAM
    middle = (first + end) // 2
    entry = entries[middle]
    entry.colour = cfb.RED if level == red else cfb.BLACK
    entry.left = _balance(entries, first, middle, level + 1, red)
    entry.right = _balance(entries, middle + 1, end, level + 1, red)
    return middle


def _mini_fat(streams: Sequence[_Entry]) -> bytes:
    """The FAT of the mini stream that holds all of them (2.7)."""
    fat: array[int] = array("I")
    for entry in streams:
        entry.start = _chain(fat, -entry.room)
    fat.extend([cfb.FREE] * (-len(fat) % cfb.NUMBERS))
    return _little_endian(fat)


def _chain(fat: array[int], count: int) -> int:
    """The next `count` sectors, one after the other, as a chain; where it begins."""
    if not count:
        return cfb.END_OF_CHAIN
    start = len(fat)
    fat.extend(range(start + 1, start + count))
    fat.append(cfb.END_OF_CHAIN)
    return start


def _sectors(octets: int) -> int:
    return -(-octets // cfb.SECTOR)


def _tables(others: int) -> tuple[int, int]:
    """How many sectors FAT and DIFAT take (2.3, 2.5), which stand in the FAT themselves, beside `others`."""
    fats = difats = 0
    while True:
        needed = -(-(others + fats + difats) // cfb.NUMBERS)
        further = -(-max(0, needed - cfb.HEADER_FATS) // (cfb.NUMBERS - 1))
        if (needed, further) == (fats, difats):
            return fats, difats
        fats, difats = needed, further


def _header(fats: int, difats: int, directory: int, mini_fat: int, mini_fats: int) -> bytes:
    """The first 512 octets (2.2). FAT sectors are the first ones, DIFAT sectors follow."""
    versions = (0x003E, cfb.VERSION, cfb.BYTE_ORDER, cfb.SECTOR_SHIFT, cfb.MINI_SECTOR_SHIFT)
    difat = fats if difats else cfb.END_OF_CHAIN
    numbers = (0, fats, directory, 0, cfb.CUTOFF, mini_fat, mini_fats, difat, difats)
    places = array("I", range(min(fats, cfb.HEADER_FATS)))
    places.extend([cfb.FREE] * (cfb.HEADER_FATS - len(places)))
    return struct.pack(cfb.HEADER_FORM, cfb.SIGNATURE, b"", *versions, b"", *numbers) + _little_endian(places)


def _difat(fats: int, difats: int) -> bytes:
    """The places of the FAT sectors that the header has no room for (2.5)."""
    numbers: array[int] = array("I")
    for at in range(difats):
        first = cfb.HEADER_FATS + at * (cfb.NUMBERS - 1)
        places = array("I", range(first, min(fats, first + cfb.NUMBERS - 1)))
        places.extend([cfb.FREE] * (cfb.NUMBERS - 1 - len(places)))
        numbers.extend(places)
        numbers.append(fats + at + 1 if at + 1 < difats else cfb.END_OF_CHAIN)
    return _little_endian(numbers)


def _little_endian(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _unallocated() -> bytes:
    """An entry that stands for nothing (2.6.1)."""
    return struct.pack(cfb.ENTRY_FORM, b"", 0, cfb.UNALLOCATED, 0, *(cfb.NO_STREAM,) * 3, b"", 0, b"", b"", 0, 0, 0)


def _filled(octets: bytes, filler: bytes) -> bytes:
    """Up to the end of a sector."""
    return octets + filler * (-len(octets) % cfb.SECTOR // len(filler))


def _whole(content: Octets) -> tuple[Octets, ...]:
    filler = -len(content) % cfb.SECTOR
    return (content, bytes(filler)) if filler else (content,)
