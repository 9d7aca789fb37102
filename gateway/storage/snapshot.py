"""Copies of SQLite databases while they are in use, each as of one moment (SQLite's backup API).

A spool's copy and its content files are made consistent with each other: what was delivered while the files were read
is taken out of the copy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.storage.mailboxes.message_rows import split_names
from gateway.storage.writer import StorageBroken, open_database

_SKIPPED: Final = 1_000_000  # UIDs of four thousand million: more than a folder gets between a backup and its restore.
_IDS: Final = "SELECT id, size FROM messages WHERE content IS NULL ORDER BY id"


def copy(source: Path, target: Path) -> None:
    """Copy `source` as of now into the new file `target`, which then needs no log beside it. Blocks.

    Whoever writes `source` is not held up. Raises StorageBroken, OSError.
    """
    target.touch(mode=0o600, exist_ok=False)
    try:
        with closing(open_database(str(source), read_only=False)) as there, closing(sqlite3.connect(target)) as here:
            there.backup(here)  # In one step: under WAL a reader sees one moment and is in nobody's way.
            here.execute("PRAGMA journal_mode=DELETE")
            free, pages = (here.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
            if 2 * free > pages:  # Room that was written in advance, or that a long queue has left behind.
                here.execute("VACUUM")
    except sqlite3.Error as error:
        raise StorageBroken(f"{source} can't be copied: {error}") from error


def shelved(database: Path) -> list[tuple[str, int]]:
    """Id and size of each message in a spool whose octets are not in it. Raises StorageBroken."""
    try:
        with closing(open_database(str(database), read_only=True)) as connection:
            return [(str(id_), int(size)) for id_, size in connection.execute(_IDS)]
    except sqlite3.Error as error:
        raise StorageBroken(f"{database} can't be read: {error}") from error


def copies(database: Path) -> list[str]:
    """The blobs of stored copies that a shared database knows and can open. Raises StorageBroken."""
    known = "SELECT stored FROM rights_messages WHERE key IS NOT NULL AND stored NOT IN ('none', 'row') ORDER BY stored"
    try:
        with closing(open_database(str(database), read_only=True)) as connection:
            there = "SELECT 1 FROM sqlite_master WHERE name='rights_messages'"
            if connection.execute(there).fetchone() is None:  # Of a version that knew none.
                return []
            return [str(name) for (name,) in connection.execute(known)]
    except sqlite3.Error as error:
        raise StorageBroken(f"{database} can't be read: {error}") from error


def mailbox_blobs(database: Path) -> list[str]:
    """The blobs that the mailboxes of a shared database know. Raises StorageBroken."""
    try:
        with closing(open_database(str(database), read_only=True)) as connection:
            if not _has_mailboxes(connection):
                return []
            rows = connection.execute("SELECT blobs FROM mailbox_contents")
            return sorted(name.hex() for (blobs,) in rows for name in split_names(blobs))
    except sqlite3.Error as error:
        raise StorageBroken(f"{database} can't be read: {error}") from error


def is_queued(spool: Path, message: str) -> bool:
    """Whether the spool still knows `message`. Raises StorageBroken."""
    try:
        with closing(open_database(str(spool), read_only=True)) as connection:
            return connection.execute("SELECT 1 FROM messages WHERE id=?", (message,)).fetchone() is not None
    except sqlite3.Error as error:
        raise StorageBroken(f"{spool} can't be read: {error}") from error


def forget(copied: Path, messages: Iterable[str]) -> None:
    """Take messages that have left meanwhile out of the copy of a spool. Raises StorageBroken."""
    ids = [(id_,) for id_ in messages]
    try:
        with closing(sqlite3.connect(copied)) as connection, connection:
            connection.executemany("DELETE FROM deliveries WHERE message=?", ids)
            connection.executemany("DELETE FROM messages WHERE id=?", ids)
    except sqlite3.Error as error:
        raise StorageBroken(f"{copied} can't be changed: {error}") from error


def fact(database: Path, name: str) -> str | None:
    """What the shared database says of itself under `name`. Raises StorageBroken."""
    try:
        with closing(open_database(str(database), read_only=True)) as connection:
            row = connection.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
    except sqlite3.Error as error:
        raise StorageBroken(f"{database} can't be read: {error}") from error
    return None if row is None else str(row[0])


def forget_fact(copied: Path, name: str) -> None:
    """Take what a shared database says of itself under `name` out of a copy. Raises StorageBroken."""
    try:
        with closing(sqlite3.connect(copied)) as connection, connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("DELETE FROM meta WHERE name=?", (name,))
    except sqlite3.Error as error:
        raise StorageBroken(f"{copied.name} can't be changed: {error}") from error


def skip_uids(copied: Path) -> None:
    """Let no folder of a mailbox in a copy give a UID or a modseq that it may have given since the copy was made.

    Mail programs remember by both what they have seen (RFC 3501 2.3.1.1, RFC 7162 3.1). Raises StorageBroken.
    """
    try:
        with closing(sqlite3.connect(copied)) as connection, connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            if not _has_mailboxes(connection):
                return
            connection.execute(
                "UPDATE mailbox_folders SET uid_next=uid_next+?, modseq=modseq+?, forgotten=modseq+?", (_SKIPPED,) * 3
            )
    except sqlite3.Error as error:
        raise StorageBroken(f"{copied.name} can't be changed: {error}") from error


def _has_mailboxes(connection: sqlite3.Connection) -> bool:
    """Not of a version that knew none."""
    there = "SELECT 1 FROM sqlite_master WHERE name='mailbox_folders'"
    return connection.execute(there).fetchone() is not None


def check(database: Path) -> None:
    """Raises StorageBroken where the file is no database, or a damaged one. Nothing in it is believed or run."""
    try:
        with closing(open_database(str(database), read_only=True)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
    except sqlite3.Error as error:
        raise StorageBroken(f"{database.name} is no database that can be read: {error}") from error
    if said != ["ok"]:
        raise StorageBroken(f"{database.name} is damaged: {said[0] if said else 'no answer'}")


def sizes(databases: Iterable[Path]) -> int:
    """Octets that copies of these need at most."""
    total = 0
    for path in databases:
        for file in (path, path.with_name(f"{path.name}-wal")):
            if file.exists():
                total += file.stat().st_size
    return total
