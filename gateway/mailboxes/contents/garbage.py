"""Deletes blobs that belong to no message (any more): of messages that are gone, and of those that were never added.

In this order, so that a crash at any point leaves nothing behind: storage gives names that nobody can add any more, the
blobs are deleted, the names forgotten. A name that is forgotten twice, or a blob that is deleted twice, is no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from gateway.storage.blobs import BlobsAway
from gateway.storage.mailbox_blobs import MailboxBlobs
from gateway.storage.sealer import KeysClosed
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

EVERY: Final = 900.0  # Seconds between two looks, or fewer where blobs are kept for less.
SOONEST: Final = 5.0
BATCH: Final = 256  # Blobs in one go.
PAUSE: Final = 0.05  # Seconds between two: what is read and delivered meanwhile goes first.
# Seconds that a blob outlives its message: others may be reading it, and a backup that copied the rows before it may
# not have come to the blobs yet. Those that were never added storage keeps for a day, whatever stands here.
AGE: Final = 86400.0


class GarbageStore(Protocol):
    """What storage knows of blobs without a message. `gateway.storage.mailboxes.MailboxStore` fulfils it."""

    async def garbage(self, limit: int, before: float | None = None, *, gone: float | None = None) -> list[str]:
        """Names that were intended before `before` (None: a day ago), and never added, which from now on they can't be;
        and those whose message has gone before `gone`.
        """

    async def forget_garbage(self, names: Iterable[str]) -> None:
        """Their blobs are gone."""


class Garbage:
    """One for each database: worker 0 runs it. Two at once do no harm."""

    def __init__(
        self,
        store: GarbageStore,
        blobs: MailboxBlobs,
        *,
        clock: Clock,
        tell: Callable[..., None],
        age: float = AGE,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._tell = tell
        self._age = age
        self._every = max(SOONEST, min(EVERY, age))

    async def run(self) -> None:
        """Again and again, until cancelled. Never raises but for that."""
        while True:
            try:
                count = await self.collect()
            except (BlobsAway, StorageBroken, StorageFull, KeysClosed) as fault:
                self._tell("warning", "mailbox_garbage_not_collected", error=str(fault))
            else:
                if count:
                    self._tell("info", "mailbox_garbage_collected", blobs=count)
            await self._clock.sleep(self._every)

    async def collect(self) -> int:
        """Delete what is there now; how many blobs. Raises BlobsAway, StorageFull, StorageBroken."""
        before = self._clock.now() - self._age
        count = 0
        while names := await self._store.garbage(BATCH, gone=before):
            gone = await self._blobs.delete(names)
            if gone:
                await self._store.forget_garbage(gone)
            count += len(gone)
            if len(names) < BATCH or len(gone) < len(names):  # None is left, or the store takes none away now.
                break
            await self._clock.sleep(PAUSE)
        return count
