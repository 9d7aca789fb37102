"""What all processes share besides the queue, as everybody but storage sees it, whichever engine keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from gateway.storage.keyrows import KeyRow

T = TypeVar("T")


class SharedStore(Protocol):
    """Domain keys, accounts, names. Calls raise StorageFull, StorageBroken, or what their function raises."""

    async def call(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
        """The result of `run`, once its transaction is on disk. `read`: it only reads."""

    def run(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
        """As `call`, for the command line and for the start of a process: it blocks."""

    def keys(self) -> list[KeyRow]:
        """Every wrapped domain key. Blocks."""

    def add_missing_keys(self, rows: Iterable[KeyRow]) -> None:
        """Add those rows whose organisation, purpose and version are not there yet, in one transaction. Blocks."""

    def replace_keys(self, changes: Sequence[tuple[KeyRow, KeyRow]]) -> None:
        """Put each second row in the place of the first, in one transaction. Blocks; raises KeyRowsChanged."""

    def scrub(self, tables: Sequence[str]) -> None:
        """Let go of what earlier rows of these tables left beside the rows that are there, as far as the engine can.

        Blocks. What disks, backups and archives of the engine's log hold is out of reach. Raises StorageBroken.
        """

    def close(self) -> None:
        """Do what was asked for and close. Blocks. Nothing may be asked for afterwards."""
