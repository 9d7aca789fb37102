"""Counted strings, and a cursor over octets that never reads past them ([MS-OFFCRYPTO] 2.1, [MS-OXORMMS] 2.2.4.4)."""

from __future__ import annotations

import struct

from gateway.rights.container import limits
from gateway.rights.container.damaged import Damaged

_LONG = 0xFF  # What the one octet says where the count stands in the two behind it.


class Cursor:
    """A place in octets from which numbers and strings are read in turn. Raises `Damaged` with the octets' name."""

    def __init__(self, octets: bytes, name: str) -> None:
        self._octets = octets
        self._at = 0
        self._name = name

    def damaged(self, what: str) -> Damaged:
        """To be raised: these octets are wrong in `what`."""
        return Damaged(f"{self._name}: {what}")

    def take(self, count: int) -> bytes:
        """So many octets."""
        if count > len(self._octets) - self._at:
            raise self.damaged("ends early")
        self._at += count
        return self._octets[self._at - count : self._at]

    def number(self, octets: int) -> int:
        """An unsigned number, little-endian."""
        return int.from_bytes(self.take(octets), "little")

    def lp4(self, most: int = limits.STRING) -> bytes:
        """The octets of UNICODE-LP-P4 or UTF-8-LP-P4 (2.1.2, 2.1.3): zeros up to a multiple of 4 do not count."""
        length = self.number(4)
        if length > most:
            raise self.damaged("a string is too long")
        octets = self.take(length)
        self.take(-length % 4)
        return octets

    def narrow(self) -> bytes:
        """LPA: counted octets in a code page that is not named."""
        return self.take(self._count(1))

    def wide(self) -> str:
        """LPW: counted UTF-16 units. What is no UTF-16 is replaced: a name is shown, and decides nothing."""
        return self.take(self._count(2)).decode("utf-16-le", "replace")

    def _count(self, unit: int) -> int:
        count = self.number(1)
        if count == _LONG:
            count = self.number(2)
        if count * unit > limits.STRING:
            raise self.damaged("a string is too long")
        return count * unit


def lp4(octets: bytes) -> bytes:
    """Octets as UNICODE-LP-P4 or UTF-8-LP-P4."""
    return b"".join(lp4_pieces(octets))


def lp4_pieces(octets: bytes) -> tuple[bytes, ...]:
    """The same, for whoever joins them with others."""
    return struct.pack("<I", len(octets)), octets, bytes(-len(octets) % 4)


def lp4_text(text: str) -> bytes:
    """UNICODE-LP-P4."""
    return lp4(text.encode("utf-16-le"))


def narrow(text: str) -> bytes:
    """LPA, in Windows' western code page; what it can't say becomes a question mark."""
    octets = text.encode("cp1252", "replace")[: limits.STRING - 1]
    return _counted(len(octets)) + octets


def wide(text: str) -> bytes:
    """LPW. What is longer than a string may be is cut."""
    octets = text.encode("utf-16-le", "replace")[: limits.STRING]
    octets = octets.decode("utf-16-le", "ignore").encode("utf-16-le")  # No half of a pair at the end.
    return _counted(len(octets) // 2) + octets


def _counted(count: int) -> bytes:
    return bytes([count]) if count < _LONG else struct.pack("<BH", _LONG, count)
