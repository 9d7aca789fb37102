"""The octets of a message on their way into a blob and out of it again, sealed in segments as they are in a file.

An object store gives the first octet late, so reading fetches several segments at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Executor
from typing import Final

from gateway.mail.message import Content
from gateway.storage.blobs import Blobs, BlobWriter
from gateway.storage.content import OVERHEAD, PURPOSE, SEGMENT, START, Incoming
from gateway.storage.sealer import Sealer
from gateway.storage.writer import StorageBroken, StorageFull

RUN: Final = 4  # Segments in one read: the memory that each reader may take, in MiB.


class BlobContent:
    """Content in a blob of sealed segments. The blob has the message's id for its name."""

    __slots__ = ("_blobs", "_executor", "_record", "_sealer", "_size")

    def __init__(self, record: str, size: int, blobs: Blobs, sealer: Sealer, executor: Executor) -> None:
        self._record = record
        self._size = size
        self._blobs = blobs
        self._sealer = sealer
        self._executor = executor

    @property
    def size(self) -> int:
        return self._size

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """The octets in pieces of 1 MiB. Raises SealBroken (BlobGone), BlobsAway."""
        loop = asyncio.get_running_loop()
        count = max(1, -(-self._size // SEGMENT))
        offset = 0
        segments = None
        for first in range(0, count, RUN):
            places = range(first, min(first + RUN, count))
            lengths = [self._plain(place, count) + OVERHEAD for place in places]
            wanted = sum(lengths) + (START if segments is None else 0)
            sealed = memoryview(await self._blobs.read(self._record, offset, wanted))
            offset += wanted
            at = 0
            if segments is None:
                segments = self._sealer.segments(PURPOSE, f"content {self._record}", bytes(sealed[:START]))
                at = START
            for place, length in zip(places, lengths, strict=True):
                piece = sealed[at : at + length]
                at += length
                yield await loop.run_in_executor(self._executor, segments.open, place, place == count - 1, piece)

    def _plain(self, place: int, count: int) -> int:
        return self._size - place * SEGMENT if place == count - 1 else SEGMENT


class BlobIncoming(Incoming):
    """Takes the octets of one message as they come, and what is long into a blob."""

    __slots__ = ("_blobs", "_finished", "_writer")

    def __init__(self, id_: str, blobs: Blobs, sealer: Sealer, executor: Executor) -> None:
        super().__init__(id_, sealer, executor)
        self._blobs = blobs
        self._writer: BlobWriter | None = None
        self._finished = False

    async def abandon(self) -> None:
        self._parts = []
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if not self._finished:
            await writer.abandon()
            return
        try:
            await self._blobs.delete(self._id)
        except (StorageBroken, StorageFull):
            pass  # An orphan, and cleared later.

    def _stored(self) -> Content:
        return BlobContent(self._id, self._size, self._blobs, self._sealer, self._executor)

    async def _store(self, held: bytes, whole: int) -> None:
        if self._writer is None:
            self._writer = await self._blobs.begin(self._id)
        await self._writer.write(
            await asyncio.get_running_loop().run_in_executor(self._executor, self._joined, held, whole)
        )
        if whole < 0:
            await self._writer.finish()
            self._finished = True

    def _joined(self, held: bytes, whole: int) -> bytes:
        return b"".join(self._sealed(held, whole))
