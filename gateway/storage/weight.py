"""How much lies in the databases, counted without any key: what somebody about to disable a key has to know.

Reads while others write. Leaves out: what of it anybody could read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Table, func, inspect, select

from gateway.storage import tables
from gateway.storage.replay import waiting_sizes
from gateway.storage.spool import DATABASE, JOURNAL
from gateway.storage.writer import StorageBroken, open_database


@dataclass(frozen=True, slots=True)
class Weight:
    """Messages in the queue, and the octets of their contents."""

    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What the shared database keeps: messages that have a trace, people who may log in, rights-managed messages, how
    many of those have a stored copy, and mailboxes.
    """

    traces: int
    accounts: int
    rights: int = 0
    copies: int = 0
    mailboxes: int = 0


def spools_weight(folders: Iterable[Path]) -> Weight:
    """Of spools of SQLite. What is accepted or leaves meanwhile may be in it or not. Blocks. Raises StorageBroken."""
    messages = octets = 0
    for folder in folders:
        fresh = waiting_sizes(folder / JOURNAL)
        one = _spool_weight(folder / DATABASE, fresh)
        messages += one.messages
        octets += one.octets
    return Weight(messages, octets)


def _spool_weight(database: Path, fresh: dict[str, int]) -> Weight:
    try:
        with closing(open_database(str(database), read_only=True)) as connection:
            count, octets = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM messages").fetchone()
            # Read after the journal: what was carried over in between stands in both, and counts once.
            known = "SELECT 1 FROM messages WHERE id=?"
            new = [size for id_, size in fresh.items() if connection.execute(known, (id_,)).fetchone() is None]
    except sqlite3.Error as error:
        raise StorageBroken(f"{database} can't be read: {error}") from error
    return Weight(count + len(new), octets + sum(new))


def queue_weight(connection: Connection) -> Weight:
    """Of the queue that gateways share on PostgreSQL."""
    if not _has(connection, tables.messages):
        return Weight(0, 0)
    count, octets = connection.execute(
        select(func.count(), func.coalesce(func.sum(tables.messages.c.size), 0)).select_from(tables.messages)
    ).one()
    return Weight(int(count), int(octets))


def kept(connection: Connection) -> Kept:
    """What the shared database keeps; a table that it does not have yet counts as empty."""
    traces = accounts = 0
    if _has(connection, tables.trace_events):
        events = tables.trace_events.c.message
        traces = connection.execute(select(func.count(events.distinct()))).scalar_one()
    if _has(connection, tables.accounts):
        accounts = connection.execute(select(func.count()).select_from(tables.accounts)).scalar_one()
    rights = copies = 0
    if _has(connection, tables.rights_messages):
        # What counts rows alone does not count a column that is null.
        counts = select(func.count(), func.count(tables.rights_messages.c.key)).select_from(tables.rights_messages)
        rights, copies = connection.execute(counts).one()
    mailboxes = 0
    if _has(connection, tables.mailboxes):
        mailboxes = connection.execute(select(func.count()).select_from(tables.mailboxes)).scalar_one()
    return Kept(int(traces), int(accounts), int(rights), int(copies), int(mailboxes))


def _has(connection: Connection, table: Table) -> bool:
    return inspect(connection).has_table(table.name)
