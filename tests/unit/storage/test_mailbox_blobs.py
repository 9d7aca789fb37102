"""Each store keeps the one contract, and tells a blob that is gone from a store that is away."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.storage import mailbox_blob_folder
from gateway.storage.mailbox_blob_credentials import CredentialFile, Credentials
from gateway.storage.mailbox_blob_folder import MOST, FolderMailboxBlobs
from gateway.storage.mailbox_blob_objects import PROBE, ObjectMailboxBlobs
from gateway.storage.mailbox_blob_terms import ObjectPlace, Role, Service
from gateway.storage.mailbox_blobs import MAX_BLOB, BlobGone, BlobsAway, MailboxBlobs
from gateway.storage.writer import StorageFull
from gateway.world.clock import SystemClock
from tests.fakes.clock import FakeClock
from tests.fakes.s3 import BUCKET, KEY, S3, SECRET
from tests.scenarios.peers.ports import free_port

A, B, C = (f"aa{number:030x}" for number in range(3))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    server = S3(tmp_path_factory.mktemp("s3"), free_port()).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


@pytest.fixture
def place(server: S3, tmp_path: Path) -> ObjectPlace:
    server.empty()
    server.make_bucket()
    for role in Role:
        (tmp_path / role).write_text(f"{KEY}\n{SECRET}\n")
    return ObjectPlace(
        service=Service.S3,
        bucket=BUCKET,
        prefix="post",
        endpoint=server.url,
        region="us-east-1",
        read=tmp_path / "read",
        write=tmp_path / "write",
        delete=tmp_path / "delete",
        allow_http=True,
    )


@pytest.fixture
def folder(tmp_path: Path, executor: ThreadPoolExecutor) -> FolderMailboxBlobs:
    return FolderMailboxBlobs(tmp_path / "deep" / "mailboxes", executor)


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest) -> MailboxBlobs:
    """Either store, empty."""
    if request.param == "folder":
        found: MailboxBlobs = request.getfixturevalue("folder")
        return found
    return ObjectMailboxBlobs(request.getfixturevalue("place"), SystemClock())


@pytest.mark.parametrize("size", [0, 1, 5000, (1 << 20) + 17])
async def test_what_is_put_comes_back(blobs: MailboxBlobs, size: int) -> None:
    octets = os.urandom(size)
    await blobs.put(A, octets)
    assert await blobs.get(A) == octets
    if blobs.local is not None:
        assert blobs.local.look(A, size) == octets


async def test_a_blob_that_is_not_there_is_told_in_its_place(blobs: MailboxBlobs) -> None:
    await blobs.put(A, b"a")
    await blobs.put(C, b"c")
    first, gone, last = await blobs.get_many([A, B, C])
    assert (first, last) == (b"a", b"c")
    assert isinstance(gone, BlobGone)
    assert B in str(gone)
    with pytest.raises(BlobGone, match=B):
        await blobs.get(B)


async def test_what_is_deleted_is_gone_and_deleting_twice_is_no_fault(blobs: MailboxBlobs) -> None:
    await asyncio.gather(*(blobs.put(name, b"x") for name in (A, B, C)))
    assert await blobs.delete([A, B]) == [A, B]
    assert await blobs.delete([A, B]) == [A, B]
    kinds = [type(found) for found in await blobs.get_many([A, B, C])]
    assert kinds == [BlobGone, BlobGone, bytes]


@pytest.mark.parametrize("name", ["", "..", "a", "../../etc/passwd", "A" * 32, "a" * 33, "a" * 31 + "/"])
async def test_no_name_but_ours_reaches_a_store(blobs: MailboxBlobs, name: str) -> None:
    for asked in (blobs.put(name, b""), blobs.get(name), blobs.get_many([name]), blobs.delete([name])):
        with pytest.raises(ValueError, match="hexadecimal"):
            await asked


# -- a folder ---------------------------------------------------------------------------------------------------------


async def test_blobs_that_are_put_together_share_the_syncs_of_their_folder(
    folder: FolderMailboxBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await folder.put(A, b"makes the folders")
    synced: list[object] = []
    files: list[int] = []
    monkeypatch.setattr(mailbox_blob_folder, "sync_folder", lambda path: synced.append((path, len(files))))
    monkeypatch.setattr(os, "fdatasync", files.append)
    names = [f"aa{number:030x}" for number in range(100, 140)]
    await asyncio.gather(*(folder.put(name, name.encode()) for name in names))
    assert len(files) == 40
    assert 1 <= len(synced) <= 4
    assert (folder.folder / "aa", 40) in synced  # Behind the last of the files.
    assert await folder.get_many(names) == [name.encode() for name in names]


async def test_more_than_threads_take_at_once_is_put_too(folder: FolderMailboxBlobs) -> None:
    names = [f"{number:032x}" for number in range(5 * MOST)]
    await asyncio.gather(*(folder.put(name, name.encode()) for name in names))
    assert await folder.get_many(names) == [name.encode() for name in names]


async def test_files_and_folders_are_for_nobody_else(folder: FolderMailboxBlobs, tmp_path: Path) -> None:
    await folder.put(A, b"x")
    for path in (tmp_path / "deep").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


async def test_one_that_fails_takes_none_of_the_others_with_it(
    folder: FolderMailboxBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await folder.put(A, b"x")
    wanted = os.fdatasync
    count = iter(range(100))

    def failing(descriptor: int) -> None:
        if next(count) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        wanted(descriptor)

    monkeypatch.setattr(os, "fdatasync", failing)
    monkeypatch.setattr(mailbox_blob_folder, "LANES", 1)
    names = [f"aa{number:030x}" for number in range(10, 14)]
    faults = await asyncio.gather(*(folder.put(name, b"y") for name in names), return_exceptions=True)
    assert [type(fault) for fault in faults].count(StorageFull) == 1
    found = await folder.get_many(names)
    assert [isinstance(one, bytes) for one in found] == [fault is None for fault in faults]


async def test_a_name_is_never_written_over(folder: FolderMailboxBlobs) -> None:
    await folder.put(A, b"first")
    with pytest.raises(BlobsAway, match="File exists"):
        await folder.put(A, b"second")
    assert await folder.get(A) == b"first"


async def test_a_disk_that_is_not_mounted_is_away_and_its_blobs_are_not_gone(
    folder: FolderMailboxBlobs, tmp_path: Path
) -> None:
    await folder.put(A, b"x")
    (tmp_path / "deep").rename(tmp_path / "elsewhere")
    (tmp_path / "deep" / "mailboxes").mkdir(parents=True)  # What the mount point looks like.
    for asked in (folder.get(A), folder.get_many([A]), folder.delete([A])):
        with pytest.raises(BlobsAway, match="is its disk mounted"):
            await asked


async def test_a_link_is_not_followed(folder: FolderMailboxBlobs, tmp_path: Path) -> None:
    await folder.put(A, b"x")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "deep" / "mailboxes" / "aa" / B).symlink_to(tmp_path / "secret")
    with pytest.raises(BlobsAway):
        await folder.get(B)


async def test_no_more_is_read_than_a_blob_may_have(folder: FolderMailboxBlobs, tmp_path: Path) -> None:
    await folder.put(A, b"x")
    (tmp_path / "deep" / "mailboxes" / "aa" / A).write_bytes(bytes(MAX_BLOB + 100))
    assert len(await folder.get(A)) == MAX_BLOB + 1
    assert len(folder.look(A, 10)) == 11


async def test_who_waits_and_is_cancelled_holds_up_nobody(folder: FolderMailboxBlobs) -> None:
    first = asyncio.create_task(folder.put(A, b"x"))
    await asyncio.sleep(0)
    first.cancel()
    await folder.put(B, b"y")
    await folder.close()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await folder.get(B) == b"y"


# -- objects ----------------------------------------------------------------------------------------------------------


async def test_names_lie_below_the_prefix_and_nothing_else_does(place: ObjectPlace, server: S3) -> None:
    blobs = ObjectMailboxBlobs(place, SystemClock())
    await blobs.put(A, b"x")
    assert server.keys() == [f"post/{PROBE}", f"post/{A}"]


async def test_without_credentials_for_deleting_nothing_is_deleted(place: ObjectPlace, server: S3) -> None:
    blobs = ObjectMailboxBlobs(replace(place, delete=None), SystemClock())
    await blobs.put(A, b"x")
    assert await blobs.delete([A]) == []
    assert await blobs.get(A) == b"x"


async def test_a_store_that_does_not_answer_is_away(place: ObjectPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.storage import mailbox_blob_objects

    monkeypatch.setattr(mailbox_blob_objects, "RETRY", 0.0)
    blobs = ObjectMailboxBlobs(replace(place, endpoint=f"http://127.0.0.1:{free_port()}"), SystemClock())
    with pytest.raises(BlobsAway, match="does not answer"):
        await blobs.put(A, b"x")


async def test_a_bucket_that_is_not_there_is_away_and_its_blobs_are_not_gone(place: ObjectPlace) -> None:
    blobs = ObjectMailboxBlobs(replace(place, bucket="elsewhere"), SystemClock())
    with pytest.raises(BlobsAway, match="NoSuchBucket"):
        await blobs.get(A)


class PermissionDeniedError(Exception):
    """As obstore raises it."""


class Refusing:
    """Answers for obstore: what the credentials in hand may do. S3 tells nobody who may not list what is missing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept: dict[str, bytes] = {}
        self.valid = "good"
        from gateway.storage import mailbox_blob_objects as module

        monkeypatch.setattr(module, "_s3", lambda place, found: found.lines[1])
        monkeypatch.setattr(module, "_put", self.put)
        monkeypatch.setattr(module, "_get", self.get)

    async def put(self, secret: str, name: str, octets: bytes) -> None:
        self._judge(secret)
        self.kept[name] = octets

    async def get(self, secret: str, name: str) -> bytes:
        self._judge(secret)
        if name not in self.kept:
            raise PermissionDeniedError("<Code>AccessDenied</Code> SECRET")
        return self.kept[name]

    def _judge(self, secret: str) -> None:
        if secret != self.valid:
            raise PermissionDeniedError("<Code>AccessDenied</Code> SECRET")


