"""The rows of the trace on PostgreSQL: records in trace_events, their blind tokens in trace_tokens.

Everything here runs in the caller's transaction, so that a message and its trace are one commit. Leaves out:
trace_pending, by which SQLite spares its pages; PostgreSQL's buffers and log do that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gateway.storage.postgres.arrays import Array, Longs, Octets, Texts
from gateway.storage.postgres.connection import Connection
from gateway.storage.record import Prepared
from gateway.storage.trace_index import unpack

PUT: Final = (
    "WITH events AS (INSERT INTO trace_events(message, uid, time, tokens, sealed)"
    " SELECT * FROM unnest(%b, %b, %b, %b, %b) ON CONFLICT DO NOTHING)"
    " INSERT INTO trace_tokens(token, time, message) SELECT * FROM unnest(%b, %b, %b) ON CONFLICT DO NOTHING"
)
COLUMNS: Final = (Texts, Longs, Longs, Octets, Octets, Longs, Longs, Texts)
_DROP_TOKENS: Final = (
    "DELETE FROM trace_tokens t USING unnest(%b::bigint[], %b::bigint[], %b::text[]) AS gone(token, time, message)"
    " WHERE (t.token, t.time, t.message) = (gone.token, gone.time, gone.message)"
)
# A message began with its earliest record.
_NEWEST: Final = (
    "SELECT e.message FROM trace_events e WHERE e.time >= %s AND NOT EXISTS (SELECT 1 FROM trace_events o"
    " WHERE o.message = e.message AND (o.time < e.time OR (o.time = e.time AND o.uid < e.uid)))"
    " ORDER BY e.time DESC, e.message DESC LIMIT %s"
)
_STORY: Final = "SELECT uid, sealed FROM trace_events WHERE message = %s ORDER BY time, uid"
_BEGAN: Final = "SELECT min(time) FROM trace_events WHERE message = %s"
_HAS: Final = "SELECT 1 FROM trace_tokens WHERE token = %s AND message = %s LIMIT 1"
# Several nodes erase: each takes what no other has in hand.
_ERASE: Final = (
    "DELETE FROM trace_events e USING (SELECT message, uid FROM trace_events WHERE time < %s ORDER BY time LIMIT %s"
    " FOR UPDATE SKIP LOCKED) AS old WHERE (e.message, e.uid) = (old.message, old.uid)"
    " RETURNING e.message, e.time, e.tokens"
)

_Token = tuple[int, int, str]  # token, time, message


def put(db: Connection, records: Sequence[Prepared]) -> None:
    """Store `records` in the caller's transaction: one statement, however many there are.

    One that is there already (message and uid) changes nothing, so a batch of unknown outcome may be put again. `uid`
    must therefore differ between nodes that write about the same message. Raises psycopg.Error.
    """
    if records:
        db.execute(PUT, arrays(records))


def arrays(records: Sequence[Prepared]) -> list[Array]:
    """What PUT takes, the arrays of COLUMNS."""
    tokens = sorted({*_spread((one.message, one.time, one.tokens) for one in records if one.tokens)})
    return [
        Texts(one.message for one in records),
        Longs(one.uid for one in records),
        Longs(one.time for one in records),
        Octets(one.tokens for one in records),
        Octets(one.sealed for one in records),
        Longs(one[0] for one in tokens),
        Longs(one[1] for one in tokens),
        Texts(one[2] for one in tokens),
    ]


def newest(db: Connection, since: int, limit: int) -> list[str]:
    """At most `limit` messages that came at or after `since` (milliseconds), newest first."""
    return [row[0] for row in db.execute(_NEWEST, (since, limit))]


def look_up(db: Connection, tokens: Sequence[int], since: int, limit: int) -> list[str]:
    """At most `limit` messages that have all `tokens` and came at or after `since` (milliseconds), newest first."""
    # All tokens of a message stand with the time of one record, so the others are looked up by their whole key.
    also = " AND EXISTS (SELECT 1 FROM trace_tokens o WHERE o.token=%s AND o.time=t.time AND o.message=t.message)"
    query = (
        "SELECT t.message FROM trace_tokens t WHERE t.token=%s AND t.time>=%s"  # noqa: S608  (constants alone)
        f"{also * (len(tokens) - 1)} ORDER BY t.time DESC, t.message DESC LIMIT %s"
    )
    rows = db.execute(query.encode(), (tokens[0], since, *tokens[1:], limit))
    return list(dict.fromkeys(row[0] for row in rows))


def named(db: Connection, id_: str, tokens: Sequence[int], since: int) -> list[str]:
    """The message of the queue id Q or of its delivery Q.1, where it is there and the rest applies to it too."""
    if not (id_.isascii() and id_.isprintable()):
        return []  # No id of ours, and PostgreSQL takes neither NUL nor half a surrogate pair.
    message, _, place = id_.rpartition(".")
    for name in (id_, message) if place.isdigit() else (id_,):
        row = db.execute(_BEGAN, (name,)).fetchone()
        if row is None or row[0] is None:
            continue
        has_all = all(db.execute(_HAS, (token, name)).fetchone() is not None for token in tokens)
        return [name] if row[0] >= since and has_all else []
    return []


def story(db: Connection, message: str) -> list[tuple[int, bytes]]:
    """The records of a message: uid, sealed octets."""
    return [(uid, sealed) for uid, sealed in db.execute(_STORY, (message,))]


def erase(db: Connection, before: int, limit: int) -> int:
    """Erase at most `limit` records of before `before` (milliseconds) with their tokens; how many there were."""
    rows = db.execute(_ERASE, (before, limit)).fetchall()
    if tokens := sorted({*_spread((message, time, packed) for message, time, packed in rows)}):
        db.execute(_DROP_TOKENS, _columns(tokens))
    return len(rows)


def _spread(rows: Iterable[tuple[str, int, bytes]]) -> Iterator[_Token]:
    # Sorted by the caller: two transactions then meet the same rows in the same order and never wait for each other.
    for message, time, packed in rows:
        for token in unpack(packed):
            yield token, time, message


def _columns(tokens: Sequence[_Token]) -> tuple[list[int], list[int], list[str]]:
    return [one[0] for one in tokens], [one[1] for one in tokens], [one[2] for one in tokens]
