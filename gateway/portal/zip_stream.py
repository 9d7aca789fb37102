"""Files as one ZIP archive, made while it is sent (APPNOTE.TXT 6.3: sizes behind the data, names in UTF-8). Pure.

Nothing lies in memory but the piece that is being packed. Leaves out: encryption, which the connection has.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from io import RawIOBase
from typing import Final, Protocol
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from gateway.portal.file_name import distinct

PIECE: Final = 64 * 1024  # Octets that are gathered before they are sent.
_EARLIEST: Final = datetime(1980, 1, 1, tzinfo=UTC)  # The format knows no time before it,
_LATEST: Final = datetime(2107, 12, 31, tzinfo=UTC)  # and none after.


class Packed(Protocol):
    """One file to pack: `ShownFile` is one."""

    @property
    def name(self) -> str:
        """A safe one."""

    def blocks(self) -> Iterator[bytes]:
        """Its octets."""


class _Sink(RawIOBase):
    """Takes what the packer writes, and can't go back: so it writes sizes behind the data."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, octets: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # of what it is given
        self.waiting.append(bytes(octets))
        self.size += len(self.waiting[-1])
        return len(self.waiting[-1])

    def take(self) -> bytes:
        """What was written since the last time."""
        octets = b"".join(self.waiting)
        self.waiting, self.size = [], 0
        return octets


def zip_blocks(files: Sequence[Packed], moment: datetime | None = None) -> Iterator[bytes]:
    """The archive in pieces. `moment`: when the files say that they were made, in UTC; the message's own date.

    To be read in a thread: packing takes time.
    """
    at = min(max((moment or _EARLIEST).astimezone(UTC), _EARLIEST), _LATEST)
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_DEFLATED, compresslevel=zlib.Z_BEST_SPEED) as archive:
        for name, file in zip(distinct(one.name for one in files), files, strict=True):
            info = ZipInfo(name, at.timetuple()[:6])
            info.compress_type = ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            with archive.open(info, "w", force_zip64=False) as member:
                for piece in _pieces(file.blocks()):
                    member.write(piece)
                    if sink.size >= PIECE:
                        yield sink.take()
    yield sink.take()


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), PIECE):
            yield block[start : start + PIECE]
