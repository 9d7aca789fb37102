"""What keeps large content outside the database: begun, written piece by piece, finished, read, deleted by name.

Names are message ids: letters, digits, dots and hyphens. What is stored is sealed before it comes here; a store sees
octets that mean nothing to it. `FolderBlobs`, `ObjectBlobs` (S3) and PostgreSQL's table of segments fulfil this.
Leaves out: changing a blob, and any sharing of names between two databases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Protocol

from gateway.storage.sealer import SealBroken
from gateway.storage.writer import StorageBroken

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,127}")


class BlobsAway(StorageBroken):
    """The store does not answer, or refuses us. Passing: mail is answered 451, deliveries wait."""


class BlobGone(SealBroken):
    """There is no such blob, or it is shorter than was asked for. The delivery is held for somebody to look at."""


class BlobWriter(Protocol):
    """One blob that is being written. Ends with `finish` or `abandon`; nobody sees it before `finish` returned."""

    async def write(self, octets: bytes) -> None:
        """Take the next octets. Raises StorageFull, BlobsAway; then only `abandon` is left."""

    async def finish(self) -> None:
        """Durable when this returns, whatever happens to the machine. Raises StorageFull, BlobsAway."""

    async def abandon(self) -> None:
        """Forget what was written. Never raises; what could not be taken away is an orphan, and cleared later."""


class Blobs(Protocol):
    """A store that one database has to itself; processes on several machines may use it at once."""

    async def begin(self, name: str) -> BlobWriter:
        """Room for a new blob. Raises StorageFull, BlobsAway."""

    async def read(self, name: str, start: int, length: int) -> bytes:
        """Exactly these octets. Raises BlobGone, BlobsAway."""

    async def delete(self, name: str) -> None:
        """Take it away, finished or not; one that is not there is no fault. Raises BlobsAway."""

    async def names(self, before: float | None = None) -> set[str]:
        """Every finished blob. Raises BlobsAway.

        With `before` (seconds since 1970): those that were last written earlier, as far as the store can tell those too
        that were never finished.
        """


def checked(name: str) -> str:
    """`name`, which is safe as a file's name and in an object's key. Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError("a blob's name has letters, digits, dots and hyphens")
    return name


def joined(rows: Iterable[tuple[int, bytes]], start: int, length: int) -> bytes | None:
    """`length` octets from `start` on, out of pieces that follow each other, each with its place; None: not all there.

    Large pieces are copied once.
    """
    parts: list[memoryview] = []
    found = 0
    for at, octets in rows:
        if at > start + found:
            break
        part = memoryview(octets)[max(0, start - at) : max(0, start + length - at)]
        parts.append(part)
        found += len(part)
    return b"".join(parts) if found == length else None
