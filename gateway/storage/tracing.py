"""The trace as everybody but storage sees it, whichever engine keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.observe.events import Event
from gateway.storage.record import Keeper, Prepared


class Traces(Keeper, Protocol):
    """Keeps records and finds them again. Calls raise StorageFull, StorageBroken, SealBroken."""

    async def put(self, records: Sequence[Prepared]) -> None:
        """Store `records` in one transaction. One that is there already changes nothing."""

    async def sync(self) -> None:
        """What was put before is on disk when this returns. Raises OSError."""

    async def find(
        self,
        id: str | None = None,  # noqa: A002 - the word of the command line
        message_id: str | None = None,
        sender: str | None = None,
        recipient: str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> list[tuple[str, list[Event]]]:
        """Messages to which everything that was asked applies, newest first, each with its events in order of time.

        `id` is a queue id (Q), a delivery's (Q.1) or a session's; addresses are whole (any case; `<>` is the null
        sender) or domains (`@corp.example`, `corp.example`); `since` in seconds since 1970 is when a message came.
        """

    async def erase(self, before: float, limit: int = ...) -> int:
        """Erase at most `limit` records of before `before` (seconds since 1970), oldest first; how many there were."""
