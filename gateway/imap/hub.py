"""News of open folders: who waits in IDLE (RFC 2177) hears of a change within a second, whichever process made it.

One query a second asks for the modseq of all folders that somebody watches, and none does where nobody watches.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.imap.desk import Desk
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull

STILL: Final = 60  # Looks, one a second, after which everybody who waits is woken.


class Watch:
    """One connection that waits for news of one folder."""

    __slots__ = ("event", "folder", "modseq")

    def __init__(self, folder: int, modseq: int) -> None:
        self.folder = folder
        self.modseq = modseq  # Up to which its connection knows.
        self.event = asyncio.Event()


class Hub:
    """All who wait in this process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._watches: dict[int, set[Watch]] = {}
        self._is_away = False
        self._people: Counter[str] = Counter()
        self._ticks = 0

    def entered(self, user: str, most: int) -> bool:
        """One connection more of that user; False, and nothing is counted, where there are `most` already."""
        if self._people[user] >= most:
            return False
        self._people[user] += 1
        return True

    def left(self, user: str) -> None:
        """One less."""
        self._people[user] -= 1
        if not self._people[user]:
            del self._people[user]

    def __len__(self) -> int:
        return sum(len(some) for some in self._watches.values())

    @contextmanager
    def watching(self, folder: int, modseq: int) -> Iterator[Watch]:
        """A block in which `event` is set once the folder has changed since `modseq`."""
        watch = Watch(folder, modseq)
        self._watches.setdefault(folder, set()).add(watch)
        try:
            yield watch
        finally:
            some = self._watches[folder]
            some.discard(watch)
            if not some:
                del self._watches[folder]

    def touched(self, folder: int) -> None:
        """A connection of this process has changed it."""
        for watch in self._watches.get(folder, ()):
            watch.event.set()

    async def look(self) -> None:
        """Ask what has changed. That the database does not answer is told once, and keeps nobody from waiting."""
        if not self._watches:
            return
        self._ticks += 1
        if not self._ticks % STILL:  # So that nobody idles on whose account is gone.
            for some in self._watches.values():
                for watch in some:
                    watch.event.set()
        try:
            revisions = await self._desk.store.revisions(list(self._watches))
        except (StorageBroken, StorageFull, SealBroken, KeysClosed) as error:
            if not self._is_away:
                self._desk.tell("error", "imap_news_away", error=error)
            self._is_away = True
            return
        self._is_away = False
        for folder, some in list(self._watches.items()):
            modseq = revisions.get(folder)  # None: it was deleted, and who waits for it is told so.
            for watch in some:
                if modseq is None or modseq > watch.modseq:
                    watch.event.set()
