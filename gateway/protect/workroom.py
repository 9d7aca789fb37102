"""Where long work on messages is done, and how much of it at once.

A message is held whole, at most four times its size, while it is worked on; of long ones few are in hand at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Final, TypeVar

from gateway.mail.message import Content
from gateway.world.batch import Batch, finished

ON_LOOP: Final = 64 * 1024  # Octets that are worked on at once: a change of threads takes longer.
LARGE: Final = 1024 * 1024  # Octets; of longer messages few are in hand at a time, so that memory is bounded.
LARGE_AT_ONCE: Final = 2
_OPEN: Final[AbstractAsyncContextManager[None]] = nullcontext()

_Made = TypeVar("_Made")


class Workroom:
    """Of one process. `executor` has the threads."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._batch = Batch(turns=1)  # What is sealed came through the rules, and has waited there.
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    def room(self, size: int) -> AbstractAsyncContextManager[None]:
        """To be held while a message of `size` octets is worked on."""
        return self._large if size > LARGE else _OPEN

    async def run(self, size: int, work: Callable[[], _Made], *, slow: bool = False) -> _Made:
        """What `work` makes of a message of `size` octets, on a thread where it takes long."""
        if size <= ON_LOOP and not slow:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def seal(self, size: int, work: Generator[None, None, _Made], *, slow: bool = False) -> _Made:
        """The same of work with keys, done in a row with others of its kind (`Batch`)."""
        if size <= ON_LOOP and not slow:
            return await self._batch.run(work)
        return await asyncio.get_running_loop().run_in_executor(self._executor, finished, work)


async def whole(content: Content) -> bytes:
    """The octets of a content. Raises what reading it raises."""
    if content.inline is not None:
        return content.inline
    blocks = content.blocks()
    if isinstance(blocks, AsyncGenerator):  # Left half read, it would keep its file open.
        async with aclosing(blocks):
            return b"".join([block async for block in blocks])
    return b"".join([block async for block in blocks])
