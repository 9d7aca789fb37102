"""The tar file of a backup: POSIX ustar (IEEE 1003.1-2017, pax, "ustar Interchange Format"), plain files alone.

Any tar program reads what `ArchiveWriter` writes. `members` reads nothing else: an archive may come from anywhere, so
whatever could lead out of a folder, or hold more than it says, is refused by name before anything is made of it.
Leaves out: compression (what is sealed does not shrink), links, devices, extended headers, sparse files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

BLOCK: Final = 512
PIECE: Final = 1 << 20
MAX_MEMBERS: Final = 5_000_000  # A queue of that many large messages is beyond anything that was measured.
_OCTAL: Final = 0o77777777777  # The largest size that the header's digits hold; above it GNU's binary form is used.

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,5}")
_TYPES: Final = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder of its own",
    b"6": "a named pipe",
    b"S": "a sparse file",
}


class BadArchive(Exception):
    """The file is no backup that can be read. The text says what was found, never content."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive. `sha256` is that of its octets, in hexadecimal."""

    name: str
    size: int
    sha256: str


class ArchiveWriter:
    """Writes members one behind the other; `close` ends it. The caller makes it durable. Raises OSError."""

    def __init__(self, file: BinaryIO, mtime: float) -> None:
        self._file = file
        self._mtime = int(mtime)
        self.members: list[Member] = []

    def add(self, name: str, size: int, pieces: Iterable[bytes]) -> Member:
        """One file of exactly `size` octets. Raises ValueError where `pieces` hold more or less, or the name is bad.

        What fails, whatever it is, leaves the archive as it was.
        """
        header = _header(name, size, self._mtime)
        place = self._file.tell()
        try:
            member = self._add(name, size, header, pieces)
        except BaseException:
            self._file.seek(place)
            self._file.truncate()
            raise
        self.members.append(member)
        return member

    def _add(self, name: str, size: int, header: bytes, pieces: Iterable[bytes]) -> Member:
        self._file.write(header)
        digest = hashlib.sha256()
        left = size
        for piece in pieces:
            left -= len(piece)
            if left < 0:
                break
            digest.update(piece)
            self._file.write(piece)
        if left:
            raise ValueError(f"{name} does not have the {size} octets that were announced")
        self._file.write(bytes(-size % BLOCK))
        return Member(name, size, digest.hexdigest())

    def close(self) -> None:
        """Write the end mark, without which the archive counts as cut off."""
        self._file.write(bytes(2 * BLOCK))


class Entry:
    """A member as it is read: `pieces` must be read to their end before the next one is asked for."""

    def __init__(self, name: str, size: int, file: BinaryIO) -> None:
        self.name = name
        self.size = size
        self._file = file
        self._left = size
        self._padding = -size % BLOCK
        self._digest = hashlib.sha256()

    def pieces(self) -> Iterator[bytes]:
        """Its octets. Raises BadArchive where the file ends before they do."""
        while self._left:
            piece = _read(self._file, min(PIECE, self._left), self.name)
            self._left -= len(piece)
            self._digest.update(piece)
            yield piece
        padding, self._padding = self._padding, 0
        if any(_read(self._file, padding, self.name)):
            raise BadArchive(f"octets that belong to nothing stand behind {self.name}")

    def octets(self) -> bytes:
        """All of it, in memory: for what is known to be small."""
        return b"".join(self.pieces())

    @property
    def member(self) -> Member:
        """What was read, once all of it was."""
        return Member(self.name, self.size, self._digest.hexdigest())


def members(file: BinaryIO, most: Callable[[str], int]) -> Iterator[Entry]:
    """Every member, in order. Raises BadArchive, OSError.

    `most` gives the octets that a member of that name may have, and raises BadArchive for a name that has no place.
    """
    seen: set[str] = set()
    while True:
        block = _read(file, BLOCK, "the archive")
        if not any(block):
            break
        name, size = _parsed(block)
        if name in seen:
            raise BadArchive(f"{name} stands in it twice")
        if len(seen) >= MAX_MEMBERS:
            raise BadArchive(f"it holds more than {MAX_MEMBERS} files")
        if size > most(name):
            raise BadArchive(f"{name} has {size} octets, more than such a file may have")
        seen.add(name)
        entry = Entry(name, size, file)
        yield entry
        for _ in entry.pieces():
            pass
    if any(_read(file, BLOCK, "the archive")) or file.read(1):
        raise BadArchive("something stands behind its end")


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """What stands in `file`, PIECE octets after the others."""
    while piece := file.read(PIECE):
        yield piece


def _header(name: str, size: int, mtime: int) -> bytes:
    front, _, back = name.rpartition("/") if len(name) > 100 else ("", "", name)
    if not _NAME.fullmatch(name) or len(back) > 100 or len(front) > 155:
        raise ValueError(f"{name!r} is no name for a file in a backup")
    sized = b"%011o\0" % size if size <= _OCTAL else b"\x80" + size.to_bytes(11, "big")
    head = b"".join(
        (
            back.encode("ascii").ljust(100, b"\0"),
            b"0000600\0",
            b"0000000\0",
            b"0000000\0",
            sized,
            b"%011o\0" % min(max(mtime, 0), _OCTAL),
            b" " * 8,  # The checksum counts itself as spaces.
            b"0",
            bytes(100),
            b"ustar\x0000",
            bytes(32 + 32 + 8 + 8),
            front.encode("ascii").ljust(155, b"\0"),
            bytes(12),
        )
    )
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def _parsed(block: bytes) -> tuple[str, int]:
    """Name and size out of a header. Raises BadArchive."""
    if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * 0x20:
        raise BadArchive("a header in it is damaged, or it is no tar file")
    if block[257:265] != b"ustar\x0000":
        raise BadArchive("it is a tar file of another kind than `gateway backup` writes")
    name = _text(block[:100])
    front = _text(block[345:500])
    name = f"{front}/{name}" if front else name
    kind = block[156:157]
    if kind != b"0":
        raise BadArchive(f"{_shown(name)} is {_TYPES.get(kind, 'an extension')}, where only plain files may stand")
    if any(block[157:257]):
        raise BadArchive(f"{_shown(name)} is a plain file that names a link")
    if not _NAME.fullmatch(name):
        raise BadArchive(f"{_shown(name)} {_why(name)}")
    return name, _number(block[124:136])


def _why(name: str) -> str:
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")):
        return "is an absolute path, and would leave the folder"
    if ".." in parts:
        return "leads out of the folder"
    return "is no name for a file in a backup"


def _text(field: bytes) -> str:
    head, _, tail = field.partition(b"\0")
    if any(tail):
        raise BadArchive("a name in it goes on behind its end")
    return head.decode("latin-1")


def _number(field: bytes) -> int:
    """Octal digits, or behind 0x80 a binary number (GNU). Raises BadArchive."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.rstrip(b" \0").lstrip(b" ")
    if not digits or digits.strip(b"01234567"):
        raise BadArchive("a header in it is damaged, or it is no tar file")
    return int(digits, 8)


def _read(file: BinaryIO, count: int, what: str) -> bytes:
    octets = file.read(count)
    if len(octets) != count:
        raise BadArchive(
            f"it is cut off within {what}" if what != "the archive" else "it is cut off: its end is missing"
        )
    return octets


def _shown(name: str) -> str:
    cut = name if len(name) <= 60 else f"{name[:57]}..."
    return cut.encode("unicode_escape").decode("ascii")
