"""Lanes: what the runner holds in memory for one destination, and whether that destination may be asked now."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from gateway.delivery.outcome import Result
from gateway.delivery.queue import Queue
from gateway.mail.delivery import Delivery
from gateway.mail.message import Content

MAX_BACKLOG = 1000  # Deliveries that wait in memory for one destination.
AHEAD = 64  # Above so many the queue is asked for no more of them, so that no destination fills the memory alone.
MEMORY = 3600.0  # Seconds after its time that an unreachable destination is still asked by one attempt alone.

Way = tuple[str, str]  # (connector, destination)


@dataclass(slots=True)
class Item:
    """One leased delivery in memory. `content` is there when it has just been accepted; else it is read at its turn.

    `task` is the task that has it in hand, while it is somewhere where it may be cancelled without harm.
    """

    queue: Queue
    delivery: Delivery
    content: Content | None
    task: asyncio.Task[None] | None = None

    @property
    def octets(self) -> int:
        """What it holds in memory beside itself."""
        return 0 if self.content is None or self.content.inline is None else self.content.size

    def is_among(self, names: Collection[str]) -> bool:
        """Whether its own id or its message's is among `names`."""
        return self.delivery.id in names or self.delivery.message in names


class Lane:
    """One destination. Times called `now` are seconds since 1970; `pace` and `ready` are on the monotonic clock."""

    __slots__ = ("active", "backlog", "cause", "ready", "shut_until", "stored_ways", "timer", "way")

    def __init__(self, way: Way) -> None:
        self.way = way
        self.backlog: deque[Item] = deque()
        self.active = 0  # Attempts under way.
        self.stored_ways = {way}  # Under these the queue knows what comes here; several after a reload.
        self.cause: Result | None = None  # Why nobody was reached, from then until somebody is.
        self.shut_until = 0.0
        self.ready = 0.0  # When the rate allows the next one.
        self.timer: asyncio.Task[None] | None = None  # Waits for `ready`.

    def is_full(self) -> bool:
        """Whether it has enough in hand."""
        return len(self.backlog) >= AHEAD

    def is_shut(self, now: float) -> bool:
        """Whether the destination was found unreachable, and its time to be asked again has not come."""
        return self.cause is not None and now < self.shut_until

    def is_idle(self, now: float, monotonic: float) -> bool:
        """Whether it can be forgotten."""
        bad = self.cause is not None and now < self.shut_until + MEMORY
        return not (self.backlog or self.active or self.timer or bad or self.ready > monotonic)

    def shut(self, cause: Result, until: float, now: float) -> None:
        """Nobody was reached, for `cause`; something waits until `until`, and the earliest such time asks again."""
        self.cause = cause
        self.shut_until = min(self.shut_until, until) if self.shut_until > now else until

    def reopen(self) -> None:
        """Somebody was reached, or an administrator wants to know."""
        self.cause = None
        self.shut_until = 0.0

    def room(self, concurrency: int) -> bool:
        """Whether one more attempt may start. One alone asks a destination that was unreachable."""
        return self.active < (1 if self.cause is not None else concurrency)

    def pace(self, per_minute: int | None, monotonic: float) -> float:
        """Seconds to wait until the rate allows one more; 0 takes that one's place."""
        if per_minute is None:
            return 0.0
        if self.ready > monotonic:
            return self.ready - monotonic
        self.ready = monotonic + 60.0 / per_minute
        return 0.0

    def take_out(self, wanted: Collection[str] | None) -> list[Item]:
        """Take those out of the backlog whose delivery or message id is in `wanted`; None takes all."""
        if wanted is None:
            out = list(self.backlog)
            self.backlog.clear()
            return out
        out = [item for item in self.backlog if item.is_among(wanted)]
        if out:
            gone = {item.delivery.id for item in out}
            self.backlog = deque(item for item in self.backlog if item.delivery.id not in gone)
        return out


class Lanes:
    """All lanes, and how much waits in them together."""

    def __init__(self) -> None:
        self.waiting = 0  # Items in all backlogs.
        self.octets = 0  # And what they hold.
        self._lanes: dict[Way, Lane] = {}

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def __len__(self) -> int:
        return len(self._lanes)

    def lane(self, way: Way, stored: Way) -> Lane:
        """The lane of `way`, for a delivery that the queue knows under `stored`."""
        lane = self._lanes.get(way)
        if lane is None:
            lane = self._lanes[way] = Lane(way)
        if stored != way:
            lane.stored_ways.add(stored)
        return lane

    def push(self, lane: Lane, item: Item) -> None:
        """Put it at the end of a lane's backlog."""
        lane.backlog.append(item)
        self.waiting += 1
        self.octets += item.octets

    def pop(self, lane: Lane, *, last: bool = False) -> Item:
        """Take the first of a lane's backlog, or the last."""
        item = lane.backlog.pop() if last else lane.backlog.popleft()
        self.waiting -= 1
        self.octets -= item.octets
        return item

    def take_out(self, names: Collection[str] | None, lane: Lane | None = None) -> list[Item]:
        """Take those of `names` out of all backlogs, or of one lane's; None takes all."""
        out = [item for one in (self if lane is None else (lane,)) for item in one.take_out(names)]
        self.waiting -= len(out)
        self.octets -= sum(item.octets for item in out)
        return out

    def full(self) -> set[Way]:
        """Under which ways the queues have to keep back what they have."""
        return {way for lane in self._lanes.values() if lane.is_full() for way in lane.stored_ways}

    def forget_idle(self, now: float, monotonic: float) -> None:
        """Drop lanes that nothing is remembered of."""
        for lane in self:
            if lane.is_idle(now, monotonic):
                del self._lanes[lane.way]
