"""Blobs as files of one folder, which may lie on a disk that several machines share."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final, TypeVar

from gateway.storage.blobs import NAME, BlobGone, BlobsAway, checked
from gateway.storage.content import sync_folder, write_whole
from gateway.storage.writer import StorageFull

T = TypeVar("T")

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DRAFT: Final = ".new"  # `.NAME.new` until it is finished; no name begins with a dot.


class FolderBlobs:
    """Fulfils `Blobs`. Made whole by rename; file and folder are synced before `finish` returns."""

    def __init__(self, folder: Path, executor: Executor) -> None:
        self._folder = folder
        self._executor = executor

    def __repr__(self) -> str:
        return f"FolderBlobs({str(self._folder)!r})"

    async def begin(self, name: str) -> FolderWriter:
        """Room for a new blob. Raises StorageFull, BlobsAway."""
        path = self._folder / checked(name)
        descriptor = await self.run(_create, path)
        return FolderWriter(self, path, descriptor)

    async def read(self, name: str, start: int, length: int) -> bytes:
        """Exactly these octets. Raises BlobGone, BlobsAway."""
        return await self.run(_read, self._folder / checked(name), start, length)

    async def delete(self, name: str) -> None:
        """Take it away, and what was never finished of it. Raises BlobsAway."""
        await self.run(_delete, self._folder / checked(name))

    async def names(self, before: float | None = None) -> set[str]:
        """See Blobs. Raises BlobsAway."""
        return await self.run(_names, self._folder, before)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """`work` in a thread, its errors in the words of storage."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFull(f"the disk with {self._folder} is full") from error
            raise BlobsAway(f"{self._folder}: {error.strerror}") from error


class FolderWriter:
    """Fulfils `BlobWriter`."""

    __slots__ = ("_blobs", "_descriptor", "_path")

    def __init__(self, blobs: FolderBlobs, path: Path, descriptor: int) -> None:
        self._blobs = blobs
        self._path = path
        self._descriptor: int | None = descriptor

    async def write(self, octets: bytes) -> None:
        """Take the next octets. Raises StorageFull, BlobsAway."""
        await self._blobs.run(write_whole, self._open(), octets)

    async def finish(self) -> None:
        """On disk, under its name, when this returns. Raises StorageFull, BlobsAway."""
        await self._blobs.run(_finish, self._open(), self._path)
        self._descriptor = None

    async def abandon(self) -> None:
        """Forget what was written."""
        descriptor, self._descriptor = self._descriptor, None
        try:
            await self._blobs.run(_abandon, descriptor, self._path)
        except (BlobsAway, StorageFull):
            pass  # Cleared later.

    def _open(self) -> int:
        if self._descriptor is None:
            raise BlobsAway(f"{self._path.name} is no longer being written")
        return self._descriptor


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}{_DRAFT}")


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(_draft(path), flags, 0o600)
    except FileNotFoundError:
        _make(path.parent)
        return os.open(_draft(path), flags, 0o600)


def _make(folder: Path) -> None:
    """The folder and those above it, their names durable: a blob in a folder that a crash takes away is lost too."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def _finish(descriptor: int, path: Path) -> None:
    os.fdatasync(descriptor)
    _draft(path).rename(path)
    sync_folder(path.parent)
    os.close(descriptor)


def _abandon(descriptor: int | None, path: Path) -> None:
    if descriptor is not None:
        os.close(descriptor)
        # Where `finish` failed between rename and sync, it has its name already.
        path.unlink(missing_ok=True)
    _draft(path).unlink(missing_ok=True)


def _read(path: Path, start: int, length: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        raise BlobGone(f"the content file of {path.name} is gone") from error
    try:
        parts = bytearray()
        while len(parts) < length:
            part = os.pread(descriptor, length - len(parts), start + len(parts))
            if not part:
                raise BlobGone(f"the content of {path.name} is cut off")
            parts += part
        return bytes(parts)
    finally:
        os.close(descriptor)


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    _draft(path).unlink(missing_ok=True)


def _names(folder: Path, before: float | None) -> set[str]:
    found: set[str] = set()
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:  # Nothing was stored yet.
        return found
    with entries:
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                if before is None or not name.endswith(_DRAFT):
                    continue
                name = name[1 : -len(_DRAFT)]
            if not NAME.fullmatch(name):
                continue  # Not ours: never touched.
            try:
                if before is None or entry.stat(follow_symlinks=False).st_mtime < before:
                    found.add(name)
            except FileNotFoundError:  # Finished or taken away in this moment.
                continue
    return found
