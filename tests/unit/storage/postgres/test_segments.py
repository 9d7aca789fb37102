"""Large content in the database keeps the contract of blobs: whole or not there, read in any part, cleared when old."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.storage.blobs import BlobGone, BlobsAway, joined
from gateway.storage.orphans import clear_orphans
from gateway.storage.postgres.batch import Batch
from gateway.storage.postgres.node import ORPHANS
from gateway.storage.postgres.segments import MAX_PIECE, PostgresBlobs
from gateway.storage.writer import StorageBroken
from gateway.world.clock import SystemClock
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.round_trips import trips_of
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


async def test_pieces_wait_for_no_disk_and_what_accepts_them_does(blobs: PostgresBlobs, of: PostgresSpoolOf) -> None:
    """The server's log reaches the disk in its order: with the message's commit, its pieces' are there too."""
    await store(blobs, "Q1", LARGE)

    def asked(batch: Batch) -> Callable[[], list[tuple[Any, ...]]]:
        return batch.execute("SHOW synchronous_commit").fetchall

    assert await blobs.do(asked) == [("off",)]
    assert await of.spools[0]._writer.do(asked) == [("on",)]
    await put(of.spools[0], "Q2", LARGE * 5)
    assert of.rows("SELECT count(*) FROM messages") == [(1,)]


def test_pieces_are_joined_from_wherever_they_begin() -> None:
    rows = [(0, b"abc"), (3, b"def"), (6, b"gh")]
    for start in range(8):
        for length in range(9 - start):
            there = [row for row in rows if row[0] + len(row[1]) > start and row[0] < start + length] or rows[:1]
            assert joined(there, start, length) == b"abcdefgh"[start : start + length]
    assert joined(rows, 5, 4) is None
    assert joined([rows[0], rows[2]], 2, 5) is None
    assert joined([rows[1]], 0, 3) is None
    assert joined([], 0, 1) is None


async def test_ten_mebibytes_cross_the_wire_once_each_way(
    blobs: PostgresBlobs, of: PostgresSpoolOf, tmp_path: Path
) -> None:
    spool, large = of.spools[0], bytes(range(256)) * 40960
    await blobs.names()  # It connects with the first that is asked for.
    assert blobs._writer is not None and blobs._writer._db is not None
    with trips_of(blobs._writer._db, tmp_path) as there:
        message = await message_of(spool, "Q1", large)
    assert len(large) < there.octets < len(large) * 1.01
    assert there.count <= 2 * 11  # Each piece, and its commit.
    with trips_of(blobs._writer._db, tmp_path) as back:
        found = [block async for block in message.content.blocks()]
    assert b"".join(found) == large
    assert len(large) < back.octets < len(large) * 1.01
    assert back.count <= 2 * 3  # Four pieces in each question.


async def test_a_small_message_is_one_round_trip_and_crosses_the_wire_once(of: PostgresSpoolOf, tmp_path: Path) -> None:
    spool = await of.open()
    await put(spool, "Q1", lease=True)  # A connection that was silent for long is asked first whether it is there.
    assert spool._writer._db is not None
    with trips_of(spool._writer._db, tmp_path) as accepted:
        await put(spool, "Q2", b"x" * (64 << 10), lease=True)
    assert (64 << 10) < accepted.octets < (64 << 10) + 4096
    assert accepted.count == 1
