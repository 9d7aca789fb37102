"""The database of `[storage] url`: files of SQLite, or PostgreSQL, which other gateways may share.

What only PostgreSQL needs is imported once the settings name it: every process of every gateway loads this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.app.places import Places
from gateway.settings.load import Loaded
from gateway.storage.shared import Shared
from gateway.storage.sharing import SharedStore
from gateway.storage.writer import StorageBroken

if TYPE_CHECKING:
    from gateway.storage.postgres.connection import Database


def database(loaded: Loaded) -> Database:
    """The PostgreSQL database that the settings name. Nothing is opened yet. Raises StorageBroken."""
    from gateway.storage.postgres.connection import BadAddress, Database

    try:
        return Database.from_settings(loaded)
    except BadAddress as error:  # `check` tells it with its key; this is for whoever comes here without it.
        raise StorageBroken(f"[storage] url is {error}") from None


def open_shared(loaded: Loaded) -> SharedStore:
    """What all processes share besides the queue. It connects with its first call. Raises StorageBroken."""
    if not loaded.is_shared:
        return Shared(Places.of(loaded).shared)
    from gateway.storage.postgres.shared import PostgresShared

    return PostgresShared(database(loaded))
