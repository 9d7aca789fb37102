"""Both engines for the tests of storage: SQLite in a folder, PostgreSQL on a real server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.storage.migrate import migrate_shared
from gateway.storage.postgres.connection import Database
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.shared import Shared

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine that a test runs on; each runs once on either."""
    return str(request.param)


@pytest.fixture(scope="session")
def migrated_shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared database on SQLite, migrated and empty, to be copied: migrating takes half a second."""
    path = tmp_path_factory.mktemp("migrated") / "shared.db"
    migrate_shared(path)
    return path


@pytest.fixture
def shared(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shared | PostgresShared]:
    """The shared database, migrated and empty."""
    shared: Shared | PostgresShared
    if engine.startswith("sqlite"):
        shutil.copy(request.getfixturevalue("migrated_shared"), tmp_path / "shared.db")
        shared = Shared(tmp_path / "shared.db")
    else:
        shared = PostgresShared(Database.at(request.getfixturevalue("postgres")))
    yield shared
    shared.close()
