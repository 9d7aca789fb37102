"""Asks a source that lies elsewhere: from memory where it can, once for all who want to know the same, never too often.

A place that does not answer is left alone for a while; meanwhile a yes that was given before still counts.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from gateway.directory.folding import folded
from gateway.directory.memory import Memory
from gateway.directory.model import Answer, Finding
from gateway.directory.terms import AskTerms
from gateway.mail.address import Address
from gateway.world.clock import Clock

PAUSE = 15.0  # Seconds that a place which is away is left alone. Longer, and mail waits though it is back.
DOUBT = 15.0  # Seconds that a recipient about whom the source does not want to say is not asked about again.
BURST = 10.0  # Seconds' worth of questions that may come at once.
MAX_PLACES = 1000
MAX_WAITING = 1000  # Questions at once; more are doubt at once, or a flood would fill memory.


# Puts one question. Raises nothing for what the network does; time is limited by the caller.
Ask = Callable[[Address], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Place:
    """Who is asked: `name` has the rate, `name` and `part` together are away or not."""

    name: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class Absence:
    """A place that is away: since when (seconds since 1970), and why."""

    place: Place
    since: float
    why: str


@dataclass(slots=True)
class _Away:
    absence: Absence
    until: float  # On the monotonic clock.


class Asker:
    """One source. Times in memory are on the monotonic clock."""

    def __init__(
        self,
        ask: Ask,
        terms: AskTerms,
        *,
        clock: Clock,
        place: Callable[[Address], Place],
        told: Callable[[Absence | None, Place], None] = lambda absence, place: None,
        took: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """`told` hears of a place that goes away (its absence) or comes back (None); `took` of each question's time."""
        self.terms = terms
        self._ask = ask
        self._clock = clock
        self._place = place
        self._told = told
        self._took = took
        self._memory = Memory()
        self._asking: dict[str, asyncio.Task[Finding]] = {}
        self._away: OrderedDict[Place, _Away] = OrderedDict()
        self._paces: OrderedDict[str, float] = OrderedDict()  # When the rate is used up to, for each name.

    @property
    def absences(self) -> tuple[Absence, ...]:
        """Places that did not answer the last time."""
        return tuple(one.absence for one in self._away.values())

    def recall(self, address: Address) -> Answer | None:
        """The answer, where it is known without asking."""
        return self._recall(folded(address))

    def _recall(self, who: str) -> Answer | None:
        return self._memory.fresh(who, self._clock.monotonic())

    async def answer(self, address: Address) -> Finding:
        """The answer, at most `terms.timeout` seconds from now."""
        who = folded(address)
        if (known := self._recall(who)) is not None:
            return Finding(known, "as it was a moment ago")
        task = self._asking.get(who)
        if task is None:
            place = self._place(address)
            now = self._clock.monotonic()
            if (away := self._away.get(place)) is not None and now < away.until:
                return self._kept(who, Finding(Answer.UNSURE, away.absence.why, away=True))
            if len(self._asking) >= MAX_WAITING:
                return self._kept(who, Finding(Answer.UNSURE, "too many questions at once"))
            wait = self._wait(place.name, now)
            if wait > self.terms.timeout / 2:
                return self._kept(who, Finding(Answer.UNSURE, "too many questions in a minute"))
            # A task of its own: whoever asked first may go, and the others still want to know.
            task = asyncio.get_running_loop().create_task(self._question(who, address, place, wait))
            self._asking[who] = task
            task.add_done_callback(lambda done: self._asking.pop(who, None))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                raise  # It is the asker who goes.
            return self._kept(who, Finding(Answer.UNSURE, "the settings have changed meanwhile"))

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def forget(self) -> None:
        """The source has changed: nothing that was answered counts any more."""
        self._memory.forget()
        self._away.clear()

    def _wait(self, name: str, now: float) -> float:
        """Seconds until the rate allows one more question, whose place is taken; it is not where the wait is long."""
        used = max(self._paces.get(name, now), now)
        wait = max(0.0, used - now - BURST)
        if wait <= self.terms.timeout / 2:
            self._paces[name] = used + 60.0 / self.terms.per_minute
            if len(self._paces) > MAX_PLACES:
                self._paces.popitem(last=False)
        return wait

    async def _question(self, who: str, address: Address, place: Place, wait: float) -> Finding:
        began = self._clock.monotonic()
        try:
            async with self._clock.timeout(self.terms.timeout):
                if wait:
                    await self._clock.sleep(wait)
                finding = await self._ask(address)
        except TimeoutError:
            finding = Finding(Answer.UNSURE, f"no answer within {self.terms.timeout:.10g} s", away=True)
        self._took(self._clock.monotonic() - began)
        self._note(place, finding)
        return self._kept(who, self._remember(who, finding))

    def _remember(self, who: str, finding: Finding) -> Finding:
        now = self._clock.monotonic()
        terms = self.terms
        match finding.answer:
            case Answer.KNOWN:
                self._memory.keep_known(who, now + terms.known, now + terms.away)
            case Answer.UNKNOWN:
                self._memory.keep_other(who, Answer.UNKNOWN, now + terms.unknown)
            case Answer.UNSURE if not finding.away and not self._memory.was_known(who, now):
                self._memory.keep_other(who, Answer.UNSURE, now + min(DOUBT, terms.unknown))
        return finding

    def _kept(self, who: str, finding: Finding) -> Finding:
        """A yes of before counts while there is no new answer."""
        if finding.answer is Answer.UNSURE and self._memory.was_known(who, self._clock.monotonic()):
            return replace(finding, answer=Answer.KNOWN)
        return finding

    def _note(self, place: Place, finding: Finding) -> None:
        """Keep in mind who is away, and tell when that changes."""
        before = self._away.get(place)
        if not finding.away:
            if before is not None:
                del self._away[place]
                self._told(None, place)
            return
        until = self._clock.monotonic() + PAUSE
        if before is not None:
            before.until = until
            return
        absence = Absence(place, self._clock.now(), finding.why)
        self._away[place] = _Away(absence, until)
        if len(self._away) > MAX_PLACES:
            self._away.popitem(last=False)
        self._told(absence, place)
