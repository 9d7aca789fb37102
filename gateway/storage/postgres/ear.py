"""What other nodes say, done on the loop: the node's thread hears it, and the words are few.

`look NODE`: something is to be had. `wake NODE`: an administrator wants everything tried again. `recall NODE`: that
node is asked for something. `answer NODE` (or `all`): something was handed to that node, or refused. NODE is in the
first two whoever says it, in the others whom it is for. `changed certificates`: there are others than there were.
`missed`, by the node's own thread: it was deaf for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.storage.postgres.leases import Leases
from gateway.storage.postgres.recall import Recall
from gateway.storage.spooling import Hands
from gateway.storage.writer import StorageBroken, StorageFull


class Ear:
    """One for each spool."""

    def __init__(
        self,
        node: str,
        leases: Leases,
        recall: Recall,
        *,
        free: Callable[[], Awaitable[None]],
        tell: Callable[..., None],
    ) -> None:
        """`free` writes down what was given back."""
        self.hands: Hands | None = None
        self._node = node
        self._leases = leases
        self._recall = recall
        self._free = free
        self._tell = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._soon: set[Callable[[], Awaitable[None]]] = set()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on, on this loop."""
        self._loop = loop

    def hear(self, verb: str, who: str) -> None:
        """A word. From any thread."""
        if self._loop is None or (verb in ("look", "wake") and who == self._node):
            return
        if verb in ("recall", "answer") and who not in (self._node, "all"):
            return
        try:
            self._loop.call_soon_threadsafe(self._heed, verb)
        except RuntimeError:  # The loop is closed.
            pass

    def soon(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` before long, once for all who ask in this turn of the loop."""
        if self._loop is None or work in self._soon:
            return
        self._soon.add(work)
        task = self._loop.create_task(self._do(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        self._soon.discard(work)
        try:
            await work()
        except (StorageFull, StorageBroken) as error:
            self._tell("warning", "queue_not_shared", error=str(error))

    def _heed(self, verb: str) -> None:
        if verb == "answer":
            self._recall.answered()
        elif verb == "recall":
            self.soon(self._give_up)
        elif self.hands is not None:
            if verb == "wake":
                self.hands.wake()
            elif verb == "look":
                self.hands.look()
            elif verb in ("changed", "missed"):
                self.hands.changed(verb == "missed")

    async def _give_up(self) -> None:
        """Hand over what others ask for and only waits here."""
        ids = await self._recall.wanted()
        if not ids:
            return
        if self.hands is not None:
            await self.hands.give_back(ids)
        await self._free()
        await self._recall.refuse(ids)
