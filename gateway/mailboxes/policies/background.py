"""What policies need done while nobody asks: rolls, ends whose grace is over, looks at roots. Worker 0 runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Final

from gateway.keys.vault import KeyFault, Vault
from gateway.mailboxes.faults import PolicyRefused
from gateway.mailboxes.policies.life import judge
from gateway.mailboxes.policies.policy import root_name
from gateway.mailboxes.policies.policy_keys import PolicyKeys
from gateway.mailboxes.policies.purge import PolicyPurge, is_due
from gateway.mailboxes.policies.roll import PASSING, Roller
from gateway.mailboxes.policies.store import PolicyStore
from gateway.storage.mailboxes.model import PolicyRow, PolicyState
from gateway.world.clock import Clock, rfc3339

ROUND: Final = 10.0  # Seconds between two rounds.
LOOK: Final = 300.0  # Between two looks at the roots of all policies.


class PolicyWatch:
    """Made, then `run`. `facts` is for `status`."""

    def __init__(
        self,
        store: PolicyStore,
        keys: PolicyKeys,
        roller: Roller,
        purge: PolicyPurge,
        *,
        vaults: Mapping[str, Vault],
        clock: Clock,
        tell: Callable[..., None],
        executor: Executor,
        doubts: Callable[[list[PolicyRow]], Awaitable[Sequence[str]]],
    ) -> None:
        """`doubts`: what of the settings does not fit these policies, or the mailboxes that there are."""
        self._doubts = doubts
        self._doubtful: list[str] = []
        self._store = store
        self._keys = keys
        self._roller = roller
        self._purge = purge
        self._vaults = vaults
        self._clock = clock
        self._tell = tell
        self._executor = executor
        self._looked = float("-inf")
        self._seen: dict[str, float] = {}  # By policy: when its roots were looked at (seconds since 1970).
        self._ended: list[str] = []  # Policies that are destroyed.
        self._roots: dict[str, dict[str, str]] = {}  # By policy: which of its keys are not as they should be, and why.
        self._purging: dict[str, str] = {}  # By policy: when it is destroyed.
        self._stuck: dict[str, str] = {}  # Ends that are due and do not come, and why.
        self._failing = ""

    async def run(self) -> None:
        """Do what is due, for ever."""
        while True:
            await self.round()
            await self._clock.sleep(ROUND)

    def look_again(self) -> None:
        """A key has changed by a command of ours: the next round looks at the roots, however soon."""
        self._looked = float("-inf")

    async def round(self) -> None:
        """One round. What fails for a passing reason is told once and tried again."""
        try:
            rows = await self._store.policies()
            await self._look(rows)
            await self._doubt(rows)
            due = [row for row in rows if is_due(row, self._clock.now())]
            # What is no more due was taken back, or another gateway has ended it.
            self._stuck = {name: why for name, why in self._stuck.items() if name in {row.name for row in due}}
            for row in due:
                await self._end(row)
            self._ended = [row.name for row in rows if row.state is PolicyState.PURGED]
            self._purging = {
                row.name: rfc3339(row.purge["until"]) for row in rows if row.state is PolicyState.PURGING and row.purge
            }
            await self._roller.work()
        except PASSING as error:
            if (words := str(error)) != self._failing:
                self._failing = words
                self._tell("error", "policies_not_watched", error=words)
            return
        self._failing = ""
        self._keys.sweep()

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON, by the policy's name: `roots` that do not answer as they should, and when they were `looked` at;
        ends that wait (`purging`), that are `stuck`, that have come (`ended`). And what of the settings is `doubtful`.
        """
        return {
            "roots": self._roots,
            "looked": self._seen,
            "purging": self._purging,
            "stuck": self._stuck,
            "ended": self._ended,
            "doubtful": self._doubtful,
        }

    async def _doubt(self, rows: list[PolicyRow]) -> None:
        with suppress(*PASSING):  # Then it is as it was; whoever needs what is away tells of it.
            found = list(await self._doubts(rows))
            for words in found:
                if words not in self._doubtful:
                    self._tell("warning", "settings_doubtful", reason=words)
            self._doubtful = found

    async def _end(self, row: PolicyRow) -> None:
        try:
            await self._purge.finish(row)
        except (PolicyRefused, KeyFault) as fault:
            if self._stuck.get(row.name) != str(fault):
                self._tell("error", "policy_purge_stuck", policy=row.name, reason=str(fault))
            self._stuck[row.name] = str(fault)
            return
        self._stuck.pop(row.name, None)
        self._keys.forget()

    async def _look(self, rows: list[PolicyRow]) -> None:
        if self._clock.monotonic() - self._looked < LOOK:
            return
        self._looked = self._clock.monotonic()
        loop = asyncio.get_running_loop()
        ready = [row for row in rows if row.state is PolicyState.READY]
        began = self._clock.now()
        found = await loop.run_in_executor(self._executor, lambda: {row.name: self._faults(row) for row in ready})
        found = {name: faults for name, faults in found.items() if faults}
        for name, faults in found.items():
            if self._roots.get(name) != faults:
                self._tell("warning", "policy_root_fails", policy=name, reason="; ".join(faults.values()))
        self._roots = found
        self._seen = {row.name: began for row in ready}

    def _faults(self, row: PolicyRow) -> dict[str, str]:
        faults: dict[str, str] = {}
        for copy in row.copies:
            try:
                judge(self._vaults, copy)
            except KeyFault as fault:
                faults[root_name(copy)] = str(fault)
        return faults
