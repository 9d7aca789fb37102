"""Brings a PostgreSQL database to the newest revisions. Slow and large (Alembic): called in a process that ends soon.

Shared tables and queue lie in one database. Leaves out: downgrades; updates while older gateways serve (each revision
says whether they may).
"""

from __future__ import annotations

from typing import Final, cast

import psycopg
from sqlalchemy import Connection as Bound
from sqlalchemy.exc import DBAPIError

from gateway.storage import revisions
from gateway.storage.postgres.connection import Connection, Database
from gateway.storage.postgres.form import KINDS, State, form_of
from gateway.storage.postgres.meaning import meaning
from gateway.storage.revisions import MigrationFault
from gateway.storage.writer import StorageBroken, StorageFull

_LOCK: Final = 0x67_61_74_65_77_61_79  # "gateway". Whoever migrates holds it until its transaction ends.
_PATIENCE: Final = 120_000  # Milliseconds for another node that migrates, or for what holds a table.


def migrate(database: Database) -> bool:
    """Make the tables, or bring them to the newest revisions; whether there were none before. Blocks.

    One transaction: a process that dies here leaves the database as it was, and two nodes take turns. Raises
    MigrationFault; StorageBroken where the database can't be reached.
    """
    where = database.shown
    engine = database.engine("migrate", statement=0, lock=_PATIENCE)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            return _upgrade(connection, where)
    except DBAPIError as error:
        cause = error.orig if isinstance(error.orig, psycopg.Error) else error
        raise MigrationFault(f"{_reason(where, cause)}. It stays as it was") from error
    finally:
        engine.dispose()


def _upgrade(connection: Bound, where: str) -> bool:
    bare = cast(Connection, connection.connection.driver_connection)
    before = form_of(bare, where)
    if before.fault is not None:
        raise MigrationFault(before.fault)
    revisions.upgrade(connection, KINDS)
    after = form_of(bare, where)
    if after.fault is not None or after.state is not State.CURRENT:
        raise MigrationFault(after.fault or f"{where} could not be brought to revision {revisions.newest('shared')!r}")
    return before.state is State.EMPTY


def _reason(where: str, error: Exception) -> str:
    state = getattr(error, "sqlstate", None)
    if state == "42501":
        said = (error.diag.message_primary if isinstance(error, psycopg.Error) else None) or "permission denied"
        return (
            f"{where} could not be migrated: {said}. The gateway's account must own the database "
            "(ALTER DATABASE ... OWNER TO ...), or may make tables in its schema (GRANT ALL ON SCHEMA ... TO ...)"
        )
    if state == "55P03":
        return f"{where} could not be migrated: another node, or somebody's transaction, held it for too long"
    told: StorageFull | StorageBroken = meaning(where, error)
    return f"{told}; it could not be migrated"
