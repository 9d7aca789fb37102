"""Carries records from the spools to the shared database, in batches, before their deliveries may leave (DESIGN 4).

A record stays in its spool, where it is on disk, until the shared database was brought to the disk too; that happens
about once a second and not for each message. What is on the way when a process or the power fails still stands in its
spool and is carried again by the next process; that changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gateway.storage.record import Prepared
from gateway.storage.sealer import KeysClosed
from gateway.storage.spool import Spool
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

MAX_BATCH = 500  # Records in one transaction of the shared database, which the other workers wait for.
MAX_WAITING = 20_000  # Records in memory; beyond that no mail is taken until the shared database works again.
GATHER = 0.05  # Seconds in which records gather for one transaction; the next hop gets its mail so much later,
QUIET = 0.1  # but where none was carried for so long: a message that comes alone has nothing to wait for.
PATIENCE = 0.1  # Seconds that records for which nobody waits may wait for others.
SYNC = 1.0  # Seconds after which the shared database is brought to the disk,
SYNC_AT = 5000  # or when so many records lie in both.
RETRY = 1.0  # Seconds between two tries at a shared database that refuses.


class Store(Protocol):
    """Where records of the trace are kept."""

    async def put(self, records: Sequence[Prepared]) -> None:
        """Stored when this returns; a record that is there already changes nothing."""

    async def sync(self) -> None:
        """What was put before is on disk when this returns. Raises OSError."""


class Mover:
    """One for each process, for all its spools."""

    def __init__(self, store: Store, *, clock: Clock, tell: Callable[..., None]) -> None:
        self._store = store
        self._clock = clock
        self._tell = tell
        self._waiting: list[tuple[Spool, Sequence[Prepared], Callable[[], Any] | None]] = []
        self._count = 0
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._nudge: asyncio.TimerHandle | None = None
        self._both: dict[Spool, list[int]] = {}  # What lies in both, by uid.
        self._sync_at = 0.0
        self._carried_at = float("-inf")
        self.failing = False

    @property
    def is_full(self) -> bool:
        """Whether so much waits that no more mail should be taken."""
        return self._count >= MAX_WAITING

    def move(self, spool: Spool, records: Sequence[Prepared], then: Callable[[], Any] | None = None) -> None:
        """Carry `records`, which `spool` has on disk, and call `then` once they are in the shared database."""
        self._waiting.append((spool, records, then))
        self._count += len(records)
        self._idle.clear()
        if then is not None or len(self._waiting) >= MAX_BATCH:
            self._more.set()
        elif self._nudge is None:
            self._nudge = asyncio.get_running_loop().call_later(PATIENCE, self._hurry)

    async def recover(self, spool: Spool) -> None:
        """Carry what a former process left in `spool`."""
        after = 0
        while records := await spool.records(after):
            self.move(spool, records)
            after = records[-1].uid

    def _hurry(self) -> None:
        self._nudge = None
        self._more.set()

    async def run(self) -> None:
        """Carry, for ever."""
        while True:
            if not self._waiting:
                self._idle.set()
            await self._more.wait()
            if len(self._waiting) < MAX_BATCH and self._clock.monotonic() - self._carried_at < QUIET:
                await self._clock.sleep(GATHER)
            self._more.clear()
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            await self._carry([record for _, records, _ in batch for record in records])
            self._carried_at = self._clock.monotonic()
            for spool, records, then in batch:
                if not self._both:
                    self._sync_at = self._clock.monotonic() + SYNC
                self._both.setdefault(spool, []).extend(record.uid for record in records)
                self._count -= len(records)
                if then is not None:
                    then()
            if self._waiting:
                self._more.set()
            await self._forget()

    async def _forget(self, *, now: bool = False) -> None:
        """Bring the shared database to the disk, where that is due, and let the spools forget what is there."""
        if not self._both:
            return
        if not now and self._clock.monotonic() < self._sync_at and sum(map(len, self._both.values())) < SYNC_AT:
            if self._nudge is None:
                self._nudge = asyncio.get_running_loop().call_later(SYNC, self._hurry)
            return
        both, self._both = self._both, {}
        try:
            await self._store.sync()
        except OSError as error:
            self._tell("error", "trace_not_synced", error=str(error))
            for spool, uids in both.items():
                self._both.setdefault(spool, []).extend(uids)
            self._sync_at = self._clock.monotonic() + SYNC
            return
        for spool, uids in both.items():
            spool.forget_records(uids)

    async def _carry(self, records: list[Prepared]) -> None:
        while True:
            try:
                await self._store.put(records)
            except KeysClosed:  # Their tokens are made here. It is told as such, and they wait with all else.
                await self._clock.sleep(RETRY)
            except (StorageBroken, StorageFull) as error:
                if not self.failing:  # Once, not every second.
                    self._tell("error", "trace_not_written", error=str(error), records=len(records))
                self.failing = True
                await self._clock.sleep(RETRY)
            else:
                if self.failing:
                    self._tell("info", "trace_written_again", records=len(records))
                self.failing = False
                return

    async def finish(self, seconds: float) -> None:
        """Wait until all that was given is carried, at most so long."""
        try:
            async with self._clock.timeout(seconds):
                await self._idle.wait()
            await self._forget(now=True)
        except TimeoutError:
            self._tell("warning", "trace_left_in_spool", records=self._count)
