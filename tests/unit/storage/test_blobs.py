"""Both stores keep the one contract: whole or not there, durable, found again, gone when deleted."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.storage import blob_folder
from gateway.storage.blob_content import RUN, BlobContent, BlobIncoming
from gateway.storage.blob_folder import FolderBlobs
from gateway.storage.blob_objects import PART, ObjectBlobs, secret_of
from gateway.storage.blob_terms import S3Terms
from gateway.storage.blobs import BlobGone, Blobs, BlobsAway
from gateway.storage.content import INLINE, OVERHEAD, SEGMENT, START, sync_folder
from gateway.storage.orphans import AGE, clear_orphans
from gateway.storage.sealer import SealBroken
from gateway.storage.writer import StorageFull
from gateway.world.clock import SystemClock
from tests.fakes.clock import FakeClock
from tests.fakes.s3 import S3, SECRET
from tests.fakes.spool import sealer
from tests.scenarios.peers.ports import free_port

Open = Callable[[str], Blobs]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    server = S3(tmp_path_factory.mktemp("s3"), free_port()).start()
    yield server
    server.stop()


@pytest.fixture
def s3(server: S3) -> S3:
    server.empty()
    server.make_bucket()
    return server


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture(params=["folder", "s3"])
def stores(request: pytest.FixtureRequest, tmp_path: Path, executor: ThreadPoolExecutor) -> Open:
    """Opens the store of a space, on either kind."""
    if request.param == "folder":
        return lambda space: FolderBlobs(tmp_path / "blobs" / space, executor)
    s3: S3 = request.getfixturevalue("s3")
    return lambda space: ObjectBlobs(s3.terms(), space, SystemClock())


@pytest.fixture
async def blobs(stores: Open) -> AsyncIterator[Blobs]:
    yield stores("owner/0")


async def store(blobs: Blobs, name: str, octets: bytes, piece: int = SEGMENT) -> None:
    writer = await blobs.begin(name)
    for start in range(0, len(octets), piece):
        await writer.write(octets[start : start + piece])
    await writer.finish()


@pytest.mark.parametrize("size", [1, 1000, PART - 1, PART, PART + 1, 2 * PART + 17])
async def test_what_goes_in_comes_out_at_every_border(blobs: Blobs, size: int) -> None:
    octets = os.urandom(size)
    await store(blobs, "Q1", octets)
    assert await blobs.read("Q1", 0, size) == octets
    assert await blobs.read("Q1", size // 2, size - size // 2) == octets[size // 2 :]


async def test_nobody_sees_a_blob_before_it_is_finished(blobs: Blobs) -> None:
    writer = await blobs.begin("Q1")
    await writer.write(bytes(PART + 1))
    assert await blobs.names() == set()
    with pytest.raises(BlobGone):
        await blobs.read("Q1", 0, 1)
    await writer.finish()
    assert await blobs.names() == {"Q1"}


async def test_an_abandoned_blob_leaves_nothing(blobs: Blobs, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for size in (0, 5, 3 * PART):
        writer = await blobs.begin("Q1")
        await writer.write(bytes(size))
        await writer.abandon()
    assert await blobs.names() == set()
    if isinstance(blobs, ObjectBlobs):
        assert request.getfixturevalue("s3").unfinished() == []
    else:
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_blob_that_is_gone_or_cut_off_is_told_apart_from_a_store_that_is_away(blobs: Blobs) -> None:
    with pytest.raises(BlobGone, match="Q1"):
        await blobs.read("Q1", 0, 1)
    await store(blobs, "Q1", b"0123456789")
    with pytest.raises(BlobGone, match="cut off"):
        await blobs.read("Q1", 5, 6)


async def test_what_is_deleted_is_gone_and_deleting_twice_is_no_fault(blobs: Blobs) -> None:
    await store(blobs, "Q1", b"x")
    await blobs.delete("Q1")
    await blobs.delete("Q1")
    assert await blobs.names() == set()


async def test_spaces_do_not_see_each_other(stores: Open) -> None:
    mine, other = stores("owner/0"), stores("owner/01")
    await store(mine, "Q1", b"mine")
    await store(other, "Q2", b"other")
    assert (await mine.names(), await other.names()) == ({"Q1"}, {"Q2"})
    await mine.delete("Q2")
    assert await other.read("Q2", 0, 5) == b"other"


@pytest.mark.parametrize("name", ["", ".", "..", "../Q1", "a/b", ".Q1.new", "Q1\n", "x" * 129, "Q\x00"])
async def test_a_name_that_leads_elsewhere_is_refused(blobs: Blobs, name: str) -> None:
    for ask in (blobs.begin(name), blobs.read(name, 0, 1), blobs.delete(name)):
        with pytest.raises(ValueError, match="name"):
            await ask


async def test_only_what_was_written_before_is_named(blobs: Blobs) -> None:
    await store(blobs, "Q1", b"x")
    now = time.time()
    assert await blobs.names(now - 3600) == set()
    assert await blobs.names(now + 3600) == {"Q1"}


async def test_many_blobs_at_once_are_all_whole(blobs: Blobs) -> None:
    contents = {f"Q{number}": os.urandom(100_000 + number) for number in range(20)}
    await asyncio.gather(*(store(blobs, name, octets, 30_000) for name, octets in contents.items()))
    assert await blobs.names() == set(contents)
    for name, octets in contents.items():
        assert await blobs.read(name, 0, len(octets)) == octets


# -- a message's content -----------------------------------------------------------------------------------------------


async def taken(blobs: Blobs, executor: ThreadPoolExecutor, content: bytes) -> BlobContent:
    incoming = BlobIncoming("Q1", blobs, sealer(), executor)
    for start in range(0, len(content), 70_000):
        if incoming.write(content[start : start + 70_000]):
            await incoming.flush()
    message = await incoming.finish()
    assert message.head == content[: len(message.head)]
    assert isinstance(message.content, BlobContent)
    return message.content


@pytest.mark.parametrize("size", [INLINE + 1, SEGMENT, SEGMENT + 1, RUN * SEGMENT, RUN * SEGMENT + 1, 11 * SEGMENT + 5])
async def test_a_message_comes_out_as_it_went_in(blobs: Blobs, executor: ThreadPoolExecutor, size: int) -> None:
    content = os.urandom(1000) * (size // 1000 + 1)
    found = await taken(blobs, executor, content[:size])
    pieces = [piece async for piece in found.blocks()]
    assert b"".join(pieces) == content[:size]
    assert all(len(piece) <= SEGMENT for piece in pieces)
    anew = BlobContent("Q1", size, blobs, sealer(), executor)
    assert b"".join([piece async for piece in anew.blocks()]) == content[:size]


async def test_a_short_message_makes_no_blob(blobs: Blobs, executor: ThreadPoolExecutor) -> None:
    incoming = BlobIncoming("Q1", blobs, sealer(), executor)
    incoming.write(bytes(INLINE))
    assert (await incoming.finish()).content.inline == bytes(INLINE)
    await incoming.abandon()
    assert await blobs.names() == set()


async def test_a_store_holds_nothing_in_clear(blobs: Blobs, executor: ThreadPoolExecutor) -> None:
    size = 300_000
    await taken(blobs, executor, b"MARKER-OF-THE-TEST\r\n" * (size // 20))
    assert b"MARKER" not in await blobs.read("Q1", 0, START + size + OVERHEAD)


async def test_segments_that_were_swapped_do_not_open(blobs: Blobs, executor: ThreadPoolExecutor) -> None:
    size = 2 * SEGMENT
    content = await taken(blobs, executor, os.urandom(size))
    sealed = await blobs.read("Q1", 0, START + size + 2 * OVERHEAD)
    head, one, two = sealed[:START], sealed[START : START + SEGMENT + OVERHEAD], sealed[START + SEGMENT + OVERHEAD :]
    await blobs.delete("Q1")
    await store(blobs, "Q1", head + two + one)
    with pytest.raises(SealBroken):
        [piece async for piece in content.blocks()]


@pytest.mark.parametrize("finished", [False, True])
async def test_a_message_that_is_not_accepted_leaves_no_blob(
    blobs: Blobs, executor: ThreadPoolExecutor, finished: bool
) -> None:
    incoming = BlobIncoming("Q1", blobs, sealer(), executor)
    incoming.write(bytes(3 * SEGMENT))
    await incoming.flush()
    if finished:
        await incoming.finish()
    await incoming.abandon()
    assert await blobs.names() == set()


# -- orphans -----------------------------------------------------------------------------------------------------------


async def test_old_blobs_that_no_row_knows_are_cleared_and_no_others(blobs: Blobs) -> None:
    clock = FakeClock(time.time())
    for name in ("Q1", "Q2", "Q3"):
        await store(blobs, name, b"x")
    asked: list[str] = []

    async def known() -> set[str]:
        asked.append("known")
        return {"Q2"}

    assert await clear_orphans(blobs, known, clock) == 0  # They may be of messages that are just coming in.
    assert await blobs.names() == {"Q1", "Q2", "Q3"}
    await clock.advance(AGE + 60)
    assert await clear_orphans(blobs, known, clock) == 2
    assert await blobs.names() == {"Q2"}


async def test_a_message_accepted_while_orphans_are_looked_for_stays(blobs: Blobs) -> None:
    """The rows are asked after the store: whatever the store named and was accepted meanwhile is known by then."""
    clock = FakeClock(time.time() + AGE + 60)
    await store(blobs, "Q1", b"x")
    rows: set[str] = set()
    names = blobs.names

    async def slow(before: float | None = None) -> set[str]:
        found = await names(before)
        rows.add("Q1")
        return found

    blobs.names = slow  # type: ignore[method-assign]

    async def known() -> set[str]:
        return set(rows)

    assert await clear_orphans(blobs, known, clock) == 0
    assert await names() == {"Q1"}


async def test_what_a_crash_left_half_written_is_cleared_too(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    blobs = FolderBlobs(tmp_path / "blobs", executor)
    writer = await blobs.begin("Q1")
    await writer.write(b"x")
    (tmp_path / "blobs" / "README").write_text("an administrator's own file with a name like ours is theirs to lose")
    (tmp_path / "blobs" / ".hidden").write_text("but not this")

    async def known() -> set[str]:
        return {"README"}

    assert await clear_orphans(blobs, known, FakeClock(time.time() + AGE + 60)) == 1
    assert sorted(path.name for path in (tmp_path / "blobs").iterdir()) == [".hidden", "README"]
    await writer.abandon()


# -- each kind's own ---------------------------------------------------------------------------------------------------


async def test_file_and_folder_are_synced_before_a_folder_says_finished(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noting(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            done.append(what)
            return real(*arguments)

        return call

    monkeypatch.setattr(os, "fdatasync", noting("file", os.fdatasync))
    monkeypatch.setattr(Path, "rename", noting("name", Path.rename))
    monkeypatch.setattr(blob_folder, "sync_folder", noting("folder", sync_folder))
    blobs = FolderBlobs(tmp_path, executor)
    await store(blobs, "Q1", b"x")
    assert done == ["file", "name", "folder"]
    assert (tmp_path / "Q1").stat().st_mode & 0o777 == 0o600


async def test_a_full_disk_is_told_as_such(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = FolderBlobs(tmp_path, executor)
    writer = await blobs.begin("Q1")

    def full(descriptor: int, octets: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blob_folder, "write_whole", full)
    with pytest.raises(StorageFull):
        await writer.write(b"x")
    await writer.abandon()
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_a_store_that_is_away(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    (tmp_path / "file").touch()
    blobs = FolderBlobs(tmp_path / "file", executor)
    for ask in (blobs.begin("Q1"), blobs.read("Q1", 0, 1), blobs.names()):
        with pytest.raises(BlobsAway, match="Not a directory"):
            await ask


async def test_a_blob_that_is_a_link_is_not_followed(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "Q1").symlink_to(tmp_path / "secret")
    with pytest.raises(BlobsAway):
        await FolderBlobs(tmp_path / "blobs", executor).read("Q1", 0, 6)


async def test_a_server_that_is_away_is_passing_and_its_content_is_there_afterwards(s3: S3) -> None:
    blobs = ObjectBlobs(s3.terms(), "owner/0", SystemClock())
    await store(blobs, "Q1", b"x")
    s3.stop()
    try:
        for ask in (blobs.read("Q1", 0, 1), blobs.names(), blobs.delete("Q1")):
            with pytest.raises(BlobsAway, match="does not answer"):
                await ask
        writer = await blobs.begin("Q2")
        await writer.write(b"x")
        with pytest.raises(BlobsAway):
            await writer.finish()
        await writer.abandon()
    finally:
        s3.start()
    assert await blobs.names() == {"Q1"}
    assert await blobs.read("Q1", 0, 1) == b"x"


async def test_a_bucket_that_is_missing_is_never_taken_for_a_blob_that_is_gone(s3: S3) -> None:
    blobs = ObjectBlobs(s3.terms("elsewhere"), "owner/0", SystemClock())
    for ask in (blobs.read("Q1", 0, 1), blobs.names(), blobs.delete("Q1")):
        with pytest.raises(BlobsAway, match="NoSuchBucket") as told:
            await ask
        assert SECRET not in str(told.value)


async def test_a_server_that_hangs_is_given_up(s3: S3) -> None:
    blobs = ObjectBlobs(s3.terms(), "owner/0", clock := FakeClock())

    async def never() -> None:
        await asyncio.Event().wait()

    waiting = asyncio.ensure_future(blobs.call(never()))
    await clock.advance(3600)
    with pytest.raises(BlobsAway, match="did not answer within"):
        await waiting


@pytest.mark.parametrize("octets", [b"", b"  \n", b"one\ntwo\n", b"\xff\xfe", b"x" * 5000])
def test_a_key_file_without_one_key_is_refused(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "key").write_bytes(octets)
    with pytest.raises(BlobsAway, match="one key") as told:
        secret_of(tmp_path / "key")
    assert "two" not in str(told.value)


def test_a_key_file_that_is_missing_is_named(tmp_path: Path) -> None:
    terms = S3Terms(bucket="mail", access_key_file=tmp_path / "id", secret_key_file=tmp_path / "key")
    with pytest.raises(BlobsAway, match="id: No such file"):
        ObjectBlobs(terms, "owner/0", SystemClock())
