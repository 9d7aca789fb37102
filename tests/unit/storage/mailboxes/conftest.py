"""One database of PostgreSQL for a whole module: making one takes longer than most of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from gateway.storage.tables import SHARED
from tests.fakes.meanwhile import Meanwhile
from tests.postgres import Cluster

TABLES = [table.name for table in SHARED.sorted_tables if table.name.startswith("mailbox")]


@pytest.fixture(scope="module")
def postgres_of_module(cluster: Cluster) -> Iterator[str]:
    url = cluster.migrated()
    yield url
    cluster.drop(url)


@pytest.fixture
def postgres(postgres_of_module: str) -> str:
    """The address of that database, without rows of mailboxes."""
    with psycopg.connect(postgres_of_module) as connection:
        for name in TABLES:
            connection.execute(f"DELETE FROM {name}".encode())
    return postgres_of_module


@pytest.fixture
def meanwhile(postgres: str) -> Iterator[Meanwhile]:
    """Two processes on that database."""
    meanwhile = Meanwhile(postgres)
    yield meanwhile
    meanwhile.close()
