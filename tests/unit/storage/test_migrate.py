"""Migrations: what they make is what the code expects, and what they can't handle stays untouched and is named."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import MetaData, create_engine
from sqlalchemy.exc import DBAPIError

from gateway.storage.engine import open_engine
from gateway.storage.migrate import MigrationFault, fault_of, migrate_shared, migrate_spool
from gateway.storage.revisions import KINDS, known, newest
from gateway.storage.tables import SHARED, SPOOL, of

Migrate = Callable[[Path], None]
BOTH = pytest.mark.parametrize(("migrate", "metadata"), [(migrate_shared, SHARED), (migrate_spool, SPOOL)])


def run(path: Path, *statements: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(path)
    try:
        rows: list[tuple[object, ...]] = []
        for statement in statements:
            rows = database.execute(statement).fetchall()
        database.commit()
        return rows
    finally:
        database.close()


def schema(path: Path) -> list[tuple[object, ...]]:
    return run(
        path,
        "SELECT type, name, tbl_name, replace(sql, ' ', '') FROM sqlite_master"
        " WHERE tbl_name NOT LIKE 'alembic%' AND tbl_name NOT LIKE 'sqlite%' ORDER BY type, name",
    )


@BOTH
def test_migrations_make_what_the_code_expects(tmp_path: Path, migrate: Migrate, metadata: MetaData) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    migrated, expected = tmp_path / "migrated.db", tmp_path / "expected.db"
    migrate(migrated)
    engine = create_engine(f"sqlite:///{expected}")
    metadata.create_all(engine, tables=of(metadata, "sqlite"))
    engine.dispose()
    assert schema(migrated) == schema(expected)
    engine = open_engine(migrated)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        here = MetaData()
        for table in of(metadata, "sqlite"):
            table.to_metadata(here)
        assert compare_metadata(context, here) == []
    engine.dispose()


@pytest.mark.parametrize("kind", KINDS)
def test_revisions_are_called_as_their_files_are(kind: str) -> None:
    # `newest` reads the names of files, so that nobody who only looks has to load Alembic.
    numbers = sorted(int(name.removeprefix(f"{kind}_")) for name in known(kind))
    assert numbers == list(range(1, len(numbers) + 1))
    assert newest(kind) == f"{kind}_{numbers[-1]:04}"


@BOTH
def test_migrating_again_changes_nothing(tmp_path: Path, migrate: Migrate, metadata: MetaData) -> None:
    path = tmp_path / "a folder with % and spaces" / "x.db"
    path.parent.mkdir()
    migrate(path)
    before = schema(path)
    migrate(path)
    assert schema(path) == before
    assert path.stat().st_mode & 0o777 == 0o600
    assert run(path, "PRAGMA journal_mode") == [("wal",)]


def test_a_fault_in_the_middle_leaves_an_empty_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("power cut")

    path = tmp_path / "shared.db"
    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", fail)
        with pytest.raises(RuntimeError):
            migrate_shared(path)
    assert run(path, "SELECT name FROM sqlite_master") == []
    migrate_shared(path)
    assert ("trace_tokens",) in run(path, "SELECT name FROM sqlite_master")


def test_tables_without_a_revision_are_half_migrated(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    run(path, "CREATE TABLE messages(id TEXT)")
    with pytest.raises(MigrationFault, match=r"spool.db holds tables \(messages\) but no revision"):
        migrate_spool(path)
    assert run(path, "SELECT count(*) FROM sqlite_master") == [(1,)]
    assert "but no revision" in (fault_of(path, "spool") or "")


def test_a_revision_without_its_tables_is_half_migrated(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    migrate_spool(path)
    run(path, "DROP TABLE records")
    with pytest.raises(MigrationFault, match="lacks records: it is half migrated"):
        migrate_spool(path)
    assert "lacks records: it is half migrated" in (fault_of(path, "spool") or "")


def test_a_newer_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    migrate_spool(path)
    run(path, "UPDATE alembic_version SET version_num = 'spool_0999'")
    with pytest.raises(MigrationFault, match=rf"'spool_0999'.*newest is '{newest('spool')}'.*newer gateway"):
        migrate_spool(path)
    assert run(path, "SELECT version_num FROM alembic_version") == [("spool_0999",)]
    assert "A newer gateway wrote it" in (fault_of(path, "spool") or "")


def test_swapped_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    migrate_shared(path)
    with pytest.raises(MigrationFault, match="should be a spool but is a shared database"):
        migrate_spool(path)
    assert "should be a spool but is a shared database" in (fault_of(path, "spool") or "")


def test_something_that_is_no_database_is_told_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    path.write_bytes(b"no database at all, but quite long. " * 100)
    with pytest.raises(MigrationFault, match="not a SQLite database"):
        migrate_shared(path)
    assert path.read_bytes().startswith(b"no database")
    assert "not a SQLite database" in (fault_of(path, "shared") or "")


def test_a_database_of_this_version_or_before_or_none_yet_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    assert fault_of(path, "shared") is None
    path.touch()
    assert fault_of(path, "shared") is None
    migrate_shared(path)
    assert fault_of(path, "shared") is None
    run(path, "UPDATE alembic_version SET version_num = 'shared_0001'")
    run(path, "DROP TABLE accounts")
    assert fault_of(path, "shared") is None


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(MigrationFault, match="can't be opened for writing: No such file"):
        migrate_shared(tmp_path / "nowhere" / "shared.db")


def test_two_processes_that_migrate_at_once_both_succeed(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    code = "import sys, pathlib; from gateway.storage.migrate import migrate_shared as m; m(pathlib.Path(sys.argv[1]))"
    both = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(2)]
    assert [one.wait(30) for one in both] == [0, 0]
    assert ("trace_events",) in run(path, "SELECT name FROM sqlite_master")


def test_alembic_is_not_loaded_by_who_only_uses_storage() -> None:
    code = (
        "import sys, gateway.storage.migrate, gateway.storage.shared, gateway.storage.traces;"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("free", "said"), [(0, "the disk is full"), (1 << 30, "disk I/O error. Nothing was changed")])
def test_an_error_of_the_disk_is_a_full_one_where_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, said: str
) -> None:
    def broken(*_: object) -> None:
        raise DBAPIError(None, None, sqlite3.OperationalError("disk I/O error"))

    monkeypatch.setattr("gateway.storage.migrate._upgrade", broken)
    monkeypatch.setattr("gateway.storage.engine.os.statvfs", lambda _: SimpleNamespace(f_bavail=free, f_frsize=1))
    with pytest.raises(MigrationFault, match=said):
        migrate_shared(tmp_path / "gateway.db")
