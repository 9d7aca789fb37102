"""How much lies in the databases, counted without a key."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.storage import weight
from gateway.storage.migrate import migrate_spool
from gateway.storage.shared import Shared
from gateway.storage.spool import DATABASE
from gateway.storage.weight import Kept, Weight, kept, queue_weight, spools_weight
from gateway.storage.writer import StorageBroken
from tests.fakes.migrated import put_shared


def spool(folder: Path, *sizes: int) -> Path:
    folder.mkdir()
    migrate_spool(folder / DATABASE)
    with sqlite3.connect(folder / DATABASE) as connection:
        connection.executemany(
            "INSERT INTO messages (id, received, size, content) VALUES (?, 0, ?, x'00')",
            [(f"{folder.name}-{number}", size) for number, size in enumerate(sizes)],
        )
    connection.close()
    return folder


def test_messages_and_octets_of_all_spools_are_added(tmp_path: Path) -> None:
    folders = [spool(tmp_path / "0", 100, 23), spool(tmp_path / "1"), spool(tmp_path / "2", 7)]
    assert spools_weight(folders) == Weight(3, 130)
    assert spools_weight([]) == Weight(0, 0)


def test_what_stands_in_the_journal_alone_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight, "waiting_sizes", lambda folder: {"0-0": 100, "fresh": 5})
    assert spools_weight([spool(tmp_path / "0", 100)]) == Weight(2, 105)


def test_a_spool_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageBroken, match=r"spool\.db can't be read"):
        spools_weight([tmp_path / "nothing"])


def test_traces_and_accounts_are_counted(tmp_path: Path) -> None:
    put_shared(tmp_path / "gateway.db")
    shared = Shared(tmp_path / "gateway.db")
    try:
        assert shared.run(kept, read=True) == Kept(0, 0)

        def fill(connection: object) -> None:
            run = connection.exec_driver_sql  # type: ignore[attr-defined]
            for message, uid in (("A", 1), ("A", 2), ("B", 3)):
                run("INSERT INTO trace_events VALUES (?, ?, 0, x'00', x'00')", (message, uid))
            run("INSERT INTO accounts VALUES ('default', 1, 'id', x'00')")

        shared.run(fill)
        assert shared.run(kept, read=True) == Kept(2, 1)
    finally:
        shared.close()


def test_tables_that_are_not_there_yet_count_as_empty(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "gateway.db").close()
    shared = Shared(tmp_path / "gateway.db")
    try:
        assert shared.run(kept, read=True) == Kept(0, 0)
        assert shared.run(queue_weight, read=True) == Weight(0, 0)
    finally:
        shared.close()
