"""What one process says of itself: numbers for Prometheus, and its part of `gateway status`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.app.keyring import Keyring
from gateway.app.parts import Stores
from gateway.app.queue_counts import queue_counts
from gateway.observe.metrics import Metrics
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """`number` and `started` (seconds since 1970) are the process's. `sending`: deliveries on the wire; `sessions`: by
    listener. `more`: what its parts say besides, by the words of `gateway status`. `takes`: whether mail is taken now.
    """

    number: int
    started: float
    is_shared: bool
    stores: Stores
    keyring: Keyring
    metrics: Metrics
    clock: Clock
    sending: Callable[[], int]
    sessions: Callable[[], Mapping[str, int]]
    more: Callable[[], Awaitable[dict[str, Any]]]
    takes: Callable[[], bool]

    async def sample(self) -> Any:
        """The snapshot of its metrics."""
        metrics = self.metrics
        self.keyring.count(metrics)
        metrics.set("mail_refused", 0.0 if self.takes() else 1.0)
        for name, count in self.sessions().items():
            metrics.set("sessions_open", count, (name,))
        if self.is_shared and self.number != 0:
            return metrics.snapshot()  # One worker tells of the queue that all share, else it counts twice.
        try:
            states, oldest = await self._queue()
        except (StorageBroken, StorageFull):  # What is known of the process is told all the same.
            return metrics.snapshot()
        for state, number in states.items():
            metrics.set("queue_deliveries", number, (state,))
        metrics.set("oldest_waiting_seconds", 0.0 if oldest is None else max(0.0, self.clock.now() - oldest))
        return metrics.snapshot()

    async def status(self) -> dict[str, Any]:
        """For the supervisor, which joins it with what the others say."""
        fault: str | None = None
        try:
            states, oldest = await self._queue()
        except (StorageBroken, StorageFull) as error:
            states, oldest, fault = {}, None, str(error)
        return {
            "storage": fault,
            "worker": self.number,
            "pid": os.getpid(),
            "started": self.started,
            "sessions": dict(self.sessions()),
            "queue": states,
            "oldest": oldest,
            "trace_failing": self.stores.mover.failing,
            "keys": self.keyring.keeper.facts,
            **await self.more(),
        }

    async def _queue(self) -> tuple[dict[str, int], float | None]:
        """Deliveries by state, and when the oldest was taken."""
        states, oldest = await queue_counts(self.stores.spools)
        if self.is_shared:
            return states, oldest  # It knows what is on the wire, here and elsewhere.
        sending = min(self.sending(), states["ready"])
        states["ready"] -= sending
        states["sending"] = sending
        return states, oldest
