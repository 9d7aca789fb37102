"""The parts that a worker and an offline command share: shared database, sealer, trace, spools, mover."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gateway.app.keyring import open_sealer
from gateway.app.places import Places
from gateway.settings.load import Loaded
from gateway.storage.mover import Mover
from gateway.storage.record import Prepared
from gateway.storage.sealer import Sealer
from gateway.storage.shared import Shared
from gateway.storage.spool import Spool
from gateway.storage.traces import TraceStore
from gateway.world.chance import Chance
from gateway.world.clock import Clock

THREADS = 8  # For disk and long crypto; each holds a segment of 1 MiB at most.


@dataclass(slots=True, kw_only=True)
class Stores:
    """Everything that lies on disk, open. `spools` are in the order in which they were asked for."""

    shared: Shared
    sealer: Sealer
    traces: TraceStore
    mover: Mover
    spools: Sequence[Spool]
    executor: ThreadPoolExecutor

    def close(self) -> None:
        """Write what was asked for and close everything. Blocks."""
        for spool in self.spools:
            spool.close()
        self.executor.shutdown(wait=True)
        self.shared.close()


async def open_stores(
    loaded: Loaded,
    numbers: Sequence[int],
    *,
    clock: Clock,
    chance: Chance,
    tell: Callable[..., None],
    observe: Callable[[int, float], None],
) -> Stores:
    """Open them, the database first, then the keys, then the spools. Raises KeyFault, StorageBroken, OSError."""
    places = Places.of(loaded)
    shared = Shared(places.shared)
    sealer = open_sealer(loaded, shared, chance)
    traces = TraceStore(shared, sealer)
    mover = Mover(traces, clock=clock, tell=tell)
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="disk")

    def moved(spool: Spool, records: Sequence[Prepared]) -> None:
        mover.move(spool, records)

    spools = [
        Spool(
            places.spool(number),
            sealer=sealer,
            keeper=traces,
            clock=clock,
            executor=executor,
            min_free=loaded.settings.storage.min_free,
            moved=moved,
            observe=observe,
            name=str(number),
            tell=tell,
        )
        for number in numbers
    ]
    loop = asyncio.get_running_loop()
    for spool in spools:
        await spool.open(loop)
    return Stores(shared=shared, sealer=sealer, traces=traces, mover=mover, spools=spools, executor=executor)
