"""Getting deliveries out of the hands of other nodes, so that an administrator's command reaches them.

What only waits in another node's memory is handed over to us; what is on the wire there stays where it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from gateway.storage.postgres.batch import Batch
from gateway.storage.postgres.leases import Leases
from gateway.storage.postgres.segments import rows_of
from gateway.storage.postgres.writer import Run, Writer
from gateway.world.clock import Clock

PATIENCE: Final = 5.0  # Seconds that other nodes have for their answer.

_TAKE: Final = (
    "UPDATE deliveries SET node = %s, epoch = epoch + 1, wanted = NULL"
    " WHERE id = ANY(%s::text[]) AND node IS NULL RETURNING id, epoch"
)
_ASK: Final = (
    "UPDATE deliveries SET wanted = %s WHERE id = ANY(%s::text[]) AND node <> %s AND wanted IS NULL RETURNING id, node"
)
_STATE: Final = "SELECT id, node = %s, epoch, coalesce(wanted = %s, false) FROM deliveries WHERE id = ANY(%s::text[])"
_WITHDRAW: Final = "UPDATE deliveries SET wanted = NULL WHERE id = ANY(%s::text[]) AND wanted = %s"
_WANTED: Final = "SELECT id FROM deliveries WHERE wanted IS NOT NULL AND node = %s"
_REFUSE: Final = "UPDATE deliveries SET wanted = NULL WHERE id = ANY(%s::text[]) AND node = %s"


class Recall:
    """One for each spool."""

    def __init__(self, writer: Writer, leases: Leases, node: str, clock: Clock) -> None:
        self._writer = writer
        self._leases = leases
        self._node = node
        self._clock = clock
        self._answered = asyncio.Event()
        self._asking = asyncio.Lock()

    def answered(self) -> None:
        """Some node has let go of something, or refused to."""
        self._answered.set()

    async def take(self, ids: Sequence[str]) -> dict[str, int]:
        """Lease those that nobody has, and those that others give up; id and epoch of each."""
        async with self._asking:
            self._answered.clear()
            taken, pending = await self._writer.do(self._take_or_ask(list(ids)))
            try:
                async with self._clock.timeout(PATIENCE):
                    while pending:
                        await self._answered.wait()
                        self._answered.clear()
                        taken |= await self._look(pending)
            except TimeoutError:
                await self._writer.do(rowless(_WITHDRAW, (sorted(pending), self._node)))
                taken |= await self._look(pending)
            return taken

    async def wanted(self) -> list[str]:
        """Which of ours others ask for."""
        return [id_ for (id_,) in await self._writer.do(rows_of(_WANTED, (self._node,)))]

    async def refuse(self, ids: Sequence[str]) -> None:
        """We keep these of what others ask for."""

        def run(batch: Batch) -> Callable[[], None]:
            batch.execute(_REFUSE, (list(ids), self._node))
            batch.notices.add("answer all")
            return lambda: None

        await self._writer.do(run)

    def _take_or_ask(self, ids: list[str]) -> Run[tuple[dict[str, int], set[str]]]:
        def run(batch: Batch) -> Callable[[], tuple[dict[str, int], set[str]]]:
            batch.leases = True
            taking = batch.execute(_TAKE, (self._node, ids))
            asking = batch.execute(_ASK, (self._node, ids, self._node))

            def finish() -> tuple[dict[str, int], set[str]]:
                taken = dict(taking.fetchall())
                asked = asking.fetchall()
                batch.notices.update(f"recall {node}" for _, node in asked)
                batch.after.append(lambda: self._leases.take(taken.items(), batch.generation))
                return taken, {id_ for id_, _ in asked}

            return finish

        return run

    async def _look(self, pending: set[str]) -> dict[str, int]:
        """Those of `pending` that are ours now; what was decided otherwise leaves it too."""
        generation = self._leases.generation
        rows: list[tuple[Any, ...]] = await self._writer.do(rows_of(_STATE, (self._node, self._node, sorted(pending))))
        ours = {id_: epoch for id_, is_ours, epoch, _ in rows if is_ours}
        self._leases.take(ours.items(), generation)
        pending.intersection_update({id_ for id_, is_ours, _, asked in rows if asked and not is_ours})
        return ours


def rowless(query: str, arguments: tuple[Any, ...]) -> Run[None]:
    """The work that does something and has no answer."""

    def run(batch: Batch) -> Callable[[], None]:
        batch.execute(query, arguments)
        return lambda: None

    return run
