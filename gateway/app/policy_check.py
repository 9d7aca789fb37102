"""Judging the keys under which data encryption policies lie: one that is disabled or gone leaves the other alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.app.availability import wants_mailboxes
from gateway.app.database import open_shared
from gateway.app.policy_uses import PolicyBook, policy_book
from gateway.keys.domain import MAILBOXES, TOKEN, DomainKeys, unwrap_all
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import Denied, KeyFault, Vault
from gateway.mailboxes.policies.life import judge
from gateway.settings.fault import Fault, shown
from gateway.settings.load import Loaded
from gateway.storage.keyrows import KeyRow
from gateway.storage.mailboxes.model import PolicyState, WrappedCopy
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock


def judge_policies(loaded: Loaded, rows: Sequence[KeyRow], held: Mapping[str, Vault]) -> Iterator[Fault]:
    """A warning for each key of a policy that its vault denies, and for a default policy that is none or ends. Blocks.

    `rows`: the domain keys; `held`: the vaults. Where one is away, or policies can't be read, others tell of it.
    """
    if not wants_mailboxes(loaded):
        return
    book = _book(loaded, rows, held)
    if book is None:
        return
    default = loaded.settings.mailboxes.default_policy
    if default is not None:
        states = {policy.name: policy.state for policy in book.rows}
        if default not in states:
            yield no_default(loaded, default)
        elif states[default] is not PolicyState.READY:
            yield _ending_default(loaded, default)
    for policy in book.rows:
        if policy.state is PolicyState.READY:
            for copy in policy.copies:
                yield from _judged(loaded, policy.name, copy, held)


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


def _book(loaded: Loaded, rows: Sequence[KeyRow], held: Mapping[str, Vault]) -> PolicyBook | None:
    """All policies; None where they can't be read."""
    chance = SystemChance()
    needed = [row for row in rows if row.purpose in (MAILBOXES, TOKEN)]
    try:
        shared = open_shared(loaded)
        try:
            sealer = KeySealer(DomainKeys(unwrap_all(needed, held).secrets), chance)
            return policy_book(shared, sealer, chance, SystemClock())
        finally:
            shared.close()
    except (KeyFault, KeysClosed, SealBroken, StorageBroken, StorageFull):
        return None
