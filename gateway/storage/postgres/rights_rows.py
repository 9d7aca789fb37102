"""The rows of rights-managed messages on PostgreSQL: in the transaction that stores the message itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from gateway.storage.postgres.arrays import Array, Longs, Octets, Texts
from gateway.storage.postgres.connection import Connection
from gateway.storage.rights_rows import RightsRow

_Kinds: TypeAlias = tuple[type[Array], ...]
_MESSAGE: Final[_Kinds] = (Texts, Texts, Longs, Texts, Longs, Longs, Longs, Texts, Octets, Octets, Octets)
_LINK: Final[_Kinds] = (Texts, Octets, Texts, Longs)
PUT: Final = (
    "WITH messages AS (INSERT INTO rights_messages"
    "(organisation, work, message, queue, created, expires, size, stored, sealed, key, copy)"
    " SELECT * FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b) ON CONFLICT DO NOTHING)"
    " INSERT INTO rights_links(organisation, link, work, reader)"
    " SELECT * FROM unnest(%b, %b, %b, %b) ON CONFLICT DO NOTHING"
)
COLUMNS: Final = (*_MESSAGE, *_LINK)


def put(db: Connection, rows: Sequence[RightsRow]) -> None:
    """Store `rows` in the caller's transaction: one statement, however many there are. What is there already changes
    nothing. Raises psycopg.Error.
    """
    if rows:
        db.execute(PUT, arrays(rows))


def arrays(rows: Sequence[RightsRow]) -> list[Array]:
    """What PUT takes, the arrays of COLUMNS."""
    messages = [row.values() for row in rows]
    links = [link for row in rows for link in row.link_values()]
    return [
        *(kind(row[place] for row in messages) for place, kind in enumerate(_MESSAGE)),
        *(kind(link[place] for link in links) for place, kind in enumerate(_LINK)),
    ]
