"""How many deliveries there are, over several spools."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.storage.spooling import Spooling


async def queue_counts(spools: Iterable[Spooling]) -> tuple[dict[str, int], float | None]:
    """Deliveries by state, and when the oldest was taken (seconds since 1970). Raises StorageFull, StorageBroken."""
    states = {"ready": 0, "sending": 0, "waiting": 0, "held": 0}
    oldest: float | None = None
    for spool in spools:
        counts, first = await spool.counts()
        for state, number in counts.items():
            states[state] += number
        if first is not None:
            oldest = first if oldest is None else min(oldest, first)
    return states, oldest
