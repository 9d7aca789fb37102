"""What hangs on a key: which keys it wraps, how much lies sealed under them, whose mail it signs.

Told before a key is disabled or deleted, so that whoever says yes knows to what. Counted without any key; what a key
that signs mail is for is read where that opens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.app.policy_uses import PolicyUse
from gateway.keys import domain
from gateway.keys.vault import VaultKey
from gateway.mailboxes.policies.certificate import KEY as DESTRUCTION_KEY
from gateway.storage.dkim_keys import DkimKey
from gateway.storage.keyrows import KeyRow
from gateway.storage.weight import Kept, Weight

DOMAIN: Final = "domain"  # Stands for the vault in the names of domain keys: domain/PURPOSE.
DKIM_PREFIX: Final = "dkim."  # Before DOMAIN.SELECTOR in the name of a key that signs a domain's mail.
LOG_KEY: Final = "access-log"  # The key that signs heads of the key-access log.
UNUSED: Final = "unused"  # Instead of a use: the key is named like one that signs mail, and is none that is known.
DKIM: Final = "dkim"  # The purpose of the domain key under which it is kept which keys sign.


@dataclass(frozen=True, slots=True)
class Hangs:
    """What hangs on one key of a vault: domain keys by their rows, what it signs, rights-managed mail."""

    rows: tuple[KeyRow, ...] = field(repr=False)
    dkim: tuple[str, str] | None = None  # Domain and selector.
    signs_log: bool = False
    is_tenant: bool = False
    use: str | None = None  # Of a DKIM key: a `Use`, or UNUSED; None: it was not asked, or could not be read.
    policies: tuple[PolicyUse, ...] = ()
    signs_destruction: bool = False

    @property
    def purposes(self) -> tuple[str, ...]:
        """Of the domain keys that it wraps, each once."""
        return tuple(dict.fromkeys(row.purpose for row in self.rows))

    def told(self) -> list[dict[str, Any]]:
        """In the form of `gateway key list --json`."""
        found: list[dict[str, Any]] = [
            {
                "kind": "domain_key",
                "key": f"{DOMAIN}/{row.purpose}",
                "version": row.version,
                "root_version": row.root_version,
            }
            for row in self.rows
        ]
        if self.dkim is not None:
            use = {} if self.use is None else {"use": self.use}
            found.append({"kind": "dkim", "domain": self.dkim[0], "selector": self.dkim[1], **use})
        if self.signs_log:
            found.append({"kind": "key_log"})
        if self.is_tenant:
            found.append({"kind": "tenant"})
        if self.signs_destruction:
            found.append({"kind": "destruction"})
        return found + [use.told() for use in self.policies]


def hangs_on(key: VaultKey, rows: Iterable[KeyRow], domains: Iterable[str] = ()) -> Hangs:
    """What hangs on `key`, by the rows of domain keys. `domains` of ours tell domain and selector apart."""
    root = (domain.ORGANISATION, key.vault, key.name)
    mine = [row for row in rows if (row.organisation, row.vault, row.root) == root]
    mine.sort(key=lambda row: (row.purpose, row.version))
    return Hangs(
        tuple(mine),
        dkim_names(key.name, domains),
        signs_log=key.name == LOG_KEY and key.type.signs,
        signs_destruction=key.name == DESTRUCTION_KEY and key.type.signs,
    )


def with_use(hangs: Hangs, key: VaultKey, known: Iterable[DkimKey]) -> Hangs:
    """With what a DKIM key is for, by the rows of all that are known: they are right where its name is ambiguous."""
    for one in known:
        if (one.vault, one.key) == (key.vault, key.name):
            return replace(hangs, dkim=(one.domain, one.selector), use=one.use.value)
    return hangs if hangs.dkim is None else replace(hangs, use=UNUSED)


def dkim_names(key: str, domains: Iterable[str] = ()) -> tuple[str, str] | None:
    """Domain and selector of a key that signs mail, by its name; None for any other key.

    Both may have dots. The longest of `domains`, which are ours, that fits is the domain; else all but the last label.
    """
    if not key.startswith(DKIM_PREFIX):
        return None
    name = key.removeprefix(DKIM_PREFIX)
    for one in sorted(domains, key=len, reverse=True):
        if name.startswith(f"{one}.") and name != f"{one}.":
            return one, name[len(one) + 1 :]
    domain_, _, selector = name.rpartition(".")
    return (domain_, selector) if domain_ else None


def consequences(key: VaultKey, hangs: Hangs, weight: Weight | None, kept: Kept | None) -> dict[str, Any]:
    """In the form in which the command line is told. Numbers are None where nothing of theirs hangs on the key."""
    purposes = set(hangs.purposes)
    queue = None
    if domain.SPOOL in purposes and weight is not None:
        queue = {"messages": weight.messages, "octets": weight.octets}
    return {
        "key": f"{key.vault}/{key.name}",
        "type": key.type.value,
        "state": key.state.value,
        "holds": hangs.told(),
        "queue": queue,
        "traces": kept.traces if kept is not None and domain.TRACE in purposes else None,
        "accounts": kept.accounts if kept is not None and domain.ACCOUNTS in purposes else None,
        "rights": None if kept is None or not (hangs.is_tenant or domain.PORTAL in purposes) else kept.rights,
        "mailboxes": None if kept is None or domain.MAILBOXES not in purposes else kept.mailboxes,
        "copies": None if kept is None or domain.PORTAL not in purposes else kept.copies,
        # Without its domain key nobody knows which keys sign, so no mail is signed.
        "signing": DKIM in purposes,
    }
