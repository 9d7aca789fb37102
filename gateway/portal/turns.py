"""How many answers hold a message at once: a slow line holds it in memory for as long as it takes."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.portal.desk import Away
from gateway.world.clock import Clock

AT_ONCE: Final = 32  # Answers of all readers.
OF_READER: Final = 6  # As many connections as a browser opens to one host.
PATIENCE: Final = 60.0  # Seconds in which others end; who waits holds nothing yet.


class Turn:
    """One answer's. It lasts until `end`, which may be called twice."""

    __slots__ = ("_reader", "_turns")

    def __init__(self, turns: Turns, reader: str) -> None:
        self._turns: Turns | None = turns
        self._reader = reader

    def end(self) -> None:
        """Let somebody else have it."""
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.ended(self._reader)


class Turns:
    """Those under way. Used on one event loop. A reader is told by his address, whatever message it is, and however
    many browsers he has: nobody keeps others waiting by himself.
    """

    def __init__(self, clock: Clock, *, at_once: int = AT_ONCE, of_reader: int = OF_READER) -> None:
        self._clock = clock
        self._all = asyncio.Semaphore(at_once)
        self._of_reader = of_reader
        self._readers: dict[str, tuple[asyncio.Semaphore, int]] = {}  # With how many have it or wait for it.

    def __len__(self) -> int:
        """Readers who have a turn or wait for one."""
        return len(self._readers)

    async def take(self, reader: str) -> Turn:
        """Wait for one. Raises Away where that takes too long."""
        own, count = self._readers.get(reader) or (asyncio.Semaphore(self._of_reader), 0)
        self._readers[reader] = (own, count + 1)
        taken = False
        try:
            async with self._clock.timeout(PATIENCE):
                await own.acquire()
                taken = True
                await self._all.acquire()
        except BaseException as error:
            self._leave(reader, taken=taken)
            if isinstance(error, TimeoutError):
                raise Away from error
            raise
        return Turn(self, reader)

    def ended(self, reader: str) -> None:
        """A turn of that reader is over; called by it."""
        self._all.release()
        self._leave(reader, taken=True)

    def _leave(self, reader: str, *, taken: bool) -> None:
        own, count = self._readers[reader]
        if taken:
            own.release()
        if count > 1:
            self._readers[reader] = (own, count - 1)
        else:
            del self._readers[reader]
