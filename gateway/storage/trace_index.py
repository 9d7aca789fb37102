"""The index of the trace: blind tokens of senders, recipients, domains and Message-IDs, and the messages they lead to.

Tokens are appended to trace_pending and carried to trace_tokens by the thousand (see `gateway.storage.tables`). Whoever
looks something up sees both. Everything here runs in the caller's transaction.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection

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


def append(connection: Connection, rows: list[Pending]) -> None:
    """Add records to the index. Doing it twice changes nothing."""
    if rows:
        connection.exec_driver_sql(_APPEND, rows)
        if (connection.exec_driver_sql(_WAITING).scalar() or 0) >= CARRY_AT:
            carry(connection)


def carry(connection: Connection) -> None:
    """Bring all that is pending into the tree."""
    # In the order of the tree, so that each of its pages is touched once.
    if rows := sorted(_spread(connection.exec_driver_sql(_PENDING))):
        connection.exec_driver_sql(_CARRY, rows)
        connection.exec_driver_sql("DELETE FROM trace_pending")


def drop(connection: Connection, rows: Iterable[Pending]) -> None:
    """Take records out of the index."""
    carry(connection)
    if gone := list(_spread(rows)):
        connection.exec_driver_sql(_DROP, gone)


def look_up(connection: Connection, tokens: Sequence[int], since: int, limit: int) -> list[str]:
    """At most `limit` messages that have all `tokens` and came at or after `since` (milliseconds), newest first."""
    # All tokens of a message stand with the time of one record, so the others are looked up by their whole key.
    also = " AND EXISTS (SELECT 1 FROM trace_tokens o WHERE o.token=? AND o.time=t.time AND o.message=t.message)"
    query = (
        "SELECT t.time, t.message FROM trace_tokens t WHERE t.token=? AND t.time>=?"  # noqa: S608  (constants alone)
        f"{also * (len(tokens) - 1)} ORDER BY t.time DESC, t.message DESC LIMIT ?"
    )
    rows = connection.exec_driver_sql(query, (tokens[0], since, *tokens[1:], limit))
    found = {(time, message) for time, message in rows}
    wanted = set(tokens)
    for message, time, packed in connection.exec_driver_sql(_PENDING):
        if time >= since and wanted.issubset(unpack(packed)):
            found.add((time, message))
    return list(dict.fromkeys(message for _, message in sorted(found, reverse=True)))[:limit]


def has(connection: Connection, message: str, tokens: Sequence[int]) -> bool:
    """Whether `message` has all `tokens`."""
    pending: set[int] = set()
    for name, _, packed in connection.exec_driver_sql(_PENDING):
        if name == message:
            pending.update(unpack(packed))
    return all(
        token in pending or connection.exec_driver_sql(_HAS, (token, message)).first() is not None for token in tokens
    )


def _spread(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, int, str]]:
    for message, time, packed in rows:
        for token in unpack(packed):
            yield token, time, message
