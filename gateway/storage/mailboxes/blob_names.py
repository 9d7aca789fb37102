"""The names of blobs that no content has: those being written, and those that may go.

A name is `intended` on disk before anything is put under it, so that what a crash leaves behind is known by name,
without listing a store. It leaves the table in the transaction that adds its content, and comes back as garbage when
the content's last message has gone. Names are reserved in advance, many in one commit, so that no message waits.
Those of one commit begin with the same octet: what is written at the same moment lies in one folder then, whose entries
are made durable together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from gateway.storage.mailboxes.driver import Driver, chunks
from gateway.storage.mailboxes.ground import Ground
from gateway.storage.mailboxes.message_rows import GARBAGE, INTENDED
from gateway.storage.mailboxes.model import BLOB_NAME
from gateway.storage.sealer import Sealer
from gateway.storage.sharing import SharedStore
from gateway.world.chance import Chance
from gateway.world.clock import Clock

FIRST: Final = 16  # Names in advance, at first: a command that ends soon leaves no more behind.
RESERVED: Final = 256  # Twice as many each time, up to these.
LOW: Final = 4  # A fourth of them left: more are reserved while these are used.
FRESH: Final = 900.0  # Seconds in which a reserved name is given away.
INTENDED_FOR: Final = 86_400.0  # Seconds until one that was never added counts as left over. See `garbage`.
_EVER: Final = 1 << 62


class BlobNames(Ground):
    """The table `mailbox_blobs`."""

    def __init__(self, shared: SharedStore, sealer: Sealer, *, chance: Chance, clock: Clock) -> None:
        super().__init__(shared, sealer, chance=chance, clock=clock)
        self._ready_names: deque[tuple[str, float]] = deque()
        self._refill: asyncio.Task[None] | None = None
        self._ahead = FIRST

    async def reserve(self, count: int) -> tuple[str, ...]:
        """So many names for blobs (hexadecimal, of 16 random octets), each given once, intended on disk.

        What is put under one has a day to be added; after that it may be collected.
        """
        oldest = self._clock.monotonic() - FRESH
        while self._ready_names and self._ready_names[0][1] < oldest:
            self._ready_names.popleft()  # Left over, and collected like any.
        while len(self._ready_names) < count:
            await asyncio.shield(self._refilling(count))
        taken = tuple(self._ready_names.popleft()[0] for _ in range(count))
        if len(self._ready_names) < self._ahead // LOW:
            self._refilling(0)
        return taken

    def _refilling(self, count: int) -> asyncio.Task[None]:
        """More names are on their way, for all who wait for some; whoever needs them hears what is wrong."""
        if self._refill is None or self._refill.done():
            self._refill = asyncio.create_task(self._more(max(self._ahead, count)))
            self._refill.add_done_callback(_heard)
        return self._refill

    async def release(self, names: Iterable[str]) -> None:
        """What was put under reserved names is not going to be added: it is garbage at once."""
        octets = [bytes.fromhex(name) for name in names]

        def write(driver: Driver) -> None:
            for chunk in chunks(octets):
                statement = "UPDATE mailbox_blobs SET state=? WHERE state=? AND name IN (??)"
                driver.do(statement, GARBAGE, INTENDED, chunk)

        await self._write(write)

    async def garbage(self, limit: int, before: float | None = None, *, gone: float | None = None) -> list[str]:
        """Names whose blobs are to be deleted, at most so many; then `forget_garbage` has to be told.

        Those that became garbage before `gone` (None: whenever), and those intended before `before` (None: a day ago)
        and never added: from now on they can't be.
        """
        until = int((self._clock.now() - INTENDED_FOR if before is None else before) * 1000)
        went = _EVER if gone is None else int(gone * 1000)

        def write(driver: Driver) -> list[str]:
            statement = "SELECT name FROM mailbox_blobs WHERE state=? AND since<? LIMIT ?"
            rows = driver.rows(statement, GARBAGE, went, limit)
            # Behind the rest, and once for all of it: it looks at every row, and a large mailbox leaves a million.
            if len(rows) < limit and driver.do(
                "UPDATE mailbox_blobs SET state=? WHERE state=? AND since<?", GARBAGE, INTENDED, until
            ):
                rows = driver.rows(statement, GARBAGE, went, limit)
            return [bytes(name).hex() for (name,) in rows]

        return await self._write(write)

    async def forget_garbage(self, names: Iterable[str]) -> None:
        """The blobs of these names are deleted, and so are their names."""
        octets = [bytes.fromhex(name) for name in names]

        def write(driver: Driver) -> None:
            for chunk in chunks(octets):
                statement = "DELETE FROM mailbox_blobs WHERE state=? AND name IN (??)"
                driver.do(statement, GARBAGE, chunk)

        await self._write(write)

    async def blobs_waiting(self) -> dict[str, int]:
        """How many names are `intended` and how many `garbage`."""

        def read(driver: Driver) -> dict[str, int]:
            rows = driver.rows("SELECT state, count(*) FROM mailbox_blobs GROUP BY state")
            return {GARBAGE: 0, INTENDED: 0} | {state: int(count) for state, count in rows}

        return await self._read(read)

    async def _more(self, count: int) -> None:
        self._ahead = min(2 * self._ahead, RESERVED)
        own = BLOB_NAME - 1
        first, octets = self._chance.octets(1), self._chance.octets(count * own)
        names = [first + octets[at : at + own] for at in range(0, len(octets), own)]
        now = self._now()
        drawn = self._clock.monotonic()

        def write(driver: Driver) -> None:
            rows = [(name, INTENDED, now) for name in sorted(names)]
            driver.insert("INSERT INTO mailbox_blobs (name, state, since)", rows)

        await self._write(write)
        self._ready_names.extend((name.hex(), drawn) for name in names)


def _heard(task: asyncio.Task[None]) -> None:
    """What went wrong with names in advance is told to whoever needs the next, and to nobody else."""
    if not task.cancelled():
        task.exception()
