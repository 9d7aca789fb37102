"""A spool's journal as a backup reads it, also while the gateway writes to it, and put into a copy of the database.

What was accepted stands in the journal or in the database, and moves from the first to the second alone. So the journal
is read first and the database copied afterwards: what was carried inside between the two is in both, which is the same.
Nothing is opened that is sealed, and the journal stays as it is. Leaves out: what lies on the shelf.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.storage import entries, spool_sql
from gateway.storage.entries import BadEntry, Batch, Carried, Taken
from gateway.storage.fresh import Freshness
from gateway.storage.replay import replayed
from gateway.storage.segment_file import NAMES, SIZE, Found, batches, look, octets_at
from gateway.storage.segments import Place
from gateway.storage.writer import StorageBroken

TRIES: Final = 3


class JournalCopy:
    """The journal in `folder` as of now, its files copied into the folder `room`.

    Blocks. Raises StorageBroken, OSError. `faults` are what was found damaged, in words.
    """

    def __init__(self, folder: Path, room: Path) -> None:
        self.faults: list[str] = []
        self._files: dict[int, tuple[Path, Found]] = {}
        room.mkdir(mode=0o700)
        for path in sorted(folder.glob(NAMES)):
            self._copy(path, room / path.name)
        # While they were read some may have been written over: nothing in them counted any more. What they held of
        # ends is missed only where the messages that had ended do not count either, which stands on disk by now.
        oldest = max((self._found(path).oldest for path in folder.glob(NAMES)), default=1)
        self._files = {number: one for number, one in sorted(self._files.items()) if number >= oldest}
        self._fresh: Freshness = replayed(self._batches(), self.faults)

    def merge(self, database: Path) -> None:
        """Put what stands in the journal alone into the copy of the spool's database. Raises StorageBroken, OSError."""
        live = {fresh.place: fresh.live for fresh in self._fresh}
        uids = self._fresh.records()
        places = sorted({*live, *uids.values()}, key=lambda place: (place.segment, place.offset))
        try:
            with closing(sqlite3.connect(database)) as db, db:
                db.execute("PRAGMA trusted_schema=OFF")
                for place in places:
                    self._put(db, place, live.get(place, set()), uids)
        except sqlite3.Error as error:
            raise StorageBroken(f"{database.name} can't be changed: {error}") from error

    def _copy(self, path: Path, target: Path) -> None:
        for _ in range(TRIES):  # What is written while it is read can look like damage.
            try:
                octets = octets_at(path)
            except FileNotFoundError:  # Nothing in it counted any more.
                return
            if not (found := look(octets, path)).gaps:
                break
        if not found.number:
            return
        if (other := self._files.get(found.number)) is not None and other[1].ends >= found.ends:
            return
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
        self._files[found.number] = (target, found)

    @staticmethod
    def _found(path: Path) -> Found:
        try:
            return look(octets_at(path), path)
        except FileNotFoundError:
            return Found()

    def _batches(self) -> Iterator[Batch]:
        for path, found in self._files.values():
            self.faults += found.faults(path.name)
            yield from batches(octets_at(path), found, path.name, self.faults)

    def _put(self, db: sqlite3.Connection, place: Place, live: set[str], uids: dict[int, Place]) -> None:
        path, _ = self._files[place.segment]
        with path.open("rb") as file:
            octets = os.pread(file.fileno(), place.length, place.offset)
        try:
            entry = entries.read(octets)
        except BadEntry as error:  # It was read a moment ago.
            raise StorageBroken(f"{path.name} has changed while it was read") from error
        if isinstance(entry, Taken) and live:
            spool_sql.store(db, entry.message, [row for row in entry.deliveries if row[0] in live])
        if not isinstance(entry, Carried):
            spool_sql.store_records(db, [row for row in entry.records if uids.get(row[0]) == place])


def size(folder: Path) -> int:
    """Octets that a copy of the journal needs, and as many again in the database that it is put into."""
    return SIZE * sum(1 for _ in folder.glob(NAMES))
