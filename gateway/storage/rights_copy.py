"""Stored copies of rights-managed messages: each sealed under a content key of its own, in pieces of 1 MiB.

The key lies, sealed, in the message's row and nowhere else; where it is emptied, what is left of the copy, in a blob,
a backup or a page of a disk, opens no longer. AES-256-GCM (NIST SP 800-38D); a key seals one copy, so the nonce is the
piece's place and whether it is the last (8.2.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.storage.blobs import Blobs
from gateway.storage.content import INLINE, OVERHEAD, SEGMENT
from gateway.storage.sealer import SealBroken

KEY_OCTETS: Final = 32
MARK: Final = b"\x01"


class CopyKey:
    """The content key of one copy. Neither repr nor pickle gives it away."""

    __slots__ = ("_bound", "_cipher", "_work")

    def __init__(self, work: UUID, key: bytes) -> None:
        if len(key) != KEY_OCTETS:
            raise SealBroken(f"the key of the copy {work} does not have {KEY_OCTETS} octets")
        self._work = work
        self._cipher = AESGCM(key)
        self._bound = b"gateway rights copy 1\0" + work.bytes

    def __repr__(self) -> str:
        return f"CopyKey({self._work})"

    def __reduce__(self) -> str:
        raise TypeError("content keys are not pickled: they must not leave the process")

    def seal(self, place: int, last: bool, plain: memoryview | bytes) -> bytes:
        """The sealed piece, OVERHEAD octets longer. Each place is sealed once."""
        return self._cipher.encrypt(_nonce(place, last), plain, self._bound)

    def open(self, place: int, last: bool, sealed: bytes | memoryview) -> bytes:
        """The plain piece. Raises SealBroken."""
        try:
            return self._cipher.decrypt(_nonce(place, last), sealed, self._bound)
        except InvalidTag as error:
            raise SealBroken(f"piece {place} of the copy {self._work} is damaged or out of its place") from error


@dataclass(frozen=True, slots=True)
class BlobCopy:
    """A copy in a blob, as `gateway.mail.message.Content`. Reading it again and again is fine."""

    name: str
    size: int
    key: CopyKey
    blobs: Blobs = field(repr=False)
    executor: Executor = field(repr=False)

    @property
    def inline(self) -> bytes | None:
        """Never at hand."""
        return None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """The octets in pieces of 1 MiB. Raises SealBroken (BlobGone), BlobsAway."""
        loop = asyncio.get_running_loop()
        count = _pieces(self.size)
        if (mark := await self.blobs.read(self.name, 0, 1)) != MARK:
            raise SealBroken(f"the copy {self.name} has an unknown version mark {mark[0]}: a newer gateway wrote it")
        for place in range(count):
            last = place == count - 1
            length = (self.size - place * SEGMENT if last else SEGMENT) + OVERHEAD
            sealed = await self.blobs.read(self.name, 1 + place * (SEGMENT + OVERHEAD), length)
            yield await loop.run_in_executor(self.executor, self.key.open, place, last, sealed)


def is_small(size: int) -> bool:
    """Whether a copy of that many octets lies in its row."""
    return size <= INLINE


def seal_small(key: CopyKey, octets: bytes) -> bytes:
    """A copy for its row."""
    return MARK + key.seal(0, True, octets)


def open_small(key: CopyKey, sealed: bytes) -> bytes:
    """What `seal_small` was given. Raises SealBroken."""
    if sealed[:1] != MARK:
        raise SealBroken(f"{key!r} meets an unknown version mark: a newer gateway wrote it")
    return key.open(0, True, sealed[1:])


async def write_blob(name: str, octets: bytes, key: CopyKey, blobs: Blobs, executor: Executor) -> None:
    """A copy into a blob; durable when this returns. Raises StorageFull, BlobsAway, and then nothing is left of it."""
    loop = asyncio.get_running_loop()
    view = memoryview(octets)
    count = _pieces(len(octets))
    writer = await blobs.begin(name)
    try:
        for place in range(count):
            piece = view[place * SEGMENT : (place + 1) * SEGMENT]
            sealed = await loop.run_in_executor(executor, key.seal, place, place == count - 1, piece)
            await writer.write(MARK + sealed if place == 0 else sealed)
        await writer.finish()
    except BaseException:
        await writer.abandon()
        raise


def _pieces(size: int) -> int:
    return max(1, -(-size // SEGMENT))


def _nonce(place: int, last: bool) -> bytes:
    return place.to_bytes(8, "big") + (b"\x01\0\0\0" if last else b"\0\0\0\0")
