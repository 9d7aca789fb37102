"""The keeper of a process' domain keys: it looks to the vaults now and then, and opens and closes the sealer by that.

A vault that does not answer leaves the keys in use for `cache_seconds` more; one that says no has them dropped at once.
As soon as it answers again, everything goes on. Leaves out: what mail does meanwhile (`app`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from gateway.keys.domain import PURPOSES, DomainKeys, KeyStore, learnt
from gateway.keys.guard import DEADLINE, Guarded
from gateway.keys.sealer import KeySealer
from gateway.keys.survey import Place, Survey, survey
from gateway.keys.vault import Denied, KeyFault, Unavailable, Vault
from gateway.storage.keyrows import KeyRow
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

LOOK: Final = 30.0  # Seconds between two looks while all is well, where nobody says otherwise.
AGAIN: Final = (2.0, 5.0, 10.0, 30.0)  # While something is not; the last again and again. Never longer than the others.
LEAST: Final = 1.0  # Between two looks, however many records ask for one.
PATIENCE: Final = 2 * DEADLINE  # For one look, before what it finds no answer to counts as away.


@dataclass(frozen=True, slots=True)
class Trouble:
    """`since`: seconds since 1970."""

    fault: KeyFault
    since: float

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {"reason": str(self.fault), "since": self.since, "denied": isinstance(self.fault, Denied)}


class Keeper:
    """One for each process, on its loop. Made, then `look`ed once, then `run`."""

    def __init__(
        self,
        *,
        store: KeyStore,
        vaults: Mapping[str, Vault],
        sealer: KeySealer,
        clock: Clock,
        tell: Callable[..., None],
        cache_seconds: float,
        alone: bool,
        look_seconds: float = LOOK,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`look_seconds`: the longest pause between two looks. `tell` writes a log line; `changed` is called when
        something was closed or opened. `alone`: no other process reads what this one seals, so that a new version is
        sealed with at once.
        """
        self._store = store
        self._vaults = vaults
        self._sealer = sealer
        self._clock = clock
        self._tell = tell
        self._cache = cache_seconds
        self._alone = alone
        self._pause = look_seconds
        self.changed = changed
        self._rows: list[KeyRow] | None = None  # As they were last read.
        self._held: dict[Place, KeyRow] = {}  # By which wrapping each key in the sealer was unwrapped.
        self._confirmed: dict[str, float] = {}  # When a vault last gave out each purpose's keys; the monotonic clock.
        self._closed: dict[str, Trouble] = {}
        self._doubts: dict[str, Trouble] = {}  # Purposes that are open only because they were confirmed not long ago.
        self._sick: dict[str, Trouble] = {}  # Vaults.
        self._looking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last = float("-inf")
        self._fruitless = 0
        sealer.take(DomainKeys({}), otherwise=Unavailable("it has not been read yet"))

    # -- what is ------------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> Mapping[str, Trouble]:
        """Why and since when each purpose is closed whose keys are not at hand."""
        return self._closed

    def is_open(self, purposes: Iterable[str]) -> bool:
        """Whether the keys of all these purposes are at hand."""
        return not any(purpose in self._closed for purpose in purposes)

    @property
    def facts(self) -> dict[str, Any]:
        """For `status` and `keys`, as JSON: purposes that are closed, and vaults that do not answer or say no."""
        return {
            "closed": {purpose: trouble.facts for purpose, trouble in sorted(self._closed.items())},
            "vaults": {name: trouble.facts for name, trouble in sorted(self._sick.items())},
        }

    # -- looking ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look, for ever."""
        self._loop = asyncio.get_running_loop()
        while True:
            pause = self._pause
            if self._fruitless:
                pause = min(pause, AGAIN[min(self._fruitless, len(AGAIN)) - 1])
            with suppress(TimeoutError):
                async with self._clock.timeout(self._last + pause - self._clock.monotonic()):
                    await self._wake.wait()
            await self._clock.sleep(self._last + LEAST - self._clock.monotonic())
            self._wake.clear()
            await self.look()

    def wanted(self) -> None:
        """Look before long: a record names a key that this process does not know. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            with suppress(RuntimeError):  # It was closed just now.
                self._loop.call_soon_threadsafe(self._wake.set)

    async def look(self, *, hurry: bool = False) -> None:
        """Look now. `hurry`: whatever the circuit breakers say, since a person has changed something."""
        async with self._looking:
            if hurry:
                for vault in self._vaults.values():
                    if isinstance(vault, Guarded):
                        vault.hurry()
            missed, began = self._sealer.missed, self._clock.monotonic()
            found = asyncio.ensure_future(asyncio.to_thread(self._seen, dict(self._held)))
            try:
                async with self._clock.timeout(self._patience(began)):
                    await asyncio.shield(found)
            except TimeoutError:
                silence = Unavailable("the vault does not answer")
                self._judge(_nothing(self._held, silence), began)
            seen, is_fresh = await found
            self._judge(seen, began, looked_for=missed if is_fresh else ())
            self._sick = _since(self._sick, seen.sick, self._clock.now())
            self._last = self._clock.monotonic()
            is_well = not (self._closed or self._doubts or self._sick)
            self._fruitless = 0 if is_well else self._fruitless + 1

    def _patience(self, began: float) -> float:
        """Seconds that a look may take before the keys in use were confirmed too long ago."""
        oldest = min((self._confirmed[purpose] for purpose, _ in self._held), default=began)
        return max(PATIENCE, oldest + self._cache - began)

    def _seen(self, held: Mapping[Place, KeyRow]) -> tuple[Survey, bool]:
        """What the vaults say, and whether it is of the rows as they are now. Blocks."""
        try:
            self._rows, is_fresh = self._store.keys(), True
        except (StorageBroken, StorageFull) as error:
            # The vaults can be asked by the rows that we know: that the database is away closes no keys.
            is_fresh = False
            if self._rows is None:
                fault = Unavailable(f"the domain keys can't be read from the shared database: {error}")
                return _nothing({(purpose, 0): None for purpose in PURPOSES}, fault), is_fresh
        try:
            return survey(self._rows, held, self._vaults), is_fresh
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the process, nor open anything
            fault = Unavailable(f"a fault in the gateway ({type(error).__name__})")
            return _nothing(held or {(purpose, 0): None for purpose in PURPOSES}, fault), False

    # -- what follows -------------------------------------------------------------------------------------------------

    def _judge(self, seen: Survey, began: float, *, looked_for: Collection[Place] = ()) -> None:
        """Open and close by what was seen. `began`: when the look did, by the monotonic clock."""
        secrets: dict[Place, bytes] = {}
        held: dict[Place, KeyRow] = {}
        closed: dict[str, KeyFault] = {}
        doubts: dict[str, KeyFault] = {}
        for purpose in {purpose for purpose, _ in (*seen.rows, *self._held)} | seen.faults.keys():
            rows = {place: row for place, row in seen.rows.items() if place[0] == purpose}
            fault = seen.faults.get(purpose)
            if fault is None and all(place in seen.fresh or self._held.get(place) == rows[place] for place in rows):
                self._confirmed[purpose] = began
                held |= rows
                secrets |= {place: seen.fresh[place] for place in rows if place in seen.fresh}
                continue
            fault = fault or Unavailable("the vault has answered too late")
            mine = {place: row for place, row in self._held.items() if place[0] == purpose}
            if mine and not isinstance(fault, Denied) and self._is_confirmed(purpose):
                held |= mine
                doubts[purpose] = fault
            else:
                closed[purpose] = fault
        self._held = held
        self._sealer.take(
            DomainKeys(secrets),
            kept=[place for place in held if place not in secrets],
            sealing=learnt(held.values(), self._clock.now(), alone=self._alone),
            closed=closed,
            looked_for=looked_for,
        )
        self._note(closed, doubts)

    def _is_confirmed(self, purpose: str) -> bool:
        return self._clock.monotonic() - self._confirmed[purpose] < self._cache

    def _note(self, closed: Mapping[str, KeyFault], doubts: Mapping[str, KeyFault]) -> None:
        """Keep and tell what has changed: a line for each reason, and none for what is as it was."""
        before, now = self._closed, self._clock.now()
        fresh = {purpose: fault for purpose, fault in closed.items() if not _is_like(before.get(purpose), fault)}
        doubtful = {purpose: fault for purpose, fault in doubts.items() if purpose not in self._doubts}
        opened = {purpose: trouble for purpose, trouble in before.items() if purpose not in closed}
        self._closed = _since(before, closed, now)
        self._doubts = _since(self._doubts, doubts, now)
        for reason, purposes in _by_reason(doubtful).items():
            self._tell("warning", "keys_unconfirmed", purposes=purposes, reason=reason, seconds=self._cache)
        for reason, purposes in _by_reason(fresh).items():
            is_denied = isinstance(fresh[purposes[0]], Denied)
            self._tell("error", "keys_closed", purposes=purposes, reason=reason, denied=is_denied)
        if opened:
            seconds = round(max(0.0, now - min(trouble.since for trouble in opened.values())), 1)
            self._tell("warning", "keys_open", purposes=sorted(opened), seconds=seconds)
        if fresh or opened:
            self.changed()


def _nothing(held: Mapping[Place, object], fault: KeyFault) -> Survey:
    """A look at which nothing was seen."""
    return Survey(rows={}, fresh={}, faults={purpose: fault for purpose, _ in held}, sick={})


def _since(before: Mapping[str, Trouble], now: Mapping[str, KeyFault], time: float) -> dict[str, Trouble]:
    """Today's faults, each since it began."""
    return {name: Trouble(fault, before[name].since if name in before else time) for name, fault in now.items()}


def _is_like(trouble: Trouble | None, fault: KeyFault) -> bool:
    """Whether a fault is of the kind that was told already."""
    return trouble is not None and isinstance(trouble.fault, Denied) == isinstance(fault, Denied)


def _by_reason(faults: Mapping[str, KeyFault]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for purpose, fault in sorted(faults.items()):
        found.setdefault(str(fault), []).append(purpose)
    return found
