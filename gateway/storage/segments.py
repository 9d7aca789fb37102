"""The files of the journal: segments of one size, used again when nothing in them counts any more.

A file keeps its blocks and its length, so that writing it durably changes nothing but its octets. Runs on the journal's
thread; leaves out what stands in the files.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator, Sequence
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
    descriptor: int
    path: Path
    number: int  # Of the segment that it holds or held; 0: none.


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands."""

    segment: int
    offset: int
    length: int


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
            file = _File(descriptor, path, one.number)
            if not one.number:
                self._spare.append(file)
            elif (other := found.get(one.number)) is None:
                found[one.number] = (file, one)
            else:  # Somebody has copied a file. The longer one is what was written to.
                kept, left = sorted(((file, one), other), key=lambda pair: pair[1].ends, reverse=True)
                faults.append(f"{left[0].path.name} is a copy of {kept[0].path.name}, and was left alone; move it away")
                found[one.number] = kept
                if left[0] is file:
                    return
                os.close(left[0].descriptor)
            keep = True
        finally:
            if not keep:
                os.close(descriptor)

    def append(self, entries: Sequence[bytes]) -> list[Place]:
        """Write them; on disk when this returns. Raises StorageFull, StorageBroken; they may be there all the same."""
        size = batch_size(sum(map(len, entries)))
        if size > SIZE:
            raise StorageBroken(f"{size} octets are more than a file of the journal holds")
        try:
            if not self._used or self._at + size > SIZE:
                self._begin()
            file = self._used[-1]
            oldest = self.oldest
            _write(file.descriptor, batch(self._number, oldest, entries), self._at)
            facts = os.fstat(file.descriptor)
        except OSError as error:
            self._at = SIZE  # What stands there is uncertain: go on in another file.
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise StorageFull("the disk with the spool is full") from error
            raise StorageBroken(f"the journal in {self._folder} can't be written: {error.strerror}") from error
        if not facts.st_nlink or facts.st_size != SIZE:
            # The next process would not find it. What came before is in danger too, and only a person can help.
            self._at = SIZE
            raise StorageBroken(f"{file.path} was removed or cut off while it was written to")
        places = []
        at = self._at + HEAD
        for entry in entries:
            places.append(Place(self._number, at, len(entry)))
            at += len(entry)
        self._at += size
        self._announced = max(self._announced, oldest)
        self._retire()
        return places

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
            os.close(file.descriptor)
        self._used.clear()
        self._spare.clear()

    def _begin(self) -> None:
        """Write to another file from now on."""
        # A file is written over only once it stands on disk that what it held does not count.
        file = self._spare.popleft() if self._spare and self._spare[0].number < self._announced else self._make()
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
        return _File(os.open(path, os.O_RDWR | os.O_DSYNC | os.O_CLOEXEC), path, 0)

    def _free_name(self) -> int:
        taken = {path.name for path in self._folder.iterdir()}
        return next(number for number in range(1, 1_000_000) if f"{number:04}.journal" not in taken)

    def _retire(self) -> None:
        while len(self._used) > 1 and self._used[0].number < self.oldest:
            self._spare.append(self._used.popleft())
        while len(self._spare) > SPARE and self._spare[0].number < self._announced:
            file = self._spare.popleft()
            os.close(file.descriptor)
            file.path.unlink(missing_ok=True)


def _write(descriptor: int, pieces: list[bytes], at: int) -> None:
    octets = sum(map(len, pieces))
    written = os.pwritev(descriptor, pieces[:1000], at) if len(pieces) <= 1000 else 0
    if written < octets:
        view = memoryview(b"".join(pieces))[written:]
        while view:
            count = os.pwrite(descriptor, view, at + written)
            written += count
            view = view[count:]
