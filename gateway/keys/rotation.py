"""How domain keys change: new versions, new wrappings after a root key was rotated, and other roots and vaults.

Whatever the amount of mail, it is one row for each version of a domain key, and one transaction. What was sealed before
opens as before: a domain key's old versions stay, and so do a root's. Leaves out: sealing anew what lies in storage,
and taking old versions away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.keys.domain import ORGANISATION, PURPOSES, ROOT, TOKEN, KeyStore, new_row, unwrap, wrapped_by
from gateway.keys.vault import Denied, KeyFault, Unavailable, Vault
from gateway.storage.keyrows import KeyRow, KeyRowsChanged
from gateway.world.chance import Chance
from gateway.world.clock import Clock

_NOT_ROTATED: Final = {
    TOKEN: "the domain key 'token' is not rotated: it makes the blind tokens by which traces, accounts and the queue's "
    "destinations are found, and with another key nothing that is there would be found again",
}


class NotThis(KeyFault):
    """What was asked can't be done with this key, ever; the text says why and what is right."""


@dataclass(frozen=True, slots=True)
class RootName:
    """A root key, as the command line writes it: VAULT/KEY."""

    vault: str
    key: str

    def __str__(self) -> str:
        return f"{self.vault}/{self.key}"


def root_of(row: KeyRow) -> RootName:
    """The root key that wraps the row."""
    return RootName(row.vault, row.root)


def home(store: KeyStore, default: str) -> RootName:
    """The root key under which new domain keys belong: where the newest are, or ROOT of the vault `default`. Blocks."""
    rows = [row for row in store.keys() if row.organisation == ORGANISATION]
    return root_of(max(rows, key=lambda row: row.created)) if rows else RootName(default, ROOT)


def wrapped_under(store: KeyStore, root: RootName) -> list[KeyRow]:
    """The domain keys that `root` wraps, all versions, by purpose. Blocks."""
    rows = [row for row in store.keys() if root_of(row) == root]
    return sorted(rows, key=lambda row: (row.organisation, row.purpose, row.version))


def rotate_domain(store: KeyStore, vaults: Mapping[str, Vault], purpose: str, chance: Chance, clock: Clock) -> KeyRow:
    """One version more of a domain key, under the root that wraps the newest one. Blocks; raises KeyFault.

    It opens at once, and is sealed with when every process has had time to learn it (`domain.LEARNING`).
    """
    if (reason := _NOT_ROTATED.get(purpose)) is not None:
        raise NotThis(reason)
    rows = [row for row in store.keys() if row.organisation == ORGANISATION and row.purpose == purpose]
    if not rows:
        known = ", ".join(one for one in PURPOSES if one not in _NOT_ROTATED)
        raise NotThis(f"there is no domain key {purpose!r}; those that can be rotated are {known}")
    newest = max(rows, key=lambda row: row.version)
    # Nobody shall seal with a second key of a purpose whose first one does not open: half of it could not be read.
    unwrap(newest, vaults)
    row = new_row(_vault(vaults, newest.vault), newest.root, purpose, newest.version + 1, chance, clock)
    store.add_missing_keys([row])
    if row not in store.keys():
        raise Unavailable(f"somebody else made version {row.version} of the domain key {purpose!r} at this moment")
    return row


def rotate_root(store: KeyStore, vaults: Mapping[str, Vault], root: RootName) -> int:
    """One version more of a root key, and all that it wraps under that; the number of rows. Blocks; raises KeyFault.

    Where the second half fails nothing is lost, since the old version still opens; `rewrap` does it again.
    """
    _vault(vaults, root.vault).rotate(root.key)
    return rewrap(store, vaults, root)


def rewrap(store: KeyStore, vaults: Mapping[str, Vault], root: RootName) -> int:
    """Put every domain key that an older version of `root` wraps under its newest one; the number of rows.

    One transaction. Blocks; raises KeyFault, and then nothing has changed.
    """
    vault = _vault(vaults, root.vault)
    newest = next((key.newest for key in vault.keys() if key.name == root.key), None)
    if newest is None:
        raise Denied(f"vault {root.vault!r} holds no root key {root.key!r}")
    return _replace(store, vaults, [row for row in wrapped_under(store, root) if row.root_version != newest], root)


def rehome(store: KeyStore, vaults: Mapping[str, Vault], source: RootName, target: RootName) -> int:
    """Put every domain key that `source` wraps under `target`, of the same vault or another; the number of rows.

    One transaction. Blocks; raises KeyFault, and then nothing has changed.
    """
    if source == target:
        raise NotThis(f"{source} and {target} are the same root key")
    _vault(vaults, source.vault)
    rows = wrapped_under(store, source)
    if not rows:
        raise NotThis(f"{source} wraps no domain key; gateway key list shows which root wraps what")
    return _replace(store, vaults, rows, target)


def _replace(store: KeyStore, vaults: Mapping[str, Vault], rows: list[KeyRow], target: RootName) -> int:
    vault = _vault(vaults, target.vault)
    changes = []
    for row in rows:
        secret = unwrap(row, vaults)
        changed = wrapped_by(row, vault, target.key, secret)
        # What can't be unwrapped again is not written: the old wrapping is the only one that is known to open.
        if unwrap(changed, vaults) != secret:
            raise Unavailable(f"{target} does not give back what it wrapped; nothing was changed")
        changes.append((row, changed))
    if changes:
        try:
            store.replace_keys(changes)
        except KeyRowsChanged as error:
            raise Unavailable(f"{error}; nothing was changed: say it again") from error
    return len(changes)


def _vault(vaults: Mapping[str, Vault], name: str) -> Vault:
    if (vault := vaults.get(name)) is None:
        known = ", ".join(map(repr, sorted(vaults))) or "none"
        raise NotThis(f"gateway.toml names no vault {name!r}; it names {known}")
    return vault
