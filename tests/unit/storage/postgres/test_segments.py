"""Large content in the database keeps the contract of blobs: whole or not there, read in any part, cleared when old."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.storage.blobs import BlobGone, BlobsAway
from gateway.storage.orphans import clear_orphans
from gateway.storage.postgres.node import ORPHANS
from gateway.storage.postgres.segments import MAX_PIECE, PostgresBlobs
from gateway.storage.writer import StorageBroken
from gateway.world.clock import SystemClock
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.spool import message_of, put

LARGE = bytes(range(256)) * 1000


@pytest.fixture
async def of(postgres: str) -> AsyncIterator[PostgresSpoolOf]:
    of = PostgresSpoolOf(postgres, SystemClock())
    yield of
    await of.close()


@pytest.fixture
async def blobs(of: PostgresSpoolOf) -> PostgresBlobs:
    spool = await of.open()
    assert spool._segments is not None
    return spool._segments


async def store(blobs: PostgresBlobs, name: str, *pieces: bytes) -> bytes:
    writer = await blobs.begin(name)
    for piece in pieces:
        await writer.write(piece)
    await writer.finish()
    return b"".join(pieces)


async def test_any_part_is_read_across_pieces(blobs: PostgresBlobs) -> None:
    whole = await store(blobs, "Q1", LARGE[:21], LARGE[21:1000], LARGE[1000:1001], LARGE[1001:])
    for start, length in ((0, 21), (0, len(whole)), (5, 30), (999, 3), (20, 1), (len(whole) - 1, 1), (7, 0)):
        assert await blobs.read("Q1", start, length) == whole[start : start + length]


async def test_a_long_piece_is_stored_in_several_rows(blobs: PostgresBlobs, of: PostgresSpoolOf) -> None:
    whole = await store(blobs, "Q1", LARGE * 10)
    assert len(whole) > MAX_PIECE
    assert of.rows("SELECT count(*), max(length(octets)) FROM message_segments") == [(2, MAX_PIECE)]
    assert await blobs.read("Q1", MAX_PIECE - 10, 20) == whole[MAX_PIECE - 10 : MAX_PIECE + 10]


async def test_what_is_gone_or_cut_off_is_told(blobs: PostgresBlobs, of: PostgresSpoolOf) -> None:
    await store(blobs, "Q1", LARGE[:100], LARGE[100:200], LARGE[200:300])
    with pytest.raises(BlobGone, match="cut off"):
        await blobs.read("Q1", 250, 51)
    of.rows("DELETE FROM message_segments WHERE start = 100")
    with pytest.raises(BlobGone, match="cut off"):
        await blobs.read("Q1", 0, 300)
    with pytest.raises(BlobGone, match="gone"):
        await blobs.read("Q2", 0, 1)


async def test_a_name_that_is_none_of_ours_is_refused(blobs: PostgresBlobs) -> None:
    for name in ("", "../Q1", "Q1\0", "a" * 200):
        with pytest.raises(ValueError):
            await blobs.begin(name)
        with pytest.raises(ValueError):
            await blobs.read(name, 0, 1)


async def test_a_database_that_is_away_is_told_as_such(of: PostgresSpoolOf) -> None:
    def refuse() -> None:
        raise StorageBroken("away")

    blobs = PostgresBlobs(
        refuse,  # type: ignore[arg-type]
        node="n",
        where="there",
        monotonic=of.clock.monotonic,
        tell=of.log.tell,
    )
    for _ in range(2):
        with pytest.raises(BlobsAway):
            await blobs.read("Q1", 0, 1)
    await (await blobs.begin("Q1")).abandon()


async def test_old_octets_of_no_message_are_cleared_and_no_others(blobs: PostgresBlobs, of: PostgresSpoolOf) -> None:
    spool = of.spools[0]
    await put(spool, "Q1", LARGE)
    await message_of(spool, "Q2", LARGE)
    await message_of(spool, "Q3", LARGE)
    of.rows("UPDATE message_segments SET made = made - 90000000 WHERE name <> 'Q3'")
    assert await clear_orphans(blobs, spool.shelved, of.clock) == 1
    assert of.contents == ["Q1", "Q3"]


async def test_every_node_clears_old_octets_itself(blobs: PostgresBlobs, of: PostgresSpoolOf) -> None:
    spool = of.spools[0]
    await put(spool, "Q1", LARGE)
    await message_of(spool, "Q2", LARGE)
    await message_of(spool, "Q3", LARGE)
    of.rows("UPDATE message_segments SET made = made - 90000000 WHERE name <> 'Q3'")
    spool._node._beats = ORPHANS - 1
    await spool.beat()
    assert of.contents == ["Q1", "Q3"]
