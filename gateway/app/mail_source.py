"""The octets of a delivery on their way into mailboxes: where they lie may be far, so they are read once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from gateway.mail.message import Content
from gateway.storage.sealer import KeysClosed, SealBroken


class SourceFault(Exception):
    """The delivery's own octets can't be read; no mailbox is to blame."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class Source:
    """A content whose own faults can be told from those of the place that it is written to.

    Where it lies may be far: what is not too long is read from there once, and kept for its head, its chunks and all
    mailboxes of the delivery. `room` is that of all deliveries that keep one.
    """

    __slots__ = ("_behind", "_has_room", "_kept", "_most", "_reading", "_room")

    def __init__(self, behind: Content, room: asyncio.Semaphore, *, most: int) -> None:
        """`most` octets are kept; what is longer is read whenever it is wanted."""
        self._behind = behind
        self._room = room
        self._most = most
        self._reading = asyncio.Lock()
        self._has_room = False
        self._kept: tuple[bytes, ...] | None = None

    @property
    def size(self) -> int:
        return self._behind.size

    @property
    def inline(self) -> bytes | None:
        return self._behind.inline

    def blocks(self) -> AsyncIterator[bytes]:
        return self._blocks() if self._kept is None else _given(self._kept)

    async def keep(self) -> None:
        """Have it in memory from now on, where it may. Once a mailbox can be written to: nobody waits for a vault with
        room that others need. Raises SourceFault.
        """
        if self.inline is not None or self.size > self._most:
            return
        async with self._reading:
            if self._kept is None:
                if not self._has_room:
                    await self._room.acquire()
                    self._has_room = True
                self._kept = tuple([block async for block in self._blocks()])

    def forget(self) -> None:
        """Nobody reads it any more."""
        self._kept = None
        if self._has_room:
            self._has_room = False
            self._room.release()

    async def _blocks(self) -> AsyncGenerator[bytes, None]:
        blocks = self._behind.blocks()
        try:
            async for block in _guarded(blocks):
                yield block
        finally:
            if isinstance(blocks, AsyncGenerator):  # Left half read, it would keep its file open.
                await blocks.aclose()


async def _given(blocks: tuple[bytes, ...]) -> AsyncGenerator[bytes, None]:
    for block in blocks:
        yield block


async def _guarded(blocks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    while True:
        try:
            block = await anext(blocks)
        except StopAsyncIteration:
            return
        except (SealBroken, KeysClosed, OSError) as error:
            raise SourceFault(error) from error
        yield block
