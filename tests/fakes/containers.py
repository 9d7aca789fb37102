"""message.rpmsg as other writers make it, and as nobody should; and compound files with a hand on each number."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

PREFIX = bytes.fromhex("76E80460C411E386")


def block(size: int, deflated: bytes, *, mark: int = 0xFA0, length: int | None = None) -> bytes:
    """A block that says `size`, and `length` where that is not the truth."""
    return struct.pack("<III", mark, size, len(deflated) if length is None else length) + deflated


def cut(plain: bytes) -> Iterable[bytes]:
    return [plain[at : at + 4096] for at in range(0, len(plain), 4096)]


def one_stream(plain: bytes, level: int = 6) -> bytes:
    """Deflated throughout, as Outlook does it: one stream, flushed and never finished."""
    deflate = zlib.compressobj(level)
    return PREFIX + b"".join(
        block(len(one), deflate.compress(one) + deflate.flush(zlib.Z_SYNC_FLUSH)) for one in cut(plain)
    )


def many_streams(plain: bytes) -> bytes:
    """A finished stream for each block, as a naive reading of the text has it."""
    return PREFIX + b"".join(block(len(one), zlib.compress(one)) for one in cut(plain))


def patched(octets: bytes, at: int, number: int, size: int = 4) -> bytes:
    """With a number of another value at this place."""
    made = bytearray(octets)
    made[at : at + size] = number.to_bytes(size, "little")
    return bytes(made)


def sector(number: int) -> int:
    """Where it begins."""
    return 512 * (number + 1)


def header(octets: bytes, at: int) -> int:
    """A number of the header."""
    return int.from_bytes(octets[at : at + 4], "little")


FATS, DIRECTORY, MINI_FAT, DIFAT = 44, 48, 60, 68  # Where the header says them.


def entry(octets: bytes, number: int) -> int:
    """Where this entry of the directory begins, in a file whose directory is in one piece."""
    return sector(header(octets, DIRECTORY)) + 128 * number


LEFT, RIGHT, CHILD, START, SIZE = 68, 72, 76, 116, 120  # Inside an entry.


def entries(octets: bytes) -> list[tuple[str, int, int, int, int, int]]:
    """Name, kind, colour, left, right and child of each entry, until the first that stands for nothing."""
    found = []
    at = entry(octets, 0)
    while at < len(octets) and octets[at + 66] in (1, 2, 5):
        raw, length, kind, colour, left, right, child = struct.unpack_from("<64sHBBIII", octets, at)
        found.append((raw[: length - 2].decode("utf-16-le"), kind, colour, left, right, child))
        at += 128
    return found
