"""The index of the trace: blind tokens of senders, recipients, domains and Message-IDs, and the messages they lead to.

Tokens are appended to trace_pending and carried to trace_tokens by the thousand (see `gateway.storage.tables`). Whoever
looks something up sees both. Everything here runs in the caller's transaction.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

CARRY_AT: Final = 2000  # Records pending; carrying them takes some 20 ms, in which other processes' writing waits.

Pending = tuple[str, int, bytes]  # message, time in milliseconds, its tokens packed

_APPEND: Final = "INSERT INTO trace_pending(message, time, tokens) VALUES (?, ?, ?)"
_WAITING: Final = "SELECT max(seq) - min(seq) + 1 FROM trace_pending"
_PENDING: Final = "SELECT message, time, tokens FROM trace_pending"
_CARRY: Final = "INSERT OR IGNORE INTO trace_tokens(token, time, message) VALUES (?, ?, ?)"
_DROP: Final = "DELETE FROM trace_tokens WHERE token=? AND time=? AND message=?"
_HAS: Final = "SELECT 1 FROM trace_tokens WHERE token=? AND message=? LIMIT 1"


def pack(tokens: Sequence[int]) -> bytes:
    """Tokens as a column: 8 octets each."""
    return struct.pack(f">{len(tokens)}q", *tokens)


def unpack(packed: bytes) -> tuple[int, ...]:
    """The tokens of a column."""
    return struct.unpack(f">{len(packed) // 8}q", packed)


def append(db: sqlite3.Connection, rows: list[Pending]) -> None:
    """Add records to the index. Doing it twice changes nothing."""
    if rows:
        db.executemany(_APPEND, rows)
        if (db.execute(_WAITING).fetchone()[0] or 0) >= CARRY_AT:
            carry(db)


def carry(db: sqlite3.Connection) -> None:
    """Bring all that is pending into the tree."""
    # In the order of the tree, so that each of its pages is touched once.
    if rows := sorted(_spread(db.execute(_PENDING))):
        db.executemany(_CARRY, rows)
        db.execute("DELETE FROM trace_pending")


def drop(db: sqlite3.Connection, rows: Iterable[Pending]) -> None:
    """Take records out of the index."""
    carry(db)
    if gone := list(_spread(rows)):
        db.executemany(_DROP, gone)


def look_up(db: sqlite3.Connection, tokens: Sequence[int], since: int, limit: int) -> list[str]:
    """At most `limit` messages that have all `tokens` and came at or after `since` (milliseconds), newest first."""
    # All tokens of a message stand with the time of one record, so the others are looked up by their whole key.
    also = " AND EXISTS (SELECT 1 FROM trace_tokens o WHERE o.token=? AND o.time=t.time AND o.message=t.message)"
    query = (
        "SELECT t.time, t.message FROM trace_tokens t WHERE t.token=? AND t.time>=?"  # noqa: S608  (constants alone)
        f"{also * (len(tokens) - 1)} ORDER BY t.time DESC, t.message DESC LIMIT ?"
    )
    rows = db.execute(query, (tokens[0], since, *tokens[1:], limit))
    found = {(time, message) for time, message in rows}
    wanted = set(tokens)
    for message, time, packed in db.execute(_PENDING):
        if time >= since and wanted.issubset(unpack(packed)):
            found.add((time, message))
    return list(dict.fromkeys(message for _, message in sorted(found, reverse=True)))[:limit]


def has(db: sqlite3.Connection, message: str, tokens: Sequence[int]) -> bool:
    """Whether `message` has all `tokens`."""
    pending: set[int] = set()
    for name, _, packed in db.execute(_PENDING):
        if name == message:
            pending.update(unpack(packed))
    return all(token in pending or db.execute(_HAS, (token, message)).fetchone() is not None for token in tokens)


def _spread(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, int, str]]:
    for message, time, packed in rows:
        for token in unpack(packed):
            yield token, time, message
