"""The SQLAlchemy engine on a SQLite file of ours. Leaves out: PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, Pool

from gateway.storage.writer import StorageBroken, StorageFull, open_database

READ: Final = "BEGIN"
WRITE: Final = "BEGIN IMMEDIATE"  # The lock is had at once: one that is asked for later may be refused without waiting.

CACHE_KIB: Final = 2048
LEAST: Final = 1 << 16  # Octets; with fewer free SQLite can't make the index of its log (32 KiB) and write.


def open_engine(path: Path, pool: type[Pool] = NullPool) -> Engine:
    """An engine on the file at `path`, which must be there. Errors never show parameters.

    Each transaction begins with WRITE; one that only reads says `execution_options(begin=READ)` and waits for nobody.
    """

    def connect() -> sqlite3.Connection:
        connection = open_database(str(path.absolute()))
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute("PRAGMA secure_delete=OFF")  # What is deleted was sealed.
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=pool, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # open_database leaves beginning to us: Python's sqlite3 would begin too late for DDL and for locks.
        options: dict[str, Any] = dict(connection.get_execution_options())
        connection.exec_driver_sql(options.get("begin", WRITE))

    return engine


def has_no_room(path: Path) -> bool:
    """Whether the disk with the database is full: where SQLite can't make the files beside it, it says "disk I/O error"
    as of a broken one.
    """
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < LEAST


def meaning(path: Path, error: DBAPIError) -> StorageFull | StorageBroken:
    """What an error of SQLite means to whoever waits, in the words of `gateway.storage.writer`."""
    words = str(error.orig)
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and has_no_room(path)):
        return StorageFull(f"the disk with {path} is full")
    if code == sqlite3.SQLITE_CANTOPEN:
        return StorageBroken(f"{path} can't be opened; is it there, and may this account write its folder?")
    if "no such table" in words or "no such column" in words:
        return StorageBroken(f"{path} is not of this version ({words}); say: gateway migrate")
    return StorageBroken(f"{path}: {words}")
