"""Base64 in lines of 76 letters, each with its CR LF, of octets that are at hand (RFC 2045 6.8)."""

from __future__ import annotations

from struct import Struct
from typing import Final

from pybase64 import b64encode

LINE: Final = 76  # No reader takes longer ones for granted, and some refuse them.
LINE_OCTETS: Final = LINE // 4 * 3
# Lines that are cut at once, by the one call that is fast at it; of more of them each line is allocated slowly.
_AT_ONCE: Final = 128
_BLOCK: Final = LINE_OCTETS * _AT_ONCE
_CUT: Final = [Struct(f"{LINE}s" * count) for count in range(_AT_ONCE + 1)]


def base64_pieces(octets: bytes | memoryview) -> list[bytes]:
    """The lines, some in each piece, for whoever joins them with others. The last line has its CR LF too."""
    view = memoryview(octets)
    pieces: list[bytes] = []
    for at in range(0, len(view), _BLOCK):
        letters = b64encode(view[at : at + _BLOCK])
        whole = len(letters) // LINE
        lines = [*_CUT[whole].unpack_from(letters), letters[whole * LINE :]]  # The last of them may be empty.
        pieces.append(b"\r\n".join(lines))
        if lines[-1]:
            pieces.append(b"\r\n")
    return pieces


def base64_lines(octets: bytes | memoryview) -> bytes:
    """The same in one piece."""
    return b"".join(base64_pieces(octets))
