"""`[storage] blobs` out of the settings, and clearing what nobody accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Final

from gateway.settings.load import Loaded
from gateway.storage.blob_folder import FolderBlobs
from gateway.storage.blob_objects import ObjectBlobs
from gateway.storage.blob_terms import BadBlobs, FolderTerms, blob_terms
from gateway.storage.blobs import Blobs, BlobsAway
from gateway.storage.orphans import clear_orphans
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

EVERY: Final = 3600.0  # Seconds between two looks for blobs that nobody accepted.
OWNER_OCTETS: Final = 10  # Of chance in an owner's name: two databases never meet.


def open_blobs(loaded: Loaded, space: str, executor: Executor, clock: Clock) -> Blobs | None:
    """The blobs of one spool, or None where large content lies beside the database.

    `space` is what that spool has to itself within the store: the owner's name and the spool's. Connects to nobody yet.
    Raises StorageBroken where the settings don't do.
    """
    try:
        terms = blob_terms(loaded)
    except BadBlobs as error:
        raise StorageBroken(f"[storage] blobs: right would be {error}") from error
    if terms is None:
        return None
    if isinstance(terms, FolderTerms):
        return FolderBlobs(terms.folder / space, executor)
    return ObjectBlobs(terms, space, clock)


async def keep_clear(
    blobs: Blobs, known: Callable[[], Awaitable[set[str]]], clock: Clock, tell: Callable[..., None]
) -> None:
    """Clear orphans again and again, until cancelled. `known` gives the names that rows know."""
    while True:
        await clock.sleep(EVERY)
        try:
            count = await clear_orphans(blobs, known, clock)
        except (BlobsAway, StorageBroken, StorageFull) as error:
            tell("warning", "orphans_not_cleared", error=str(error))
        else:
            if count:
                tell("info", "orphans_cleared", blobs=count)


async def try_blobs(blobs: Blobs, clock: Clock, seconds: float) -> str | None:
    """Ask the store for its names once; what is wrong with it in words, or None."""
    try:
        async with clock.timeout(seconds):
            await blobs.names(0.0)
    except TimeoutError:
        return f"no answer within {seconds:.0f} s"
    except (BlobsAway, StorageFull) as error:
        return str(error)
    return None


def tried(loaded: Loaded, executor: Executor, clock: Clock, seconds: float) -> str | None:
    """`try_blobs` for whoever is not on a loop. Blocks."""
    blobs = open_blobs(loaded, "check", executor, clock)
    return None if blobs is None else asyncio.run(try_blobs(blobs, clock, seconds))
