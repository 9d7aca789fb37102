"""Policies in the form of `gateway policy list --json` and `show --json`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.keys.vault import Denied, KeyFault, Unavailable
from gateway.mailboxes.policies.life import CopyLook, Renewed
from gateway.mailboxes.policies.order import fingerprint
from gateway.mailboxes.policies.past import Need
from gateway.mailboxes.policies.policy import ROOTS, root_name
from gateway.storage.mailboxes.model import CopyKind, PolicyRow, PolicyState, WrappedCopy
from gateway.world.clock import rfc3339


def policy_row(row: PolicyRow, mailboxes: int) -> dict[str, Any]:
    """One policy. `mailboxes`: how many lie under it."""
    return {
        "name": row.name,
        "id": row.id,
        "state": row.state.value,
        "default": row.is_default,
        "roots": [_copy(copy) for copy in row.copies if copy.kind in ROOTS],
        "availability": next((_copy(copy) for copy in row.copies if copy.kind is CopyKind.AVAILABILITY), None),
        "mailboxes": mailboxes,
        "custodian": None if row.custodian is None else fingerprint(row.custodian),
        "created": rfc3339(row.created),
        "changed": rfc3339(row.changed),
        "purge": _purge(row),
    }


def looks_row(row: PolicyRow, looks: Sequence[CopyLook], needs: Sequence[Need]) -> dict[str, Any]:
    """What a look at its keys' vaults has found, and which versions of keys something still needs."""
    return {
        "keys": [
            {
                "key": root_name(look.copy),
                "kind": look.copy.kind.value,
                "key_version": look.copy.key_version,
                "newest": look.newest,
                "answers": look.fault is None,
                "state": state(look.fault),
                "reason": None if look.fault is None else str(look.fault),
            }
            for look in looks
        ],
        "needs": needs_rows(needs),
        "warnings": warnings(row, looks),
    }


def needs_rows(needs: Sequence[Need]) -> list[dict[str, Any]]:
    """Versions of keys that nobody should delete, and for what."""
    return [
        {
            "key": need.key,
            "version": need.version,
            "policy": need.is_current,
            "backups": [
                {"id": one.id, "path": one.path, "made": rfc3339(one.made), "there": one.is_there}
                for one in need.backups
            ],
        }
        for need in needs
    ]


def renewed_rows(renewed: Sequence[Renewed]) -> list[dict[str, Any]]:
    """What a refresh has done with each copy."""
    return [
        {
            "key": root_name(one.before),
            "kind": one.before.kind.value,
            "from": one.before.key_version,
            "to": one.after.key_version,
            "changed": one.before != one.after,
            "reason": None if one.fault is None else str(one.fault),
        }
        for one in renewed
    ]


def state(fault: KeyFault | None) -> str:
    """`answers`, `away`, `denied` or `broken`."""
    if fault is None:
        return "answers"
    if isinstance(fault, Unavailable):
        return "away"
    return "denied" if isinstance(fault, Denied) else "broken"


def warnings(row: PolicyRow, looks: Sequence[CopyLook]) -> list[str]:
    """What somebody should act on."""
    if row.state is not PolicyState.READY:
        return []
    failing = [look for look in looks if look.fault is not None and look.copy.kind in ROOTS]
    found = []
    if len(failing) == 1:
        name = root_name(failing[0].copy)
        found.append(f"only one root answers: {failing[0].fault}. Who loses the other one too loses the mail ({name})")
    if len(failing) > 1:
        found.append("neither root answers: " + "; ".join(str(look.fault) for look in failing))
    found += [
        f"the availability key does not answer: {look.fault}"
        for look in looks
        if look.fault is not None and look.copy.kind is CopyKind.AVAILABILITY
    ]
    found += [
        f"{root_name(look.copy)} has version {look.newest} and the policy is wrapped by {look.copy.key_version}; "
        f"gateway policy refresh {row.name} puts it under the newest"
        for look in looks
        if look.newest is not None and look.newest != look.copy.key_version
    ]
    if row.custodian is None:
        found.append(
            f"nobody can order its end: gateway policy custodian {row.name} PUBLIC.pem names who may, by a public key"
        )
    return found


def _copy(copy: WrappedCopy) -> dict[str, Any]:
    return {"key": root_name(copy), "key_version": copy.key_version}


def _purge(row: PolicyRow) -> dict[str, Any] | None:
    facts: Mapping[str, Any] = row.purge or {}
    if row.state is PolicyState.READY or "ordered" not in facts:
        return None
    destroyed = facts.get("destroyed")
    return {
        "ordered": rfc3339(facts["ordered"]),
        "until": rfc3339(facts["until"]),
        "destroyed": None if destroyed is None else rfc3339(destroyed),
        "by": facts["by"],
        "reason": facts["reason"],
        "contact": facts["contact"],
    }
