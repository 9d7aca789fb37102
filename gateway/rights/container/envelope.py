"""The outermost layer: a prefix, and blocks of one deflated stream ([MS-OXORMMS] 2.2.4.5, RFC 1950, RFC 1951)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Final

from isal import isal_zlib

from gateway.rights.container import limits
from gateway.rights.container.damaged import Damaged

PREFIX: Final = bytes.fromhex("76E80460C411E386")  # As they stand; no number of any endianness.

_MARK: Final = 0x00000FA0
_BLOCK: Final = struct.Struct("<III")  # The mark, plain size, deflated size.
_STORED: Final = struct.Struct("<BHH")  # RFC 1951 3.2.4: not the last, not deflated; length, its complement.
_LEVEL: Final = 1  # A licence is base64 of ciphertext for the most part: trying harder costs time and gains nothing.


def write_envelope(head: Iterable[bytes | memoryview], rest: Iterable[bytes | memoryview]) -> bytes:
    """Both, one after the other, as the octets of a message.rpmsg.

    `head` is deflated, and must not be empty: the stream's own header stands there. `rest` is ciphertext, which would
    not shrink: deflating it is by far the slowest part of all, so it stands in stored blocks, which any reader
    understands. Behind a stored block nothing is deflated again, because what it could refer to would not be what we
    think.
    """
    front = list(head)
    # The head's last block is filled up with what is behind it.
    filler, stored = _cut([memoryview(piece) for piece in rest], -sum(map(len, front)) % limits.BLOCK)
    shrinks = memoryview(b"".join([*front, *filler]))
    deflate = isal_zlib.compressobj(_LEVEL)  # The same format as zlib's, in a sixth of the time.
    pieces: list[bytes | memoryview] = [PREFIX]
    for at in range(0, len(shrinks), limits.BLOCK):
        plain = shrinks[at : at + limits.BLOCK]
        # Flushed, never finished: what is there stands at an octet's boundary, and the next block goes on from it.
        deflated = deflate.compress(plain) + deflate.flush(isal_zlib.Z_SYNC_FLUSH)
        pieces += (_BLOCK.pack(_MARK, len(plain), len(deflated)), deflated)
    pieces += _stored(stored)
    return b"".join(pieces)


def _cut(pieces: list[memoryview], count: int) -> tuple[list[memoryview], list[memoryview]]:
    """The first `count` octets, as far as there are so many, and the others."""
    first: list[memoryview] = []
    for number, piece in enumerate(pieces):
        first.append(piece[:count])
        count -= len(first[-1])
        if not count:
            return first, [piece[len(first[-1]) :], *pieces[number + 1 :]]
    return first, []


def _stored(pieces: list[memoryview]) -> Iterator[bytes | memoryview]:
    """The octets in stored blocks, as pieces that are not copied."""
    left = sum(map(len, pieces))
    room = 0  # In the block that was begun.
    for piece in pieces:
        at = 0
        while at < len(piece):
            if not room:
                room = min(left, limits.BLOCK)
                left -= room
                yield _BLOCK.pack(_MARK, room, _STORED.size + room) + _STORED.pack(0, room, room ^ 0xFFFF)
            part = piece[at : at + room]
            at += len(part)
            room -= len(part)
            yield part


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
