"""Brings a database to the newest revision. Slow and large (Alembic): the app calls it in a process that ends soon.

Leaves out: downgrades.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

from gateway.storage.engine import open_engine
from gateway.storage.tables import SHARED, SPOOL

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_KINDS: Final = {"shared": "a shared database", "spool": "a spool"}
_TABLES: Final = {"shared": SHARED, "spool": SPOOL}


class MigrationFault(Exception):
    """The database was left as it was. The text says which file, what was found, and what to do."""


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
        raise MigrationFault(f"{path} could not be migrated and stays as it was: {_reason(error)}") from error
    finally:
        engine.dispose()


def _upgrade(connection: Connection, path: Path, kind: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", _escaped(_MIGRATIONS))
    config.set_main_option("version_locations", _escaped(_MIGRATIONS / kind))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    heads = MigrationContext.configure(connection).get_current_heads()
    _check(connection, path, kind, heads, script)
    if heads != (script.get_current_head(),):
        command.upgrade(config, "head")
    if missing := sorted(set(_TABLES[kind].tables) - set(inspect(connection).get_table_names())):
        raise MigrationFault(
            f"{path} has revision {script.get_current_head()!r} but lacks {', '.join(missing)}: it is half migrated. "
            "Restore it from a copy"
        )


def _check(connection: Connection, path: Path, kind: str, heads: tuple[str, ...], script: ScriptDirectory) -> None:
    newest = script.get_current_head()
    if not heads:
        if tables := sorted(set(inspect(connection).get_table_names()) - {"alembic_version"}):
            raise MigrationFault(
                f"{path} holds tables ({', '.join(tables[:3])}) but no revision: it is half migrated, or no database "
                "of the gateway. Restore it from a copy, or move it away"
            )
        return
    if len(heads) > 1:
        raise MigrationFault(f"{path} has several revisions at once ({', '.join(heads)}). Restore it from a copy")
    found = heads[0]
    other = found.partition("_")[0]
    if other != kind:
        raise MigrationFault(
            f"{path} should be {_KINDS[kind]} but is {_KINDS.get(other, 'something else')} (revision {found!r}). "
            "Were files renamed or swapped?"
        )
    if found not in {one.revision for one in script.walk_revisions()}:
        raise MigrationFault(
            f"{path} has revision {found!r}, which this gateway does not know; its newest is {newest!r}. A newer "
            "gateway wrote it: install that one, or restore a copy made before the update"
        )


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")  # Alembic's options interpolate.


def _reason(error: DBAPIError) -> str:
    words = str(error.orig)
    if "not a database" in words:
        return "it is not a SQLite database, or it is damaged. Restore it from a copy, or move it away"
    if "locked" in words or "busy" in words:
        return "another process held it for too long. Stop that one and try again"
    if "full" in words:
        return "the disk is full. Make room and try again"
    return f"{words}. Nothing was changed"
