"""Which backups were made of a database: noted until a person says that they are gone."""

from __future__ import annotations

from gateway.storage.backup_notes import BackupNote, BackupNotes
from gateway.storage.sharing import SharedStore


def test_backups_are_noted_and_forgotten_one_by_one(shared: SharedStore) -> None:
    notes = BackupNotes(shared)
    late, early = BackupNote("b", "/backups/l\u00e4te 100%", 20.5, 21.0), BackupNote("a", "/backups/early", 10.0, 11.0)
    assert notes.all() == []
    notes.add(late)
    notes.add(early)
    assert notes.all() == [early, late]
    assert not notes.forget("c")
    assert notes.forget("b") and not notes.forget("b")
    assert notes.all() == [early]
