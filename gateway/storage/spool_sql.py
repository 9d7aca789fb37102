"""What the spool says to its database, statement by statement. Each function runs within the caller's transaction.

Leaves out: sealing; the columns come sealed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.mail.delivery import State
from gateway.storage.spooling import QUARANTINED

Row = tuple[Any, ...]

# Whoever accepts a delivery has it leased, and most leave at once: until it is given back it stands in no index.
NEW = "new"

# Once more changes nothing: a crash between the database and the journal has both tell of a message.
_MESSAGE = "INSERT OR IGNORE INTO messages(id, received, size, content) VALUES (?, ?, ?, ?)"
_DELIVERY = (
    "INSERT OR IGNORE INTO"
    " deliveries(id, message, connector, destination, state, next_attempt, attempts, created, size, sealed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_RECORD = "INSERT OR IGNORE INTO records(seq, message, kind, sealed) VALUES (?, ?, ?, ?)"
_COLUMNS = "id, message, connector, state, next_attempt, attempts, created, size, sealed"
_POSTPONE = (
    "UPDATE deliveries SET connector=?, destination=?, state=?, next_attempt=?, attempts=?, created=?, sealed=?"
    " WHERE id=?"
)
_QUEUED = (
    "state <> 'new' AND state IN ('ready', 'waiting')"  # The first half is how SQLite knows the partial index again.
)
_DUE_FIRST = "ORDER BY next_attempt, id LIMIT ?"


def store(db: sqlite3.Connection, message: Row, deliveries: Sequence[Row], records: Sequence[Row] = ()) -> None:
    """A message with what belongs to it."""
    db.execute(_MESSAGE, message)
    for row in deliveries:
        db.execute(_DELIVERY, row)
    store_records(db, records)


def store_records(db: sqlite3.Connection, records: Sequence[Row]) -> None:
    """Records on their way to the shared database."""
    for row in records:
        db.execute(_RECORD, row)


def records(db: sqlite3.Connection, after: int, limit: int) -> list[Row]:
    """Message, uid, kind and sealed octets of those behind `after`, in order."""
    query = "SELECT message, seq, kind, sealed FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
    return db.execute(query, (after, limit)).fetchall()


def newest_record(db: sqlite3.Connection) -> int:
    """The greatest uid, 0 where there is none."""
    return int(db.execute("SELECT max(seq) FROM records").fetchone()[0] or 0)


def forget_records(db: sqlite3.Connection, uids: Sequence[int]) -> None:
    """Delete them."""
    db.execute("DELETE FROM records WHERE seq IN (SELECT value FROM json_each(?))", (json.dumps(uids),))


def fresh(db: sqlite3.Connection) -> list[str]:
    """The deliveries that stand in no index."""
    return [row[0] for row in db.execute("SELECT id FROM deliveries WHERE state='new'")]


def put_in_index(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """They are to be found from now on."""
    db.executemany("UPDATE deliveries SET state='ready' WHERE id=? AND state='new'", [(id_,) for id_ in ids])


def due(db: sqlite3.Connection, now: int, limit: int, busy: Sequence[int]) -> list[str]:
    """Deliveries due at `now` (milliseconds), earliest first, none for the destinations `busy`."""
    condition = f"{_QUEUED} AND next_attempt <= ? AND destination NOT IN (SELECT value FROM json_each(?))"  # noqa: S608
    query = f"SELECT id FROM deliveries WHERE {condition} {_DUE_FIRST}"  # noqa: S608 - constants alone
    return [row[0] for row in db.execute(query, (now, json.dumps(busy), limit))]


def next_due(db: sqlite3.Connection, limit: int) -> list[tuple[str, int]]:
    """The first ids and when they are due, in milliseconds."""
    return db.execute(f"SELECT id, next_attempt FROM deliveries WHERE {_QUEUED} {_DUE_FIRST}", (limit,)).fetchall()  # noqa: S608


def content(db: sqlite3.Connection, message: str) -> tuple[int, bytes | None] | None:
    """Size and sealed octets of a message; None for octets that lie in a file."""
    found: tuple[int, bytes | None] | None = db.execute(
        "SELECT size, content FROM messages WHERE id=?", (message,)
    ).fetchone()
    return found


def with_files(db: sqlite3.Connection) -> set[str]:
    """The messages whose octets lie in a file."""
    return {row[0] for row in db.execute("SELECT id FROM messages WHERE content IS NULL")}


def forget(db: sqlite3.Connection, delivery: str, message: str, records: Sequence[Row]) -> bool:
    """Drop a delivery, and its message with the last one. Whether a file has to go too."""
    db.execute("DELETE FROM deliveries WHERE id=?", (delivery,))
    # Deliveries of Q are Q.1, Q.2, ...: a range of the key, `/` being what comes behind `.`.
    last = (
        "DELETE FROM messages WHERE id=? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE id > ? AND id < ?)"
        # Not `content IS NULL`: SQLite 3.40 answers that with 0 for every row of a table without row ids.
        " RETURNING typeof(content)"
    )
    gone = db.execute(last, (message, f"{message}.", f"{message}/")).fetchone()
    store_records(db, records)
    return gone is not None and gone[0] == "null"


def postpone(db: sqlite3.Connection, row: Row, records: Sequence[Row]) -> None:
    """Store a delivery as it is now: connector, destination, state, next_attempt, attempts, created, sealed; its id."""
    db.execute(_POSTPONE, row)
    store_records(db, records)


def change(db: sqlite3.Connection, changes: Sequence[tuple[str, int, str]], records: Sequence[Row]) -> None:
    """Store state and next_attempt (milliseconds) of each id."""
    db.executemany("UPDATE deliveries SET state=?, next_attempt=? WHERE id=?", changes)
    store_records(db, records)


def hold(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """They wait for an administrator."""
    db.executemany("UPDATE deliveries SET state='held' WHERE id=?", [(id_,) for id_ in ids])


def counts(db: sqlite3.Connection, quarantine: int | None) -> tuple[dict[str, int], int | None]:
    """Deliveries by state, and when the oldest of them was taken (milliseconds since 1970). Those that are held for the
    destination `quarantine` count apart.
    """
    query = "SELECT CASE WHEN state='held' AND destination=? THEN ? ELSE state END AS now, count(*), min(created)"
    rows = db.execute(f"{query} FROM deliveries GROUP BY now", (quarantine, QUARANTINED)).fetchall()
    states: dict[str, int] = {state: number for state, number, _ in rows}
    if unseen := states.pop(NEW, 0):
        states[State.READY.value] = states.get(State.READY.value, 0) + unseen
    return states, min((first for state, _, first in rows if state != QUARANTINED), default=None)


def selected(row: Row) -> Row:
    """A row as it was stored, as `select` gives it."""
    id_, message, connector, _, *rest = row
    return (id_, message, connector, *rest)


def select(db: sqlite3.Connection, ids: Sequence[str], *, messages: bool = False) -> list[Row]:
    """The rows of deliveries `ids`; with `messages` these may name messages too."""
    names = json.dumps(list(ids))
    query = f"SELECT {_COLUMNS} FROM deliveries WHERE id IN (SELECT value FROM json_each(:ids))"  # noqa: S608
    if messages:  # Deliveries of Q are Q.1, Q.2, ...: a range of the key, `/` being what comes behind `.`.
        query += (
            f" UNION SELECT {_COLUMNS} FROM (SELECT value AS name FROM json_each(:ids)) AS wanted"  # noqa: S608
            " JOIN deliveries ON deliveries.id > wanted.name || '.' AND deliveries.id < wanted.name || '/'"
        )
    return db.execute(f"{query} ORDER BY next_attempt, id", {"ids": names}).fetchall()


def select_all(db: sqlite3.Connection, limit: int) -> list[Row]:
    """The first `limit` rows, oldest first."""
    return db.execute(f"SELECT {_COLUMNS} FROM deliveries ORDER BY id LIMIT ?", (limit,)).fetchall()  # noqa: S608
