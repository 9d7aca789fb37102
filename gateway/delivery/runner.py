"""The runner: takes what is due from the queues and has it carried, so that no destination holds up another.

Leaves out: sharing limits between processes; each has a runner of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

from gateway.connectors.model import Outbound
from gateway.delivery.courier import Attempts, Courier, Resume, Tell, told
from gateway.delivery.lane import AHEAD, MAX_BACKLOG, Item, Lane, Lanes, Way
from gateway.delivery.ledger import Count, Ledger
from gateway.delivery.lookout import POLL, Lookout
from gateway.delivery.notice import Notices
from gateway.delivery.outcome import Outcome, Verdict
from gateway.delivery.queue import Queue
from gateway.delivery.schedule import RetryTerms
from gateway.delivery.settle import Settled, fault, later
from gateway.mail.delivery import Delivery
from gateway.mail.mail import Mail
from gateway.mail.message import Content
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.world.chance import Chance
from gateway.world.clock import Clock

MAX_IN_HAND = 500  # Attempts at once, to all destinations together.
MAX_WAITING = 1000  # Above so many in memory the queues are asked for no more.
MAX_OFFERED = 10_000  # Above so many nothing new is kept in memory.
MAX_OCTETS = 32 << 20  # Of contents that wait in memory.
FAULT_PAUSE = 60.0  # Seconds that a fault of ours keeps a delivery aside.


class Runner:
    """One in each process. Everything runs on one event loop; `run` holds every task."""

    def __init__(
        self,
        *,
        queues: Sequence[Queue],
        attempts: Attempts,
        outbounds: tuple[Outbound, ...],
        retry: RetryTerms,
        clock: Clock,
        chance: Chance,
        submit: Callable[[Mail], Awaitable[str]],
        tell: Tell,
        count: Count,
        contact: str | None,
        hostname: str,
        ids: Callable[[], str],
        resume: Resume | None = None,
        limit: int = MAX_IN_HAND,
    ) -> None:
        """`submit` takes a notice in as any mail; `tell` writes a log line, `count` a metric; `ids` makes queue ids;
        `resume` sees to a delivery that waits for its protection.
        """
        self._notices = Notices(submit=submit, ids=ids, hostname=hostname, contact=contact)
        self._ledger = Ledger(notices=self._notices, retry=retry, clock=clock, chance=chance, tell=tell, count=count)
        self._courier = Courier(attempts=attempts, outbounds=outbounds, tell=tell, resume=resume or _unprotected)
        self._clock = clock
        self._tell = tell
        self._limit = limit
        self._lanes = Lanes()
        self._lookout = Lookout(
            queues, clock=clock, tell=tell, place=self._place, room=self._room, full=self._lanes.full
        )
        self._starving: dict[Way, Lane] = {}  # Held back by the common limit alone, the longest waiting first.
        self._in_hand: dict[str, Item] = {}  # Being attempted, or written after it.
        self._deferring: dict[str, Item] = {}  # Being written without an attempt.
        self._group: asyncio.TaskGroup | None = None
        self._paused = False
        self._ended = asyncio.Event()
        self._ended.set()

    # -- from outside -------------------------------------------------------------------------------------------------

    def offer(self, queue: Queue, delivery: Delivery, content: Content) -> None:
        """Take a delivery that `queue` has just accepted and leased to us. Never waits.

        What there is no room for in memory goes back to its queue and is fetched from there later.
        """
        item = Item(queue, delivery, content)
        lane = self._lane(delivery)
        if lane.cause is not None and lane.is_shut(self._clock.now()) and self._is_running():
            self._defer(lane, item)
            return
        lanes = self._lanes
        lanes.push(lane, item)
        self._pump(lane)
        too_many = len(lane.backlog) > MAX_BACKLOG or lanes.waiting > MAX_OFFERED or lanes.octets > MAX_OCTETS
        if too_many and lane.backlog and lane.backlog[-1] is item and self._is_running():
            lanes.pop(lane, last=True)
            self._hold(self._return(item))

    def adopt(self, queue: Queue) -> None:
        """Deliver from this queue too: the spool of a process that is no more."""
        self._lookout.adopt(queue)

    def wake(self) -> None:
        """Look into the queues now, as after an administrator's `retry`; unreachable destinations are asked again."""
        for lane in self._lanes:
            lane.reopen()
            self._pump(lane)
        self._lookout.wake()

    def look(self) -> None:
        """Look into the queues now: another process has left something there, or a queue works again."""
        self._lookout.reopen()

    def pause(self) -> None:
        """Fetch and start nothing until `resume`: nothing can be sealed or opened now. What is in hand ends, and what
        came of it is kept in memory until it can be written.
        """
        self._paused = self._ledger.paused = self._lookout.paused = True

    def resume(self) -> None:
        """Go on."""
        self._paused = self._ledger.paused = self._lookout.paused = False
        for lane in self._lanes:
            self._pump(lane)
        self._lookout.reopen()

    def reconfigure(
        self,
        outbounds: tuple[Outbound, ...],
        retry: RetryTerms,
        *,
        hostname: str | None = None,
        contact: str | None = None,
    ) -> None:
        """New terms after a reload; attempts under way end under the old. Without `hostname` it and contact stay."""
        self._courier.reconfigure(outbounds)
        self._ledger.retry = retry
        if hostname is not None:
            self._notices.reconfigure(hostname=hostname, contact=contact)
        for item in self._lanes.take_out(None):
            self._lanes.push(self._lane(item.delivery), item)
        self.wake()

    def in_hand(self) -> dict[str, Any]:
        """For `status`: `sending` are the ids of deliveries on the wire, `backlog` counts what is next."""
        return {"sending": list(self._in_hand), "backlog": self._lanes.waiting, "destinations": len(self._lanes)}

    async def give_back(self, ids: Iterable[str] | None = None) -> list[str]:
        """Return what only waits in memory to its queue, so that it can be held or deleted there.

        `ids` name deliveries or messages; None: all. The answer: ids of those deliveries that are being sent just now.
        """
        names = None if ids is None else set(ids)
        for item in self._lanes.take_out(names):
            await self._unlease(item)
        return [item.delivery.id for item in self._in_hand.values() if names is None or item.is_among(names)]

    async def run(self) -> None:
        """Deliver until `drain`; ends when nothing is in hand and all leases are given back. To be called once."""
        self._ended.clear()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                try:
                    for lane in self._lanes:  # What was offered before.
                        self._pump(lane)
                    await self._lookout.watch()
                finally:  # Where the task was cancelled too: nothing is started while all end.
                    self._lookout.stop()
        finally:
            self._group = None
            await self.give_back()
            self._ended.set()

    async def drain(self, seconds: float) -> None:
        """Start nothing new, let what is in hand finish for so long, then cut it off. Returns when `run` has ended."""
        self._lookout.stop()
        for lane in self._lanes:
            if lane.timer is not None:
                lane.timer.cancel()
        try:
            async with self._clock.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            self._ledger.cut()
            for item in [*self._in_hand.values(), *self._deferring.values()]:
                if item.task is not None:
                    item.task.cancel()
            await self._ended.wait()

    # -- lanes --------------------------------------------------------------------------------------------------------

    def _is_running(self) -> bool:
        return self._group is not None and not self._lookout.stopped and not self._paused

    def _lane(self, delivery: Delivery) -> Lane:
        return self._lanes.lane(self._courier.way(delivery), (delivery.connector, delivery.destination))

    def _room(self) -> int:
        """How many more deliveries may be fetched; asked at each look, so idle lanes go on this occasion."""
        self._lanes.forget_idle(self._clock.now(), self._clock.monotonic())
        return MAX_WAITING - self._lanes.waiting - len(self._deferring)

    def _place(self, item: Item) -> None:
        lane = self._lane(item.delivery)
        if lane.is_shut(self._clock.now()) and self._is_running():
            self._defer(lane, item)
        else:
            self._lanes.push(lane, item)
            self._pump(lane)

    def _pump(self, lane: Lane) -> None:
        """Start what may start."""
        if not lane.backlog or not self._is_running():
            return
        outbound = self._courier.outbound(lane.way[0])
        concurrency = 1 if outbound is None else outbound.concurrency
        per_minute = None if outbound is None else outbound.messages_per_minute
        while lane.backlog and lane.timer is None and lane.room(concurrency):
            if len(self._in_hand) >= self._limit:
                self._starving[lane.way] = lane
                return
            if per_minute is not None and (seconds := lane.pace(per_minute, self._clock.monotonic())) > 0:
                lane.timer = self._hold(self._wait_for_rate(lane, seconds))
                return
            self._start(lane)

    def _start(self, lane: Lane) -> None:
        item = self._lanes.pop(lane)
        lane.active += 1
        self._in_hand[item.delivery.id] = item
        self._hold(self._carry(lane, item))
        if self._lookout.hungry and (len(lane.backlog) == AHEAD // 2 or self._lanes.waiting == MAX_WAITING // 2):
            self._lookout.wake()

    def _hold(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Every task hangs in the group; one that nobody holds may vanish while it delivers."""
        if self._group is None:
            work.close()
            raise RuntimeError("the runner does not run")
        return self._group.create_task(work)

    async def _wait_for_rate(self, lane: Lane, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds)
        finally:
            lane.timer = None
        self._pump(lane)

    # -- one delivery -------------------------------------------------------------------------------------------------

    async def _carry(self, lane: Lane, item: Item) -> None:
        """Attempt, then see to what came of it. The place on the lane is free as soon as the attempt is over."""
        try:
            try:
                outcome, seconds = await self._attempt(item)
                settled = None if outcome is None else self._ledger.judge(item.delivery, outcome)
                if outcome is not None and settled is not None:
                    self._learn(lane, outcome, None if settled.finished else settled.delivery.next_attempt)
            finally:
                lane.active -= 1
                self._pump(lane)
            if outcome is not None and settled is not None:
                self._lookout.remind(await self._ledger.enter(item, outcome, settled, seconds))
        except Exception as error:
            await self._set_aside(item, error)
        finally:
            self._in_hand.pop(item.delivery.id, None)
            while self._starving and len(self._in_hand) < self._limit and self._is_running():
                self._pump(self._starving.pop(next(iter(self._starving))))

    async def _attempt(self, item: Item) -> tuple[Outcome | None, float]:
        """What came of it and how long it took; None where that is seen to already."""
        started = self._clock.monotonic()
        if not item.queue.may_send(item.delivery):
            await self._return(item)
            return None, 0.0
        try:
            item.task = asyncio.current_task()
            return await self._courier.carry(item), self._clock.monotonic() - started
        except asyncio.CancelledError:
            await self._unlease(item)
            raise
        except KeysClosed:  # Nobody has got it: it waits in the queue, and this was no attempt.
            await self._return(item)
            return None, 0.0
        except SealBroken:
            item.task = None
            await self._ledger.hold(item)
            return None, 0.0
        finally:
            item.task = None

    def _learn(self, lane: Lane, outcome: Outcome, next_attempt: float | None) -> None:
        """Whoever waits for a destination that was not reached waits as well; the first of them asks again."""
        cause = next((result for result in outcome.results if result.verdict is Verdict.LATER), None)
        if not outcome.unreachable or cause is None:
            lane.reopen()
            return
        now = self._clock.now()
        lane.shut(cause, now + self._ledger.retry.first if next_attempt is None else next_attempt, now)
        if self._is_running():
            for item in self._lanes.take_out(None, lane):
                self._defer(lane, item)

    def _defer(self, lane: Lane, item: Item) -> None:
        """Postpone without an attempt; it counts as one."""
        if lane.cause is None:
            raise RuntimeError("only a lane that is shut defers")
        outcome = later(item.delivery, lane.cause)
        settled = self._ledger.judge(item.delivery, outcome)
        now = self._clock.now()
        if not settled.finished:
            lane.shut(lane.cause, settled.delivery.next_attempt, now)
        self._deferring[item.delivery.id] = item
        self._hold(self._write_deferral(item, outcome, settled))

    async def _write_deferral(self, item: Item, outcome: Outcome, settled: Settled) -> None:
        try:
            self._lookout.remind(await self._ledger.enter(item, outcome, settled, None))
        except Exception as error:
            await self._set_aside(item, error)
        finally:
            self._deferring.pop(item.delivery.id, None)
            if self._lookout.hungry and not self._deferring:
                self._lookout.wake()

    async def _return(self, item: Item) -> None:
        """Give it back to its queue, to be fetched again before long."""
        await self._unlease(item)
        self._lookout.hungry = True
        self._lookout.remind(self._clock.now() + POLL)

    async def _unlease(self, item: Item) -> None:
        try:
            await item.queue.unlease(item.delivery)
        except Exception as error:
            self._tell("error", "queue_not_written", {"delivery": item.delivery.id, **told(error)})

    async def _set_aside(self, item: Item, error: Exception) -> None:
        """A fault of ours between attempt and queue. Given back at once it would come again at once."""
        facts = {"id": item.delivery.message, "delivery": item.delivery.id, **told(error)}
        self._tell("error", "runner_fault", facts)
        try:
            item.task = asyncio.current_task()
            if not self._ledger.is_cut():
                await self._clock.sleep(FAULT_PAUSE)
        finally:
            item.task = None
            await self._return(item)


async def _unprotected(delivery: Delivery, content: Content) -> Outcome:
    """Where nothing protects, what has to be protected waits."""
    return fault(delivery, "4.7.0 Nothing here protects mail", "4.7.0", "nothing here protects mail")
