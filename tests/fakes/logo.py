"""A picture of the smallest kind: its octets say how large it is, and are whole."""

from __future__ import annotations

import struct
import zlib


def png(width: int = 340, height: int = 70) -> bytes:
    """One colour."""
    rows = (b"\0" + b"\x10\x60\x80" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, octets: bytes) -> bytes:
    return struct.pack(">I", len(octets)) + kind + octets + struct.pack(">I", zlib.crc32(kind + octets))
