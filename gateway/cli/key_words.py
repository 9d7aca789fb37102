"""Keys and what hangs on them, in words for people: the consequences named before a deed, and the rows of lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.cli import output
from gateway.cli.words import count, moment, octets, plain

SIGNS_ALONE = ("ed25519", "ec-p256")  # The types that can't wrap.
MOST_NAMED = 5  # Mailboxes and backups named in one sentence.
NAME = 40  # Columns that a name may have on any terminal.


def holds(found: Iterable[dict[str, Any]]) -> list[str]:
    """What hangs on a key, such as `spool 1, 2`, `DKIM of corp.example (s1)`."""
    domain: dict[str, list[str]] = {}
    others: list[str] = []
    for one in found:
        match one["kind"]:
            case "domain_key":
                domain.setdefault(one["key"].partition("/")[2], []).append(str(one["version"]))
            case "dkim":
                others.append(f"DKIM of {plain(one['domain'])} ({plain(one['selector'])})")
            case "key_log":
                others.append("the key-access log")
            case "tenant":
                others.append("rights-managed mail")
            case "destruction":
                others.append("certificates of destruction")
            case "policy":
                others.append(_policy(one))
    return [f"{plain(purpose)} {', '.join(versions)}" for purpose, versions in domain.items()] + others


def state(key: dict[str, Any]) -> str:
    """`enabled`, `disabled`, or until when a deleted one can be recovered."""
    if key["ends"] is None:
        return plain(key["state"])
    return f"{plain(key['state'])}, ends {moment(key['ends'])[:10]}"


def consequences(facts: dict[str, Any], verb: str) -> list[str]:
    """Sentences on what comes of disabling or deleting the key (`verb`), most weighty first."""
    key, found = plain(facts["key"]), list(facts["holds"])
    wraps = holds(one for one in found if one["kind"] == "domain_key")
    said = []
    if wraps:
        said.append(f"{key} wraps the domain keys {_listed(wraps)}.")
        said += _sealed(facts, verb)
    for one in found:
        if one["kind"] == "dkim":
            said.append(_signing(one))
        elif one["kind"] == "key_log":
            said.append(
                "The key-access log goes on, but nobody signs its heads, so a log cut off at its end looks whole."
            )
            if verb == "delete":
                said.append(
                    "Once it is destroyed the heads that it has signed prove nothing here any more: export the log "
                    "before (gateway key log export), which takes the public key along."
                )
        elif one["kind"] == "tenant":
            said += _tenant(facts, verb)
        elif one["kind"] == "destruction":
            said.append("No certificate of destruction is signed then, so no policy can be purged.")
        elif one["kind"] == "policy":
            said += _policy_closes(one, key, verb)
    if facts.get("policies_known") is False:
        said.append("Which data encryption policies hang on it can't be read now.")
    if not found:
        said.append(f"Nothing that this gateway knows of hangs on {key}.")
    return said


def _policy(one: dict[str, Any]) -> str:
    """A policy whose key lies under the key, in a list."""
    what = {"availability": "availability of policy", "backup": "backups of policy"}.get(one["as"], "policy")
    return f"{what} {plain(one['policy'])}"


def _policy_closes(one: dict[str, Any], key: str, verb: str) -> list[str]:
    """What comes of it for a policy and its mailboxes."""
    name, said = plain(one["policy"]), []
    names = ", ".join(plain(address) for address in one["addresses"][:MOST_NAMED])
    more = f" and {one['mailboxes'] - MOST_NAMED} more" if one["mailboxes"] > MOST_NAMED else ""
    held = f"{count(one['mailboxes'], 'mailbox', 'mailboxes')}{f' ({names}{more})' if names else ''}"
    if one["as"] == "availability":
        said.append(f"The policy {name} of {held} opens by its roots alone, and not while neither answers.")
    elif one["as"] != "backup":
        other = "its other root" if one["other"] is None else plain(one["other"])
        then = (
            f"The other one, {other}, does not answer already, so nobody reads its mail then, and mail for it waits."
            if one.get("other_answers") is False
            else f"Its mail is read by {other} alone then; without that one too nobody reads it, and mail for it waits."
        )
        said.append(f"{key} is a root of the policy {name}, of {held}. {then}")
    if one["backups"] and verb == "delete":
        paths = ", ".join(plain(path) for path in one["backups"][-MOST_NAMED:])
        said.append(
            f"Version {one['key_version']} is needed by {count(len(one['backups']), 'backup')} of the policy {name}: "
            f"{paths}."
        )
    return said


def _tenant(facts: dict[str, Any], verb: str) -> list[str]:
    """What comes of it for the tenant key."""
    sent = "" if facts.get("rights") is None else f" ({count(facts['rights'], 'message')} so far)"
    said = [
        "No mail is sealed with rights any more: what a rule wants protected so waits. What was sealed"
        f"{sent} opens on the portal for nobody, not even for its sender."
    ]
    if verb == "delete":
        said.append("Once it is destroyed nobody can ever open that mail again, unless he has saved it before.")
    return said


def _signing(one: dict[str, Any]) -> str:
    """What comes of it for a key that signs mail, by what it is for. Without a word on that nobody could read it."""
    domain, selector = plain(one["domain"]), plain(one["selector"])
    match one.get("use"):
        case "active":
            return f"Mail of {domain} is no longer signed with the selector {selector}."
        case "retired":
            return (
                f"It signed mail of {domain} with the selector {selector}, and was retired: nothing is signed with it "
                "any more."
            )
        case "next":
            return (
                f"It signs nothing yet: it waits to be activated for mail of {domain}, with the selector {selector}, "
                "which can't be done without it."
            )
        case "unused":
            return (
                f"It is named for mail of {domain} and the selector {selector}, but is none of the keys of "
                "gateway dkim key list: nothing is signed with it."
            )
    return (
        f"Mail of {domain} may be signed with the selector {selector}, and is no longer then; which keys sign can't be "
        "read now."
    )


def rotated(key: dict[str, Any]) -> str:
    """What came of the rotation of a key of a vault."""
    if any(one["kind"] == "key_log" for one in key["holds"]):
        return "it signs the key-access log from now on, and what the older ones signed can still be verified."
    if any(one["kind"] == "tenant" for one in key["holds"]):
        return "mail is sealed under it from now on, and what was sealed under the older ones still opens."
    if not key["rewrapped"] and key["type"] in SIGNS_ALONE:
        return "it signs from now on, and what the older ones signed can still be verified."
    names = [plain(one["policy"]) for one in key["holds"] if one["kind"] == "policy" and one["as"] != "backup"]
    refresh = [
        f"gateway policy refresh {name} puts the policy {name} under it; until then its older version does."
        for name in dict.fromkeys(names)
    ]
    if refresh and not key["rewrapped"]:
        return " ".join(refresh)
    moved = count(key["rewrapped"], "domain key was", "domain keys were")
    return " ".join([f"{moved} wrapped anew under it. No mail was touched.", *refresh])


def _sealed(facts: dict[str, Any], verb: str) -> list[str]:
    purposes = {one["key"].partition("/")[2] for one in facts["holds"] if one["kind"] == "domain_key"}
    said = []
    if "spool" in purposes:
        queue = facts["queue"] or {"messages": 0, "octets": 0}
        waits = f"{count(queue['messages'], 'message')} ({octets(queue['octets'])}) in the queue can't be read"
        said.append(f"Without it {waits}, nothing leaves, and whoever brings mail is answered 451 and has to keep it.")
    kept = []
    if "trace" in purposes and facts["traces"] is not None:
        kept.append(f"the trace of {count(facts['traces'], 'message')}")
    if "accounts" in purposes and facts["accounts"] is not None:
        kept.append(f"{count(facts['accounts'], 'account')}, so that nobody logs in")
    if kept:
        said.append(f"Nor can be read: {', and '.join(kept)}.")
    if "dkim" in purposes:
        said.append("Nobody can tell then which keys sign for which domains, so no mail is signed with DKIM.")
    if "certificates" in purposes:
        said.append(
            "No certificate for S/MIME is known then, and no key of ours: nothing is encrypted, opened, signed."
        )
    if "portal" in purposes:
        copies = facts.get("copies")
        lost = f", {count(copies, 'stored copy', 'stored copies')} among it" if copies else ""
        said.append(f"The portal knows nobody then: what is kept of rights-managed mail can't be read{lost}.")
    if "mailboxes" in purposes:
        held = "" if not facts.get("mailboxes") else f" ({count(facts['mailboxes'], 'mailbox', 'mailboxes')})"
        said.append(f"No mailbox is found then{held}: nobody reads mail here, and mail for them waits.")
    if verb == "delete":
        said.append("Once it is destroyed nobody can ever read any of that again, whatever backup there is of it.")
    return said


def _listed(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{'; '.join(names[:-1])} and {names[-1]}"


def row(key: dict[str, Any]) -> list[str]:
    """A row of `gateway key list`."""
    newest = max(key["versions"], key=lambda one: int(one["version"]))
    created = moment(newest["created"])
    return [
        shortened(plain(key["key"])),
        plain(key["type"]),
        state(key),
        str(newest["version"]),
        created if created == "-" else created[:10],
        "; ".join(map(shortened, holds(key["holds"]))) or "-",
    ]


def shortened(text: str) -> str:
    """`text` with its middle left out where it would take more than half of the terminal: a domain has up to 253
    characters, and is named twice. Whole where there is no terminal.
    """
    columns = output.width()
    room = max(NAME, 0 if columns is None else columns // 2)
    if columns is None or len(text) <= room:
        return text
    return f"{text[: room // 2]}…{text[len(text) - (room - room // 2 - 1) :]}"


def domain_row(key: dict[str, Any]) -> list[str]:
    """A row of the domain keys: name, versions, the root keys that wrap them, since when the newest is."""
    roots = dict.fromkeys(f"{one['root']} {one['root_version']}" for one in key["versions"])
    versions = ", ".join(str(one["version"]) for one in key["versions"])
    return [plain(key["key"]), versions, plain(", ".join(roots)), moment(key["versions"][-1]["created"])[:10]]
