"""Where a spool keeps the content that is too large for its database: files beside it, or blobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol

from gateway.storage.blob_content import BlobContent, BlobIncoming
from gateway.storage.blobs import Blobs
from gateway.storage.content import FileIncoming, Incoming, SealedFile
from gateway.storage.sealer import Sealer
from gateway.storage.writer import StorageBroken, StorageFull


class Shelf(Protocol):
    """Handed to a spool. What lies there is named by message ids."""

    async def open(self, known: set[str]) -> None:
        """Called once at the start, with the messages whose content is not in the database. Raises OSError."""

    def begin(self, id_: str) -> Incoming:
        """Room for the octets of message `id_`."""

    def content(self, id_: str, size: int) -> SealedFile | BlobContent:
        """The octets of message `id_`, which has `size` of them. Nothing is read yet."""

    async def forget(self, id_: str) -> None:
        """The message has left the queue. Raises OSError."""


class FileShelf:
    """Files in one folder that nobody else uses."""

    def __init__(self, folder: Path, sealer: Sealer, executor: Executor) -> None:
        self._folder = folder
        self._sealer = sealer
        self._executor = executor

    async def open(self, known: set[str]) -> None:
        """Files that no row knows are of messages that were never answered with 250: they go."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._clear, known)

    def begin(self, id_: str) -> Incoming:
        return FileIncoming(id_, self._folder, self._sealer, self._executor)

    def content(self, id_: str, size: int) -> SealedFile | BlobContent:
        return SealedFile(self._folder / id_, id_, size, self._sealer, self._executor)

    async def forget(self, id_: str) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, (self._folder / id_).unlink, True)

    def _clear(self, known: set[str]) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink(missing_ok=True)


class BlobShelf:
    """Blobs. With `files`, what lies there from before the setting is still read from there, and goes with its message.

    Content that was never accepted is not cleared here but by `gateway.storage.orphans`.
    """

    def __init__(
        self,
        blobs: Blobs,
        sealer: Sealer,
        executor: Executor,
        *,
        files: Path | None = None,
        tell: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        self.blobs = blobs
        self._sealer = sealer
        self._executor = executor
        self._files = None if files is None else FileShelf(files, sealer, executor)
        self._folder = files
        self._old: set[str] = set()
        self._tell = tell

    async def open(self, known: set[str]) -> None:
        if self._files is not None and self._folder is not None:
            await self._files.open(known)
            self._old = await asyncio.to_thread(_inside, self._folder)

    def begin(self, id_: str) -> Incoming:
        return BlobIncoming(id_, self.blobs, self._sealer, self._executor)

    def content(self, id_: str, size: int) -> SealedFile | BlobContent:
        if id_ in self._old and self._files is not None:
            return self._files.content(id_, size)
        return BlobContent(id_, size, self.blobs, self._sealer, self._executor)

    async def forget(self, id_: str) -> None:
        if id_ in self._old and self._files is not None:
            self._old.discard(id_)
            await self._files.forget(id_)
            return
        try:
            await self.blobs.delete(id_)
        except (StorageBroken, StorageFull) as error:
            # The delivery is settled all the same; what is left over is cleared later.
            self._tell("warning", "blob_not_deleted", id=id_, error=str(error))


def _inside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
