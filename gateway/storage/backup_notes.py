"""Which backups `gateway backup` has made of this database: a row each in `meta`, until a person says that it is gone.

Whoever refreshes, replaces or destroys a key is told of them, since what lies in them needs the keys of its time. What
other means have copied is not known here. Blocks; raises StorageFull, StorageBroken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import Connection, delete, insert, select

from gateway.storage.sharing import SharedStore
from gateway.storage.tables import meta

MOST: Final = 10_000  # Notes that are read, the newest first.
_PREFIX: Final = "backup "
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class BackupNote:
    """One backup: a file of this machine, begun and finished at these times (seconds since 1970)."""

    id: str
    path: str
    began: float
    made: float


class BackupNotes:
    """The rows of one database."""

    def __init__(self, shared: SharedStore) -> None:
        self._shared = shared

    def add(self, note: BackupNote) -> None:
        """Keep it. `id` is drawn by the caller."""
        value = orjson.dumps({"version": _VERSION, "path": note.path, "began": note.began, "made": note.made})
        row = {"name": _PREFIX + note.id, "value": value.decode()}
        self._shared.run(lambda connection: connection.execute(insert(meta), [row]))

    def all(self) -> list[BackupNote]:
        """Those that are known, the oldest first."""
        query = select(meta.c.name, meta.c.value).where(meta.c.name.like(f"{_PREFIX}%"))

        def read(connection: Connection) -> list[BackupNote]:
            return [_note(name, value) for name, value in connection.execute(query)]

        return sorted(self._shared.run(read, read=True), key=lambda note: note.made)[-MOST:]

    def forget(self, id_: str) -> bool:
        """A person says that this backup is destroyed. False where none of that id is known."""
        gone = delete(meta).where(meta.c.name == _PREFIX + id_)
        return self._shared.run(lambda connection: connection.execute(gone).rowcount == 1)


def _note(name: str, value: str) -> BackupNote:
    facts = orjson.loads(value)
    return BackupNote(name.removeprefix(_PREFIX), facts["path"], facts["began"], facts["made"])
