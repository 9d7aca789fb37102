"""Both engines for the tests of storage: SQLite in a folder, PostgreSQL on a real server."""

from __future__ import annotations

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


@pytest.fixture
def shared(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shared | PostgresShared]:
    """The shared database, migrated and empty."""
    shared: Shared | PostgresShared
    if engine.startswith("sqlite"):
        migrate_shared(tmp_path / "shared.db")
        shared = Shared(tmp_path / "shared.db")
    else:
        shared = PostgresShared(Database.at(request.getfixturevalue("postgres")))
    yield shared
    shared.close()
