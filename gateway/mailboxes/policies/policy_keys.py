"""The policy keys of one process, as long as they may be used: asked of the roots, remembered for a minute at most.

What is remembered is asked for again before its time is over, while it is still in use, so that reading and delivery
do not wait for a vault, and a withdrawn root is heeded sooner. Leaves out: the life of policies (`life`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

from gateway.keys.vault import Denied, KeyFault, Unavailable, Vault
from gateway.mailboxes.faults import KeyBroken, MailboxClosed, PolicyAway, PolicyPurged
from gateway.mailboxes.policies.opening import Opened, open_policy
from gateway.mailboxes.policies.policy import PolicyKey, copy_of, root_name
from gateway.mailboxes.policies.store import PolicyStore
from gateway.storage.mailboxes.model import CopyKind, PolicyRow
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import Chance
from gateway.world.clock import Clock

CACHE: Final = 60.0  # Seconds, where nobody says otherwise. DESIGN 21: never more.
EARLY: Final = 0.5  # Of that time; then a key in use is asked for again.
AGAIN: Final = 2.0  # Seconds that a closed policy's vaults are left alone: a queue of a thousand asks once.


@dataclass(frozen=True, slots=True)
class _Held:
    key: PolicyKey
    since: float  # When its vault was asked, by the monotonic clock.


@dataclass(frozen=True, slots=True)
class _Closed:
    """Why, without the exception itself: its traceback would hold what the frames on its way held."""

    kind: type[MailboxClosed]
    text: str
    policy: str | None
    since: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is not as it should be with a policy, since when (seconds since 1970), and why."""

    what: str  # ONE_ROOT, AVAILABILITY or CLOSED
    reason: str
    since: float
    kinds: frozenset[CopyKind]  # Which copies did not give the key when they were last asked.
    last: float  # When it was met last (seconds since 1970).
    shows: bool  # Whether looking at the vaults shows it too: that a copy is damaged is seen by opening it alone.


ONE_ROOT: Final = "one_root"
AVAILABILITY: Final = "availability"
CLOSED: Final = "closed"


