"""Backups in which wrapped copies of policies' keys lie, as far as `gateway backup` has noted them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.mailboxes.policies.past import Backup, needs
from gateway.storage.backup_notes import BackupNotes
from gateway.storage.mailboxes.model import PolicyRow
from gateway.storage.sharing import SharedStore
from gateway.world.clock import rfc3339


async def known_backups(shared: SharedStore) -> list[Backup]:
    """All of them. Raises StorageFull, StorageBroken."""

    def read() -> list[Backup]:
        notes = BackupNotes(shared).all()
        return [Backup(one.id, one.path, one.began, one.made, Path(one.path).exists()) for one in notes]

    return await asyncio.to_thread(read)


def backups_of(shared: SharedStore) -> Callable[[PolicyRow], Awaitable[Sequence[Mapping[str, Any]]]]:
    """What a certificate of destruction names of a policy."""

    async def named(row: PolicyRow) -> list[dict[str, Any]]:
        found = [one for need in needs(row, await known_backups(shared)) for one in need.backups]
        return [{"path": one.path, "made": rfc3339(one.made)} for one in dict.fromkeys(found)]

    return named
