"""Databases and keys made ready before a gateway serves. Runs in a process of its own: Alembic is large."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from gateway.app.keyring import make_keys
from gateway.app.places import Places
from gateway.settings.load import Loaded, loaded
from gateway.storage.migrate import MigrationFault, migrate_shared, migrate_spool
from gateway.storage.shared import Shared
from gateway.storage.spool import CONTENT, DATABASE
from gateway.storage.writer import open_database
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock


def workers(settings: Loaded) -> int:
    """How many workers there are: as the settings say, or one for each CPU that we may use."""
    return settings.settings.server.workers or len(os.sched_getaffinity(0))


def migrate(path: Path) -> list[str]:
    """Bring everything to this version's form; a line for each thing done.

    Raises BadSettings, MigrationFault, KeyFault.
    """
    settings = loaded(path)
    places = Places.of(settings)
    told: list[str] = []
    try:
        places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = not places.shared.exists()
        migrate_shared(places.shared)
        told.append(f"{places.shared}: {'made' if new else 'up to date'}")
        for number in sorted({*range(workers(settings)), *places.spools()}):
            folder = places.spool(number)
            new = not (folder / DATABASE).exists()
            (folder / CONTENT).mkdir(mode=0o700, parents=True, exist_ok=True)
            migrate_spool(folder / DATABASE)
            told.append(f"{folder}: {'made' if new else 'up to date'}")
    except OSError as error:
        raise MigrationFault(f"{error.filename or places.data}: {error.strerror}") from error
    shared = Shared(places.shared)
    try:
        if not shared.keys():
            _check_empty(places)
        make_keys(settings, shared, SystemChance(), SystemClock())
    finally:
        shared.close()
    told.append("domain keys: ready")
    return told


def _check_empty(places: Places) -> None:
    """New keys are for a new gateway. Made beside mail that is sealed under others, they would bury it."""
    for number in places.spools():
        path = places.spool(number) / DATABASE
        with closing(open_database(str(path))) as connection:
            count = connection.execute("SELECT count(*) FROM messages").fetchone()[0]
        if count:
            raise MigrationFault(
                f"{places.shared} holds no keys, but {path} holds {count} sealed message(s), which no other keys open. "
                f"Restore {places.shared} from its copy; to give that mail up, move {places.spool(number)} away"
            )
