"""Files of forms in a real spool: sealed on the disk, gone when they are forgotten, and no message of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app.portal_room import SpoolRoom
from gateway.storage.content import INLINE
from gateway.storage.spooling import Spooling
from gateway.storage.writer import StorageBroken, StorageFull
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.spool import SpoolOf

SECRET = b"the plain words " * (INLINE // 8)


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[SpoolOf]:
    spool = SpoolOf(tmp_path)
    yield spool
    await spool.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def of(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SpoolOf | PostgresSpoolOf]:
    engine = request.param
    of = SpoolOf(tmp_path) if engine == "sqlite" else PostgresSpoolOf(request.getfixturevalue("postgres"))
    yield of
    await of.close()


def room_of(spool: Spooling, told: list[str] | None = None) -> SpoolRoom:
    names = iter(f"F{number}" for number in range(100))
    return SpoolRoom(lambda: spool, lambda: next(names), lambda level, event, **facts: (told or []).append(event))


async def test_a_long_file_lies_sealed_until_it_is_forgotten(of: SpoolOf | PostgresSpoolOf) -> None:
    room = room_of(await of.open())
    incoming = room.begin()
    for start in range(0, len(SECRET), 10_000):
        if incoming.write(SECRET[start : start + 10_000]):
            await incoming.flush()
    content = (await incoming.finish()).content
    assert of.contents == ["F0"]
    if isinstance(of, SpoolOf):
        assert b"the plain words" not in of.octets()
    assert b"".join([block async for block in content.blocks()]) == SECRET
    await room.forget(content)
    await room.forget(content)
    assert of.contents == []


async def test_a_short_file_never_leaves_memory(folder: SpoolOf) -> None:
    room = room_of(await folder.open())
    incoming = room.begin()
    incoming.write(b"short")
    content = (await incoming.finish()).content
    assert folder.contents == []
    await room.forget(content)


async def test_on_a_disk_that_is_nearly_full_no_file_begins(folder: SpoolOf) -> None:
    folder.min_free = 1 << 60
    room = room_of(await folder.open())
    with pytest.raises(StorageFull):
        room.begin()


async def test_a_file_that_is_abandoned_is_gone(of: SpoolOf | PostgresSpoolOf) -> None:
    room = room_of(await of.open())
    incoming = room.begin()
    incoming.write(SECRET * 10)
    await incoming.flush()
    assert of.contents == ["F0"]
    await incoming.abandon()
    assert of.contents == []


async def test_what_a_process_left_behind_is_gone_at_the_next_start(folder: SpoolOf) -> None:
    room = room_of(await folder.open())
    incoming = room.begin()
    incoming.write(SECRET)
    await incoming.finish()
    await folder.reopen()
    assert folder.contents == []


async def test_what_can_not_be_forgotten_is_told_and_does_no_harm(
    folder: SpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, told = await folder.open(), ["nothing yet"]
    room = room_of(spool, told)
    incoming = room.begin()
    incoming.write(SECRET)
    content = (await incoming.finish()).content

    async def forget(name: str) -> None:
        raise StorageBroken("gone")

    monkeypatch.setattr(spool, "forget_content", forget)
    await room.forget(content)
    assert told[-1] == "upload_not_deleted"
