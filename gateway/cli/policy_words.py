"""Policies in the words of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.cli.words import count, moment, octets, plain

MOST_NAMED = 20  # Addresses on a terminal, before a purge; the certificate names them all.


def row(policy: dict[str, Any]) -> list[str]:
    """Of `policy list`."""
    return [
        plain(policy["name"]),
        plain(policy["state"]),
        ", ".join(plain(one["key"]) for one in policy["roots"]) or "-",
        str(policy["mailboxes"]),
        "yes" if policy["default"] else "-",
        moment(policy["created"]),
    ]


def facts(policy: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Of `policy show`: names and what is there."""
    yield "Policy", plain(policy["name"])
    yield "Id", str(policy["id"])
    yield "State", plain(policy["state"])
    yield "Default", "yes" if policy["default"] else "no"
    yield "Mailboxes", str(policy["mailboxes"])
    yield "Created", moment(policy["created"])
    yield "Changed", moment(policy["changed"])
    yield "Custodian", "none" if policy["custodian"] is None else f"{plain(policy['custodian'])} (SHA-256 of their key)"
    if (purge := policy["purge"]) is not None:
        yield "Ordered", f"{moment(purge['ordered'])} by {plain(purge['by'])}"
        if purge["destroyed"] is None:
            yield "Final", f"{moment(purge['until'])}; until then gateway policy purge {plain(policy['name'])} --cancel"
        else:
            yield "Destroyed", f"{moment(purge['destroyed'])}; gateway policy certificate {plain(policy['name'])}"


def key_row(key: dict[str, Any]) -> list[str]:
    """A key of a policy, and what its vault says."""
    kind = {"root_a": "root", "root_b": "root", "availability": "availability key"}.get(key["kind"], key["kind"])
    newest = "-" if key["newest"] is None else str(key["newest"])
    says = "yes" if key["answers"] else f"{plain(key['state'])}: {plain(key['reason'])}"
    return [plain(key["key"]), plain(kind), str(key["key_version"]), newest, says]


def renewed(answer: dict[str, Any]) -> Iterator[str]:
    """What a refresh has done."""
    for one in answer["renewed"]:
        key = plain(one["key"])
        if one["reason"] is not None:
            yield f"{key} stays at version {one['from']}: {plain(one['reason'])}. Refresh again once it answers."
        elif one["changed"]:
            yield f"{key}: version {one['to']} wraps the policy now, instead of {one['from']}."
        else:
            yield f"{key} is at its newest version, {one['to']}, already."


def needs(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Versions of keys that nobody should delete."""
    for one in found:
        if one["policy"] and not one["backups"]:
            continue
        paths = ", ".join(plain(backup["path"]) for backup in one["backups"][-5:])
        more = f" and {len(one['backups']) - 5} more" if len(one["backups"]) > 5 else ""
        also = "the policy itself and " if one["policy"] else ""
        yield (
            f"Version {one['version']} of {plain(one['key'])} is needed by {also}"
            f"{count(len(one['backups']), 'backup', 'backups')} ({paths}{more}): nobody should delete it before them."
        )


def consequences(policy: dict[str, Any], grace: float) -> Iterator[str]:
    """What a purge destroys."""
    mailboxes = count(policy["mailboxes"], "mailbox", "mailboxes")
    yield (
        f"{plain(policy['name'])} is the key of {mailboxes} with {count(policy['messages'], 'message', 'messages')} "
        f"({octets(policy['octets'])}). Nobody reads them again once it is destroyed."
    )
    if policy["addresses"]:
        named = ", ".join(plain(one) for one in policy["addresses"][:MOST_NAMED])
        rest = len(policy["addresses"]) - MOST_NAMED
        yield f"They are: {named}{f' and {rest} more' if rest > 0 else ''}."
    if grace:
        yield f"It closes at once, and can be taken back for {grace:g} days."
    else:
        yield "It is destroyed at once, and can't be taken back."


def purged(answer: dict[str, Any]) -> str:
    """What became of the policy."""
    name = plain(answer["name"])
    if answer["state"] == "purged":
        return (
            f"{name} is destroyed: no copy of its key is left in the database. gateway policy certificate {name} --out "
            "FILE writes the certificate."
        )
    if answer["state"] == "purging":
        return (
            f"{name} is closed, and destroyed after {moment(answer['purge']['until'])}. Until then: gateway policy "
            f"purge {name} --cancel"
        )
    return f"The order for {name} is taken back. It opens again as soon as its owners allow the use of its roots."
