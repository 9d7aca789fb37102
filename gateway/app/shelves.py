"""Where the spools of a gateway keep large content, as a backup reads it: files, or a store of blobs."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from gateway.app.blobs import open_blobs
from gateway.app.places import Places
from gateway.settings.load import Loaded
from gateway.storage import snapshot
from gateway.storage.archive import PIECE, pieces_of
from gateway.storage.blobs import BlobGone, Blobs
from gateway.storage.content import stored_size
from gateway.storage.owner import OWNER
from gateway.storage.spool import CONTENT
from gateway.world.clock import Clock

_READ: Final = 4 * PIECE  # Octets asked of a store of blobs at once.


class Shelves:
    """Used in a `with` block, off any event loop: it has one of its own for the store of blobs."""

    def __init__(self, settings: Loaded, places: Places, clock: Clock) -> None:
        self._settings = settings
        self._places = places
        self._clock = clock
        self._runner = asyncio.Runner()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="backup")
        self._blobs: dict[int, Blobs | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._runner.close()
        self._executor.shutdown(wait=True)

    @contextmanager
    def opened(self, number: int, id_: str, size: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The sealed octets of the message `id_` in the spool `number`, and how many they are.

        `size` is that of the message. Raises BlobGone (it is not there, or not whole), BlobsAway, OSError.
        """
        wanted = stored_size(size)
        path = self._places.spool(number) / CONTENT / id_
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            yield wanted, self._from_blob(number, id_, wanted)
            return
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size != wanted:
                raise BlobGone(f"the content of {id_} is cut off")
            yield wanted, pieces_of(file)

    def _from_blob(self, number: int, id_: str, wanted: int) -> Iterator[bytes]:
        blobs = self._store(number)
        if blobs is None:
            raise BlobGone(f"the content file of {id_} is gone")
        for start in range(0, wanted, _READ):
            yield self._runner.run(_read(blobs, id_, start, min(_READ, wanted - start)))

    def _store(self, number: int) -> Blobs | None:
        if number not in self._blobs:
            name = snapshot.fact(self._places.shared, OWNER)
            self._blobs[number] = (
                None if name is None else open_blobs(self._settings, f"{name}/{number}", self._executor, self._clock)
            )
        return self._blobs[number]


async def _read(blobs: Blobs, name: str, start: int, length: int) -> bytes:
    return await blobs.read(name, start, length)
