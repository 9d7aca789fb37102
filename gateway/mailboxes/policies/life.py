"""The life of a policy until its end: made, refreshed after a root was rotated, one root replaced by another, default.

Each change is one row, whatever the mailboxes and the mail. What a root wraps is opened again by it before it is kept,
so that a policy never depends on a copy that nobody has seen to open. Leaves out: its end (`purge`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from gateway.keys.domain import restated
from gateway.keys.rotation import RootName
from gateway.keys.vault import Denied, KeyFault, KeyState, KeyType, Unavailable, Vault, VaultKey
from gateway.mailboxes.faults import PolicyRefused
from gateway.mailboxes.policies.availability import ensure_availability
from gateway.mailboxes.policies.heeding import USED, heeded, used
from gateway.mailboxes.policies.opening import open_policy, told, unwrap_copy, wrap_copy
from gateway.mailboxes.policies.order import CUSTODIAN, fingerprint, public_pem
from gateway.mailboxes.policies.past import with_past
from gateway.mailboxes.policies.policy import KEY_OCTETS, ROOTS, copy_of, root_name
from gateway.mailboxes.policies.store import PolicyStore
from gateway.storage.mailboxes.faults import PolicyThere
from gateway.storage.mailboxes.model import CopyKind, PolicyRow, PolicyState, WrappedCopy
from gateway.world.chance import Chance
from gateway.world.clock import Clock

T = TypeVar("T")

NONE: Final = "none"  # In the place of a policy's name: no policy.
FIRST: Final = 1  # The version of a policy's key. Nothing makes another one yet.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class CopyLook:
    """What one look found of a copy. `newest`: the version of its key that its vault uses now; `fault`: why it does not
    give the policy key, None where it does.
    """

    copy: WrappedCopy
    newest: int | None
    fault: KeyFault | None


@dataclass(frozen=True, slots=True)
class Renewed:
    """A copy before and after; the same where it stayed. `fault`: why it had to stay."""

    before: WrappedCopy
    after: WrappedCopy
    fault: KeyFault | None = None


class PolicyLife:
    """Commands of people, one at a time. Raises PolicyRefused, MailboxClosed, KeyFault, and what the store raises."""

    def __init__(
        self,
        store: PolicyStore,
        vaults: Mapping[str, Vault],
        *,
        availability: RootName,
        clock: Clock,
        chance: Chance,
        executor: Executor,
        place: Callable[[str], object] = lambda vault: vault,
    ) -> None:
        """`place` tells vaults apart: two names of one folder or token have the same."""
        self._store = store
        self._vaults = vaults
        self._availability = availability
        self._clock = clock
        self._chance = chance
        self._executor = executor
        self._place = place

    # -- finding ------------------------------------------------------------------------------------------------------

    async def named(self, name: str) -> PolicyRow:
        """The policy of that name. Raises PolicyRefused where there is none."""
        rows = await self._store.policies()
        for row in rows:
            if row.name == name:
                return row
        known = ", ".join(row.name for row in rows) or "none yet; gateway policy create makes one"
        raise PolicyRefused(f"there is no policy {name!r}; there are: {known}")

    async def look(self, row: PolicyRow) -> list[CopyLook]:
        """What each of its copies' vaults say now: each is asked to unwrap it."""
        return await self._run(lambda: [self._looked(row, copy) for copy in row.copies])

    # -- changing -----------------------------------------------------------------------------------------------------

    async def create(
        self,
        name: str,
        roots: Sequence[RootName],
        *,
        force: bool = False,
        custodian: bytes | None = None,
        is_default: bool = False,
    ) -> PolicyRow:
        """A new policy, both roots proved. `force`: also with both in one vault. `custodian`: a public key, PEM."""
        if _NAME.fullmatch(name) is None or name == NONE:
            raise PolicyRefused(
                f"{name!r} is no name for a policy; right would be at most 64 letters, digits, dots, hyphens and "
                f"underscores, beginning with a letter or digit, and not {NONE!r}"
            )
        first, second = self._two(roots, force=force)
        kept = None if custodian is None else public_pem(custodian)
        if any(row.name == name for row in await self._store.policies()):  # Before a root is asked for nothing.
            raise PolicyRefused(f"there is a policy {name!r} already; its name stays taken, also after it is destroyed")
        now, id_ = self._clock.now(), self._store.new_id()
        bare = PolicyRow(
            id=id_,
            name=name,
            state=PolicyState.READY,
            version=FIRST,
            copies=(),
            is_default=False,
            custodian=kept,
            created=now,
            changed=now,
        )

        def wrapped() -> tuple[WrappedCopy, ...]:
            ensure_availability(self._vaults, self._availability)
            secret = self._chance.octets(KEY_OCTETS)
            keys = (first, second, self._availability)
            return tuple(self._wrapped(bare, kind, key, secret) for kind, key in zip(CopyKind, keys, strict=True))

        try:
            row = await self._store.add_policy(replace(bare, copies=await self._run(wrapped)))
        except PolicyThere as error:
            raise PolicyRefused(f"{error}; its name stays taken, also after it is destroyed") from error
        return row if not is_default else await self._made_default(row)

    async def refresh(self, name: str) -> tuple[PolicyRow, list[Renewed]]:
        """Wrap the policy key under the newest versions of its roots and of the availability key: one row, or none."""
        row = await self.named(name)

        def renewed() -> list[Renewed]:
            secret = self._secret(row)
            return [self._renewed(row, copy, secret) for copy in row.copies]

        found = await self._run(renewed)
        after = await self._wrapped_by(row, tuple(one.after for one in found))
        return after, found

    async def replace(self, name: str, old: RootName, new: RootName, *, force: bool = False) -> PolicyRow:
        """Put the root `new` in the place of `old`: one row. The other root, or the old one, has to answer."""
        row = await self.named(name)
        kinds = [kind for kind in ROOTS if (copy := copy_of(row, kind)) is not None and root_name(copy) == str(old)]
        if not kinds:
            roots = " and ".join(root_name(copy) for copy in row.copies if copy.kind in ROOTS) or "none"
            raise PolicyRefused(f"{old} is no root of the policy {name!r}; its roots are {roots}")
        (kind,) = kinds
        other = next(copy for copy in row.copies if copy.kind in ROOTS and copy.kind is not kind)
        self._two([new, RootName(other.vault, other.key)], force=force)
        copy = await self._run(lambda: self._wrapped(row, kind, new, self._secret(row)))
        return await self._wrapped_by(row, tuple(copy if one.kind is kind else one for one in row.copies))

    async def make_default(self, name: str | None) -> PolicyRow | None:
        """The policy of mailboxes that are made without one; None: they lie under none. The policy as it is then."""
        chosen = None if name is None else await self.named(name)
        if chosen is not None and chosen.state is not PolicyState.READY:
            raise PolicyRefused(f"the policy {chosen.name!r} is {chosen.state}; right would be one that is in use")
        if chosen is None:
            await self._store.set_default_policy(None)
            return None
        return await self._made_default(chosen)

    async def set_custodian(self, name: str, pem: bytes, order: bytes | None = None) -> PolicyRow:
        """Keep the public key of whoever may order the policy's end.

        Where there is a custodian already, `order` is theirs, signed, by which this key takes the place of their own.
        """
        row, kept = await self.named(name), public_pem(pem)
        if row.state is not PolicyState.READY:
            raise PolicyRefused(f"the policy {name!r} is {row.state}; its custodian stays who ordered that")
        if row.custodian == kept:
            return row
        purge = row.purge
        if row.custodian is not None:
            if order is None:
                raise PolicyRefused(
                    f"the policy {name!r} has a custodian, who alone can pass that on; right would be --order FILE, "
                    f"made by gateway policy order {name} --successor PUBLIC.pem --key CUSTODIAN.pem --out FILE"
                )
            said = heeded(row, order, row.custodian, CUSTODIAN, self._clock.now())
            if said.custodian != fingerprint(kept):
                raise PolicyRefused("the order is not for this new custodian's key; nothing was changed")
            # Else who was custodian before could be made it again, by whoever kept the order.
            purge = {"version": 1, **(row.purge or {}), USED: [*used(row), said.nonce]}
        return await self._changed(row, custodian=kept, purge=purge)

    # -- on a thread --------------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _secret(self, row: PolicyRow) -> bytes:
        """The policy key, by a root: nobody puts a root in another's place without one that agrees."""
        first = CopyKind.ROOT_A if self._chance.between(0, 1) < 0.5 else CopyKind.ROOT_B
        opened = open_policy(row, self._vaults, first=first)
        if opened.by is CopyKind.AVAILABILITY:
            reasons = "; ".join(str(fault) for fault in opened.faults.values())
            raise Unavailable(f"neither root of the policy {row.name!r} answers, and one has to: {reasons}")
        return opened.secret

    def _looked(self, row: PolicyRow, copy: WrappedCopy) -> CopyLook:
        newest: int | None = None
        try:
            newest = self._held(RootName(copy.vault, copy.key)).newest
            unwrap_copy(row, copy.kind, self._vaults)
        except KeyFault as fault:
            return CopyLook(copy, newest, fault)
        return CopyLook(copy, newest, None)

    def _renewed(self, row: PolicyRow, copy: WrappedCopy, secret: bytes) -> Renewed:
        """The copy under its key's newest version; one that does not open any more is made anew too."""
        name = RootName(copy.vault, copy.key)
        try:
            if self._held(name).newest == copy.key_version and self._opens(row, copy, secret):
                return Renewed(copy, copy)
            return Renewed(copy, self._wrapped(row, copy.kind, name, secret))
        except KeyFault as fault:
            return Renewed(copy, copy, fault)

    def _opens(self, row: PolicyRow, copy: WrappedCopy, secret: bytes) -> bool:
        try:
            return unwrap_copy(row, copy.kind, self._vaults) == secret
        except (Denied, Unavailable):
            raise
        except KeyFault:
            return False

    def _wrapped(self, row: PolicyRow, kind: CopyKind, name: RootName, secret: bytes) -> WrappedCopy:
        key = self._held(name)
        if not key.type.wraps:
            right = ", ".join(one for one in KeyType if one.wraps)
            raise PolicyRefused(f"{name} is of type {key.type}, which can't wrap; right for a root would be {right}")
        if key.state is not KeyState.ENABLED:
            raise PolicyRefused(f"{name} is {key.state}; gateway key enable {name} allows its use")
        try:
            return wrap_copy(row, kind, self._vaults[name.vault], name.key, secret)
        except KeyFault as fault:
            raise restated(fault, f"{name} can't be the {told(kind)} of {row.name!r}: {fault}") from fault

    def _held(self, name: RootName) -> VaultKey:
        return held(self._vaults, name)

    # -- judging ------------------------------------------------------------------------------------------------------

    def _two(self, roots: Sequence[RootName], *, force: bool) -> tuple[RootName, RootName]:
        if len(roots) != 2:
            raise PolicyRefused(f"a policy has two roots, not {len(roots)}; right would be --root VAULT/KEY twice")
        first, second = roots
        if first == second:
            raise PolicyRefused(f"both roots are {first}; right would be two keys, in two vaults")
        if self._availability in roots:
            raise PolicyRefused(
                f"{self._availability} is the service's own availability key ([mailboxes] availability_key), which is "
                "no customer's root; right would be another key"
            )
        if self._place(first.vault) == self._place(second.vault) and not force:
            raise PolicyRefused(
                f"{first} and {second} lie in one vault, and whoever loses that loses the mail; right would be a "
                "second vault, or --force"
            )
        return first, second

    async def _made_default(self, row: PolicyRow) -> PolicyRow:
        await self._store.set_default_policy(row.id)
        return replace(row, is_default=True)

    async def _wrapped_by(self, row: PolicyRow, copies: tuple[WrappedCopy, ...]) -> PolicyRow:
        if copies == row.copies:
            return row
        return await self._changed(row, copies=copies, purge=with_past(row, copies, self._clock.now()))

    async def _changed(self, row: PolicyRow, **changes: object) -> PolicyRow:
        after = replace(row, changed=self._clock.now(), **changes)  # type: ignore[arg-type]
        kept = await self._store.replace_policy(row, after)
        if kept is None:
            raise changed_meanwhile(row)
        return kept


