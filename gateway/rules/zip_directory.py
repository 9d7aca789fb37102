"""The directory of a zip archive: what is in it, without unpacking anything (PKWARE's APPNOTE.TXT 4.3). Pure.

Leaves out: zip64, split archives, and names hidden behind an encrypted directory; what can't be read has no entries.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MOST_ENTRIES: Final = 20_000
LONGEST_COMMENT: Final = 65_535 + 22  # Octets from the end in which the end of the directory begins.

_END: Final = b"PK\x05\x06"
_ENTRY: Final = b"PK\x01\x02"
_LOCAL: Final = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Entry:
    """One member: its name as it stands, and whether it is encrypted."""

    name: str
    encrypted: bool


def entries(octets: bytes) -> tuple[Entry, ...]:
    """The members of an archive; of one whose directory is broken or missing, what its local headers say."""
    found = tuple(_directory(octets))
    return found or tuple(_locals(octets))


def _directory(octets: bytes) -> Iterator[Entry]:
    end = octets.rfind(_END, max(0, len(octets) - LONGEST_COMMENT))
    if end < 0 or end + 22 > len(octets):
        return
    size, offset = struct.unpack_from("<II", octets, end + 12)
    # Something may stand in front of the archive, and then its offsets are wrong by that much.
    at = end - size if octets[end - size : end - size + 4] == _ENTRY and size <= end else offset
    for _ in range(MOST_ENTRIES):
        if octets[at : at + 4] != _ENTRY or at + 46 > len(octets):
            return
        flags = int.from_bytes(octets[at + 8 : at + 10], "little")
        lengths = struct.unpack_from("<HHH", octets, at + 28)
        yield Entry(_name(octets[at + 46 : at + 46 + lengths[0]]), bool(flags & 1))
        at += 46 + sum(lengths)


def _locals(octets: bytes) -> Iterator[Entry]:
    at = 0
    for _ in range(MOST_ENTRIES):
        at = octets.find(_LOCAL, at)
        if at < 0 or at + 30 > len(octets):
            return
        flags = int.from_bytes(octets[at + 6 : at + 8], "little")
        length = int.from_bytes(octets[at + 26 : at + 28], "little")
        yield Entry(_name(octets[at + 30 : at + 30 + length]), bool(flags & 1))
        at += 30


def _name(octets: bytes) -> str:
    return octets.decode("utf-8", "replace").replace("\\", "/")
