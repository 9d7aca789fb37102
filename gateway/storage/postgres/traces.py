"""The trace on PostgreSQL: what happened to each message, sealed, and blind tokens by which it is found."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.observe.events import Event
from gateway.storage.postgres import trace_rows
from gateway.storage.postgres.connection import Connection
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.record import Prepared
from gateway.storage.sealer import Sealer
from gateway.storage.trace_keeper import TraceKeeper
from gateway.storage.traces import ERASE_BATCH


class PostgresTraces(TraceKeeper):
    """Fulfils `gateway.storage.tracing.Traces`. Spools put their records by `trace_rows.put` in their own commits."""

    def __init__(self, shared: PostgresShared, sealer: Sealer) -> None:
        super().__init__(sealer)
        self._shared = shared

    async def put(self, records: Sequence[Prepared]) -> None:
        """Store `records` in one transaction, on disk when this returns."""
        if records:
            await self._shared.write(lambda db: trace_rows.put(db, records))

    async def sync(self) -> None:
        """Every commit is on disk already."""

    async def find(
        self,
        id: str | None = None,
        message_id: str | None = None,
        sender: str | None = None,
        recipient: str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> list[tuple[str, list[Event]]]:
        """See Traces."""
        tokens = self._asked(message_id, sender, recipient)
        since_ms = -(1 << 63) if since is None else int(since * 1000)

        def find(db: Connection) -> list[tuple[str, list[Event]]]:
            if id is not None:
                names = trace_rows.named(db, id, tokens, since_ms)
            elif tokens:
                names = trace_rows.look_up(db, tokens, since_ms, limit)
            else:
                names = trace_rows.newest(db, since_ms, limit)
            return [(name, self._told(name, trace_rows.story(db, name))) for name in names]

        return await self._shared.read(find)

    async def erase(self, before: float, limit: int = ERASE_BATCH) -> int:
        """See Traces."""
        return await self._shared.write(lambda db: trace_rows.erase(db, int(before * 1000), limit))
