"""The mover's place on PostgreSQL, where nothing has to be moved: trace and message are one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gateway.storage.record import Prepared


class Direct:
    """Fulfils `gateway.storage.moving.Moving`."""

    failing = False
    is_full = False

    def move(self, spool: object, records: Sequence[Prepared], then: Callable[[], Any] | None = None) -> None:
        """`records` were written with their message; `then` is called at once."""
        if then is not None:
            then()

    async def recover(self, spool: object) -> None:
        """Nothing is ever left."""

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.Event().wait()

    async def finish(self, seconds: float) -> None:
        """Nothing is on its way."""
