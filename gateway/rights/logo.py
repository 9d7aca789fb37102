"""The logo of [branding]: which kind of picture it is, and how large it is shown. Pure.

PNG (ISO/IEC 15948), JPEG (ISO/IEC 10918-1) and BMP are told by their first octets, never by a file's name. Leaves out:
TIFF, which neither browsers nor most mail programs show; SVG, which may hold programs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

MAX_OCTETS: Final = 200_000  # It goes with each protected mail.
WIDTH: Final = 170  # Pixels within which it is shown; a larger one is made smaller by whoever shows it.
HEIGHT: Final = 70
_LARGEST: Final = 10_000  # Pixels of a side. A picture of a few octets may claim to be a wall.
_PNG: Final = b"\x89PNG\r\n\x1a\n"
# Start of frame, all but DHT, JPG and DAC, which lie between them (ISO/IEC 10918-1 B.1.1.3).
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class BadLogo(ValueError):
    """The text says what was found instead of a picture that can be taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logo:
    """`type` as `image/png`; `width` and `height` in pixels as it is to be shown."""

    type: str
    width: int
    height: int
    octets: bytes = field(repr=False)

    @property
    def extension(self) -> str:
        """Of a file that holds it, without the dot."""
        return {"image/png": "png", "image/jpeg": "jpg"}.get(self.type, "bmp")


def read_logo(octets: bytes) -> Logo:
    """The logo in these octets. Raises BadLogo."""
    if len(octets) > MAX_OCTETS:
        raise BadLogo(f"more than {MAX_OCTETS} octets")
    if octets.startswith(_PNG):
        kind, size = "image/png", _png(octets)
    elif octets.startswith(b"\xff\xd8\xff"):
        kind, size = "image/jpeg", _jpeg(octets)
    elif octets.startswith(b"BM"):
        kind, size = "image/bmp", _bmp(octets)
    else:
        raise BadLogo("no picture of the kinds PNG, JPEG, BMP")
    if size is None or not (0 < size[0] <= _LARGEST and 0 < size[1] <= _LARGEST):
        raise BadLogo("a picture whose size can't be told, or that is beyond measure")
    scale = min(1.0, WIDTH / size[0], HEIGHT / size[1])
    width, height = (max(1, round(side * scale)) for side in size)
    return Logo(type=kind, width=width, height=height, octets=octets)


def _png(octets: bytes) -> tuple[int, int] | None:
    if len(octets) < 24 or octets[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", octets, 16)
    return width, height


def _jpeg(octets: bytes) -> tuple[int, int] | None:
    """Segment by segment up to the frame header; each step goes on by two octets at least."""
    at = 2
    while at + 9 <= len(octets):
        if octets[at] != 0xFF:
            return None
        kind = octets[at + 1]
        if kind == 0xFF:  # Filling.
            at += 1
            continue
        if kind in _FRAMES:
            height, width = struct.unpack_from(">HH", octets, at + 5)
            return width, height
        length = int.from_bytes(octets[at + 2 : at + 4], "big")
        if length < 2:
            return None
        at += 2 + length
    return None


def _bmp(octets: bytes) -> tuple[int, int] | None:
    """Of headers since Windows 3; a height below zero has its lines from the top."""
    if len(octets) < 26 or int.from_bytes(octets[14:18], "little") < 40:
        return None
    width, height = struct.unpack_from("<ii", octets, 18)
    return width, abs(height)
