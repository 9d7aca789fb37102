"""Contents of mailboxes: written once, read in part or whole, put under another mailbox key.

Writing: names are written down as intended, each chunk is sealed and put under one of them, and the row that comes back
is added by whoever asked; that takes the names off the list, in its own transaction. A crash before leaves blobs that
are garbage, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Final, Protocol

from gateway.mail.message import Content
from gateway.mailboxes.contents.chunk import CHUNK, chunk_count, seal_chunk
from gateway.mailboxes.contents.content_map import ContentMap, Key, MapCipher, open_head, seal_head
from gateway.mailboxes.contents.damage import Damaged
from gateway.mailboxes.contents.diagnosis import diagnosed
from gateway.mailboxes.contents.pieces import pieces
from gateway.mailboxes.contents.reading import Reading, Unread
from gateway.storage.mailbox_blobs import BlobsAway, MailboxBlobs
from gateway.storage.mailboxes.model import CONTENT_ID, ContentRow, content_id
from gateway.storage.sealer import KeysClosed
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import Chance
from gateway.world.clock import Clock

AT_ONCE: Final = 64 << 10  # Octets that are sealed without a thread: it would take longer to hand them over.
PUTS: Final = 4  # Chunks of one content on their way to the store; each lies in memory.
HEADS: Final = 16  # Heads that are opened without a thread, likewise.


class NameStore(Protocol):
    """Gives blobs their names. `gateway.storage.mailboxes.MailboxStore` fulfils it."""

    async def reserve(self, count: int) -> tuple[str, ...]:
        """So many names that nobody else has, on disk as intended. Raises StorageFull, StorageBroken."""

    async def release(self, names: Iterable[str]) -> None:
        """What was put under them is not going to be added. Raises StorageFull, StorageBroken."""


class Contents:
    """The contents of all mailboxes of a database. Safe for any number of tasks of one event loop.

    The mailbox's key is handed in with each call and not kept. A row that lies under a version which that key does not
    have raises KeyBroken: the mailbox was put under another key meanwhile, so read it and the row again.
    """

    def __init__(
        self, store: NameStore, blobs: MailboxBlobs, *, executor: Executor, chance: Chance, clock: Clock
    ) -> None:
        self._blobs = blobs
        self._executor = executor
        self._chance = chance
        self._clock = clock
        self._names = store

    async def close(self) -> None:
        """Wait for what is being put, although nobody waits for it any more."""
        await self._blobs.close()

    # -- writing ------------------------------------------------------------------------------------------------------

    async def write(self, key: Key, content: Content, head: bytes | None = None) -> ContentRow:
        """Seal and store it; durable when this returns. The row is for `MailboxStore.add`, within a day.

        `head` is kept beside it (`gateway.mailboxes.head`), for lists. What was put before a fault is taken away again:
        on a disk that is full each new try would else leave more of it. Raises StorageFull, BlobsAway, what reading
        `content` raises, and ValueError where it has other than `size` octets.
        """
        id_, size = content_id(self._clock.now(), self._chance.octets(CONTENT_ID)), content.size
        names = await self._names.reserve(chunk_count(size))
        map_ = ContentMap.new(size, self._chance)
        held = content.inline
        if held is not None and len(names) == 1:
            _same_size(len(held), size)
            await self._blobs.put(names[0], await self._sealed(id_, map_, 0, held))
        else:
            await self._stream(id_, map_, content, names)
        return ContentRow(
            id=id_,
            mailbox=key.mailbox,
            key_version=key.version,
            size=size,
            blobs=names,
            map=MapCipher(key).seal(id_, map_, self._chance),
            head=seal_head(id_, map_, head, self._chance),
            created=self._clock.now(),
        )

    async def abandon(self, row: ContentRow) -> None:
        """What was written is not going to be added: it is garbage now, and not only in a day.

        Raises StorageFull, StorageBroken.
        """
        await self._names.release(row.blobs)

    async def _stream(self, id_: bytes, map_: ContentMap, content: Content, names: Sequence[str]) -> None:
        room = asyncio.Semaphore(PUTS)

        async def put(name: str, sealed: bytes) -> None:
            try:
                await self._blobs.put(name, sealed)
            finally:
                room.release()

        number = size = 0
        try:
            async with asyncio.TaskGroup() as puts, aclosing(pieces(content)) as parts:
                async for piece in parts:
                    size += len(piece)
                    if number == len(names):
                        break
                    await room.acquire()
                    sealed = await self._sealed(id_, map_, number, piece)
                    puts.create_task(put(names[number], sealed))
                    number += 1
                _same_size(size, map_.size)
        except BaseExceptionGroup as group:
            fault = group.exceptions[0]
            if isinstance(fault, Exception):
                await self._take_back(names[:number])
            raise fault from fault.__cause__

    async def _take_back(self, names: Sequence[str]) -> None:
        """Delete what was put under names that are not going to be added. They stay known as garbage: a blob that was
        on its way may come after this, and is collected like any.
        """
        with suppress(StorageFull, StorageBroken, KeysClosed):
            await self._names.release(names)
        with suppress(BlobsAway, StorageFull):
            await self._blobs.delete(names)

    async def _sealed(self, id_: bytes, map_: ContentMap, number: int, plain: bytes) -> bytes:
        key = map_.key(number)
        if len(plain) <= AT_ONCE:
            return seal_chunk(key, id_, number, map_.size, plain)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, seal_chunk, key, id_, number, map_.size, plain)

    def with_head(self, key: Key, row: ContentRow, head: bytes | None) -> ContentRow:
        """The row with another head, as when it has a form that is no longer known. Raises Damaged, KeyBroken."""
        return replace(row, head=seal_head(row.id, Reading(key).map(row), head, self._chance))

    def rewrap(self, row: ContentRow, old: Key, new: Key) -> ContentRow:
        """The row under another key of its mailbox. Neither chunks nor head change. Raises Damaged, KeyBroken."""
        return self.rewrap_many([row], old, new)[0]

    def rewrap_many(self, rows: Sequence[ContentRow], old: Key, new: Key) -> list[ContentRow]:
        """Several, at some 30 microseconds each: many belong on a thread. Raises Damaged, KeyBroken."""
        reading, cipher, version = Reading(old), MapCipher(new), new.version
        return [
            replace(row, key_version=version, map=cipher.seal(row.id, reading.map(row), self._chance)) for row in rows
        ]

    # -- reading ------------------------------------------------------------------------------------------------------

    async def read(self, key: Key, row: ContentRow, start: int = 0, length: int | None = None) -> bytes:
        """The octets from `start` on, to the end or at most `length`; only the chunks that hold them are opened.

        Raises Damaged, KeyBroken, BlobsAway.
        """
        return b"".join([part async for part in self.blocks(key, row, start, length)])

    async def blocks(
        self, key: Key, row: ContentRow, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The same in pieces, a chunk of 1 MiB in memory at a time."""
        end = row.size if length is None else min(row.size, start + length)
        if start >= end and row.size:
            return
        for number in range(start // CHUNK, chunk_count(end)):
            plain = await self._chunk(key, row, number)
            at = number * CHUNK
            yield plain[max(0, start - at) : end - at]

    async def _chunk(self, key: Key, row: ContentRow, number: int) -> bytes:
        found = (await self._open(key, [(row, number)]))[0]
        if isinstance(found, Unread):
            raise await diagnosed(found, self._blobs, self._executor)
        if isinstance(found, Damaged):
            raise found
        return found

    async def read_many(self, key: Key, rows: Sequence[ContentRow]) -> list[bytes | Damaged]:
        """Whole messages, in one thread call: all of them lie in memory at once, so ask for some MiB at a time.

        Raises KeyBroken, BlobsAway.
        """
        wanted = [(row, number) for row in rows for number in range(chunk_count(row.size))]
        parts = iter(await self._open(key, wanted))
        found: list[bytes | Damaged] = []
        for row in rows:
            chunks = [next(parts) for _ in range(chunk_count(row.size))]
            found.append(await self._whole(chunks))
        return found

    async def _whole(self, chunks: list[bytes | Damaged | Unread]) -> bytes | Damaged:
        whole: list[bytes] = []
        for chunk in chunks:
            if isinstance(chunk, Unread):
                return await diagnosed(chunk, self._blobs, self._executor)
            if isinstance(chunk, Damaged):
                return chunk
            whole.append(chunk)
        return whole[0] if len(whole) == 1 else b"".join(whole)

    async def _open(self, key: Key, wanted: Sequence[tuple[ContentRow, int]]) -> list[bytes | Damaged | Unread]:
        loop = asyncio.get_running_loop()
        local = self._blobs.local
        if local is not None:
            return await loop.run_in_executor(self._executor, Reading(key).chunks, wanted, local.look)
        there = [(row, number) for row, number in wanted if number < len(row.blobs)]
        got = await self._blobs.get_many([row.blobs[number] for row, number in there])
        blobs = {row.blobs[number]: octets for (row, number), octets in zip(there, got, strict=True)}
        return await loop.run_in_executor(self._executor, Reading(key).chunks, wanted, lambda name, size: blobs[name])

    async def heads(self, key: Key, rows: Sequence[ContentRow]) -> list[bytes | Damaged | None]:
        """What `write` was given as head. No blob is read. Raises KeyBroken."""
        if len(rows) <= HEADS:
            return Reading(key).heads(rows)
        return await asyncio.get_running_loop().run_in_executor(self._executor, Reading(key).heads, rows)

    def head(self, key: Key, row: ContentRow) -> bytes | None:
        """That of one. Raises Damaged, KeyBroken."""
        return open_head(row.id, Reading(key).map(row), row.head)


def _same_size(found: int, said: int) -> None:
    if found != said:
        raise ValueError(f"a content of {said} octets has {found}{' and perhaps more' if found > said else ''}")
