"""How records get from a spool to the trace, as everybody but storage sees it, whichever engine keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from gateway.storage.record import Prepared

S = TypeVar("S", contravariant=True)


class Moving(Protocol[S]):
    """One for each process, for all its spools, which are of the kind S. `failing`: the trace takes nothing now."""

    @property
    def failing(self) -> bool:
        """Whether the trace takes nothing now."""

    @property
    def is_full(self) -> bool:
        """Whether so much waits that no more mail should be taken."""

    def move(self, spool: S, records: Sequence[Prepared], then: Callable[[], Any] | None = None) -> None:
        """Carry `records`, which `spool` has on disk, and call `then` once they are in the trace."""

    async def recover(self, spool: S) -> None:
        """Carry what a former process left in `spool`."""

    async def run(self) -> None:
        """Carry, for ever."""

    async def finish(self, seconds: float) -> None:
        """Wait until all that was given is carried, at most so long."""
