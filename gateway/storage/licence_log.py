"""The licence log: every use licence that was given or refused, sealed, in the shared database.

Rows are added, and removed from the front when they are old; none is changed. Runs on SQLite and PostgreSQL alike.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import count
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, delete, select

from gateway.storage.inserting import insert_into
from gateway.storage.rights_model import LicenceEntry
from gateway.storage.sealer import SealBroken, Sealer
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import licence_log
from gateway.storage.together import Together

PURPOSE: Final = "portal"
ORGANISATION: Final = "default"
MOST_ERASED: Final = 5000  # Rows removed in one transaction.
_MARK: Final = b"\x01"


class LicenceLog:
    """The table `licence_log`. Raises StorageFull, StorageBroken, SealBroken, KeysClosed."""

    def __init__(self, shared: SharedStore, sealer: Sealer) -> None:
        self._shared = shared
        self._sealer = sealer
        self._together = Together(shared)
        self._count = count()

    def __repr__(self) -> str:
        return "LicenceLog()"

    async def add(self, entry: LicenceEntry) -> None:
        """Write it down; on disk when this returns."""
        work, time = _work(entry.work), int(entry.time * 1000)
        sealed = self._sealer.seal(PURPOSE, _record(work, time), _MARK + _plain(entry))
        # Counted, so that one process' lines of a millisecond stay in order; each sealing is another, so that those of
        # two processes differ.
        uid = next(self._count) % (1 << 31) << 32 | int.from_bytes(sha256(sealed).digest()[:4], "big")
        row = {"organisation": ORGANISATION, "time": time, "uid": uid, "work": work, "sealed": sealed}

        def write(connection: Connection) -> None:
            connection.execute(insert_into(connection, licence_log).values(**row).on_conflict_do_nothing())

        await self._together.do(write)

    async def of(self, work: UUID, most: int = 1000) -> list[LicenceEntry]:
        """What is known of one message's licences, the oldest first; of more than `most` the newest."""
        return (await self._read(most, _work(work)))[::-1]

    async def latest(self, most: int) -> list[LicenceEntry]:
        """At most so many, the newest first."""
        return await self._read(most, None)

    async def erase(self, before: float) -> int:
        """Remove what is older than `before` (seconds since 1970), some thousand rows at most; how many."""
        row = licence_log.c

        def write(connection: Connection) -> int:
            old = (
                select(row.time, row.uid)
                .where(row.organisation == ORGANISATION, row.time < int(before * 1000))
                .order_by(row.time)
                .limit(MOST_ERASED)
            )
            rows = connection.execute(old).all()
            for time, uid in rows:
                mine = (row.organisation == ORGANISATION, row.time == time, row.uid == uid)
                connection.execute(delete(licence_log).where(*mine))
            return len(rows)

        return await self._shared.call(write)

    async def _read(self, most: int, work: str | None) -> list[LicenceEntry]:
        row = licence_log.c
        query = select(row.work, row.time, row.sealed).where(row.organisation == ORGANISATION)
        if work is not None:
            query = query.where(row.work == work)
        query = query.order_by(row.time.desc(), row.uid.desc()).limit(most)

        def read(connection: Connection) -> list[LicenceEntry]:
            return [self._opened(one.work, int(one.time), bytes(one.sealed)) for one in connection.execute(query)]

        return await self._shared.call(read, read=True)

    def _opened(self, work: str, time: int, sealed: bytes) -> LicenceEntry:
        record = _record(work, time)
        plain = self._sealer.open(PURPOSE, record, sealed)
        if plain[:1] != _MARK:
            raise SealBroken(f"the {PURPOSE} record {record} has an unknown version mark: a newer gateway wrote it")
        facts: dict[str, Any] = orjson.loads(plain[1:])
        rights = tuple(facts.pop("rights"))
        return LicenceEntry(work=UUID(work) if work else None, rights=rights, **facts)


def _plain(entry: LicenceEntry) -> bytes:
    return orjson.dumps(
        {
            "time": entry.time,
            "principal": entry.principal,
            "by": entry.by,
            "purpose": entry.purpose,
            "given": entry.given,
            "reason": entry.reason,
            "client": entry.client,
            "rights": entry.rights,
        }
    )


def _work(work: UUID | None) -> str:
    return "" if work is None else str(work)


def _record(work: str, time: int) -> str:
    return f"licence {work or '-'} {time}"
