"""Rows of domain keys in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.storage.keyrows import KeyRow, KeyRowsChanged
from gateway.storage.writer import StorageBroken


class MemoryKeys:
    """As the shared database does, it keeps the first of two rows that stand for the same key.

    `writes` counts the rows of each transaction that replaced some. Switches: `away`; `before_write` is called before
    something is replaced, as somebody else who is quicker.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, int], KeyRow] = {}
        self.away = False
        self.writes: list[int] = []

    def before_write(self) -> None:
        """Nobody is quicker."""

    def row(self, purpose: str, version: int = 1) -> KeyRow:
        return self.rows["default", purpose, version]

    def put(self, row: KeyRow) -> None:
        """What another process, or somebody with the database in his hands, has written."""
        self.rows[row.organisation, row.purpose, row.version] = row

    def keys(self) -> list[KeyRow]:
        if self.away:
            raise StorageBroken("the database is away")
        return list(self.rows.values())

    def add_missing_keys(self, rows: Iterable[KeyRow]) -> None:
        for row in rows:
            self.rows.setdefault((row.organisation, row.purpose, row.version), row)

    def replace_keys(self, changes: Sequence[tuple[KeyRow, KeyRow]]) -> None:
        self.before_write()
        for before, _ in changes:
            if self.rows[before.organisation, before.purpose, before.version] != before:
                raise KeyRowsChanged(f"{before.purpose} was changed")
        for _, after in changes:
            self.put(after)
        self.writes.append(len(changes))
