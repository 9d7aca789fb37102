"""INSERT ... ON CONFLICT, as both engines have it."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite


def insert_into(connection: Connection, table: Table) -> sqlite.Insert:
    """An INSERT for the engine of `connection`, with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if connection.dialect.name != "postgresql":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # Where it is wanted alone: it is 2 MiB in each process.

    return cast("sqlite.Insert", postgresql.insert(table))  # Alike, as far as either is used.
