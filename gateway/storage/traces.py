"""The trace: what happened to each message, sealed, and blind tokens by which it is found.

The file tells when something happened to which queue id, and how often two messages share an unnamed sender, recipient
or domain; nothing more without the keys. Leaves out: searching by anything but whole addresses, domains and ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from gateway.observe.events import Event
from gateway.storage import rights_rows, trace_index
from gateway.storage.record import RIGHTS, TRACE, Prepared
from gateway.storage.sealer import Sealer
from gateway.storage.shared import Shared
from gateway.storage.trace_keeper import TraceKeeper

ERASE_BATCH: Final = 2000  # Records erased in one transaction: some 20 ms in which the mover waits.

_PUT_EVENTS: Final = "INSERT OR IGNORE INTO trace_events(message, uid, time, tokens, sealed) VALUES (?, ?, ?, ?, ?)"
# A message began with its earliest record.
_NEWEST: Final = (
    "SELECT e.message FROM trace_events e WHERE e.time >= ? AND NOT EXISTS (SELECT 1 FROM trace_events o"
    " WHERE o.message = e.message AND (o.time < e.time OR (o.time = e.time AND o.uid < e.uid)))"
    " ORDER BY e.time DESC, e.message DESC LIMIT ?"
)
_STORY: Final = "SELECT uid, sealed FROM trace_events WHERE message = ? ORDER BY time, uid"
_OLD: Final = "SELECT message, uid, time, tokens FROM trace_events WHERE time < ? ORDER BY time LIMIT ?"


class TraceStore(TraceKeeper):
    """Fulfils `gateway.storage.tracing.Traces`. Calls raise StorageFull, StorageBroken, SealBroken."""

    def __init__(self, shared: Shared, sealer: Sealer) -> None:
        super().__init__(sealer)
        self._shared = shared

    async def put(self, records: Sequence[Prepared]) -> None:
        """Store `records` in one transaction; `sync` brings it to disk. One that is there already changes nothing.

        What messages leave besides their trace goes into its own tables in the same transaction.
        """
        if records:
            await self._shared.write(lambda db: _put(db, records))

    async def sync(self) -> None:
        """What was put before is on disk when this returns. Raises OSError."""
        await self._shared.sync()

    async def find(
        self,
        id: str | None = None,
        message_id: str | None = None,
        sender: str | None = None,
        recipient: str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> list[tuple[str, list[Event]]]:
        """Messages to which everything that was asked applies, newest first, each with its events in order of time.

        `id` is a queue id (Q), a delivery's (Q.1) or a session's; addresses are whole (any case; `<>` is the null
        sender) or domains (`@corp.example`, `corp.example`); `since` in seconds since 1970 is when a message came.
        """
        tokens = self._asked(message_id, sender, recipient)
        since_ms = -(1 << 63) if since is None else int(since * 1000)

        def find(db: sqlite3.Connection) -> list[tuple[str, list[Event]]]:
            names = _names(db, id, tokens, since_ms, limit)
            return [(name, self._told(name, db.execute(_STORY, (name,)))) for name in names]

        return await self._shared.read(find)

    async def erase(self, before: float, limit: int = ERASE_BATCH) -> int:
        """Erase at most `limit` records of before `before` (seconds since 1970), oldest first; how many there were.

        Ask again while it answers `limit`.
        """
        return await self._shared.write(lambda db: _erase(db, int(before * 1000), limit))


def _put(db: sqlite3.Connection, records: Sequence[Prepared]) -> None:
    told = [r for r in records if r.kind == TRACE]
    db.executemany(_PUT_EVENTS, [(r.message, r.uid, r.time, r.tokens, r.sealed) for r in told])
    trace_index.append(db, [(r.message, r.time, r.tokens) for r in told if r.tokens])
    if len(told) < len(records):
        rights_rows.put(db, (rights_rows.read_row(r.sealed) for r in records if r.kind == RIGHTS))


def _names(db: sqlite3.Connection, id_: str | None, tokens: list[int], since: int, limit: int) -> list[str]:
    """The queue ids of what was asked for, newest first."""
    if id_ is not None:
        return _named(db, id_, tokens, since)
    if tokens:
        return trace_index.look_up(db, tokens, since, limit)
    return [row[0] for row in db.execute(_NEWEST, (since, limit))]


def _named(db: sqlite3.Connection, id_: str, tokens: list[int], since: int) -> list[str]:
    """The message of that id, where it is there and the rest applies to it too."""
    if not (id_.isascii() and id_.isprintable()):
        return []  # No id of ours, and what no database takes as text, such as half a surrogate pair.
    message, _, place = id_.rpartition(".")
    for name in (id_, message) if place.isdigit() else (id_,):
        began = db.execute("SELECT min(time) FROM trace_events WHERE message=?", (name,)).fetchone()[0]
        if began is None:
            continue
        return [name] if began >= since and trace_index.has(db, name, tokens) else []
    return []


def _erase(db: sqlite3.Connection, before: int, limit: int) -> int:
    rows = db.execute(_OLD, (before, limit)).fetchall()
    if not rows:
        return 0
    trace_index.drop(db, ((message, time, tokens) for message, _, time, tokens in rows))
    db.executemany(
        "DELETE FROM trace_events WHERE message=? AND uid=?", [(message, uid) for message, uid, _, _ in rows]
    )
    return len(rows)
