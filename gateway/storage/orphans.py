"""Blobs of messages that were never accepted: a crash, or a store that went away, left them. They are cleared later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from gateway.storage.blobs import Blobs
from gateway.world.clock import Clock

# Seconds after which a blob belongs to nobody who is still sending it: a message has half an hour, a session two, and
# the store's clock may be wrong by hours.
AGE: Final = 86400.0


async def clear_orphans(blobs: Blobs, known: Callable[[], Awaitable[set[str]]], clock: Clock, age: float = AGE) -> int:
    """Delete the blobs that are older than `age` seconds and that no row knows; how many. Raises BlobsAway.

    `known` gives the names that rows know, and is asked after the store was: whatever is being accepted meanwhile was
    begun later than what the store named.
    """
    old = await blobs.names(clock.now() - age)
    if not old:
        return 0
    orphans = old - await known()
    for name in orphans:
        await blobs.delete(name)
    return len(orphans)
