"""The rule by which a policy opens: which of the three wrapped copies is asked for, and what their vaults' words mean.

One root chosen at random, then the other. The availability key is asked only where both roots' vaults were silent: a
vault that says no speaks for its owner, and a copy that does not open may have been made so by whoever wants the roots
passed by. Pure but for the vaults: blocks for as long as they take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.keys.domain import restated
from gateway.keys.vault import Denied, KeyFault, Unavailable, Vault, VaultBroken, Wrapped
from gateway.mailboxes.faults import KeyBroken, MailboxClosed, PolicyAway, PolicyDenied, PolicyPurged
from gateway.mailboxes.policies.policy import (
    KEY_OCTETS,
    ROOTS,
    copy_of,
    policy_context,
    root_name,
)
from gateway.storage.mailboxes.model import CopyKind, PolicyRow, PolicyState, WrappedCopy


@dataclass(frozen=True, slots=True)
class Opened:
    """The policy key, by which copy, and why the copies that were asked for before did not give it."""

    secret: bytes = field(repr=False)
    by: CopyKind
    faults: Mapping[CopyKind, KeyFault]


def open_policy(row: PolicyRow, vaults: Mapping[str, Vault], *, first: CopyKind) -> Opened:
    """The key of the policy. `first`: the root that is asked first. Blocks; raises MailboxClosed."""
    refuse_ended(row)
    other = next(kind for kind in ROOTS if kind is not first)
    faults: dict[CopyKind, KeyFault] = {}
    for kind in (first, other):
        try:
            return Opened(unwrap_copy(row, kind, vaults), kind, faults)
        except KeyFault as fault:
            faults[kind] = fault
    if not all(isinstance(fault, Unavailable) for fault in faults.values()):
        raise closed(row, faults)
    try:
        return Opened(unwrap_copy(row, CopyKind.AVAILABILITY, vaults), CopyKind.AVAILABILITY, faults)
    except KeyFault as fault:
        faults[CopyKind.AVAILABILITY] = fault
        raise closed(row, faults) from fault


def refuse_ended(row: PolicyRow) -> None:
    """Raises MailboxClosed for a policy that is destroyed, or waits for it."""
    name = row.name
    if row.state == PolicyState.PURGED:
        text = f"the policy {name!r} was destroyed; gateway policy certificate {name} tells when and by whose order"
        raise PolicyPurged(text, policy=name)
    if row.state == PolicyState.PURGING:
        text = (
            f"the policy {name!r} is ordered to be destroyed; until it is, gateway policy purge {name} --cancel takes "
            "that back"
        )
        raise PolicyDenied(text, policy=name)


def unwrap_copy(row: PolicyRow, kind: CopyKind, vaults: Mapping[str, Vault]) -> bytes:
    """The policy key by that copy. Blocks; raises KeyFault, whose text names the root."""
    copy = copy_of(row, kind)
    if copy is None:
        raise Denied(f"there is no copy of the policy {row.name!r} under its {told(kind)}")
    if (vault := vaults.get(copy.vault)) is None:
        known = ", ".join(map(repr, sorted(vaults))) or "none"
        raise Denied(f"{root_name(copy)}: gateway.toml names no vault {copy.vault!r}; it names {known}")
    wrapped = Wrapped(copy.vault, copy.key, copy.key_version, copy.octets)
    try:
        secret = vault.unwrap(wrapped, policy_context(row.id, row.version, kind), about=about(row))
    except KeyFault as fault:
        raise restated(fault, f"{root_name(copy)}: {fault}") from fault
    if len(secret) != KEY_OCTETS:
        raise VaultBroken(f"{root_name(copy)}: the policy key does not have {KEY_OCTETS} octets")
    return secret


def wrap_copy(row: PolicyRow, kind: CopyKind, vault: Vault, key: str, secret: bytes) -> WrappedCopy:
    """A copy under the newest version of that key, proved: what does not open again is not kept. Blocks; KeyFault."""
    context = policy_context(row.id, row.version, kind)
    wrapped = vault.wrap(key, secret, context, about=about(row))
    if vault.unwrap(wrapped, context, about=about(row)) != secret:
        raise VaultBroken(f"{vault.name}/{key} does not give back what it wrapped")
    return WrappedCopy(
        kind=kind, vault=wrapped.vault, key=wrapped.root, key_version=wrapped.root_version, octets=wrapped.octets
    )


def closed(row: PolicyRow, faults: Mapping[CopyKind, KeyFault]) -> MailboxClosed:
    """What these faults mean together, for whoever has to act."""
    told_faults = "; ".join(str(fault) for fault in faults.values())
    text = f"the policy {row.name!r} does not open: {told_faults}. "
    if any(isinstance(fault, Denied) for fault in faults.values()):
        names = " or ".join(name for kind in ROOTS if (name := _denied(row, kind, faults)) is not None)
        right = f"right would be that the owner of {names or 'its roots'} allows its use (gateway key enable KEY)"
        return PolicyDenied(f"{text}{right[0].upper()}{right[1:]}", policy=row.name)
    if any(not isinstance(fault, Unavailable) for fault in faults.values()):
        right = f"Once a root's vault answers it does; gateway policy refresh {row.name} then mends the other copy"
        return KeyBroken(f"{text}{right}", policy=row.name)
    return PolicyAway(f"{text}It opens by itself as soon as one of them answers", policy=row.name)


def told(kind: CopyKind) -> str:
    """The kind as people are told of it."""
    return {"root_a": "first root", "root_b": "second root", "availability": "availability key"}[kind.value]


def about(row: PolicyRow) -> str:
    """For what a key is used, as the access log has it."""
    return f"policy {row.name}"


def _denied(row: PolicyRow, kind: CopyKind, faults: Mapping[CopyKind, KeyFault]) -> str | None:
    copy = copy_of(row, kind)
    return root_name(copy) if copy is not None and isinstance(faults.get(kind), Denied) else None