def changed_meanwhile(row: PolicyRow) -> PolicyRefused:
    """Somebody else was first."""
    return PolicyRefused(
        f"somebody else changed the policy {row.name!r} at this moment; nothing was done: say it again"
    )


def judge(vaults: Mapping[str, Vault], copy: WrappedCopy) -> None:
    """Whether the key of a copy may be used, by what its vault tells of it: no use of it, so no line in the access log.

    Blocks; raises Denied, KeyFault.
    """
    name = RootName(copy.vault, copy.key)
    key = held(vaults, name)
    if key.state is not KeyState.ENABLED:
        raise Denied(f"{name} is {key.state}")
    if all(one.number != copy.key_version for one in key.versions):
        raise Denied(f"{name} has no version {copy.key_version} any more")


def held(vaults: Mapping[str, Vault], name: RootName) -> VaultKey:
    """The key as its vault tells of it. Blocks; raises Denied where there is none, KeyFault."""
    if (vault := vaults.get(name.vault)) is None:
        known = ", ".join(map(repr, sorted(vaults))) or "none"
        raise Denied(f"{name}: gateway.toml names no vault {name.vault!r}; it names {known}")
    vault.health()  # Another gateway may have changed the vault a moment ago; a file is looked at anew by this alone.
    for key in vault.keys():
        if key.name == name.key:
            return key
    raise Denied(f"vault {name.vault!r} holds no key {name.key!r}; gateway key create {name} --type aes-256 makes it")
