"""What administrators' commands ask of the queue that several nodes share: the part of the spool that is for them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.mail.delivery import Delivery
from gateway.observe.events import Event, Found
from gateway.storage.postgres.batch import Batch
from gateway.storage.postgres.leases import Leases
from gateway.storage.postgres.node import Node
from gateway.storage.postgres.recall import Recall
from gateway.storage.postgres.rows import Rows
from gateway.storage.postgres.segments import rows_of
from gateway.storage.postgres.writer import Writer
from gateway.storage.record import Prepared
from gateway.storage.spooling import QUARANTINED

COLUMNS: Final = "id, message, connector, state, next_attempt, attempts, created, size, sealed"
_ALL: Final = f"SELECT {COLUMNS} FROM deliveries ORDER BY id LIMIT %s"  # noqa: S608
# Deliveries of Q are Q.1, Q.2, ...: a range of the key, `/` being what comes behind `.`.
_SOME: Final = (
    f"SELECT {COLUMNS} FROM deliveries WHERE id = ANY(%s::text[])"  # noqa: S608
    f" UNION SELECT {', '.join(f'd.{column}' for column in COLUMNS.split(', '))} FROM unnest(%s::text[]) AS w(name)"
    """ JOIN deliveries d ON d.id > (w.name || '.') COLLATE "C" AND d.id < (w.name || '/') COLLATE "C\""""
    " ORDER BY next_attempt, id"
)
_CHANGE: Final = (
    "UPDATE deliveries d SET state = c.state, next_attempt = c.next_attempt, node = NULL, wanted = NULL,"
    " epoch = d.epoch + 1 FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS c(id, state, next_attempt)"
    " WHERE d.id = c.id AND (d.node IS NULL OR (d.node = %s AND d.id = ANY(%s::text[]))) RETURNING d.id"
)
_STATES: Final = (
    "SELECT CASE WHEN node IS NOT NULL AND id = ANY(%s::text[]) THEN 'sending'"
    " WHEN state = 'held' AND destination = %s::bigint THEN %s::text ELSE state END AS now, count(*), min(created)"
    " FROM deliveries GROUP BY now"
)
# What a node said at its last sign of life may be over by now: what it has given back since is not on the wire.
_SENDING: Final = (
    "SELECT d.id FROM nodes n CROSS JOIN unnest(string_to_array(n.sending, ' ')) AS s(id)"
    " JOIN deliveries d ON d.id = s.id AND d.node = n.id WHERE n.id <> %s"
)


class Administration:
    """See `gateway.storage.spooling.Spooling`. The spool has the rest."""

    _node_id: str
    _node: Node
    _leases: Leases
    _writer: Writer
    _recall: Recall
    _rows: Rows
    _recalled: dict[str, int]  # Taken for an administrator's command.

    async def sending_elsewhere(self) -> set[str]:
        """Ids that other processes had on the wire at their last sign of life, and have in hand still."""
        return {id_ for (id_,) in await self._writer.do(rows_of(_SENDING, (self._node_id,)))}

    async def deliveries(self, ids: Sequence[str] | None = None, limit: int = 10_000) -> list[Delivery]:
        """All deliveries, oldest first, or those of `ids`, which may name messages (Q) or deliveries (Q.1)."""
        work = rows_of(_ALL, (limit,)) if ids is None else rows_of(_SOME, (list(ids), list(ids)))
        deliveries, _ = await self._rows.opened(await self._writer.do(work), broken_too=True)
        return deliveries

    @asynccontextmanager
    async def recalled(self, deliveries: Sequence[Delivery]) -> AsyncIterator[set[str]]:
        """See Spooling."""
        ids = [delivery.id for delivery in deliveries]
        await self._free()
        taken = await self._recall.take(ids) if ids else {}
        self._recalled |= taken
        try:
            yield {id_ for id_ in ids if id_ not in taken}
        finally:
            left = [delivery for delivery in deliveries if self._recalled.pop(delivery.id, None) is not None]
            for delivery in left:
                await self.unlease(delivery)
            if left:
                await self._free()

    async def change(self, deliveries: Sequence[Delivery], events: Callable[[Delivery], Event]) -> list[str]:
        """Store state and next_attempt of those that nobody has in hand; the ids of these."""
        await self._free()
        records = {d.id: self.new_record(d.message, [events(d)]) for d in deliveries}
        ids = list(records)
        recalled = [id_ for id_ in ids if id_ in self._recalled]
        states = [d.state.value for d in deliveries]
        times = [int(d.next_attempt * 1000) for d in deliveries]

        def run(batch: Batch) -> Callable[[], list[str]]:
            cursor = batch.execute(_CHANGE, (ids, states, times, self._node_id, recalled))

            def finish() -> list[str]:
                changed = {id_ for (id_,) in cursor.fetchall()}
                batch.records.extend(record for id_, record in records.items() if id_ in changed)
                batch.after.append(lambda: self._leases.drop(changed))
                batch.notices.add(f"look {self._node_id}")
                return [id_ for id_ in ids if id_ in changed]

            return finish

        changed = await self._writer.do(run) if ids else []
        for id_ in changed:
            self._recalled.pop(id_, None)
        return changed

    async def amend(self, deliveries: Sequence[Delivery], events: Callable[[Delivery], Event]) -> list[str]:
        """Store all that may change of those that nobody has in hand; the ids of these."""
        done = []
        async with self.recalled([one for one in deliveries if one.id not in self._recalled]):
            for delivery in deliveries:
                if self._recalled.pop(delivery.id, None) is not None:
                    await self.postpone(delivery, [events(delivery)])
                    done.append(delivery.id)
        return done

    async def drop(self, deliveries: Sequence[Delivery], events: Callable[[Delivery], Event]) -> list[str]:
        """Forget those that nobody has in hand; the ids of these."""
        async with self.recalled([one for one in deliveries if one.id not in self._recalled]):
            free = [one for one in deliveries if one.id in self._recalled]
            gone = await self._settle(
                [(one, [self.new_record(one.message, [events(one)])]) for one in free], haste=True
            )
            for id_ in gone:
                self._recalled.pop(id_, None)
        return gone

    def woken(self) -> None:
        """Whoever shares the spool looks into it, and asks again where nobody was reached."""

        def run(batch: Batch) -> Callable[[], None]:
            batch.notices.add(f"wake {self._node_id}")
            return lambda: None

        self._writer.last(run)

    async def counts(self) -> tuple[dict[str, int], float | None]:
        """See Spooling."""
        sending = await self.sending_elsewhere()
        sending.update(self._node.sending())
        apart = self._quarantine(), QUARANTINED
        rows = await self._writer.do(rows_of(_STATES, (sorted(sending), *apart)))
        oldest = min((first / 1000 for state, _, first in rows if state != QUARANTINED), default=None)
        return {state: number for state, number, _ in rows}, oldest

    # -- what the spool itself has ------------------------------------------------------------------------------------

    @abstractmethod
    def new_record(self, message: str, events: Sequence[Event], found: Found | None = None) -> Prepared: ...

    @abstractmethod
    def _quarantine(self) -> int | None: ...

    @abstractmethod
    async def postpone(self, delivery: Delivery, events: Sequence[Event]) -> None: ...

    @abstractmethod
    async def unlease(self, delivery: Delivery) -> None: ...

    @abstractmethod
    async def _free(self) -> None: ...

    @abstractmethod
    async def _settle(self, settled: Sequence[tuple[Delivery, list[Prepared]]], *, haste: bool) -> list[str]: ...
