"""Which keys a policy's key was wrapped by, and when: what lies in a backup of that time still needs them (row k07).

Kept in the policy's own row, as JSON beside what is known of its end: {"key", "version", "since", "until"}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.mailboxes.policies.policy import root_name
from gateway.storage.mailboxes.model import PolicyRow, WrappedCopy

PAST: Final = "past"
SINCE: Final = "since"  # When the copies that there are now were made, by their kind.


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as policies see it. Times are seconds since 1970; `is_there`: its file lies where it was made."""

    id: str
    path: str
    began: float
    made: float
    is_there: bool


@dataclass(frozen=True, slots=True)
class Need:
    """A version of a key, and which backups need it. `is_current`: the policy itself does too."""

    key: str
    version: int
    backups: tuple[Backup, ...]
    is_current: bool


def with_past(row: PolicyRow, copies: Iterable[WrappedCopy], now: float) -> dict[str, Any]:
    """What `row.purge` is to hold when `copies` take the place of the row's own."""
    facts: dict[str, Any] = {"version": 1, **(row.purge or {})}
    since = dict(facts.get(SINCE, {}))
    past = list(facts.get(PAST, []))
    before = {copy.kind: copy for copy in row.copies}
    for copy in copies:
        old = before.get(copy.kind)
        if old is not None and old != copy:
            began = since.get(old.kind.value, row.created)
            past.append({"key": root_name(old), "version": old.key_version, "since": began, "until": now})
            since[copy.kind.value] = now
    return facts | {PAST: past, SINCE: since}


def needs(row: PolicyRow, backups: Iterable[Backup]) -> list[Need]:
    """Every version that something still needs: the policy itself those of now, backups those of their time."""
    known = tuple(backups)
    facts: Mapping[str, Any] = row.purge or {}
    since = facts.get(SINCE, {})
    spans = [(one["key"], one["version"], one["since"], one["until"], False) for one in facts.get(PAST, ())]
    spans += [
        (root_name(copy), copy.key_version, since.get(copy.kind.value, row.created), None, True) for copy in row.copies
    ]
    found: dict[tuple[str, int], Need] = {}
    for key, version, began, ended, is_current in spans:
        mine = [one for one in known if one.made >= began and (ended is None or one.began < ended)]
        before = found.get((key, version))
        held = tuple(dict.fromkeys((*(before.backups if before else ()), *mine)))
        found[key, version] = Need(key, version, held, is_current or (before is not None and before.is_current))
    return [need for need in found.values() if need.is_current or need.backups]
