"""Blobs in the shared database itself: where there is no other store for large copies, as with PostgreSQL alone.

Leaves out: what a spool's store owes to a message that is being accepted (`gateway.storage.postgres.segments`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, Executable, delete, func, insert, select

from gateway.storage.accounts import Transactions
from gateway.storage.blobs import BlobGone, BlobsAway, checked, joined
from gateway.storage.tables import rights_pieces
from gateway.storage.writer import StorageBroken

T = TypeVar("T")

MAX_PIECE: Final = 2 << 20  # Octets in one row.
_UNFINISHED: Final = "new."  # In front of a name until it is finished; no name of a copy begins so.


class PieceBlobs:
    """Fulfils `Blobs` over the table `rights_pieces`."""

    def __init__(self, shared: Transactions, now: Callable[[], float]) -> None:
        """`now`: seconds since 1970."""
        self.shared = shared
        self.now = now

    def __repr__(self) -> str:
        return "PieceBlobs()"

    async def begin(self, name: str) -> PieceWriter:
        """Room for a new blob."""
        return PieceWriter(self, checked(name))

    async def read(self, name: str, start: int, length: int) -> bytes:
        """Exactly these octets. Raises BlobGone, BlobsAway."""
        piece = rights_pieces.c

        def look(connection: Connection) -> list[tuple[int, bytes]]:
            first = select(func.max(piece.start)).where(piece.name == name, piece.start <= start).scalar_subquery()
            rows = select(piece.start, piece.octets).where(
                piece.name == name, piece.start >= first, piece.start < start + length
            )
            return [(int(at), bytes(octets)) for at, octets in connection.execute(rows.order_by(piece.start))]

        found = joined(await self._call(look, read=True), start, length)
        if found is None:
            raise BlobGone(f"the copy {checked(name)} is cut off or gone")
        return found

    async def delete(self, name: str) -> None:
        """Take it away, finished or not. Raises BlobsAway."""
        names = (checked(name), _UNFINISHED + name)
        await self._do(delete(rights_pieces).where(rights_pieces.c.name.in_(names)))

    async def names(self, before: float | None = None) -> set[str]:
        """See Blobs: with `before` the unfinished too. Raises BlobsAway."""
        piece = rights_pieces.c
        query = select(piece.name).group_by(piece.name)
        if before is not None:
            query = query.having(func.max(piece.made) < int(before * 1000))
        found = await self._call(lambda connection: set(connection.execute(query).scalars()), read=True)
        if before is None:
            return {name for name in found if not name.startswith(_UNFINISHED)}
        return {name.removeprefix(_UNFINISHED) for name in found}

    async def add(self, name: str, start: int, octets: bytes) -> None:
        """One piece of a blob that is being written. Raises StorageFull, BlobsAway."""
        row = {"name": _UNFINISHED + name, "start": start, "made": int(self.now() * 1000), "octets": octets}

        def run(connection: Connection) -> None:
            if connection.dialect.name == "postgresql":  # Its log reaches the disk in its order, so `finished` waits.
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            connection.execute(insert(rights_pieces).values(**row))

        await self._call(run)

    async def finished(self, name: str) -> None:
        """From now on it is a blob, all of it on disk. Raises StorageFull, BlobsAway."""
        change = rights_pieces.update().where(rights_pieces.c.name == _UNFINISHED + name).values(name=name)
        await self._do(change)

    async def _do(self, statement: Executable) -> None:
        def run(connection: Connection) -> None:
            connection.execute(statement)

        await self._call(run)

    async def _call(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
        try:
            return await self.shared.call(run, read=read)
        except StorageBroken as error:
            raise BlobsAway(str(error)) from error


class PieceWriter:
    """Fulfils `BlobWriter`."""

    __slots__ = ("_at", "_blobs", "_name")

    def __init__(self, blobs: PieceBlobs, name: str) -> None:
        self._blobs = blobs
        self._name = name
        self._at = 0

    async def write(self, octets: bytes) -> None:
        """Raises StorageFull, BlobsAway."""
        for first in range(0, len(octets), MAX_PIECE):
            piece = octets[first : first + MAX_PIECE]
            await self._blobs.add(self._name, self._at, piece)
            self._at += len(piece)

    async def finish(self) -> None:
        """Give it its name. Raises StorageFull, BlobsAway."""
        await self._blobs.finished(self._name)

    async def abandon(self) -> None:
        """Forget what was written; what can't be deleted now is cleared later."""
        try:
            await self._blobs.delete(self._name)
        except Exception:  # noqa: BLE001, S110 - whatever it is: it is an orphan then
            pass
