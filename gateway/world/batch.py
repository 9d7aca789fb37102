"""Short works of one loop, gathered for a few of its turns and done one behind the other.

In a busy process most of the time of a short work goes by while its code and data come back into the processor's
caches, which all else between two messages has emptied. So works of a kind wait for each other a little: the next ones
find warm what the first one fetched. Leaves out: works that take long, which belong on a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

# Turns of the loop: with ten sessions in a worker three to four messages come meanwhile. Where nothing else is to be
# done they take some 50 us.
TURNS: Final = 10
MOST: Final = 8  # Works that are done without anybody else having a turn.

_Made = TypeVar("_Made")


class Batch:
    """Of one process, for works of one kind."""

    __slots__ = ("_loop", "_turns", "_waiting")

    def __init__(self, turns: int = TURNS) -> None:
        self._turns = turns
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []

    async def run(self, work: Callable[[], _Made]) -> _Made:
        """What `work` makes, within some turns of the loop, on its thread. Raises what it raises; that is nothing to
        the others.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[_Made | None, BaseException | None]] = loop.create_future()
        if self._loop is not loop:  # What an ended one left undone, nobody waits for.
            self._waiting = []
            self._loop = loop
        self._waiting.append((done, work))
        if len(self._waiting) == 1:
            loop.call_soon(self._turn, loop, self._turns)
        made, error = await done
        if error is not None:
            raise error
        return made  # type: ignore[return-value]  # As `work` made it.

    async def turn(self) -> None:
        """Only wait for others: what each does on returning, up to where it waits again, is done in a row too."""
        await self.run(_nothing)

    def _turn(self, loop: asyncio.AbstractEventLoop, left: int) -> None:
        if left and len(self._waiting) < MOST:
            loop.call_soon(self._turn, loop, left - 1)
            return
        now, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        if self._waiting:
            loop.call_soon(self._turn, loop, 0)
        for done, work in now:
            if done.done():  # Whoever waited for it gave up.
                continue
            try:
                done.set_result((work(), None))
            except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
                done.set_result((None, error))


def _nothing() -> None:
    pass
