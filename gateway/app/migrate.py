"""Databases and keys made ready before a gateway serves. Runs in a process of its own: Alembic is large."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Table, func, select

from gateway.app.database import database, open_shared
from gateway.app.face import faces
from gateway.app.file_vaults import seal_up
from gateway.app.keyring import Handed, make_keys
from gateway.app.places import Places
from gateway.app.selftest import tested
from gateway.keys.domain import ACCOUNTS, CERTIFICATES, DKIM, MAILBOXES, ORGANISATION, PORTAL, SPOOL, TOKEN, TRACE
from gateway.settings.load import Loaded, loaded
from gateway.storage import tables
from gateway.storage.migrate import MigrationFault, migrate_shared, migrate_spool
from gateway.storage.replay import waiting_messages
from gateway.storage.sharing import SharedStore
from gateway.storage.spool import CONTENT, DATABASE, JOURNAL
from gateway.storage.writer import StorageBroken, StorageFull, open_database
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock

# What lies in the shared database under each domain key; mail under that of the queue lies elsewhere.
_SEALED: Final[Mapping[str, tuple[Table, ...]]] = {
    TRACE: (tables.trace_events,),
    TOKEN: (tables.trace_tokens,),
    ACCOUNTS: (tables.accounts,),
    DKIM: (tables.dkim_keys,),
    CERTIFICATES: (tables.certificates,),
    PORTAL: (tables.rights_messages, tables.licence_log),
    MAILBOXES: (tables.mailboxes,),
}


def workers(settings: Loaded) -> int:
    """How many workers there are: as the settings say, or one for each CPU that we may use."""
    return settings.settings.server.workers or len(os.sched_getaffinity(0))


def migrate(path: Path, masters: Mapping[str, bytes] | None = None) -> list[str]:
    """Bring everything to this version's form; a line for each thing done.

    `masters`: master keys of vaults that a passphrase opened, by the vaults' names. Raises BadSettings, MigrationFault,
    KeyFault.
    """
    settings = tested(loaded(path))
    sealed = seal_up(settings, SystemChance(), SystemClock())
    try:
        told = _database(settings) if settings.is_shared else _files(settings, Places.of(settings))
        shared = open_shared(settings)
        try:
            _check_keys(settings, shared)
            make_keys(settings, shared, SystemChance(), SystemClock(), handed=Handed(masters=masters or {}))
        finally:
            shared.close()
    except (StorageBroken, StorageFull) as error:
        raise MigrationFault(str(error)) from error
    return [*sealed, *told, "domain keys: ready"]


def _database(settings: Loaded) -> list[str]:
    """PostgreSQL: one database for everything."""
    from gateway.storage.postgres.migrate import migrate as migrate_database

    there = database(settings)
    new = migrate_database(there)
    return [f"{there.shown}: {'made' if new else 'up to date'}"]


def _files(settings: Loaded, places: Places) -> list[str]:
    """SQLite: a shared database, and a spool for each worker, those of workers that are no more too."""
    told: list[str] = []
    try:
        places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = not places.shared.exists()
        migrate_shared(places.shared)
        told.append(f"{places.shared}: {'made' if new else 'up to date'}")
        faced = (face.number for face in faces(settings))
        for number in sorted({*range(workers(settings)), *faced, *places.spools()}):
            folder = places.spool(number)
            new = not (folder / DATABASE).exists()
            (folder / CONTENT).mkdir(mode=0o700, parents=True, exist_ok=True)
            migrate_spool(folder / DATABASE)
            told.append(f"{folder}: {'made' if new else 'up to date'}")
    except OSError as error:
        raise MigrationFault(f"{error.filename or places.data}: {error.strerror}") from error
    return told


def _check_keys(settings: Loaded, shared: SharedStore) -> None:
    """A key that is missing is made anew. Beside what is sealed under another of its name it would bury that."""
    known = _known(shared)
    if not known:
        _check_empty(settings, shared)
    for purpose, rows in _SEALED.items():
        if purpose in known:
            continue
        for table in rows:
            count = shared.run(partial(_counted, table=table), read=True)
            if count and purpose not in _known(shared):  # Another node may make keys at this moment.
                where = database(settings).shown if settings.is_shared else f"{Places.of(settings).shared}"
                raise MigrationFault(
                    f"{where} holds no domain key {purpose!r}, but {count} row(s) of its table {table.name} that were "
                    f"sealed under it, which no other key opens. Restore its table domain_keys from a copy; to give "
                    f"them up, empty the table {table.name}"
                )
    if known and SPOOL not in known:
        _check_empty(settings, shared)


def _known(shared: SharedStore) -> set[str]:
    return {row.purpose for row in shared.keys() if row.organisation == ORGANISATION}


def _counted(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _check_empty(settings: Loaded, shared: SharedStore) -> None:
    """Raises MigrationFault where there is mail, of which nobody has the key."""
    if settings.is_shared:
        # Counted first: where another node makes keys and takes mail at this moment, they are there afterwards.
        sql = "SELECT count(*) FROM messages"
        count = shared.run(lambda connection: connection.exec_driver_sql(sql).scalar_one(), read=True)
        if count and SPOOL not in _known(shared):
            raise MigrationFault(
                f"{database(settings).shown} holds no keys of the queue, but {count} sealed message(s), which no other "
                "keys open. Restore its table domain_keys from a copy; to give that mail up, start with an empty "
                "database"
            )
        return
    if words := buried(Places.of(settings)):
        raise MigrationFault(words)


def buried(places: Places) -> str | None:
    """What is to be said where spools hold mail that no keys of a new shared database will open; else None."""
    for number in places.spools():
        path = places.spool(number) / DATABASE
        with closing(open_database(str(path), read_only=True)) as connection:
            count = connection.execute("SELECT count(*) FROM messages").fetchone()[0]
        count += len(waiting_messages(places.spool(number) / JOURNAL))
        if count:
            return (
                f"{places.shared} holds no keys of the queue, but {path} holds {count} sealed message(s), which no "
                f"other keys open. Restore {places.shared} from its copy; to give that mail up, move "
                f"{places.spool(number)} away"
            )
    return None
