"""Blobs of mailboxes as files of a folder, which may lie on a disk that several machines share.

What is put at the same moment is written by one thread in one go, and the folder synced once for all of it. Files lie
in 256 folders by the first octet of their names.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from gateway.storage.content import sync_folder, write_whole
from gateway.storage.mailbox_blobs import MAX_BLOB, BlobGone, BlobsAway, checked_name
from gateway.storage.writer import StorageBroken, StorageFull

T = TypeVar("T")

LANES: Final = 4  # Threads that write at the same time: the file system shares the syncs of several.
MOST: Final = 32  # Blobs that one thread writes in one go.
# In the folder from its beginning: without it a disk that is not mounted would look like one where all blobs are gone.
MARK_NAME: Final = "mailboxes"
MARK: Final = b"gateway mailbox blobs 1\n"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_Put = tuple[str, bytes]


class FolderMailboxBlobs:
    """Fulfils `MailboxBlobs` and `LocalBlobs`. For one event loop; `look` from any thread."""

    def __init__(self, folder: Path, executor: Executor) -> None:
        self._folder = folder
        self._root = f"{folder}/"
        self._executor = executor
        self._waiting: list[tuple[_Put, asyncio.Future[None]]] = []
        self._lanes: set[asyncio.Task[None]] = set()
        self._is_called = False  # Whether `_begin` runs when the loop is done with this moment.

    def __repr__(self) -> str:
        return f"FolderMailboxBlobs({str(self._folder)!r})"

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._folder

    @property
    def local(self) -> FolderMailboxBlobs:
        """Itself."""
        return self

    async def put(self, name: str, octets: bytes) -> None:
        """See MailboxBlobs. Raises StorageFull, BlobsAway."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(((checked_name(name), octets), future))
        if not self._is_called:
            self._is_called = True
            loop.call_soon(self._begin)
        await future

    async def get(self, name: str) -> bytes:
        """All of it. Raises BlobGone, BlobsAway."""
        return await self._run(self.look, name, MAX_BLOB)

    async def get_many(self, names: Sequence[str]) -> list[bytes | BlobGone]:
        """See MailboxBlobs. Raises BlobsAway."""
        return await self._run(self._look_all, names)

    async def delete(self, names: Sequence[str]) -> list[str]:
        """Take them away, durably. Raises BlobsAway."""
        await self._run(self._delete, [self._path(name) for name in names])
        return list(names)

    async def close(self) -> None:
        """Wait for what is being written."""
        while self._lanes or self._waiting:
            self._begin()
            await asyncio.wait(self._lanes)

    def look(self, name: str, size: int) -> bytes:
        """See LocalBlobs. Blocks. Raises BlobGone, BlobsAway."""
        path = f"{self._root}{checked_name(name)[:2]}/{name}"  # A Path would take as long as the opening.
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                octets = os.pread(descriptor, size + 1, 0)
                if len(octets) < size:  # The system may give less than there is.
                    octets = _rest(descriptor, octets, size + 1)
                return octets
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            self._judge()
            raise BlobGone(f"the blob {name} is not in {self._folder}") from None
        except OSError as error:
            raise BlobsAway(f"{path}: {error.strerror}") from error

    # -- on the loop --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._is_called = False
        while self._waiting and (free := LANES - len(self._lanes)) > 0:
            share = min(MOST, -(-len(self._waiting) // free))
            batch, self._waiting = self._waiting[:share], self._waiting[share:]
            lane = asyncio.create_task(self._carry(batch))
            self._lanes.add(lane)
            lane.add_done_callback(self._ended)

    def _ended(self, lane: asyncio.Task[None]) -> None:
        self._lanes.discard(lane)
        self._begin()

    async def _carry(self, batch: list[tuple[_Put, asyncio.Future[None]]]) -> None:
        faults: Sequence[Exception | None]
        try:
            loop = asyncio.get_running_loop()
            faults = await loop.run_in_executor(self._executor, self._put_all, [put for put, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits hears of it
            faults = [error] * len(batch)
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), fault in zip(batch, faults, strict=True):
            if future.done():  # Whoever asked was cancelled.
                continue
            if fault is None:
                future.set_result(None)
            else:
                future.set_exception(fault)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        except OSError as error:
            raise BlobsAway(f"{self._folder}: {error.strerror}") from error

    # -- on a thread --------------------------------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)[:2] / name

    def _look_all(self, names: Iterable[str]) -> list[bytes | BlobGone]:
        found: list[bytes | BlobGone] = []
        for name in names:
            try:
                found.append(self.look(name, MAX_BLOB))
            except BlobGone as fault:
                found.append(fault)
        return found

    def _put_all(self, batch: Sequence[_Put]) -> list[StorageFull | StorageBroken | None]:
        """What went wrong with each."""
        faults: list[StorageFull | StorageBroken | None] = []
        drafts: list[tuple[int, int, Path]] = []  # Which of the batch, its descriptor, its path.
        for place, (name, octets) in enumerate(batch):
            path = self._path(name)
            try:
                descriptor = self._create(path)
            except OSError as error:
                faults.append(self._meaning(error))
                continue
            faults.append(None)
            drafts.append((place, descriptor, path))
            try:
                write_whole(descriptor, octets)
                if len(batch) > 1:
                    # Begins to write, so that the first sync finds all of them on their way and the others little.
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            except OSError as error:
                faults[place] = self._meaning(error)
        folders: defaultdict[Path, list[int]] = defaultdict(list)
        for place, descriptor, path in drafts:
            try:
                if faults[place] is None:
                    os.fdatasync(descriptor)
                    folders[path.parent].append(place)
            except OSError as error:
                faults[place] = self._meaning(error)
            finally:
                os.close(descriptor)
        for folder, places in folders.items():
            try:
                sync_folder(folder)
            except OSError as error:
                for place in places:
                    faults[place] = self._meaning(error)
        for place, _, path in drafts:
            if faults[place] is not None:
                with suppress(OSError):  # Garbage then, and collected later.
                    path.unlink(missing_ok=True)
        return faults

    def _delete(self, paths: Sequence[Path]) -> None:
        self._judge()
        folders = set()
        for path in paths:
            with suppress(FileNotFoundError):
                path.unlink()
                folders.add(path.parent)
        # Before anybody forgets their names: what a crash brings back nobody would ever find.
        for folder in folders:
            sync_folder(folder)

    def _judge(self) -> None:
        if not (self._folder / MARK_NAME).is_file():
            raise BlobsAway(f"{self._folder} is no folder of mailboxes, or nothing was put yet: is its disk mounted?")

    def _create(self, path: Path) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            self._make(path.parent)
            return os.open(path, flags, 0o600)

    def _make(self, folder: Path) -> None:
        """The folder and those above it, durably: a blob in a folder that a crash takes away is lost too."""
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)
        if folder == self._folder:
            _write_mark(folder)

    def _meaning(self, error: OSError) -> StorageFull | BlobsAway:
        if error.errno in _FULL:
            return StorageFull(f"the disk with {self._folder} is full")
        return BlobsAway(f"{self._folder}: {error.strerror}")


def _write_mark(folder: Path) -> None:
    try:
        descriptor = os.open(folder / MARK_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    try:
        write_whole(descriptor, MARK)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(folder)


def _rest(descriptor: int, octets: bytes, most: int) -> bytes:
    found = bytearray(octets)
    while len(found) < most and (part := os.pread(descriptor, most - len(found), len(found))):
        found += part
    return bytes(found)
