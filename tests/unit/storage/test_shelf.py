"""A spool whose large content lies in blobs: accepted, delivered, lost and cleared as beside the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.storage.blob_folder import FolderBlobs
from gateway.storage.blob_objects import ObjectBlobs
from gateway.storage.blobs import BlobGone, Blobs, BlobsAway
from gateway.storage.orphans import AGE, clear_orphans
from gateway.storage.shared import Shared
from gateway.storage.shelf import BlobShelf
from gateway.storage.spool import CONTENT, Spool
from gateway.storage.traces import TraceStore
from gateway.world.clock import SystemClock
from tests.fakes.clock import FakeClock
from tests.fakes.s3 import S3
from tests.fakes.spool import make_spool, message_of, put, sealer
from tests.scenarios.peers.ports import free_port

LARGE = b"MARKER-OF-THE-TEST line\r\n" * 80_000
SMALL = b"Subject: small\r\n\r\nx\r\n"


class Spools:
    """Opens one spool again and again, with blobs or without."""

    def __init__(self, folder: Path, blobs: Blobs, executor: ThreadPoolExecutor) -> None:
        self.folder, self.blobs, self.executor = folder, blobs, executor
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._spool: Spool | None = None
        make_spool(folder)

    async def open(self, *, with_blobs: bool = True) -> Spool:
        await self.close()
        shelf = BlobShelf(self.blobs, sealer(), self.executor, files=self.folder / CONTENT, tell=self._tell)
        self._spool = Spool(
            self.folder,
            sealer=sealer(),
            keeper=TraceStore(Shared(self.folder / "no.db"), sealer()),
            clock=FakeClock(),
            executor=self.executor,
            min_free=0,
            moved=lambda *_: None,
            observe=lambda *_: None,
            name="0",
            shelf=shelf if with_blobs else None,
        )
        await self._spool.open(asyncio.get_running_loop())
        return self._spool

    async def close(self) -> None:
        if self._spool is not None:
            await asyncio.to_thread(self._spool.close)
            self._spool = None

    def _tell(self, level: str, event: str, **facts: object) -> None:
        self.told.append((event, facts))

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / CONTENT).iterdir())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    server = S3(tmp_path_factory.mktemp("s3"), free_port()).start()
    yield server
    server.stop()


@pytest.fixture(params=["folder", "s3"])
async def spools(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Spools]:
    with ThreadPoolExecutor(2) as executor:
        if request.param == "folder":
            blobs: Blobs = FolderBlobs(tmp_path / "blobs", executor)
        else:
            server: S3 = request.getfixturevalue("server")
            server.empty()
            server.make_bucket()
            blobs = ObjectBlobs(server.terms(), "owner/0", SystemClock())
        spools = Spools(tmp_path / "spool", blobs, executor)
        yield spools
        await spools.close()


async def octets_of(spool: Spool, id_: str) -> bytes:
    (delivery,) = await spool.deliveries([id_])
    content = await spool.content(delivery)
    return b"".join([block async for block in content.blocks()])


async def test_large_messages_go_into_blobs_and_small_ones_into_the_database(spools: Spools) -> None:
    spool = await spools.open()
    await put(spool, "Q1", SMALL)
    await put(spool, "Q2", LARGE)
    assert await spools.blobs.names() == {"Q2"}
    assert spools.files == []
    spool = await spools.open()
    assert await octets_of(spool, "Q1") == SMALL
    assert await octets_of(spool, "Q2") == LARGE
    assert (await spool.head("Q2")).startswith(b"MARKER")


async def test_a_blob_goes_with_the_last_delivery_of_its_message(spools: Spools) -> None:
    spool = await spools.open()
    first, second = await put(spool, "Q1", LARGE, destinations=("a.example", "b.example"))
    await spool.done(first, [])
    assert await spools.blobs.names() == {"Q1"}
    await spool.done(second, [])
    assert await spools.blobs.names() == set()


async def test_a_message_that_the_spool_refuses_leaves_no_blob(spools: Spools) -> None:
    spool = await spools.open()
    incoming = spool.begin("Q1")
    incoming.write(LARGE)
    await incoming.finish()
    await incoming.abandon()
    assert await spools.blobs.names() == set()


async def test_a_lost_blob_is_told_as_broken_so_that_the_delivery_is_held(spools: Spools) -> None:
    spool = await spools.open()
    (delivery,) = await put(spool, "Q1", LARGE)
    await spools.blobs.delete("Q1")
    content = await spool.content(delivery)
    with pytest.raises(BlobGone):
        [block async for block in content.blocks()]


async def test_what_was_taken_before_the_setting_is_still_delivered_and_cleared(spools: Spools) -> None:
    spool = await spools.open(with_blobs=False)
    (delivery,) = await put(spool, "Q1", LARGE)
    assert spools.files == ["Q1"]
    spool = await spools.open()
    await put(spool, "Q2", LARGE)
    assert await octets_of(spool, "Q1") == LARGE
    await spool.done(delivery, [])
    assert spools.files == []
    assert await spools.blobs.names() == {"Q2"}


async def test_orphans_of_a_crash_are_cleared_after_a_day_and_known_ones_stay(spools: Spools) -> None:
    spool = await spools.open()
    await put(spool, "Q1", LARGE)
    await message_of(spool, "Q2", LARGE)  # Finished, and never accepted: the process died between the two.
    spool = await spools.open()
    assert await spools.blobs.names() == {"Q1", "Q2"}
    assert await clear_orphans(spools.blobs, spool.shelved, FakeClock(time.time() + AGE - 600)) == 0
    assert await clear_orphans(spools.blobs, spool.shelved, FakeClock(time.time() + AGE + 600)) == 1
    assert await spools.blobs.names() == {"Q1"}


async def test_a_store_that_is_away_does_not_undo_a_delivery(spools: Spools, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = await spools.open()
    (delivery,) = await put(spool, "Q1", LARGE)

    async def away(name: str) -> None:
        raise BlobsAway("s3://mail: it does not answer")

    monkeypatch.setattr(spools.blobs, "delete", away)
    await spool.done(delivery, [])
    assert await spool.deliveries() == []
    assert spools.told == [("blob_not_deleted", {"id": "Q1", "error": "s3://mail: it does not answer"})]


async def test_a_store_that_is_away_takes_nothing(spools: Spools, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = await spools.open()

    async def away(name: str) -> None:
        raise BlobsAway("s3://mail: it does not answer")

    monkeypatch.setattr(spools.blobs, "begin", away)
    with pytest.raises(BlobsAway):
        await put(spool, "Q1", LARGE)
    await put(spool, "Q2", SMALL)  # Small mail goes on.
    assert [one.message for one in await spool.deliveries()] == ["Q2"]
