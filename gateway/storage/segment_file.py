"""One file of the journal as it is read: which segment stands in it, and where its batches are. Changes nothing.

Leaves out: what the entries mean, and which segments count.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.storage.entries import PAGE, BadEntry, Batch, batch_head, batch_size, is_newer, read_batch
from gateway.storage.group import StorageBroken

SIZE: Final = 4 << 20  # Octets of each file.
NAMES: Final = "*.journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The newest segment in a file; `number` 0: there is none. What stands behind it is of the file's former uses."""

    number: int = 0
    oldest: int = 1  # The last word in it on which segment is the oldest that counts.
    begins: tuple[int, ...] = ()  # Where its batches are.
    ends: int = 0  # Where the next one would be.
    gaps: tuple[tuple[int, int], ...] = ()  # What the disk has damaged between them: from, to.

    def faults(self, name: str) -> list[str]:
        """The damage in the file of that name, in words."""
        return [f"{name} is damaged between {start} and {end}" for start, end in self.gaps]


def opened(path: Path, flags: int) -> int:
    """A descriptor of the file. Raises StorageBroken where it is none of ours, OSError."""
    # Not blocking, and not through a link: a pipe of that name must not hold anybody up.
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    facts = os.fstat(descriptor)
    if stat.S_ISREG(facts.st_mode) and facts.st_size <= SIZE:
        return descriptor
    os.close(descriptor)
    raise StorageBroken(
        f"{path} is no file of this gateway's journal: {SIZE} octets would be right. Where a newer gateway wrote it, "
        "use that one; else move it away"
    )


def octets_of(descriptor: int) -> bytes:
    """Everything in the file. Raises OSError."""
    pieces = []
    at = 0
    while at < SIZE and (piece := os.pread(descriptor, SIZE - at, at)):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


def octets_at(path: Path) -> bytes:
    """All octets of one file of a journal, changing nothing. Raises StorageBroken, OSError."""
    descriptor = opened(path, os.O_RDONLY)
    try:
        return octets_of(descriptor)
    finally:
        os.close(descriptor)


def look(octets: bytes, path: Path) -> Found:
    """What stands in the file at `path`. Raises StorageBroken where a newer gateway wrote it."""
    if is_newer(octets):
        raise StorageBroken(f"{path} was written by a newer gateway, which alone can read it; use that one")
    number, oldest, ends = 0, 1, 0
    begins: list[int] = []
    gaps: list[tuple[int, int]] = []
    at = 0
    while at < len(octets):
        head = batch_head(octets, at, max(1, number))
        if head is None:
            # The end; but where the disk has damaged something in the middle, what stands behind it still counts.
            at += PAGE
            continue
        if head.segment > number:  # What was found so far is of a former use.
            number, oldest, ends = head.segment, 1, 0
            begins, gaps = [], []
        if ends < at:  # A segment begins at 0, and each batch where the one before it ends.
            gaps.append((ends, at))
        begins.append(at)
        oldest = max(oldest, head.oldest)
        at = ends = at + batch_size(head.size)
    return Found(number=number, oldest=oldest, begins=tuple(begins), ends=ends, gaps=tuple(gaps))


def batches(octets: bytes, found: Found, name: str, faults: list[str]) -> Iterator[Batch]:
    """Its batches, in order. `faults` takes what can't be read, in words."""
    for at in found.begins:
        try:
            one = read_batch(octets, at)
        except BadEntry as error:
            faults.append(f"{name} at {at}: {error}")
        else:
            if one is not None and one.segment == found.number:
                yield one
