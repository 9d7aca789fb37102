"""A mailbox in a database of its own, and a server that is fed in memory."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.storage.migrate import migrate_shared
from gateway.storage.shared import Shared
from tests.fakes.imap import Client, ImapRoom


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared database, migrated and empty, to be copied: migrating takes half a second."""
    path = tmp_path_factory.mktemp("migrated") / "shared.db"
    migrate_shared(path)
    return path


@pytest.fixture(scope="session")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
async def room(migrated: Path, tmp_path: Path, executor: ThreadPoolExecutor) -> AsyncIterator[ImapRoom]:
    """Ida's mailbox, empty."""
    shutil.copy(migrated, tmp_path / "shared.db")
    shared = Shared(tmp_path / "shared.db")
    room = ImapRoom(shared, executor)
    await room.make()
    yield room
    shared.close()


@pytest.fixture
async def client(room: ImapRoom) -> AsyncIterator[Client]:
    """Ida, logged in."""
    server = room.server()
    client = Client(server)
    await client.until(b"* OK")
    await client.log_in()
    yield client
    client.hang_up()
    await server.close(1)
    assert not len(server)
