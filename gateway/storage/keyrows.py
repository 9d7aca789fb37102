"""A wrapped domain key as storage keeps it. Storage can't open it; keys can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, update

from gateway.storage.tables import domain_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One row of domain_keys. `created`: milliseconds since 1970; `wrapped` begins with the vault's version mark."""

    organisation: str
    purpose: str
    version: int
    vault: str
    root: str
    root_version: int
    wrapped: bytes = field(repr=False)
    created: int


class KeyRowsChanged(Exception):
    """Somebody else has changed the wrapping of a domain key since it was read. The text names it."""


def replace_rows(connection: Connection, changes: Sequence[tuple[KeyRow, KeyRow]]) -> None:
    """Put each second row in the place of the first: vault, root and wrapping alone. Raises KeyRowsChanged.

    In the transaction that is open, which whoever called undoes where this raises.
    """
    table = domain_keys
    for before, after in _in_order(changes):
        done = connection.execute(
            update(table)
            .where(
                table.c.organisation == before.organisation,
                table.c.purpose == before.purpose,
                table.c.version == before.version,
                table.c.wrapped == before.wrapped,
            )
            .values(vault=after.vault, root=after.root, root_version=after.root_version, wrapped=after.wrapped)
        )
        if done.rowcount != 1:
            raise KeyRowsChanged(
                f"the domain key {before.purpose!r} (version {before.version}) was changed by somebody else meanwhile"
            )


def _in_order(changes: Iterable[tuple[KeyRow, KeyRow]]) -> list[tuple[KeyRow, KeyRow]]:
    """In one order everywhere, so that two who change rows at once never wait for each other."""
    return sorted(changes, key=lambda pair: (pair[0].organisation, pair[0].purpose, pair[0].version))
