"""How many deliveries there are, over several spools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.storage.spooling import QUARANTINED, Spooling

STATES = ("ready", "sending", "waiting", "held")


def of_the_queue(states: Mapping[str, int]) -> dict[str, int]:
    """The counts of what `gateway queue list` shows."""
    return {state: states.get(state, 0) for state in STATES}


async def queue_counts(spools: Iterable[Spooling]) -> tuple[dict[str, int], float | None]:
    """Deliveries by state, those in quarantine apart, and when the oldest of the others was taken (seconds since 1970).

    Raises StorageFull, StorageBroken.
    """
    states = dict.fromkeys((*STATES, QUARANTINED), 0)
    oldest: float | None = None
    for spool in spools:
        counts, first = await spool.counts()
        for state, number in counts.items():
            states[state] += number
        if first is not None:
            oldest = first if oldest is None else min(oldest, first)
    return states, oldest
