"""The parts that a worker and an offline command share: shared database, sealer, trace, spools, mover."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from gateway.app.blobs import OWNER_OCTETS, open_blobs
from gateway.app.database import database
from gateway.app.keyring import Keyring, open_sealer
from gateway.app.places import Places
from gateway.settings.load import Loaded
from gateway.storage.blob_folder import FolderBlobs
from gateway.storage.blobs import Blobs
from gateway.storage.mover import Mover
from gateway.storage.moving import Moving
from gateway.storage.owner import owner
from gateway.storage.record import Prepared
from gateway.storage.rights_pieces import PieceBlobs
from gateway.storage.sealer import Sealer
from gateway.storage.shared import Shared
from gateway.storage.sharing import SharedStore
from gateway.storage.shelf import BlobShelf, FileShelf, Shelf
from gateway.storage.spool import CONTENT, Spool
from gateway.storage.spooling import Spooling
from gateway.storage.traces import TraceStore
from gateway.storage.tracing import Traces
from gateway.world.chance import Chance
from gateway.world.clock import Clock

COPIES = "rights"  # The part of the store of large content in which stored copies lie.
THREADS = 8  # For disk and long crypto; each holds a segment of 1 MiB at most.


@dataclass(slots=True, kw_only=True)
class Stores:
    """Everything that lies on disk, open. `spools` are in the order in which they were asked for."""

    shared: SharedStore
    sealer: Sealer
    traces: Traces
    mover: Moving[Any]
    spools: Sequence[Spooling]
    executor: ThreadPoolExecutor
    copies: Blobs  # Large stored copies of rights-managed messages; all processes share them.
    # Each store of large content, and what gives the names in it that rows know.
    shelved: Sequence[tuple[Blobs, Callable[[], Awaitable[set[str]]]]] = ()

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
    keyring: Keyring | None = None,
) -> Stores:
    """Open them, the database first, then the keys, then the spools of these numbers. On PostgreSQL there is one spool,
    which all share, and no number counts. Raises KeyFault, StorageBroken, StorageFull, OSError.

    With a `keyring` its keeper sees to the keys, and they need not be at hand; without one they are opened for good.
    """
    if loaded.is_shared:
        return await _open_shared_stores(
            loaded, clock=clock, chance=chance, tell=tell, observe=observe, keyring=keyring
        )
    places = Places.of(loaded)
    shared = Shared(places.shared)
    sealer = open_sealer(loaded, shared, chance) if keyring is None else await keyring.open(shared)
    traces = TraceStore(shared, sealer)
    mover = Mover(traces, clock=clock, tell=tell)
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="disk")

    def moved(spool: Spool, records: Sequence[Prepared]) -> None:
        mover.move(spool, records)

    blobs = _own_blobs(loaded, numbers, shared, executor, clock, chance)
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
            shelf=_shelf(blobs.get(number), places.spool(number), sealer, executor, tell),
        )
        for number in numbers
    ]
    loop = asyncio.get_running_loop()
    for spool in spools:
        await spool.open(loop)
    return Stores(
        shared=shared,
        sealer=sealer,
        traces=traces,
        mover=mover,
        spools=spools,
        executor=executor,
        copies=_copies(loaded, shared, executor, clock, chance) or FolderBlobs(places.copies, executor),
        shelved=[(blobs[number], spool.shelved) for number, spool in zip(numbers, spools, strict=True) if blobs],
    )


def _own_blobs(
    loaded: Loaded, numbers: Sequence[int], shared: Shared, executor: ThreadPoolExecutor, clock: Clock, chance: Chance
) -> dict[int, Blobs]:
    """Each spool has its part of the store to itself, so that it can tell what is left over there."""
    if loaded.settings.storage.blobs is None:
        return {}
    name = shared.run(lambda connection: owner(connection, chance.octets(OWNER_OCTETS)))
    found = {number: open_blobs(loaded, f"{name}/{number}", executor, clock) for number in numbers}
    return {number: store for number, store in found.items() if store is not None}


def _copies(loaded: Loaded, shared: Shared, executor: ThreadPoolExecutor, clock: Clock, chance: Chance) -> Blobs | None:
    if loaded.settings.storage.blobs is None:
        return None
    name = shared.run(lambda connection: owner(connection, chance.octets(OWNER_OCTETS)))
    return open_blobs(loaded, f"{name}/{COPIES}", executor, clock)


def _shared_blobs(
    loaded: Loaded, shared: SharedStore, executor: ThreadPoolExecutor, clock: Clock, chance: Chance
) -> tuple[Blobs | None, Blobs | None]:
    """For the queue, and for stored copies; None where both lie in the database."""
    if loaded.settings.storage.blobs is None:
        return None, None
    name = shared.run(lambda connection: owner(connection, chance.octets(OWNER_OCTETS)))
    parts = ("shared", COPIES)
    queue, copies = (open_blobs(loaded, f"{name}/{part}", executor, clock) for part in parts)
    return queue, copies


async def _open_shared_stores(
    loaded: Loaded,
    *,
    clock: Clock,
    chance: Chance,
    tell: Callable[..., None],
    observe: Callable[[int, float], None],
    keyring: Keyring | None,
) -> Stores:
    """On PostgreSQL, as one node among others."""
    from gateway.storage.postgres.direct import Direct
    from gateway.storage.postgres.shared import PostgresShared
    from gateway.storage.postgres.spool import PostgresSpool
    from gateway.storage.postgres.traces import PostgresTraces

    there = database(loaded)
    node = str(UUID(bytes=chance.octets(16), version=4))
    loop = asyncio.get_running_loop()
    shared = PostgresShared(there)
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="disk")
    try:
        # All of it asks the server, and may wait for it.
        if keyring is None:
            sealer = await loop.run_in_executor(executor, open_sealer, loaded, shared, chance)
        else:
            sealer = await keyring.open(shared)
        traces = PostgresTraces(shared, sealer)
        # All nodes have one part of the store together, as they have one queue.
        blobs, copies = await loop.run_in_executor(executor, _shared_blobs, loaded, shared, executor, clock, chance)
        spool = PostgresSpool(
            there,
            node=node,
            sealer=sealer,
            keeper=traces,
            clock=clock,
            executor=executor,
            observe=observe,
            name=node[:8],
            tell=tell,
            shelf=None if blobs is None else BlobShelf(blobs, sealer, executor, tell=tell),
        )
        await spool.open(loop)
    except BaseException:
        executor.shutdown(wait=True)
        shared.close()
        raise
    return Stores(
        shared=shared,
        sealer=sealer,
        traces=traces,
        mover=Direct(),
        spools=[spool],
        executor=executor,
        copies=copies or PieceBlobs(shared, clock.now),
        shelved=[] if blobs is None else [(blobs, spool.shelved)],
    )


def _shelf(
    blobs: Blobs | None, folder: Path, sealer: Sealer, executor: ThreadPoolExecutor, tell: Callable[..., None]
) -> Shelf:
    if blobs is None:
        return FileShelf(folder / CONTENT, sealer, executor)
    return BlobShelf(blobs, sealer, executor, files=folder / CONTENT, tell=tell)
