"""The ledger: what came of an attempt is judged, told to the sender, written down for good, logged and counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gateway.delivery.courier import Tell, told
from gateway.delivery.kind import Kind
from gateway.delivery.lane import Item
from gateway.delivery.notice import Notices, wishing
from gateway.delivery.outcome import Outcome, Verdict
from gateway.delivery.schedule import RetryTerms
from gateway.delivery.settle import Settled, paid, settle, unpaid
from gateway.mail.delivery import Delivery, State, Status, Target
from gateway.mail.message import Content
from gateway.mail.reply import Refused
from gateway.observe import events
from gateway.observe.events import Event
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.world.chance import Chance
from gateway.world.clock import Clock, rfc3339

Count = Callable[[str, dict[str, str], float], None]  # metric, labels, value

NOTICE_DEADLINE = 60.0  # Seconds to hand a notice in.
FIRST_PAUSE = 1.0  # Seconds until a write that failed is tried again; doubled each time.
# Until then whoever has got it would get it again if this process died: a database that is back hears of it soon.
LONGEST_PAUSE = 5.0
NOT_OPENED = "its sealed content does not open"


class Ledger:
    """One for each runner."""

    def __init__(
        self, *, notices: Notices, retry: RetryTerms, clock: Clock, chance: Chance, tell: Tell, count: Count
    ) -> None:
        self.retry = retry
        self.paused = False  # While it is, nothing can be sealed, and what is known waits in memory.
        self._cut = False
        self._notices = notices
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._count = count

    def cut(self) -> None:
        """Wait for nothing any more: the stop's time is over."""
        self._cut = True

    def is_cut(self) -> bool:
        """Whether `cut` was called."""
        return self._cut

    def judge(self, delivery: Delivery, outcome: Outcome, *, keep: bool = False) -> Settled:
        """See settle."""
        return settle(delivery, outcome, now=self._clock.now(), retry=self.retry, chance=self._chance, keep=keep)

    async def enter(self, item: Item, outcome: Outcome, settled: Settled, seconds: float | None) -> float | None:
        """Tell the sender first, then store; when it is due again, or None where it is finished.

        `seconds`: how long the attempt took; None where there was none.
        """
        while self.paused and not self._cut and await self._pause(item, FIRST_PAUSE):
            pass
        if settled.failed:
            stored, event = await self._notify(item, settled.delivery, settled.failed, Kind.FAILURE)
            if event is not None:
                settled.events.append(event)
            elif not stored:  # Nobody is given up whose sender does not know: what arrived is noted, the rest waits.
                settled = self.judge(item.delivery, outcome, keep=True)
        if settled.owed:
            settled = await self._tell_success(item, settled)
        delivery = settled.delivery
        if not settled.finished and not delivery.delay_told and self._is_late(delivery):
            delivery = await self._tell_delay(item, settled)
        if settled.closing is not None:
            settled.events.append(settled.closing)
        await self._write(item, settled.finished, delivery, settled.events)
        self._report(delivery, outcome, settled, seconds)
        return None if settled.finished else delivery.next_attempt

    async def hold(self, item: Item) -> None:
        """Its octets do not open: keep it for an administrator to look at; nothing of it is lost or tried."""
        targets = tuple(
            replace(target, reason=NOT_OPENED, enhanced="4.3.0", reply=None, host=None)
            if target.status is Status.WAITING
            else target
            for target in item.delivery.targets
        )
        delivery = replace(item.delivery, state=State.HELD, targets=targets)
        facts: dict[str, object] = {"delivery": delivery.id, "reason": NOT_OPENED}
        event = Event(message=delivery.message, time=self._clock.now(), event=events.HELD, facts=facts)
        self._tell("error", "content_broken", {"id": delivery.message, "delivery": delivery.id, "state": "held"})
        await self._write(item, False, delivery, [event])

    def _is_late(self, delivery: Delivery) -> bool:
        return self.retry.is_late(self._clock.now(), delivery.created)

    async def _tell_success(self, item: Item, settled: Settled) -> Settled:
        """`settled` after the sender was told that they have it, or when he can't be told now."""
        stored, event = await self._notify(item, settled.delivery, settled.owed, Kind.SUCCESS)
        if event is not None:
            settled.events.append(event)
        if stored:
            return paid(settled)
        return unpaid(settled, now=self._clock.now(), retry=self.retry, chance=self._chance)

    async def _tell_delay(self, item: Item, settled: Settled) -> Delivery:
        """The delivery, after its sender was told once that it is late (RFC 3461 4.1)."""
        delivery = settled.delivery
        late = wishing(delivery.waiting, Kind.DELAY)
        if delivery.sender is None or not late:
            return delivery
        stored, event = await self._notify(item, delivery, late, Kind.DELAY, delivery.created + self.retry.expire)
        if event is not None:
            settled.events.append(event)
        return replace(delivery, delay_told=True) if stored else delivery

    async def _notify(
        self, item: Item, delivery: Delivery, targets: tuple[Target, ...], kind: Kind, until: float | None = None
    ) -> tuple[bool, Event | None]:
        """Whether it is seen to, and the event of a notice that was sent. False: it has to be tried again."""
        facts = {"id": delivery.message, "delivery": delivery.id}
        if self.is_cut():
            return False, None
        try:
            item.task = asyncio.current_task()
            async with self._clock.timeout(NOTICE_DEADLINE):
                if item.content is None and delivery.sender is not None:
                    item.content = await _readable(item)
                return True, await self._notices.tell(
                    delivery, targets, item.content, kind=kind, now=self._clock.now(), until=until
                )
        except asyncio.CancelledError:
            if not self.is_cut():
                raise
            return False, None
        except Refused as error:
            if error.reply.code < 500:
                self._tell("error", "notice_not_stored", {**facts, "reply": str(error)})
                return False, None
            # Nobody can be told, as where no connector leads to the sender; trying for ever would not help.
            self._tell("warning", "notice_refused", {**facts, "reply": str(error)})
            return True, None
        except Exception as error:
            self._tell("error", "notice_not_stored", {**facts, **told(error)})
            return False, None
        finally:
            item.task = None

    async def _write(self, item: Item, finished: bool, delivery: Delivery, happened: Sequence[Event]) -> None:
        """Store it, however often that takes: what was sent and is forgotten would be sent twice. A stop whose time is
        over has it tried once more.
        """
        pause = FIRST_PAUSE
        while True:
            last = self.is_cut()
            try:
                if finished:
                    await item.queue.done(delivery, happened)
                else:
                    await item.queue.postpone(delivery, happened)
                return
            except KeysClosed:  # Told as such, once for all; and asked again soon, so that mail leaves when they open.
                pause = FIRST_PAUSE / 2
            except Exception as error:
                if pause == FIRST_PAUSE:
                    facts = {"id": delivery.message, "delivery": delivery.id, **told(error)}
                    self._tell("error", "queue_not_written", facts)
            if last:
                self._tell("error", "queue_not_written_at_stop", {"id": delivery.message, "delivery": delivery.id})
                return
            if not self.is_cut():
                await self._pause(item, pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _pause(self, item: Item, seconds: float) -> bool:
        """Wait; False where the stop cut it short."""
        try:
            item.task = asyncio.current_task()
            await self._clock.sleep(seconds)
            return True
        except asyncio.CancelledError:
            if not self.is_cut():
                raise
            return False
        finally:
            item.task = None

    def _report(self, delivery: Delivery, outcome: Outcome, settled: Settled, seconds: float | None) -> None:
        """One log line, and what is counted."""
        connector, results = delivery.connector, outcome.results
        facts: dict[str, Any] = {"id": delivery.message, "delivery": delivery.id, "connector": connector}
        if seconds is not None:
            facts["seconds"] = round(seconds, 3)
            self._count("attempt_seconds", {"connector": connector}, seconds)
        if outcome.hops:
            hop = outcome.hops[-1]
            facts["host"], facts["tls"], facts["cipher"] = hop.host, hop.tls_version, hop.tls_cipher
        if settled.finished and not settled.failed:  # Everybody in `results` has it.
            self._count("deliveries_total", {"connector": connector, "outcome": Verdict.SENT.value}, len(results))
            age = max(0.0, self._clock.now() - delivery.created)
            self._count("delivery_seconds", {"connector": connector}, age)
            self._tell("info", "sent", facts)
            return
        for verdict, recipients in Counter([result.verdict for result in results]).items():
            self._count("deliveries_total", {"connector": connector, "outcome": verdict.value}, recipients)
        trouble = next((result for result in results if result.verdict is not Verdict.SENT), None)
        if trouble is not None:
            facts |= {"reason": trouble.reason or trouble.reply, "enhanced": trouble.enhanced}
        if settled.finished:
            self._tell("warning", "failed", {**facts, "failed": len(settled.failed)})
        else:
            facts |= {"attempts": delivery.attempts, "next_attempt": rfc3339(delivery.next_attempt)}
            self._tell("warning", "deferred", facts)


async def _readable(item: Item) -> Content | None:
    """The octets, or None where they can't be read: the sender hears of it without them."""
    try:
        return await item.queue.content(item.delivery)
    except (SealBroken, KeysClosed, OSError):
        return None
