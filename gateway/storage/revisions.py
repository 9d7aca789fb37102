"""The revisions of a database's form: those that this gateway knows, and what one that was found means.

The kinds of databases are `shared` and `spool`; their revisions are called `shared_0001`, `shared_0002` and so on.
Slow and large (Alembic): it is loaded by whoever migrates, in a process that ends soon.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect

from gateway.storage.tables import SHARED, SPOOL, of

if TYPE_CHECKING:
    from alembic.config import Config

KINDS: Final = {"shared": SHARED, "spool": SPOOL}
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
VERSIONS: Final = "alembic_version"  # As Alembic calls the table of the revisions that are there.


class MigrationFault(Exception):
    """The database was left as it was. The text says which one, what was found, and what to do."""


def newest(kind: str) -> str:
    """The newest revision of that kind, told from the names of the files and so without Alembic."""
    return f"{kind}_{max(path.name[1:5] for path in (_MIGRATIONS / kind).glob('r[0-9][0-9][0-9][0-9]_*.py'))}"


def tables(kinds: Sequence[str], engine: str) -> set[str]:
    """The names of the tables of those kinds on `engine` (`sqlite`, `postgresql`)."""
    return {table.name for kind in kinds for table in of(KINDS[kind], engine)}


def missing(where: str, kinds: Sequence[str], engine: str, there: set[str]) -> str | None:
    """What is to be said where a database of the newest revision lacks tables; else None."""
    lacking = sorted(tables(kinds, engine) - there)
    if not lacking:
        return None
    found = " and ".join(repr(newest(kind)) for kind in kinds)
    return f"{where} has revision {found} but lacks {', '.join(lacking)}: it is half migrated. Restore it from a copy"


def unknown(where: str, found: str, kind: str) -> str:
    """What is to be said where a newer gateway has been at work."""
    return (
        f"{where} has revision {found!r}, which this gateway does not know; its newest is {newest(kind)!r}. A newer "
        "gateway wrote it: install that one, or restore a copy made before the update"
    )


def several(where: str, heads: Sequence[str]) -> str:
    """What is to be said where one kind has more than one revision."""
    return f"{where} has several revisions at once ({', '.join(sorted(heads))}). Restore it from a copy"


def known(kind: str) -> set[str]:
    """All revisions of that kind."""
    from alembic.script import ScriptDirectory

    return {one.revision for one in ScriptDirectory.from_config(_config((kind,))).walk_revisions()}


def heads(connection: Connection) -> tuple[str, ...]:
    """The revisions that the database has; none where it was never migrated. Nearly always there is nothing to do, and
    then Alembic, a fifth of a second, is not loaded.
    """
    if not inspect(connection).has_table(VERSIONS):
        return ()
    return tuple(str(found) for (found,) in connection.exec_driver_sql(f"SELECT version_num FROM {VERSIONS}"))  # noqa: S608


def upgrade(connection: Connection, kinds: Sequence[str]) -> bool:
    """Bring it to the newest revisions, in the transaction that is open; whether there was anything to do."""
    from alembic import command

    if set(heads(connection)) == {newest(kind) for kind in kinds}:
        return False
    config = _config(kinds)
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")
    return True


def _config(kinds: Sequence[str]) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", _escaped(_MIGRATIONS))
    config.set_main_option("version_locations", "\n".join(_escaped(_MIGRATIONS / kind) for kind in kinds))
    config.set_main_option("path_separator", "newline")
    return config


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")  # Alembic's options interpolate.
