"""What former processes and former days left: records that wait in the spools, and traces that are too old."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.app.mail_gate import MailGate
from gateway.app.parts import Stores
from gateway.storage.sealer import KeysClosed
from gateway.storage.tracing import Traces
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

ERASE: Final = 3600.0  # Seconds between two looks for traces that are too old.


async def carried(stores: Stores, gate: MailGate, clock: Clock) -> None:
    """Records that a former process left in the spools go first; where there are no keys, as soon as there are."""
    for spool in stores.spools:
        while True:
            await gate.opened()
            try:
                await stores.mover.recover(spool)
                break
            except KeysClosed:
                await clock.sleep(1.0)


async def erased(traces: Traces, days: Callable[[], float], clock: Clock, tell: Callable[..., None]) -> None:
    """Erase traces that are older than so many days, for ever. Never raises for what can't be done now."""
    while True:
        before = clock.now() - days() * 86400
        try:
            while await traces.erase(before) > 0:
                await clock.sleep(0.1)
        except (StorageBroken, StorageFull) as error:
            tell("warning", "trace_not_erased", error=str(error))
        await clock.sleep(ERASE)
