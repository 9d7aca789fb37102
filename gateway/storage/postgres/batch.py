"""One transaction of the queue: what many works ask for at once, as few statements over sets of rows.

The writer calls `send`, then `receive` once the statements have run, then `send_last`, where it `has_more`, before the
commit. Works add rows
before `send`, read answers after `receive`, and may still add records and notices then. Where no work `asks`, all of it
is sent at once, the commit too, and `receive` comes last: that is one round trip, and how most mail comes and goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import psycopg

from gateway.storage.postgres import rights_rows, trace_rows
from gateway.storage.postgres.arrays import Array, Longs, Octets, Texts, oids
from gateway.storage.postgres.connection import Connection
from gateway.storage.postgres.volley import Shot, Statement
from gateway.storage.record import RIGHTS, TRACE, Prepared
from gateway.storage.rights_rows import RightsRow, read_row
from gateway.storage.writer import StorageBroken

CHANNEL: Final = "gateway_queue"

# A lease is only given by a transaction that finds its node's row, and keeps it until the commit: whoever takes over
# what a node had deletes that row first, so no lease is made for a node that was taken for dead. Where the row is gone
# the division fails, and the server itself lets the commit go no further.
_ALIVE: Final = "SELECT 1 / count(*) FROM (SELECT 1 FROM nodes WHERE id = %s FOR KEY SHARE) AS alive"
_ACCEPT: Final = (
    "WITH m AS (INSERT INTO messages(id, received, size, content) SELECT * FROM unnest(%b, %b, %b, %b))"
    " INSERT INTO deliveries(id, message, connector, destination, state, next_attempt, attempts, created, size, sealed,"
    " node, epoch) SELECT *, %s::text, 1 FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b)"
)
_MESSAGE: Final = (Texts, Longs, Longs, Octets)
_DELIVERY: Final = (Texts, Texts, Texts, Longs, Texts, Longs, Longs, Longs, Longs, Octets)
# Two nodes that settle the last two deliveries of a message at once would each see the other's, and leave the message
# behind. Whoever comes second waits here, and then sees what the first has done.
_LOCK: Final = "SELECT id FROM messages WHERE id = ANY(%b::text[]) ORDER BY id FOR UPDATE"
# The epoch alone tells whose lease was the last: where we were taken for dead but nobody took the delivery since, it is
# still settled, and not sent twice.
_GONE: Final = (
    "DELETE FROM deliveries d USING unnest(%b::text[], %b::bigint[]) AS g(id, epoch)"
    " WHERE d.id = g.id AND d.epoch = g.epoch RETURNING d.id"
)
# Deliveries of Q are Q.1, Q.2, ...: a range of the key, `/` being what comes behind `.`.
_LAST: Final = (
    "DELETE FROM messages m WHERE m.id = ANY(%b::text[]) AND NOT EXISTS"
    " (SELECT 1 FROM deliveries d WHERE d.id > m.id || '.' AND d.id < m.id || '/')"
    " RETURNING m.id, m.content IS NULL"
)
# Of messages that have no other delivery, and so nobody else to wait for: with their end, all in one step. The answer
# has deliveries, and messages with whether they left octets elsewhere.
_GONE_ALONE: Final = (
    "WITH gone AS (DELETE FROM deliveries d USING unnest(%b, %b, %b, %b, %b) AS g(id, epoch, uid, time, sealed)"
    " WHERE d.id = g.id AND d.epoch = g.epoch RETURNING d.id, d.message, g.uid, g.time, g.sealed),"
    " left_behind AS (DELETE FROM messages m USING gone WHERE m.id = gone.message RETURNING m.id, m.content IS NULL),"
    " told AS (INSERT INTO trace_events(message, uid, time, tokens, sealed)"
    " SELECT message, uid, time, ''::bytea, sealed FROM gone WHERE uid IS NOT NULL ON CONFLICT DO NOTHING)"
    " SELECT id, NULL::boolean FROM gone UNION ALL SELECT * FROM left_behind"
)
_ALONE: Final = (Texts, Longs, Longs, Longs, Octets)
# Whoever has asked for it has it next.
_HANDED: Final = "node = d.wanted, epoch = d.epoch + (d.wanted IS NOT NULL)::int, wanted = NULL"
_POSTPONED: Final = (
    "UPDATE deliveries d SET connector = p.connector, destination = p.destination, state = p.state,"  # noqa: S608
    f" next_attempt = p.next_attempt, attempts = p.attempts, created = p.created, sealed = p.sealed, {_HANDED}"
    " FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bigint[], %b::text[], %b::bigint[], %b::bigint[],"
    " %b::bigint[], %b::bytea[])"
    " AS p(id, epoch, connector, destination, state, next_attempt, attempts, created, sealed)"
    " WHERE d.id = p.id AND d.epoch = p.epoch RETURNING d.id, d.node"
)
_FREED: Final = (
    f"UPDATE deliveries d SET {_HANDED} FROM unnest(%b::text[], %b::bigint[]) AS f(id, epoch)"  # noqa: S608
    " WHERE d.id = f.id AND d.epoch = f.epoch AND d.node = %s RETURNING d.id, d.node"
)
_NOTIFY: Final = "SELECT pg_notify(%s, %s)"
_TEXT: Final = 25  # The type, as pg_type has it.
# What the most common transactions are made of, as a session prepares it.
SHOTS: Final = (
    Statement("alive", _ALIVE, (_TEXT,)),
    Statement("accept", _ACCEPT, (*oids(_MESSAGE), _TEXT, *oids(_DELIVERY))),
    Statement("alone", _GONE_ALONE, oids(_ALONE)),
    Statement("trace", trace_rows.PUT, oids(trace_rows.COLUMNS)),
    Statement("rights", rights_rows.PUT, oids(rights_rows.COLUMNS)),
    Statement("notify", _NOTIFY, (_TEXT, _TEXT)),
)


class Asks(Exception):
    """Somebody has to see an answer before the commit, so the transaction is made in the long way."""


class NotAlive(StorageBroken):
    """This node was taken for dead: it may lease nothing before it has said again that it lives."""


class Batch:
    """What one transaction does. `node` is the process that asks."""

    def __init__(self, db: Connection, node: str, generation: int = 0) -> None:
        self._db = db
        self.is_volley = False  # Nothing is sent before `volley`; whoever wants an answer is told so by Asks.
        self._node = node
        self.generation = generation  # Of the leases, when the transaction began.
        self.leases = False  # Whether it leases something.
        self.messages: list[tuple[Any, ...]] = []
        self.deliveries: list[tuple[Any, ...]] = []
        self.gone: dict[str, tuple[int, str]] = {}  # Delivery: epoch and message.
        self._alone: dict[str, tuple[Any, ...]] = {}  # Delivery: epoch, and uid, time and octets of its end's record.
        self.postponed: dict[str, tuple[Any, ...]] = {}  # Delivery: the values behind it.
        self.freed: dict[str, int] = {}  # Delivery: epoch.
        self.records: list[Prepared] = []  # Of the trace; see `add` for others.
        self._kept: list[RightsRow] = []
        self.notices: set[str] = set()
        self.after: list[Callable[[], None]] = []  # Done on the writer's thread once all this is durable.
        # Answers, after `receive`.
        self.was_gone: set[str] = set()
        self.last: dict[str, bool] = {}  # Messages that went with their last delivery, and whether they left octets.
        self.was_postponed: set[str] = set()
        self.handed: set[str] = set()  # Processes that got what they had asked for.
        self._asks = False
        self._cursors: dict[str, psycopg.Cursor[Any]] = {}

    @property
    def asks(self) -> bool:
        """Whether somebody has to see answers before the commit."""
        return self._asks or bool(self.gone or self.postponed or self.freed)

    def execute(self, query: str, arguments: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        """Send one statement; its cursor has the answer after `receive`. Octets come as octets. Raises Asks."""
        if self.is_volley:
            raise Asks
        self._asks = True
        return self._execute(query, arguments)

    def add(self, records: Sequence[Prepared]) -> None:
        """Store these, of whatever kind. Raises SealBroken for one that can't be read."""
        self._kept += [read_row(one.sealed) for one in records if one.kind == RIGHTS]
        self.records.extend(one for one in records if one.kind == TRACE)

    def end_alone(self, id_: str, epoch: int, record: Prepared | None) -> None:
        """Forget a delivery that is its message's only one, and the message. `record` has no tokens; it is stored if
        the delivery `was_gone`.
        """
        self._alone[id_] = (
            (epoch, None, None, None) if record is None else (epoch, record.uid, record.time, record.sealed)
        )

    def send(self) -> None:
        """Send what was gathered."""
        if self.leases or self.deliveries:
            self._execute(_ALIVE, (self._node,))
        if self.messages or self.deliveries:
            deliveries = columns(_DELIVERY, self.deliveries)
            self._execute(_ACCEPT, (*columns(_MESSAGE, self.messages), self._node, *deliveries))
        if self._alone:
            ends = [(id_, *end) for id_, end in self._alone.items()]
            self._cursors["alone"] = self._execute(_GONE_ALONE, columns(_ALONE, ends))
        if self.gone:
            messages = sorted({message for _, message in self.gone.values()})
            self._execute(_LOCK, (messages,))
            self._cursors["gone"] = self._execute(_GONE, (list(self.gone), [epoch for epoch, _ in self.gone.values()]))
            self._cursors["last"] = self._execute(_LAST, (messages,))
        if self.postponed:
            values = [list(column) for column in zip(*self.postponed.values(), strict=True)]
            self._cursors["postponed"] = self._execute(_POSTPONED, (list(self.postponed), *values))
        if self.freed:
            arguments = (list(self.freed), list(self.freed.values()), self._node)
            self._cursors["freed"] = self._execute(_FREED, arguments)

    def volley(self) -> list[Shot]:
        """All that was gathered, where nobody `asks`: one transaction, and no more than one round trip."""
        shots = []
        if self.leases or self.deliveries:
            shots.append(Shot("alive", (self._node.encode(),)))
        if self.messages or self.deliveries:
            arrays = [*columns(_MESSAGE, self.messages), *columns(_DELIVERY, self.deliveries)]
            octets = [one.octets() for one in arrays]
            shots.append(Shot("accept", (*octets[:4], self._node.encode(), *octets[4:])))
        if self._alone:
            ends = [(id_, *end) for id_, end in self._alone.items()]
            shots.append(Shot("alone", tuple(one.octets() for one in columns(_ALONE, ends))))
        if self.records:
            shots.append(Shot("trace", tuple(one.octets() for one in trace_rows.arrays(self.records))))
        if self._kept:
            shots.append(Shot("rights", tuple(one.octets() for one in rights_rows.arrays(self._kept))))
        shots += [Shot("notify", (CHANNEL.encode(), notice.encode())) for notice in sorted(self.notices)]
        return shots

    def take(self, answers: Mapping[str, list[tuple[bytes | None, ...]]]) -> None:
        """What the shots were answered, row by row as the server wrote it; they are durable."""
        for id_, shelved in answers.get("alone", ()):
            name = (id_ or b"").decode()
            if shelved is None:
                self.was_gone.add(name)
            else:
                self.last[name] = shelved == b"\x01"

    def receive(self) -> None:
        """The statements have run."""
        self.was_gone = {id_ for (id_,) in self._rows("gone")}
        self.last = dict(self._rows("last"))
        for id_, shelved in self._rows("alone"):
            if shelved is None:
                self.was_gone.add(id_)
            else:
                self.last[id_] = shelved
        for kind in ("postponed", "freed"):
            rows = self._rows(kind)
            self.handed.update(node for _, node in rows if node is not None)
            if kind == "postponed":
                self.was_postponed = {id_ for id_, _ in rows}

    @property
    def has_more(self) -> bool:
        """Whether `send_last` has something to send."""
        return bool(self.records or self._kept or self.handed or self.notices)

    def send_last(self) -> None:
        """Send what works have added since."""
        trace_rows.put(self._db, self.records)
        rights_rows.put(self._db, self._kept)
        for node in self.handed:
            self.notices.add(f"answer {node}")
        for notice in sorted(self.notices):
            self._execute(_NOTIFY, (CHANNEL, notice))

    def meaning(self, error: Exception) -> Exception:
        """What an error of these statements means; most mean what they are."""
        if isinstance(error, psycopg.errors.DivisionByZero):
            return NotAlive("another gateway has taken this process for dead; it signs in again")
        return error

    def _execute(self, query: str, arguments: Sequence[Any]) -> psycopg.Cursor[Any]:
        return self._db.execute(query.encode(), arguments, binary=True)

    def _rows(self, kind: str) -> list[tuple[Any, ...]]:
        cursor = self._cursors.get(kind)
        return [] if cursor is None else cursor.fetchall()


def columns(kinds: Sequence[type[Array]], rows: Sequence[tuple[Any, ...]]) -> list[Array]:
    """The columns of `rows`, which may be none."""
    if not rows:
        return [kind(()) for kind in kinds]
    return [kind(values) for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)]
