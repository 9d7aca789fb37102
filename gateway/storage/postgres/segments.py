"""Large content in the database itself: a row for each piece, written while DATA comes, on a connection of its own.

That one's commits wait for no disk: pieces lie in the server's log before the transaction that accepts their message,
finds them all there and is waited for, and the log reaches the disk in its order. A server that crashes before has lost
pieces of messages that were never answered with 250; likewise a blob that was deleted may be back, for `orphans`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from gateway.storage.blobs import BlobGone, BlobsAway, checked, joined
from gateway.storage.content import OVERHEAD, SEGMENT, START
from gateway.storage.postgres.batch import Batch
from gateway.storage.postgres.connection import Connection
from gateway.storage.postgres.writer import Run, T, Writer
from gateway.storage.writer import StorageBroken

MAX_PIECE: Final = 2 << 20  # Octets in one row: what one look reads, and what a statement carries.

_MADE: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_INSERT: Final = f"INSERT INTO message_segments(name, start, node, made, octets) VALUES (%s, %s, %s, {_MADE}, %b)"  # noqa: S608
# From the piece in which `from` lies; pieces follow each other without gaps.
_READ: Final = (
    "SELECT start, octets FROM message_segments WHERE name = %s AND start < %s AND start >="
    " (SELECT max(start) FROM message_segments WHERE name = %s AND start <= %s) ORDER BY start"
)
# Whoever is just accepting the message holds the pieces: then it is there when they are to be deleted, and they stay.
_LOCK: Final = "SELECT 1 FROM message_segments WHERE name = %s FOR UPDATE"
_DELETE: Final = (
    "DELETE FROM message_segments WHERE name = %s AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = %s)"
)
_NAMES: Final = "SELECT DISTINCT name FROM message_segments"
_OLD: Final = "SELECT name FROM message_segments GROUP BY name HAVING max(made) < %s"
_HELD: Final = "SELECT octet_length(octets) FROM message_segments WHERE name = %s FOR KEY SHARE"


class PostgresBlobs:
    """Fulfils `Blobs`. The connection is opened with the first large message."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        *,
        node: str,
        where: str,
        monotonic: Callable[[], float],
        tell: Callable[..., None],
    ) -> None:
        self.node = node
        self._connect = connect
        self._where = where
        self._monotonic = monotonic
        self._tell = tell
        self._opening = asyncio.Lock()
        self._writer: Writer | None = None

    def __repr__(self) -> str:
        return "PostgresBlobs()"

    async def begin(self, name: str) -> PostgresBlobWriter:
        """Room for a new blob."""
        return PostgresBlobWriter(self, checked(name))

    async def read(self, name: str, start: int, length: int) -> bytes:
        """Exactly these octets. Raises BlobGone, BlobsAway."""
        rows = await self.do(rows_of(_READ, (checked(name), start + length, name, start)))
        if (found := joined(rows, start, length)) is None:
            raise BlobGone(f"the content of {name} is {'cut off' if rows else 'gone'}")
        return found

    async def delete(self, name: str) -> None:
        """Take it away, unless a message has it. Raises BlobsAway."""

        def run(batch: Batch) -> Callable[[], None]:
            batch.execute(_LOCK, (checked(name),))
            batch.execute(_DELETE, (name, name))
            return lambda: None

        await self.do(run)

    async def names(self, before: float | None = None) -> set[str]:
        """Every blob, the unfinished too; with `before` those last written earlier, by the database's clock."""
        query, arguments = (_NAMES, ()) if before is None else (_OLD, (int(before * 1000),))
        return {name for (name,) in await self.do(rows_of(query, arguments))}

    async def do(self, run: Run[T]) -> T:
        """Raises StorageFull, BlobsAway."""
        try:
            return await (self._writer or await self._open()).do(run)
        except StorageBroken as error:
            raise BlobsAway(str(error)) from error

    def insert(self, name: str, start: int, octets: bytes) -> Run[None]:
        """The work that stores one piece."""

        def run(batch: Batch) -> Callable[[], None]:
            batch.execute(_INSERT, (name, start, self.node, octets))
            return lambda: None

        return run

    def demand(self, batch: Batch, name: str, size: int) -> Callable[[], None]:
        """In the transaction that accepts a message of `size` octets: keep its pieces from being cleared away.

        The answer, to be called when the statements have run, raises StorageBroken where they are not all there.
        """
        cursor = batch.execute(_HELD, (name,))
        wanted = START + size + OVERHEAD * max(1, -(-size // SEGMENT))

        def check() -> None:
            if sum(length for (length,) in cursor.fetchall()) != wanted:
                raise StorageBroken(f"the content of {name} was cleared away before it was accepted")

        return check

    def close(self) -> None:
        """Blocks."""
        if self._writer is not None:
            self._writer.close()

    async def _open(self) -> Writer:
        async with self._opening:
            if self._writer is None:
                loop = asyncio.get_running_loop()
                writer = Writer(
                    self._connect,
                    lambda db: Batch(db, self.node),
                    where=self._where,
                    name="content",
                    monotonic=self._monotonic,
                    observe=lambda works, seconds: None,
                    tell=self._tell,
                    relies=False,
                )
                await loop.run_in_executor(None, writer.start, loop)
                self._writer = writer
            return self._writer


class PostgresBlobWriter:
    """Fulfils `BlobWriter`, but that all is durable with the commit that accepts the message, and not before."""

    __slots__ = ("_at", "_blobs", "_name")

    def __init__(self, blobs: PostgresBlobs, name: str) -> None:
        self._blobs = blobs
        self._name = name
        self._at = 0

    async def write(self, octets: bytes) -> None:
        """Raises StorageFull, BlobsAway."""
        for first in range(0, len(octets), MAX_PIECE):
            piece = octets[first : first + MAX_PIECE]
            await self._blobs.do(self._blobs.insert(self._name, self._at, piece))
            self._at += len(piece)

    async def finish(self) -> None:
        """All of it is there for whoever looks."""

    async def abandon(self) -> None:
        """Forget what was written; what can't be deleted now is cleared later."""
        try:
            await self._blobs.delete(self._name)
        except Exception:  # noqa: BLE001, S110 - whatever it is: it is an orphan then
            pass


def rows_of(query: str, arguments: tuple[Any, ...]) -> Run[list[tuple[Any, ...]]]:
    """The work that asks for rows."""

    def run(batch: Batch) -> Callable[[], list[tuple[Any, ...]]]:
        return batch.execute(query, arguments).fetchall

    return run
