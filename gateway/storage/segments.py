"""The files of the journal: segments of one size, used again when nothing in them counts any more.

A file keeps its blocks and its length, so that writing it durably changes nothing but its octets. One batch at a time:
whoever asks sees to that. Leaves out what stands in the files.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.storage.content import sync_folder
from gateway.storage.entries import HEAD, BadEntry, Batch, batch, batch_size
from gateway.storage.group import StorageBroken, StorageFull
from gateway.storage.segment_file import NAMES, SIZE, Found, batches, look, octets_of, opened

SPARE: Final = 16  # Files without use that are kept; more than that go.
_ZEROS: Final = bytes(1 << 20)


@dataclass(slots=True)
class _File:
    """`direct` is a second descriptor, for writes past the page cache, where the file system has that."""

    descriptor: int
    path: Path
    number: int  # Of the segment that it holds or held; 0: none.
    direct: int | None = None

    def close(self) -> None:
        os.close(self.descriptor)
        if self.direct is not None:
            os.close(self.direct)

    def forget(self) -> None:
        """What was read of it is in the page cache, and in the way of writes that go past that."""
        with suppress(OSError):
            os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands."""

    segment: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A batch, where it is to be written, and the `oldest` that it tells of."""

    file: _File
    at: int
    oldest: int
    lengths: tuple[int, ...]  # Of its entries.
    pieces: list[bytes]

    @property
    def size(self) -> int:
        """Octets in all."""
        return batch_size(sum(self.lengths))


class Segments:
    """The files in one folder. `oldest` is set by whoever knows what still counts: older segments do not."""

    def __init__(self, folder: Path) -> None:
        self.oldest = 1
        self._folder = folder
        self._announced = 1  # The `oldest` that is on disk.
        self._used: deque[_File] = deque()  # The last one is written to.
        self._spare: deque[_File] = deque()
        self._found: dict[int, Found] = {}  # Of what was recovered and is not read yet.
        self._at = 0
        self._number = 0  # Of the segment that is written to.

    def recover(self) -> list[str]:
        """Find what a former process left; what was found damaged comes back, in words. To be called once, first.

        What is appended comes behind it. Raises StorageBroken, OSError.
        """
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700)
            sync_folder(self._folder.parent)  # Or a power failure might take the folder with all that is in it.
        faults: list[str] = []
        found: dict[int, tuple[_File, Found]] = {}
        try:
            for path in sorted(self._folder.glob(NAMES)):
                self._look(path, found, faults)
        except BaseException:
            self._used.extend(file for file, _ in found.values())
            self.close()
            raise
        self.oldest = self._announced = max((one.oldest for _, one in found.values()), default=1)
        for number in sorted(found):
            file, one = found[number]
            if number < self.oldest:
                self._spare.append(file)
                continue
            self._used.append(file)
            self._found[number] = one
            faults += one.faults(file.path.name)
            self._at = one.ends
        self._number = max(found, default=0)
        return faults

    @property
    def number(self) -> int:
        """The newest segment; 0: there is none yet."""
        return self._number

    def batches(self, faults: list[str]) -> Iterator[Batch]:
        """Every batch that counts of what was recovered, in order, a file in memory at a time. Raises OSError."""
        for file in self._used:
            if (found := self._found.pop(file.number, None)) is not None:
                yield from batches(octets_of(file.descriptor), found, file.path.name, faults)

    def _look(self, path: Path, found: dict[int, tuple[_File, Found]], faults: list[str]) -> None:
        descriptor = opened(path, os.O_RDWR | os.O_DSYNC)
        keep = False
        try:
            one = look(octets_of(descriptor), path)
            if os.fstat(descriptor).st_size < SIZE:
                if not one.begins:  # A process died while it was made.
                    path.unlink()
                    return
                faults.append(f"{path.name} was cut off; what is left of it counts")
                os.ftruncate(descriptor, SIZE)
            file = _file(descriptor, path, one.number)
            if not one.number:
                self._spare.append(file)
            elif (other := found.get(one.number)) is None:
                found[one.number] = (file, one)
            else:  # Somebody has copied a file. The longer one is what was written to.
                kept, left = sorted(((file, one), other), key=lambda pair: pair[1].ends, reverse=True)
                faults.append(f"{left[0].path.name} is a copy of {kept[0].path.name}, and was left alone; move it away")
                found[one.number] = kept
                left[0].close()
            keep = True
        finally:
            if not keep:
                os.close(descriptor)

    def append(self, entries: Sequence[bytes]) -> list[Place]:
        """Write them; on disk when this returns. Blocks. Raises StorageFull, StorageBroken; they may be there all the
        same.
        """
        draft = self.draft(entries)
        if draft is None:
            try:
                self._trim()
                self._begin(self._spare.popleft() if self._may_reuse() else self._make())
            except OSError as error:
                raise self.failed(error) from error
            draft = self.draft(entries)
        if draft is None:  # Can't be: a new file has room.
            raise StorageBroken(f"the journal in {self._folder} has no room for {len(entries)} entries")
        places = self.write(draft)
        with suppress(OSError):  # Another time.
            self._trim()
        return places

    def draft(self, entries: Sequence[bytes]) -> Draft | None:
        """Where and how they would be written. None: files have to be made or removed first. Raises StorageBroken."""
        size = batch_size(sum(map(len, entries)))
        if size > SIZE:
            raise StorageBroken(f"{size} octets are more than a file of the journal holds")
        if not self._used or self._at + size > SIZE:
            if not self._may_reuse() or len(self._spare) > SPARE:
                return None
            self._begin(self._spare.popleft())
        oldest = self.oldest
        pieces = batch(self._number, oldest, entries)
        return Draft(self._used[-1], self._at, oldest, tuple(map(len, entries)), pieces)

    def write(self, draft: Draft) -> list[Place]:
        """Write it; on disk when this returns. Blocks. Raises as `append` does."""
        try:
            _write(draft.file.descriptor, draft.pieces, draft.at)
        except OSError as error:
            raise self.failed(error) from error
        return self.written(draft)

    def written(self, draft: Draft) -> list[Place]:
        """Where its entries stand, now that somebody has written it durably. Raises StorageBroken."""
        facts = os.fstat(draft.file.descriptor)
        if not facts.st_nlink or facts.st_size != SIZE:
            # The next process would not find it. What came before is in danger too, and only a person can help.
            self._at = SIZE
            raise StorageBroken(f"{draft.file.path} was removed or cut off while it was written to")
        places = []
        at = draft.at + HEAD
        for length in draft.lengths:
            places.append(Place(self._number, at, length))
            at += length
        self._at = draft.at + draft.size
        self._announced = max(self._announced, draft.oldest)
        while len(self._used) > 1 and self._used[0].number < self.oldest:
            self._spare.append(self._used.popleft())
        return places

    def failed(self, error: OSError) -> StorageFull | StorageBroken:
        """What it means that a batch could not be written."""
        self._at = SIZE  # What stands there is uncertain: go on in another file.
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return StorageFull("the disk with the spool is full")
        return StorageBroken(f"the journal in {self._folder} can't be written: {error.strerror}")

    def read(self, place: Place) -> bytes:
        """The octets of an entry that counts. From any thread. Raises OSError, BadEntry."""
        file = next((one for one in list(self._used) if one.number == place.segment), None)
        if file is None:
            raise BadEntry("an entry was asked for that counts no more")
        octets = os.pread(file.descriptor, place.length, place.offset)
        if len(octets) != place.length:
            raise BadEntry("an entry is cut off")
        return octets

    def close(self) -> None:
        """Let go of the files."""
        for file in (*self._used, *self._spare):
            file.close()
        self._used.clear()
        self._spare.clear()

    def _begin(self, file: _File) -> None:
        """Write to this file from now on."""
        file.forget()
        self._number += 1
        file.number = self._number
        self._used.append(file)
        self._at = 0

    def _make(self) -> _File:
        path = self._folder / f"{self._free_name():04}.journal"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for at in range(0, SIZE, len(_ZEROS)):
                _write(descriptor, [_ZEROS], at)
            os.fsync(descriptor)
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        os.close(descriptor)
        return _file(os.open(path, os.O_RDWR | os.O_DSYNC | os.O_CLOEXEC), path, 0)

    def _free_name(self) -> int:
        taken = {path.name for path in self._folder.iterdir()}
        return next(number for number in range(1, 1_000_000) if f"{number:04}.journal" not in taken)

    def _may_reuse(self) -> bool:
        """A file is written over only once it stands on disk that what it held does not count."""
        return bool(self._spare) and self._spare[0].number < self._announced

    def _trim(self) -> None:
        """Remove files that were of use once, when there was much mail."""
        while len(self._spare) > SPARE and self._may_reuse():
            file = self._spare.popleft()
            file.close()
            file.path.unlink(missing_ok=True)


def _file(descriptor: int, path: Path, number: int) -> _File:
    try:
        direct = os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        direct = None
    with suppress(OSError):
        # What is read ahead would be in the way of writes that go past the page cache.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    return _File(descriptor, path, number, direct)


def _write(descriptor: int, pieces: list[bytes], at: int) -> None:
    octets = sum(map(len, pieces))
    written = os.pwritev(descriptor, pieces[:1000], at) if len(pieces) <= 1000 else 0
    if written < octets:
        view = memoryview(b"".join(pieces))[written:]
        while view:
            count = os.pwrite(descriptor, view, at + written)
            written += count
            view = view[count:]
