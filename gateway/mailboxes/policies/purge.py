"""The end of a policy: ordered by its custodian, with both roots withdrawn, after a grace time, and then for ever.

    ready --order--> purging --grace is over--> purged
      ^----cancel------'

The last step is one transaction: all wrapped copies of the policy's key go, the availability key's too, and the signed
certificate is there. Whatever fails before leaves the policy as it was, and the step is tried again. A root whose owner
allows its use again meanwhile stops it: then somebody has changed their mind, and should cancel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, Final

import orjson

from gateway.keys.domain import restated
from gateway.keys.vault import Denied, KeyFault, Vault
from gateway.mailboxes.faults import PolicyRefused
from gateway.mailboxes.policies.certificate import Certificate, Destruction, certify
from gateway.mailboxes.policies.heeding import DAY, USED, heeded, used
from gateway.mailboxes.policies.life import changed_meanwhile
from gateway.mailboxes.policies.opening import unwrap_copy
from gateway.mailboxes.policies.order import PURGE, Order, fingerprint
from gateway.mailboxes.policies.past import PAST, SINCE
from gateway.mailboxes.policies.policy import ROOTS, copy_of, root_name
from gateway.mailboxes.policies.store import PolicyStore
from gateway.storage.mailboxes.model import PolicyRow, PolicyState
from gateway.world.clock import Clock, rfc3339

GRACE: Final = 30.0  # Days, where nobody says otherwise.
LONGEST_GRACE: Final = 3650.0
LONGEST_TEXT: Final = 1000  # Characters of a reason and of a contact.

Backups = Callable[[PolicyRow], Awaitable[Sequence[Mapping[str, Any]]]]


async def _nothing() -> None:
    """The database lets go of what was overwritten by itself."""


class PolicyPurge:
    """Raises PolicyRefused, KeyFault, and what the store raises."""

    def __init__(
        self,
        store: PolicyStore,
        vaults: Mapping[str, Vault],
        *,
        backups: Backups,
        settle: Callable[[], Awaitable[None]] = _nothing,
        clock: Clock,
        tell: Callable[..., None],
        executor: Executor,
    ) -> None:
        """`backups` names those in which copies of a policy's key lie; `settle` has the database let go of what was
        overwritten, as far as it can, and raises nothing.
        """
        self._store = store
        self._vaults = vaults
        self._backups = backups
        self._settle = settle
        self._clock = clock
        self._tell = tell
        self._executor = executor

    async def order(
        self,
        row: PolicyRow,
        octets: bytes,
        *,
        grace: float = GRACE,
        reason: str | None = None,
        contact: str | None = None,
        by: str,
    ) -> PolicyRow:
        """Begin the end of the policy by the custodian's order, a file's octets. `grace` in days; 0: at once and final.

        The policy as it is then: purging, or purged.
        """
        said = self._judge(row, octets, grace, reason, contact)
        await self._withdrawn(row)
        now = self._clock.now()
        purge = {
            **_facts(row),
            USED: [*used(row), said.nonce],
            "order": orjson.loads(octets),
            "ordered": now,
            "until": now + grace * DAY,
            "reason": reason,
            "contact": contact,
            "by": by,
        }
        purging = await self._changed(row, state=PolicyState.PURGING, purge=purge)
        self._tell("warning", "policy_purge_ordered", policy=row.name, by=by, until=rfc3339(purge["until"]))
        return await self.finish(purging) if grace == 0 else purging

    async def cancel(self, row: PolicyRow, *, by: str) -> PolicyRow:
        """Take the order back while its grace lasts. Its roots stay as their owners have them."""
        if row.state is not PolicyState.PURGING:
            why = "is destroyed for ever" if row.state is PolicyState.PURGED else "waits for no end"
            raise PolicyRefused(f"the policy {row.name!r} {why}; there is nothing to cancel")
        after = await self._changed(row, state=PolicyState.READY, purge=_facts(row))
        self._tell("warning", "policy_purge_cancelled", policy=row.name, by=by)
        return after

    async def finish(self, row: PolicyRow) -> PolicyRow:
        """Destroy every copy of the policy's key, for ever. Both roots have to be withdrawn still."""
        if row.state is not PolicyState.PURGING or row.purge is None:
            raise PolicyRefused(f"nobody has ordered the end of the policy {row.name!r}")
        roots = await self._withdrawn(row)
        purge = dict(row.purge)
        mailboxes = await self._store.all_mailboxes(policy=row.id)
        what = Destruction(
            policy=row,
            ordered=purge["ordered"],
            destroyed=self._clock.now(),
            order=purge["order"],
            custodian=fingerprint(row.custodian or b""),
            reason=purge["reason"],
            contact=purge["contact"],
            by=purge["by"],
            roots=roots,
            addresses=[one.address for one in mailboxes],
            backups=await self._backups(row),
        )
        loop = asyncio.get_running_loop()
        certificate = await loop.run_in_executor(self._executor, lambda: certify(what, self._vaults))
        purge |= {"certificate": certificate.told(), "destroyed": what.destroyed}
        after = await self._changed(row, state=PolicyState.PURGED, copies=(), purge=purge)
        await self._settle()
        self._tell("error", "policy_purged", policy=row.name, mailboxes=len(mailboxes))
        return after

    # -- judging ------------------------------------------------------------------------------------------------------

    def _judge(self, row: PolicyRow, octets: bytes, grace: float, reason: str | None, contact: str | None) -> Order:
        name = row.name
        if row.state is not PolicyState.READY:
            right = f"gateway policy purge {name} --cancel takes the order back"
            if row.state is PolicyState.PURGED:
                right = f"gateway policy certificate {name} --out FILE writes its certificate"
            raise PolicyRefused(f"the policy {name!r} is {row.state} already; {right}")
        if not 0 <= grace <= LONGEST_GRACE:
            raise PolicyRefused(f"{grace:g} days can't be waited; right would be 0 to {LONGEST_GRACE:g}")
        if any(len(text or "") > LONGEST_TEXT for text in (reason, contact)):
            raise PolicyRefused(f"a reason or contact has at most {LONGEST_TEXT} characters")
        if row.custodian is None:
            raise PolicyRefused(
                f"the policy {name!r} has no custodian, so nobody can order its end; right would be gateway policy "
                f"custodian {name} PUBLIC.pem with their public key"
            )
        return heeded(row, octets, row.custodian, PURGE, self._clock.now())

    async def _withdrawn(self, row: PolicyRow) -> dict[str, str]:
        """What each root's vault says, by its name. Raises PolicyRefused unless both say no (row k08)."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._asked, row)

    def _asked(self, row: PolicyRow) -> dict[str, str]:
        answers: dict[str, str] = {}
        for kind in ROOTS:
            copy = copy_of(row, kind)
            name = kind.value if copy is None else root_name(copy)
            if copy is None or copy.vault not in self._vaults:
                raise PolicyRefused(
                    f"gateway.toml names no vault for {name}, so its owner can't be asked whether it is withdrawn; "
                    "right would be to name it again"
                )
            try:
                unwrap_copy(row, kind, self._vaults)
            except Denied as fault:
                answers[name] = f"denied: {fault}"
                continue
            except KeyFault as fault:
                text = f"{fault}. A vault that gives no clear no may give a yes later; nothing is destroyed"
                raise restated(fault, text) from fault
            raise PolicyRefused(
                f"{name} still opens the policy {row.name!r}: its owner has not withdrawn it. Right would be to "
                f"disable it first in its vault (gateway key disable {name}), and the other root likewise"
            )
        return answers

    async def _changed(self, row: PolicyRow, **changes: object) -> PolicyRow:
        changed = replace(row, changed=self._clock.now(), **changes)  # type: ignore[arg-type]
        kept = await self._store.replace_policy(row, changed)
        if kept is None:
            raise changed_meanwhile(row)
        return kept


def is_due(row: PolicyRow, now: float) -> bool:
    """Whether the policy's grace is over."""
    return row.state is PolicyState.PURGING and row.purge is not None and row.purge["until"] <= now


def certificate_of(row: PolicyRow) -> Certificate:
    """The certificate of a policy that was destroyed. Raises PolicyRefused for any other."""
    if row.state is not PolicyState.PURGED or row.purge is None:
        raise PolicyRefused(f"the policy {row.name!r} is {row.state}: only what was destroyed has a certificate")
    return Certificate.of(row.purge["certificate"])


def _facts(row: PolicyRow) -> dict[str, Any]:
    """What stays known of a policy whatever becomes of an order."""
    return {"version": 1} | {name: value for name, value in (row.purge or {}).items() if name in (USED, PAST, SINCE)}
