"""Who ends policies, joined: what names backups, and what has SQLite let go of what was overwritten."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import closing

from gateway.app.places import Places
from gateway.app.policy_backups import backups_of
from gateway.keys.vault import Vault
from gateway.mailboxes.policies.purge import PolicyPurge
from gateway.mailboxes.policies.store import PolicyStore
from gateway.settings.load import Loaded
from gateway.storage.sharing import SharedStore
from gateway.storage.writer import open_database
from gateway.world.clock import Clock


def policy_purge(
    loaded: Loaded,
    store: PolicyStore,
    shared: SharedStore,
    vaults: Mapping[str, Vault],
    *,
    clock: Clock,
    tell: Callable[..., None],
    executor: Executor,
) -> PolicyPurge:
    """Of one process. Opens nothing yet."""

    async def settle() -> None:
        if loaded.is_shared:
            return  # PostgreSQL's own VACUUM and its logs: the certificate names them.
        if not await asyncio.to_thread(_carried, loaded):
            tell("warning", "policy_purge_in_log", file=f"{Places.of(loaded).shared}-wal")

    return PolicyPurge(
        store, vaults, backups=backups_of(shared), settle=settle, clock=clock, tell=tell, executor=executor
    )


def _carried(loaded: Loaded) -> bool:
    """Carry SQLite's write-ahead log into the database and empty it: older pages still lie in it. Whether it is empty;
    where somebody reads for long it is emptied later, as always.
    """
    try:
        with closing(open_database(str(Places.of(loaded).shared.absolute()))) as connection:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
    except sqlite3.Error:
        return False
