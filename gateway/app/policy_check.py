"""Judging what only the database knows of mailboxes: whether a catch-all is one, and the keys of policies, of which one
that is disabled or gone leaves the other alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.app.availability import availability_name, wants_mailboxes
from gateway.app.book_terms import book_terms
from gateway.app.database import open_shared
from gateway.app.policy_uses import PolicyBook, policy_book
from gateway.app.vault_place import place_of
from gateway.keys.domain import MAILBOXES, TOKEN, DomainKeys, unwrap_all
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import Denied, KeyFault, Vault
from gateway.mail.address import BadAddress, parse_address
from gateway.mailboxes.policies.life import judge
from gateway.mailboxes.policies.policy import ROOTS, root_name
from gateway.settings.fault import Fault, shown
from gateway.settings.load import Loaded
from gateway.storage.keyrows import KeyRow
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import CopyKind, PolicyRow, PolicyState, WrappedCopy
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock

_KEY: Final = "mailboxes.availability_key"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the database knows: all policies, and those of the catch-alls' addresses that are mailboxes'."""

    book: PolicyBook
    takers: frozenset[str]


def judge_policies(loaded: Loaded, rows: Sequence[KeyRow], held: Mapping[str, Vault]) -> Iterator[Fault]:
    """The `doubts`, and a warning for each key of a policy that its vault denies. Blocks.

    `rows`: the domain keys; `held`: the vaults. Where one is away, or policies can't be read, others tell of it.
    """
    if not wants_mailboxes(loaded):
        return
    kept = _kept(loaded, rows, held)
    if kept is None:
        return
    yield from doubts(loaded, kept.book.rows, kept.takers)
    for policy in kept.book.rows:
        if policy.state is PolicyState.READY:
            for copy in policy.copies:
                yield from _judged(loaded, policy.name, copy, held)


def doubts(loaded: Loaded, policies: Sequence[PolicyRow], takers: Collection[str]) -> Iterator[Fault]:
    """A warning for each setting that does not fit what the database has: a catch-all that is no mailbox, a default
    policy that is none or ends, an availability key that lies with a root. `takers`: the catch-alls that are mailboxes.
    """
    if not wants_mailboxes(loaded):
        return
    yield from _nobody(loaded, takers)
    default = loaded.settings.mailboxes.default_policy
    if default is not None:
        states = {policy.name: policy.state for policy in policies}
        if default not in states:
            yield no_default(loaded, default)
        elif states[default] is not PolicyState.READY:
            yield _ending_default(loaded, default)
    yield from _together(loaded, [policy for policy in policies if policy.state is PolicyState.READY])


def _nobody(loaded: Loaded, takers: Collection[str]) -> Iterator[Fault]:
    """Catch-alls that are no mailbox's. `takers`: the addresses of those that are."""
    for domain, taker in loaded.settings.mailboxes.catch_all.items():
        try:
            who = parse_address(taker).who
        except BadAddress:
            continue  # Told already.
        if who not in takers:
            found = f"{shown(taker)}, and no mailbox of that address, so that nobody takes what it is for"
            right = f"gateway mailbox create {who}; or an address that gateway mailbox list shows"
            yield loaded.warning(f"mailboxes.catch_all.{domain}", found, right)


def _together(loaded: Loaded, ready: Sequence[PolicyRow]) -> Iterator[Fault]:
    """An availability key in the vault of a root: it is away whenever that vault is, and its owner is the root's."""
    place, own = place_of(loaded), availability_name(loaded)
    told: set[str] = set()
    for policy in ready:
        service = next((copy for copy in policy.copies if copy.kind is CopyKind.AVAILABILITY), None)
        for root in _roots(policy):
            if service is None or place(root.vault) != place(service.vault):
                continue
            told.add(root_name(service))
            found = f"that the policy {policy.name} lies under {root_name(service)}, in the vault of its root "
            found += f"{root_name(root)}: what that vault does not answer, it opens no more than the root"
            right = f"gateway policy replace {policy.name} --root {root_name(root)}=VAULT/KEY with a vault that is not "
            right += "the service's own; or another availability_key, under which policies lie that are made from then"
            yield loaded.warning(_KEY, found, f"{right} on")
    if str(own) in told:
        return
    for policy in ready:
        for root in _roots(policy):
            if place(root.vault) == place(own.vault):
                found = f"{shown(str(own))}, in the vault of {root_name(root)}, a root of the policy {policy.name}"
                right = "VAULT/KEY in a vault that is the service's own, where no root lies"
                yield loaded.warning(_KEY, found, right)
                return


def _roots(policy: PolicyRow) -> list[WrappedCopy]:
    return [copy for copy in policy.copies if copy.kind in ROOTS]


def no_default(loaded: Loaded, name: str) -> Fault:
    """The warning of [mailboxes] default_policy where the database has no policy of that name: a new database has none,
    not even the one that `gateway init --imap` made in its own.
    """
    found = f"{shown(name)}, and no such policy in the database, so that no mailbox can be made without --policy"
    right = (
        f"gateway policy create {name} --root VAULT/KEY --root VAULT/KEY --custodian PUBLIC.pem, once for a database; "
        "or a name that gateway policy list shows"
    )
    return loaded.warning("mailboxes.default_policy", found, right)


def _ending_default(loaded: Loaded, name: str) -> Fault:
    found = f"{shown(name)}, which is being destroyed or is destroyed, so that no mailbox can be made without --policy"
    right = f"another one that gateway policy list shows as ready; gateway policy show {name} tells the rest"
    return loaded.warning("mailboxes.default_policy", found, right)


def _judged(loaded: Loaded, policy: str, copy: WrappedCopy, held: Mapping[str, Vault]) -> Iterator[Fault]:
    names = [section.name for section in loaded.settings.vaults]
    key = f"vaults[{names.index(copy.vault)}]" if copy.vault in names else "vaults"
    try:
        if copy.vault in held:
            held[copy.vault].health()
    except KeyFault:
        return
    try:
        judge(held, copy)
    except Denied as fault:
        right = f"a key that may be used, if its owner wants it; gateway policy show {policy} tells what is left"
        yield loaded.warning(key, f"that a key of the policy {policy} is denied ({fault})", right)
    except KeyFault:
        return


def _kept(loaded: Loaded, rows: Sequence[KeyRow], held: Mapping[str, Vault]) -> _Kept | None:
    """All policies, and which catch-alls are mailboxes; None where they can't be read."""
    chance, clock = SystemChance(), SystemClock()
    needed = [row for row in rows if row.purpose in (MAILBOXES, TOKEN)]
    takers = set(book_terms(loaded).catch_all.values())
    try:
        shared = open_shared(loaded)
        try:
            sealer = KeySealer(DomainKeys(unwrap_all(needed, held).secrets), chance)
            book = policy_book(shared, sealer, chance, clock)
            store = MailboxStore(shared, sealer, chance=chance, clock=clock)
            return _Kept(book, frozenset(asyncio.run(store.find_many(takers))) if takers else frozenset())
        finally:
            shared.close()
    except (KeyFault, KeysClosed, SealBroken, StorageBroken, StorageFull):
        return None
