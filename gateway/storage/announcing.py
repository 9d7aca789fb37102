"""Telling the other processes on a shared database that something in it has changed, with the change itself.

On PostgreSQL each node hears it as soon as the transaction is committed, and never of one that was undone. On SQLite
all processes are of one machine, and its supervisor tells them.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select


def announce(connection: Connection, what: str) -> None:
    """The transaction of `connection` changes `what`, one word: `gateway.storage.postgres.ear` hears it."""
    if connection.dialect.name == "postgresql":
        from gateway.storage.postgres.batch import CHANNEL  # Where it is wanted alone: it brings psycopg.

        connection.execute(select(func.pg_notify(CHANNEL, f"changed {what}")))
