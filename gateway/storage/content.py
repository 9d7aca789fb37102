"""The octets of a message on their way into the spool and out of it again, never in clear on a disk (DESIGN 13).

Up to INLINE octets stay in memory and become a column; longer ones are sealed in segments of 1 MiB as they come and
lie in a file beside the database, or in a blob (`gateway.storage.blob_content`).
"""

from __future__ import annotations

import asyncio
import errno
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor
from pathlib import Path

from gateway.mail.message import MAX_HEAD, Content, Held, Message
from gateway.storage.sealer import SealBroken, Sealer, Segments
from gateway.storage.writer import StorageFull

INLINE = 128 * 1024  # Beyond it a file is faster than pages of the database, which are written twice.
SEGMENT = 1 << 20
OVERHEAD = 16  # The tag of AES-256-GCM (NIST SP 800-38D 5.2.1.2).
PURPOSE = "spool"


class SealedFile:
    """Content in a file of sealed segments."""

    __slots__ = ("_executor", "_path", "_record", "_sealer", "_size")

    def __init__(self, path: Path, record: str, size: int, sealer: Sealer, executor: Executor) -> None:
        self._path = path
        self._record = record
        self._size = size
        self._sealer = sealer
        self._executor = executor

    @property
    def size(self) -> int:
        return self._size

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """The octets in pieces of 1 MiB. Raises SealBroken, or OSError where the file can't be read."""
        loop = asyncio.get_running_loop()
        flags = os.O_RDONLY | os.O_CLOEXEC
        try:
            descriptor = await loop.run_in_executor(self._executor, os.open, self._path, flags)
        except FileNotFoundError as error:
            raise SealBroken(f"the content file of {self._record} is gone") from error
        try:
            start = await loop.run_in_executor(self._executor, os.pread, descriptor, START, 0)
            segments = self._sealer.segments(PURPOSE, f"content {self._record}", start)
            count = max(1, -(-self._size // SEGMENT))
            for place in range(count):
                yield await loop.run_in_executor(self._executor, self._read, descriptor, segments, place, count)
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int, segments: Segments, place: int, count: int) -> bytes:
        last = place == count - 1
        length = (self._size - place * SEGMENT if last else SEGMENT) + OVERHEAD
        sealed = os.pread(descriptor, length, START + place * (SEGMENT + OVERHEAD))
        if len(sealed) != length:
            raise SealBroken(f"the content of {self._record} is cut off")
        return segments.open(place, last, sealed)


def stored_size(size: int) -> int:
    """The octets that a content of `size` octets takes in a file or a blob."""
    return START + size + OVERHEAD * max(1, -(-size // SEGMENT))


START = 21  # Octets in front of the first segment: version mark, key version, salt.


class Incoming(ABC):
    """Takes the octets of one message as they come. Ends with `finish` or `abandon`.

    What is short stays in memory; where the rest goes, those who inherit know.
    """

    __slots__ = ("_executor", "_head", "_id", "_parts", "_place", "_sealer", "_segments", "_size", "_waits")

    def __init__(self, id_: str, sealer: Sealer, executor: Executor) -> None:
        self._id = id_
        self._sealer = sealer
        self._executor = executor
        self._parts: list[bytes] = []
        self._waits = 0  # Octets in _parts.
        self._size = 0
        self._head = b""
        self._segments: Segments | None = None
        self._place = 0  # Of the next segment.

    def write(self, octets: bytes) -> bool:
        """Take `octets` into memory. True: memory holds as much as it may; call `flush` before the next write."""
        self._parts.append(octets)
        self._waits += len(octets)
        self._size += len(octets)
        return self._waits > SEGMENT

    async def flush(self) -> None:
        """Carry whole segments away. Raises StorageFull, StorageBroken, OSError; then only `abandon` is left."""
        held = b"".join(self._parts)
        whole = (len(held) - 1) // SEGMENT  # The last segment is sealed as such, so one octet at least stays back.
        if whole:
            await self._store(held, whole)
            self._parts = [held[whole * SEGMENT :]]
            self._waits = len(self._parts[0])

    async def finish(self) -> Message:
        """The whole message; what is not in memory is durable when this returns. Raises as `flush` does."""
        held = b"".join(self._parts)
        if self._place == 0 and self._size <= INLINE:
            return Message(held, Held(held))
        await self._store(held, -1)
        self._parts = []
        return Message(self._head, self._stored())

    @abstractmethod
    async def abandon(self) -> None:
        """Forget everything, what was stored too; also after `finish`, where the spool did not take the message."""

    @abstractmethod
    def _stored(self) -> Content:
        """What `_store` has stored."""

    @abstractmethod
    async def _store(self, held: bytes, whole: int) -> None:
        """Seal and store `whole` segments of `held`; -1: all of it, to the end, durable on return."""

    def _sealed(self, held: bytes, whole: int) -> Iterator[bytes]:
        """What is to be stored of `held`, piece by piece, what stands in front of the first segment too."""
        if self._segments is None:
            self._segments = self._sealer.segments(PURPOSE, f"content {self._id}")
            self._head = held[:MAX_HEAD]
            yield self._segments.start
        ends = whole < 0
        count = whole if not ends else max(1, -(-len(held) // SEGMENT))
        view = memoryview(held)
        for number in range(count):
            last = ends and number == count - 1
            plain = view[number * SEGMENT : (number + 1) * SEGMENT]
            yield self._segments.seal(self._place, last, plain)
            self._place += 1


class FileIncoming(Incoming):
    """Long content goes into a file of the spool's own folder."""

    __slots__ = ("_file", "_folder", "_made")

    def __init__(self, id_: str, folder: Path, sealer: Sealer, executor: Executor) -> None:
        super().__init__(id_, sealer, executor)
        self._folder = folder
        self._file: int | None = None
        self._made = False  # Whether there is a file of ours.

    async def abandon(self) -> None:
        self._parts = []
        if self._made:
            descriptor, self._file, self._made = self._file, None, False
            await asyncio.get_running_loop().run_in_executor(
                self._executor, _forget, descriptor, self._folder / self._id
            )

    def _stored(self) -> Content:
        return SealedFile(self._folder / self._id, self._id, self._size, self._sealer, self._executor)

    async def _store(self, held: bytes, whole: int) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._carry, held, whole)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise StorageFull("the disk with the spool is full") from error
            raise

    def _carry(self, held: bytes, whole: int) -> None:
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self._folder / self._id, flags, 0o600)
            self._made = True
        for piece in self._sealed(held, whole):
            write_whole(self._file, piece)
        if whole < 0:
            os.fdatasync(self._file)
            os.close(self._file)
            self._file = None
            sync_folder(self._folder)


def write_whole(descriptor: int, octets: bytes) -> None:
    """All of `octets`, in as many pieces as the system takes. Blocks; raises OSError."""
    view = memoryview(octets)
    while view:
        view = view[os.write(descriptor, view) :]


def _forget(descriptor: int | None, path: Path) -> None:
    if descriptor is not None:
        os.close(descriptor)
    path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
