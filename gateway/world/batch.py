"""Short works of one loop, gathered for a few of its turns and done one behind the other.

In a busy process most of the time of a short work goes by while its code and data come back into the processor's
caches, which all else between two messages has emptied. So works of a kind wait for each other a little: the next ones
find warm what the first one fetched. Leaves out: works that take long, which belong on a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Final, TypeVar, cast

# Turns of the loop: with ten sessions in a worker three to four messages come meanwhile. Where nothing else is to be
# done they take some 20 us.
TURNS: Final = 10
MOST: Final = 8  # Works that are done without anybody else having a turn.

_Made = TypeVar("_Made")
_Steps = Generator[None, None, _Made]


class Batch:
    """Of one process, for works of one kind."""

    __slots__ = ("_loop", "_turns", "_waiting")

    def __init__(self, turns: int = TURNS) -> None:
        self._turns = turns
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[asyncio.Future[Any], _Steps[Any]]] = []

    async def run(self, work: _Steps[_Made]) -> _Made:
        """What `work` returns, within some turns of the loop, on its thread. Each step of it, up to a `yield`, is done
        for all before the next step of any. Raises what it raises; that is nothing to the others.
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
        return made  # type: ignore[return-value]  # As `work` returned it.

    async def turn(self) -> None:
        """Only wait for others: what each does on returning, up to where it waits again, is done in a row too."""
        await self.run(_nothing())

    def _turn(self, loop: asyncio.AbstractEventLoop, left: int) -> None:
        if left and len(self._waiting) < MOST:
            loop.call_soon(self._turn, loop, left - 1)
            return
        now, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        if self._waiting:
            loop.call_soon(self._turn, loop, 0)
        while now:
            now = [one for one in now if _goes_on(*one)]


def as_step(work: Callable[[], _Made]) -> Generator[None, None, _Made]:
    """What `work` makes, as one step."""
    return work()
    yield


def finished(work: Generator[None, None, _Made]) -> _Made:
    """What `work` returns, all its steps done at once."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return cast(_Made, end.value)


def _goes_on(done: asyncio.Future[Any], work: _Steps[Any]) -> bool:
    """The next step; whether there is one more."""
    if done.done():  # Whoever waited for it gave up.
        work.close()
        return False
    try:
        next(work)
    except StopIteration as end:
        done.set_result((end.value, None))
    except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
        done.set_result((None, error))
    else:
        return True
    return False


def _nothing() -> _Steps[None]:
    return
    yield