async def test_who_may_not_list_learns_all_the_same_what_is_missing(
    place: ObjectPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Refusing(monkeypatch)
    server.valid = SECRET
    blobs = ObjectMailboxBlobs(place, SystemClock())
    await blobs.put(A, b"x")
    with pytest.raises(BlobGone, match=B):
        await blobs.get(B)
    server.valid = "another"
    with pytest.raises(BlobsAway, match="AccessDenied") as told:
        await blobs.get(A)
    assert "SECRET" not in str(told.value)


async def test_credentials_that_are_changed_while_running_are_used_at_once(
    place: ObjectPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Refusing(monkeypatch)
    server.valid = SECRET
    blobs = ObjectMailboxBlobs(place, SystemClock())
    await blobs.put(A, b"x")
    assert await blobs.get(A) == b"x"
    server.valid = "new-secret"
    place.read.write_text(f"{KEY}\nnew-secret\n")
    assert await blobs.get(A) == b"x"  # Refused, read again, asked again.
    with pytest.raises(BlobsAway):  # Those for writing are as they were.
        await blobs.put(B, b"y")


async def test_a_store_without_its_mark_does_not_take_everything_for_missing(
    place: ObjectPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Refusing(monkeypatch)
    server.valid = SECRET
    with pytest.raises(BlobsAway, match="AccessDenied"):
        await ObjectMailboxBlobs(place, SystemClock()).get(A)


# -- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "service", "right"),
    [
        (b"", Service.S3, "an access key id and a secret"),
        (b"id\n", Service.S3, "an access key id and a secret"),
        (b"id\nsecret\ntoken\nmore\n", Service.S3, "an access key id and a secret"),
        (b"", Service.AZURE, "one line"),
        (b"a\nb\n", Service.AZURE, "one line"),
        (b"a" * 9000, Service.AZURE, "one line"),
        ("schlüssel".encode(), Service.AZURE, "one line"),
    ],
)
def test_a_file_that_holds_no_credentials_says_what_it_would(
    tmp_path: Path, octets: bytes, service: Service, right: str
) -> None:
    (tmp_path / "file").write_bytes(octets)
    with pytest.raises(BlobsAway, match=right):
        Credentials.read(tmp_path / "file", service)


def test_credentials_show_nothing_of_themselves(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("sv=1&sig=SECRET\n")
    found = Credentials.read(tmp_path / "file", Service.AZURE)
    assert "SECRET" not in repr(found)
    assert found.is_signature


def test_a_file_is_read_again_when_it_changes_and_holds_while_it_is_being_replaced(tmp_path: Path) -> None:
    path, clock = tmp_path / "file", FakeClock()
    path.write_text("one\n")
    file = CredentialFile(path, Service.AZURE)

    def fresh(**how: Any) -> str | None:
        found = file.fresh(clock.monotonic(), **how)
        return None if found is None else found.lines[0]

    assert (fresh(), fresh()) == ("one", None)
    path.write_text("second\n")
    assert fresh() is None  # Not looked at yet.
    assert fresh(at_once=True) == "second"
    path.unlink()
    assert fresh(at_once=True) is None
    path.write_text("")
    assert fresh(at_once=True) is None
    path.write_text("third\n")
    assert fresh(at_once=True) == "third"


def test_a_file_that_was_never_there_is_said_and_looked_for_again(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / "file", Service.AZURE)
    with pytest.raises(BlobsAway, match="No such file"):
        file.fresh(0.0)
    (tmp_path / "file").write_text("one\n")
    assert file.fresh(0.0) is not None
