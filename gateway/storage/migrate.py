"""Brings a SQLite database to the newest revision. Slow and large (Alembic): called in a process that ends soon.

Leaves out: downgrades; PostgreSQL (`gateway.storage.postgres.migrate`).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

from gateway.storage import revisions
from gateway.storage.engine import has_no_room, open_engine
from gateway.storage.revisions import VERSIONS, MigrationFault
from gateway.storage.writer import open_database

__all__ = ["MigrationFault", "fault_of", "migrate_shared", "migrate_spool"]

_KINDS: Final = {"shared": "a shared database", "spool": "a spool"}


def migrate_shared(path: Path) -> None:
    """Make the shared database at `path`, or bring it to the newest revision. Raises MigrationFault; blocks."""
    _migrate(path, "shared")


def migrate_spool(path: Path) -> None:
    """Make the spool at `path`, or bring it to the newest revision. Raises MigrationFault; blocks."""
    _migrate(path, "spool")


def _migrate(path: Path, kind: str) -> None:
    """In one transaction: a process that dies here leaves the database as it was, and two at once take turns."""
    try:
        # Made by us with this mode; SQLite gives the files beside it the same.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise MigrationFault(f"{path} can't be opened for writing: {error.strerror}") from error
    engine = open_engine(path)
    try:
        with engine.begin() as connection:
            _upgrade(connection, path, kind)
    except DBAPIError as error:
        why = _reason(path, str(error.orig))
        raise MigrationFault(f"{path} could not be migrated and stays as it was: {why}") from error
    finally:
        engine.dispose()


def fault_of(path: Path, kind: str) -> str | None:
    """Why the database of that kind (`shared`, `spool`) can't be served with as it lies there, in the words in which
    migrating would refuse it; None where nothing is in its way, or nobody can tell now. Changes nothing.
    """
    try:
        with closing(open_database(str(path), read_only=True)) as db:
            there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            heads: tuple[str, ...] = ()
            if VERSIONS in there:
                heads = tuple(str(found) for (found,) in db.execute(f"SELECT version_num FROM {VERSIONS}"))  # noqa: S608
    except sqlite3.OperationalError:  # It is locked, or not ours to read: that says nothing about what is in it.
        return None
    except sqlite3.DatabaseError as error:
        return f"{path} can't be used: {_reason(path, str(error))}"
    words = _refusal(path, kind, heads, there)
    if words is None and heads == (revisions.newest(kind),):
        words = revisions.missing(str(path), (kind,), "sqlite", there)
    return words


def _upgrade(connection: Connection, path: Path, kind: str) -> None:
    if words := _refusal(path, kind, revisions.heads(connection), set(inspect(connection).get_table_names())):
        raise MigrationFault(words)
    revisions.upgrade(connection, (kind,))
    there = set(inspect(connection).get_table_names())
    if words := revisions.missing(str(path), (kind,), "sqlite", there):
        raise MigrationFault(words)


def _refusal(path: Path, kind: str, heads: tuple[str, ...], there: set[str]) -> str | None:
    """What is to be said where these revisions and tables are none that we may migrate."""
    if not heads:
        if tables := sorted(there - {VERSIONS}):
            return (
                f"{path} holds tables ({', '.join(tables[:3])}) but no revision: it is half migrated, or no database "
                "of the gateway. Restore it from a copy, or move it away"
            )
        return None
    if len(heads) > 1:
        return revisions.several(str(path), heads)
    found = heads[0]
    other = found.partition("_")[0]
    if other != kind:
        return (
            f"{path} should be {_KINDS[kind]} but is {_KINDS.get(other, 'something else')} (revision {found!r}). "
            "Were files renamed or swapped?"
        )
    if found != revisions.newest(kind) and found not in revisions.known(kind):
        return revisions.unknown(str(path), found, kind)
    return None


def _reason(path: Path, words: str) -> str:
    if "not a database" in words:
        return "it is not a SQLite database, or it is damaged. Restore it from a copy, or move it away"
    if "locked" in words or "busy" in words:
        return "another process held it for too long. Stop that one and try again"
    if "full" in words or ("I/O" in words and has_no_room(path)):
        return "the disk is full. Make room and try again"
    return f"{words}. Nothing was changed"
