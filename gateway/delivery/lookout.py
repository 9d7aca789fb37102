"""The lookout: knows when something in the queues is due, and fetches it while there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

from gateway.delivery.courier import Tell, told
from gateway.delivery.lane import Item, Way
from gateway.delivery.queue import Queue
from gateway.storage.sealer import KeysClosed
from gateway.world.clock import Clock

BATCH = 100  # Asked of a queue at once.
IDLE = 60.0  # Seconds between looks where nothing is due.
POLL = 1.0  # Where something is due that there is no room for, and what is due behind it can't be seen.
FAULT_PAUSE = 60.0  # Seconds that a queue which failed is left alone.


class Lookout:
    """Watches several queues for one runner."""

    def __init__(
        self,
        queues: Sequence[Queue],
        *,
        clock: Clock,
        tell: Tell,
        place: Callable[[Item], None],
        room: Callable[[], int],
        full: Callable[[], Collection[Way]],
    ) -> None:
        """`place` takes what was fetched, `room` says how many more, `full` for which ways none."""
        self.hungry = False  # Something is due that there was no room for: wake me when there is.
        self.stopped = False
        self.paused = False  # While it is, nothing is looked for.
        self._closed: dict[Queue, float] = dict.fromkeys(queues, 0.0)  # Until when each is left alone.
        self._clock = clock
        self._tell = tell
        self._place = place
        self._room = room
        self._full = full
        self._alarm = float("inf")  # When the next look is planned.
        self._wake = asyncio.Event()

    def adopt(self, queue: Queue) -> None:
        """Watch this one too."""
        self._closed.setdefault(queue, 0.0)
        self.wake()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def reopen(self) -> None:
        """Look now, also into queues that failed: they may work again."""
        self._closed = dict.fromkeys(self._closed, 0.0)
        self._wake.set()

    def remind(self, when: float | None) -> None:
        """Something was stored that is due at `when`, in seconds since 1970."""
        if when is not None and when < self._alarm:
            self._wake.set()

    def stop(self) -> None:
        """Fetch nothing more; `watch` ends."""
        self.stopped = True
        self._wake.set()

    async def watch(self) -> None:
        """Look, and rest until something is due or somebody wakes us, until `stop`."""
        while not self.stopped:
            self._wake.clear()
            self._alarm = float("inf")
            seconds = await self._look() - self._clock.now()
            if seconds <= 0 or self.stopped:
                continue
            self._alarm = self._clock.now() + seconds
            try:
                async with self._clock.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _look(self) -> float:
        """Fetch what is due and there is room for; when to look again, in seconds since 1970."""
        self.hungry = False
        now = self._clock.now()
        again = now + IDLE
        if self.paused:
            return again
        for queue, closed_until in list(self._closed.items()):
            if closed_until > now:
                again = min(again, closed_until)
                continue
            try:
                again = min(again, await self._fetch(queue, now))
            except KeysClosed:  # Of what is told as such, or of a version that we shall know in a moment.
                again = min(again, now + POLL)
            except Exception as error:  # One broken spool must not stop the others.
                self._tell("error", "queue_not_read", told(error))
                self._closed[queue] = now + FAULT_PAUSE
        return again

    async def _fetch(self, queue: Queue, now: float) -> float:
        room = min(BATCH, self._room())
        if room > 0:
            deliveries = await queue.due(now, room, self._full())
            for delivery in deliveries:
                self._place(Item(queue, delivery, None))
            if len(deliveries) >= room:
                return now
        due = await queue.next_due()
        if due is None or due > now:
            return now + IDLE if due is None else due
        self.hungry = True
        return now + POLL