class PolicyKeys:
    """One for each process, on its loop. `tell` writes a log line, in any thread."""

    def __init__(
        self,
        store: PolicyStore,
        vaults: Mapping[str, Vault],
        *,
        availability: tuple[str, str],
        clock: Clock,
        chance: Chance,
        tell: Callable[..., None],
        executor: Executor,
        cache_seconds: float = CACHE,
    ) -> None:
        """`availability`: vault and key of the service's own that new policies are wrapped under, besides their roots.
        `executor` runs what waits for vaults. `cache_seconds`: at most CACHE.
        """
        self._store = store
        self.vaults = vaults
        self.availability = availability
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._executor = executor
        self._cache = min(cache_seconds, CACHE)
        self._held: dict[int, _Held] = {}
        self._closed: dict[int, _Closed] = {}
        self._asking: dict[int, asyncio.Task[PolicyKey]] = {}
        self._tasks: set[asyncio.Task[PolicyKey]] = set()  # Also those whose answers nobody remembers any more.
        self._tried: dict[int, float] = {}  # When a renewal began last.
        self.shut: set[int] = set()  # Policies that were closed when somebody wanted them, and have not opened since.
        self._reopened: set[int] = set()  # Those that were, and have.
        self._troubles: dict[str, Trouble] = {}
        self._used: dict[str, float] = {}
        self._epoch = 0  # How often everything was forgotten: what was asked before that is not remembered after.

    def __repr__(self) -> str:
        return "PolicyKeys()"

    async def key(self, policy: int) -> PolicyKey:
        """The key of the policy of that id. Raises MailboxClosed.

        Whoever keeps it asks again for each thing that it does: it may be used only as long as it is given out here.
        """
        now = self._clock.monotonic()
        held = self._held.get(policy)
        if held is not None and (age := now - held.since) < self._cache:
            if age >= self._cache * EARLY and policy not in self._asking:
                self._renew(policy, now)
            return held.key
        closed = self._closed.get(policy)
        if closed is not None and now - closed.since < AGAIN:
            raise closed.kind(closed.text, policy=closed.policy)
        return await asyncio.shield(self._asking.get(policy) or self._ask(policy))

    def forget(self) -> None:
        """Ask everything anew from now on: a person has changed a key or a policy."""
        self._epoch += 1
        # Which root is asked first is chance, so that the other one is well again could stay unknown for ever.
        self._troubles = {name: one for name, one in self._troubles.items() if one.what != ONE_ROOT}
        self._held.clear()
        self._closed.clear()
        self._asking.clear()  # Whoever waits for one still gets its answer; nobody new does.

    def sweep(self) -> None:
        """Let go of keys whose time is over. Called now and then, so that what nobody asks for does not stay."""
        now = self._clock.monotonic()
        self._held = {policy: held for policy, held in self._held.items() if now - held.since < self._cache}

    def take_reopened(self) -> set[int]:
        """The policies that were closed and have opened since this was last asked."""
        taken, self._reopened = self._reopened, set()
        return taken

    @property
    def facts(self) -> dict[str, Any]:
        """For `status`, as JSON, by the policy's name: `troubles` are what is not as it should be, `availability` when
        the availability key was used last (seconds since 1970).
        """
        troubles = {
            name: {
                "what": trouble.what,
                "reason": trouble.reason,
                "since": trouble.since,
                "last": trouble.last,
                "shows": trouble.shows,
            }
            for name, trouble in sorted(self._troubles.items())
        }
        return {"troubles": troubles, "availability": dict(self._used)}

    # -- asking -------------------------------------------------------------------------------------------------------

    def _renew(self, policy: int, now: float) -> None:
        """Ask again for a key that is in use; where nobody answers, not for each message."""
        if now - self._tried.get(policy, float("-inf")) >= AGAIN:
            self._tried[policy] = now
            self._ask(policy)

    def _ask(self, policy: int) -> asyncio.Task[PolicyKey]:
        task = asyncio.get_running_loop().create_task(self._asked(policy, self._epoch))
        self._asking[policy] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_heard)
        return task

    async def _asked(self, policy: int, epoch: int) -> PolicyKey:
        began = self._clock.monotonic()
        try:
            row = await self._row(policy)
            opened = await self._opened(row)
            key = PolicyKey(row.id, row.name, row.version, opened.secret)
            if epoch == self._epoch:
                self._keep(policy, row, opened, key, began)
            return key
        except MailboxClosed as fault:
            if epoch == self._epoch:
                self._close(policy, fault, began)
            raise
        finally:
            if self._asking.get(policy) is asyncio.current_task():
                del self._asking[policy]

    async def _row(self, policy: int) -> PolicyRow:
        try:
            row = await self._store.policy(policy)
        except (StorageBroken, StorageFull, KeysClosed) as error:
            raise PolicyAway(f"its policy can't be read now: {error}") from error
        except SealBroken as error:
            raise KeyBroken(f"the row of its policy is damaged: {error}") from error
        if row is None:
            raise KeyBroken("its policy is gone from the database; right would be to restore the database")
        return row

    async def _opened(self, row: PolicyRow) -> Opened:
        first = CopyKind.ROOT_A if self._chance.between(0, 1) < 0.5 else CopyKind.ROOT_B
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, lambda: open_policy(row, self.vaults, first=first))
        except MailboxClosed:
            raise
        except Exception as error:  # A fault of ours opens nothing, and closes nothing for ever.
            text = f"the policy {row.name!r} does not open: a fault in the gateway ({type(error).__name__})"
            raise PolicyAway(text, policy=row.name) from error

    # -- what follows -------------------------------------------------------------------------------------------------

    def _keep(self, policy: int, row: PolicyRow, opened: Opened, key: PolicyKey, began: float) -> None:
        self._held[policy] = _Held(key, began)
        self._closed.pop(policy, None)
        if policy in self.shut:
            self.shut.discard(policy)
            self._reopened.add(policy)
        if opened.by is CopyKind.AVAILABILITY:
            reason = _reasons(opened.faults)
            copy = copy_of(row, opened.by)
            # Every use, not the first alone: each is the service reading without its customer's roots.
            self._tell("error", "availability_key_used", policy=row.name, key=copy and root_name(copy), reason=reason)
            self._used[row.name] = self._clock.now()
            self._note(row.name, AVAILABILITY, reason, opened.faults)
        elif opened.faults:
            self._note(row.name, ONE_ROOT, _reasons(opened.faults), opened.faults)
        else:
            self._fine(row.name, opened.by)

    def _close(self, policy: int, fault: MailboxClosed, began: float) -> None:
        held = self._held.get(policy)
        if held is not None and isinstance(fault, PolicyAway) and began - held.since < self._cache:
            return  # Confirmed less than the cache's time ago: used until that is over, and then it closes.
        self._held.pop(policy, None)
        self.shut.add(policy)
        self._closed[policy] = _Closed(type(fault), fault.text, fault.policy, self._clock.monotonic())
        if isinstance(fault, PolicyPurged):  # As its custodian ordered: nobody has to see to it.
            self._troubles.pop(fault.policy or str(policy), None)
            return
        self._note(fault.policy or str(policy), CLOSED, fault.text, dict.fromkeys(CopyKind))

    def _note(self, name: str, what: str, reason: str, faults: Mapping[CopyKind, KeyFault | None]) -> None:
        """Keep a trouble, and tell it where it is of another kind than before."""
        before = self._troubles.get(name)
        is_new = before is None or before.what != what
        since = self._clock.now() if is_new or before is None else before.since
        shows = all(isinstance(fault, Denied | Unavailable) for fault in faults.values())
        self._troubles[name] = Trouble(what, reason, since, frozenset(faults), self._clock.now(), shows)
        if is_new and what != AVAILABILITY:  # Its uses are told one by one.
            event = "policy_closed" if what == CLOSED else "policy_root_fails"
            self._tell("error" if what == CLOSED else "warning", event, policy=name, reason=reason)

    def _fine(self, name: str, by: CopyKind) -> None:
        """The root that was asked first gave the key. That says nothing of the other one."""
        before = self._troubles.get(name)
        if before is None or (before.what == ONE_ROOT and by not in before.kinds):
            return
        del self._troubles[name]
        self._tell("warning", "policy_open", policy=name, seconds=round(max(0.0, self._clock.now() - before.since), 1))


def _heard(task: asyncio.Task[PolicyKey]) -> None:
    """What failed was told where it failed; of a renewal nobody waits for it."""
    if not task.cancelled():
        task.exception()


def _reasons(faults: Mapping[CopyKind, KeyFault]) -> str:
    return "; ".join(str(fault) for fault in faults.values())
