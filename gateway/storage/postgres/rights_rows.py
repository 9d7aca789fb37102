"""The rows of rights-managed messages on PostgreSQL: in the transaction that stores the message itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from gateway.storage.rights_rows import RightsRow

MESSAGE: Final = (
    "INSERT INTO rights_messages"
    "(organisation, work, message, queue, created, expires, size, stored, sealed, key, copy)"
    " VALUES (%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b) ON CONFLICT DO NOTHING"
)
LINK: Final = (
    "INSERT INTO rights_links(organisation, link, work, reader) VALUES (%b, %b, %b, %b) ON CONFLICT DO NOTHING"
)


def statements(rows: Iterable[RightsRow]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What stores them, each statement with its values; what is there already changes nothing."""
    for row in rows:
        yield MESSAGE, row.values()
        for values in row.link_values():
            yield LINK, values
