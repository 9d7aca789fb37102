"""The files of the journal: segments of one size, used again when nothing in them counts any more.

A file keeps its blocks and its length, so that writing it durably changes nothing but its octets. Runs on the journal's
thread; leaves out what stands in the files.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.storage.content import sync_folder
from gateway.storage.entries import HEAD, PAGE, BadEntry, Batch, batch, batch_size, read_batch
from gateway.storage.group import StorageBroken, StorageFull

SIZE: Final = 4 << 20
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
        self._at = 0
        self._number = 0  # Of the segment that is written to.

    def recover(self) -> tuple[list[Batch], list[str]]:
        """Every batch that counts, in order, and what was found damaged, in words. To be called once, first.

        What is appended comes behind them. Raises OSError.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        faults: list[str] = []
        found: dict[int, list[Batch]] = {}
        files: list[_File] = []
        for path in sorted(self._folder.glob("*.journal")):
            if path.stat().st_size < SIZE:  # A process died while it was made.
                path.unlink()
                continue
            files.append(_File(os.open(path, os.O_RDWR | os.O_DSYNC | os.O_CLOEXEC), path, 0))
            if batches := _read(files[-1], faults):
                found[files[-1].number] = batches
        self.oldest = self._announced = max((one.oldest for batches in found.values() for one in batches), default=1)
        for file in sorted(files, key=lambda file: file.number):
            (self._used if file.number >= self.oldest else self._spare).append(file)
        self._number = max((file.number for file in files), default=0)
        if self._used:
            self._at = found[self._number][-1].ends
        return [one for file in self._used for one in found[file.number]], faults

    def append(self, entries: Sequence[bytes]) -> list[Place]:
        """Write them; on disk when this returns. Raises StorageFull, StorageBroken; they may be there all the same."""
        size = batch_size(sum(map(len, entries)))
        try:
            if not self._used or self._at + size > SIZE:
                self._begin()
            file = self._used[-1]
            oldest = self.oldest
            _write(file.descriptor, batch(self._number, oldest, entries), self._at)
        except OSError as error:
            self._at = SIZE  # What stands there is uncertain: go on in another file.
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise StorageFull("the disk with the spool is full") from error
            raise StorageBroken(f"the journal in {self._folder} can't be written: {error.strerror}") from error
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


def _read(file: _File, faults: list[str]) -> list[Batch]:
    """The batches of the newest segment in a file. What stands behind them is of its former uses."""
    octets = file.path.read_bytes()
    batches: list[Batch] = []
    at = 0
    gap = False
    while at < len(octets):
        try:
            one = read_batch(octets, at)
        except BadEntry as error:
            faults.append(f"{file.path.name} at {at}: {error}")
            one = None
        if one is None or (batches and one.segment < batches[0].segment):
            # The end; but where the disk has damaged something in the middle, what stands behind it still counts.
            gap = gap or at > 0
            at += PAGE
            continue
        if batches and one.segment > batches[0].segment:
            # It was begun anew, and its beginning is damaged.
            batches = []
        if batches and gap and batches[-1].ends < at:
            faults.append(f"{file.path.name} is damaged between {batches[-1].ends} and {at}")
        gap = False
        batches.append(one)
        at = one.ends
    file.number = batches[0].segment if batches else 0
    return batches


def _write(descriptor: int, pieces: list[bytes], at: int) -> None:
    octets = sum(map(len, pieces))
    written = os.pwritev(descriptor, pieces[:1000], at) if len(pieces) <= 1000 else 0
    if written < octets:
        view = memoryview(b"".join(pieces))[written:]
        while view:
            count = os.pwrite(descriptor, view, at + written)
            written += count
            view = view[count:]
