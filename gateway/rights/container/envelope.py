"""The outermost layer: a prefix, and blocks of one deflated stream ([MS-OXORMMS] 2.2.4.5, RFC 1950, RFC 1951)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from io import BytesIO
from typing import Final, TypeAlias

from isal import isal_zlib

from gateway.rights.container import limits
from gateway.rights.container.damaged import Damaged

PREFIX: Final = bytes.fromhex("76E80460C411E386")  # As they stand; no number of any endianness.

_MARK: Final = 0x00000FA0
_BLOCK: Final = struct.Struct("<III")  # The mark, plain size, deflated size.
_STREAM: Final = bytes.fromhex("7801")  # RFC 1950 2.2: deflate, a window of 32 KiB, no dictionary.
_STORED: Final = struct.Struct("<BHH")  # RFC 1951 3.2.4: not the last, not deflated; length, its complement.
_RAW: Final = -15  # The window's bits, without a head of its own.
_LEVEL: Final = 1  # Trying harder costs time, and gains nothing with ciphertext in base64.
_HARDER: Final = 3  # Once for many files.


class Way(Enum):
    """How octets stand in the stream."""

    STORED = "stored"  # For ciphertext, which does not shrink: deflating it would be by far the slowest part of all.
    DEFLATED = "deflated"
    KEPT = "kept"  # Deflated, and remembered: for what other files hold octet for octet. Nothing secret.


Piece: TypeAlias = tuple[bytes | memoryview, Way]
"""Octets, and how they are to stand in the stream."""


def write_envelope(pieces: Iterable[Piece]) -> bytes:
    """The pieces, one behind the other, as the octets of a message.rpmsg.

    Pieces to be deflated that follow each other are one run; nothing refers back past a piece of another way.
    """
    written: list[bytes | memoryview] = [PREFIX]
    block: list[bytes | memoryview] = [_STREAM]
    room = limits.BLOCK
    stream = None
    for octets, way in pieces:
        if way is not Way.DEFLATED:
            stream = None
        elif stream is None:
            stream = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW)  # In a sixth of zlib's time.
        at, end = 0, len(octets)
        while at < end:
            part = memoryview(octets)[at : at + room] if at or end > room else octets
            at += len(part)
            room -= len(part)
            if way is Way.STORED:
                block += (_STORED.pack(0, len(part), len(part) ^ 0xFFFF), part)
            elif stream is None:
                block.append(_kept(bytes(part)))
            else:
                # Flushed, never finished: it stands at an octet's boundary then, and whatever comes goes on there.
                block.append(stream.compress(part) + stream.flush(isal_zlib.Z_SYNC_FLUSH))
            if not room:
                written.append(_BLOCK.pack(_MARK, limits.BLOCK, sum(map(len, block))))
                written += block
                block, room = [], limits.BLOCK
    if room < limits.BLOCK:
        written.append(_BLOCK.pack(_MARK, limits.BLOCK - room, sum(map(len, block))))
        written += block
    return b"".join(written)


@lru_cache(maxsize=1024)
def _kept(octets: bytes) -> bytes:
    """A block at most, deflated."""
    stream = isal_zlib.compressobj(_HARDER, isal_zlib.DEFLATED, _RAW)
    return stream.compress(octets) + stream.flush(isal_zlib.Z_SYNC_FLUSH)


def is_envelope(octets: bytes | memoryview) -> bool:
    """Whether they begin as a message.rpmsg does."""
    return octets[: len(PREFIX)] == PREFIX


def read_envelope(octets: bytes | memoryview, most: int | None = None) -> bytes:
    """What the blocks hold. Raises `Damaged`, as for a file, or what comes of it, of more than `most` octets; by
    default `limits.most_of` its own.
    """
    envelope = Envelope(limits.most_of(len(octets)) if most is None else most)
    envelope.feed(octets)
    return envelope.end().getvalue()


class Envelope:
    """An envelope that is read piece by piece: nobody has to have the file whole beside what comes of it.

    The stream has no end: it is done when the file is. A writer that began a stream for each block is understood
    too. A block may be shorter than 4,096 octets anywhere.
    """

    def __init__(self, most: int | None = None, *, expected: int = 0) -> None:
        """`most` octets may it have, and as many may come of it. `expected`: octets of the file, where they are known:
        about as much comes of it, and a buffer that grows is there twice while it does.
        """
        most = limits.most_of(expected) if most is None else most
        self._most = most
        self._read = 0
        self._rest = b""  # Of a block, or of the prefix, that has not come whole yet.
        self._begun = False
        self._stream = zlib.decompressobj()
        self._plain = BytesIO()
        if room := min(expected + expected // 64 + limits.BLOCK, most) if expected else 0:
            self._plain.seek(room - 1)
            self._plain.write(b"\0")
            self._plain.seek(0)

    def feed(self, octets: bytes | memoryview) -> None:
        """Take the next octets. Raises `Damaged`."""
        self._read += len(octets)
        if self._read > self._most:
            raise Damaged("envelope: too long")
        view = memoryview(self._rest + octets if self._rest else octets)
        at = 0
        if not self._begun:
            if len(view) < len(PREFIX):
                self._rest = bytes(view)
                return
            if not is_envelope(view):
                raise Damaged("envelope: prefix")
            self._begun, at = True, len(PREFIX)
        try:
            at = self._blocks(view, at)
        except zlib.error:
            raise Damaged("envelope: deflated data") from None
        self._rest = bytes(view[at:])

    def end(self) -> BytesIO:
        """All that came of it. Raises `Damaged` where it is cut off."""
        if not self._begun:
            raise Damaged("envelope: prefix")
        if self._rest:
            raise Damaged("envelope: ends early")
        self._plain.truncate(self._plain.tell())
        return self._plain

    def _blocks(self, octets: memoryview, at: int) -> int:
        """Inflate all blocks that are whole, from `at` on; where the first one that is not begins."""
        while len(octets) - at >= _BLOCK.size:
            mark, size, deflated = _BLOCK.unpack_from(octets, at)
            if mark != _MARK:
                raise Damaged("envelope: mark of a block")
            if not 1 <= size <= limits.BLOCK or not 1 <= deflated <= limits.DEFLATED_BLOCK:
                raise Damaged("envelope: size of a block")
            begins = at + _BLOCK.size
            if len(octets) - begins < deflated:
                break
            if self._plain.tell() + size > self._most:
                raise Damaged("envelope: too much comes of it")
            if self._stream.eof:
                self._stream = zlib.decompressobj()
            # One more than it may be, so that more is seen, and no more than that is ever made. Where there was room
            # for that one, all of the deflated octets were read.
            plain = self._stream.decompress(octets[begins : begins + deflated], size + 1)
            if len(plain) != size or self._stream.unused_data:
                raise Damaged("envelope: a block is not as long as it says")
            self._plain.write(plain)
            at = begins + deflated
        return at
