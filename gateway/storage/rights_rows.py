"""A rights-managed message as it lies in a spool on its way to the shared database (DESIGN 4), and its rows there.

What stands in it is sealed already, or is what the shared database has in clear too: works, times, sizes, digests of
links. Runs on SQLite; `gateway.storage.postgres.rights_rows` has the same for PostgreSQL, where nothing has to travel.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.storage.sealer import SealBroken

ORGANISATION: Final = "default"
MARK: Final = b"\x01"
LINK: Final = 32  # Octets of SHA-256.

_MESSAGE: Final = (
    "INSERT OR IGNORE INTO rights_messages"
    "(organisation, work, message, queue, created, expires, size, stored, sealed, key, copy)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_LINK: Final = "INSERT OR IGNORE INTO rights_links(organisation, link, work, reader) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsRow:
    """A row of `rights_messages` (times in milliseconds since 1970), and of `rights_links` the digests, by reader."""

    work: str
    message: int
    queue: str
    created: int
    expires: int | None
    size: int
    stored: str
    sealed: bytes = field(repr=False)
    key: bytes | None = field(repr=False)
    copy: bytes | None = field(repr=False)
    links: tuple[bytes, ...] = field(repr=False)

    def values(self) -> tuple[Any, ...]:
        """The columns of `rights_messages`, in their order."""
        plain = (self.work, self.message, self.queue, self.created, self.expires, self.size, self.stored)
        return (ORGANISATION, *plain, self.sealed, self.key, self.copy)

    def link_values(self) -> list[tuple[Any, ...]]:
        """The rows of `rights_links`."""
        return [(ORGANISATION, link, self.work, reader) for reader, link in enumerate(self.links)]

    def octets(self) -> bytes:
        """As it lies in a spool."""
        plain = (self.work, self.message, self.queue, self.created, self.expires, self.size, self.stored)
        parts = (self.sealed, self.key, self.copy)
        lengths = [None if part is None else len(part) for part in parts]
        head = orjson.dumps((*plain, *lengths, len(self.links)))
        return b"".join([MARK, len(head).to_bytes(4, "big"), head, *[part for part in parts if part], *self.links])


def read_row(octets: bytes) -> RightsRow:
    """What `octets()` gave. Raises SealBroken for what is damaged, or of a newer gateway."""
    if octets[:1] != MARK:
        raise SealBroken("what is kept of a protected message has an unknown version mark: a newer gateway wrote it")
    end = 5 + int.from_bytes(octets[1:5], "big")
    try:
        *plain, sealed, key, copy, links = orjson.loads(octets[5:end])
        parts: list[bytes | None] = []
        for length in (sealed, key, copy, *[LINK] * links):
            parts.append(None if length is None else octets[end : end + length])
            end += length or 0
        if end != len(octets) or parts[0] is None:
            raise ValueError
        work, message, queue, created, expires, size, stored = plain
    except (ValueError, TypeError):
        raise SealBroken("what is kept of a protected message is damaged") from None
    return RightsRow(
        work=work,
        message=message,
        queue=queue,
        created=created,
        expires=expires,
        size=size,
        stored=stored,
        sealed=parts[0],
        key=parts[1],
        copy=parts[2],
        links=tuple(part for part in parts[3:] if part is not None),
    )


def put(db: sqlite3.Connection, rows: Iterable[RightsRow]) -> None:
    """Store them in the caller's transaction; what is there already changes nothing."""
    links: list[tuple[Any, ...]] = []

    def messages() -> Iterator[tuple[Any, ...]]:
        for row in rows:  # One at a time is in memory: a copy may have 128 KiB.
            links.extend(row.link_values())
            yield row.values()

    db.executemany(_MESSAGE, messages())
    db.executemany(_LINK, links)
