"""Domain keys: one for each purpose, wrapped by a root key of a vault, kept in the shared database.

They come between root keys and content keys, so that the vault is asked once at the start and not for each message.
Leaves out: rotation (more than one version is read, only version 1 is made), organisations but `default`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from gateway.keys.vault import Denied, Vault, VaultBroken, Wrapped
from gateway.storage.keyrows import KeyRow
from gateway.world.chance import Chance
from gateway.world.clock import Clock

ORGANISATION: Final = "default"
ROOT: Final = "default"
SPOOL: Final = "spool"  # what lies in the spools
TRACE: Final = "trace"  # what lies in the trace
TOKEN: Final = "token"  # noqa: S105  (no password: the name of the key for blind search tokens)
ACCOUNTS: Final = "accounts"  # people who may log in, their passwords' hashes
PURPOSES: Final = (SPOOL, TRACE, TOKEN, ACCOUNTS)

_KEY_OCTETS: Final = 32


class KeyStore(Protocol):
    """What is asked of storage: rows of wrapped keys. `gateway.storage.shared.Shared` fulfils it."""

    def keys(self) -> list[KeyRow]:
        """Every row."""

    def add_missing_keys(self, rows: Iterable[KeyRow]) -> None:
        """Add those rows whose organisation, purpose and version are not there yet, in one transaction."""


class DomainKeys:
    """The unwrapped keys of the organisation, all versions. Never shown: neither repr nor exceptions hold octets."""

    __slots__ = ("_newest", "_secrets")

    def __init__(self, secrets: Mapping[tuple[str, int], bytes]) -> None:
        self._secrets = dict(secrets)
        self._newest: dict[str, int] = {}
        for purpose, version in self._secrets:
            self._newest[purpose] = max(version, self._newest.get(purpose, 0))

    def __repr__(self) -> str:
        return f"DomainKeys({', '.join(f'{purpose} {version}' for purpose, version in sorted(self._secrets))})"

    def __reduce__(self) -> str:
        raise TypeError("domain keys are not pickled: they must not leave the process")

    def newest(self, purpose: str) -> int:
        """The version to seal with. Raises Denied where there is no key for `purpose`."""
        if (version := self._newest.get(purpose)) is None:
            raise Denied(f"there is no domain key {purpose!r}")
        return version

    def secret(self, purpose: str, version: int) -> bytes:
        """The 32 octets. Raises Denied where there is no such key."""
        if (secret := self._secrets.get((purpose, version))) is None:
            raise Denied(f"there is no version {version} of the domain key {purpose!r}")
        return secret

    def places(self) -> tuple[tuple[str, int], ...]:
        """Purpose and version of every key."""
        return tuple(self._secrets)


def ensure(store: KeyStore, vault: Vault, purposes: Iterable[str], chance: Chance, clock: Clock) -> None:
    """Make version 1 of each domain key that is missing, wrapped by `vault`. Blocks; raises KeyFault.

    Two processes may try at once: the first row stays, and the other's key was never used by anybody.
    """
    there = {row.purpose for row in store.keys() if row.organisation == ORGANISATION}
    rows = [_new_row(vault, purpose, chance, clock) for purpose in purposes if purpose not in there]
    if rows:
        store.add_missing_keys(rows)


def load(store: KeyStore, vaults: Mapping[str, Vault]) -> DomainKeys:
    """Unwrap every domain key, old versions too. `vaults` by their names in gateway.toml. Blocks; raises KeyFault."""
    secrets: dict[tuple[str, int], bytes] = {}
    for row in store.keys():
        if row.organisation != ORGANISATION:
            continue
        if (vault := vaults.get(row.vault)) is None:
            raise Denied(
                f"the domain key {row.purpose!r} (version {row.version}) is wrapped by the vault {row.vault!r}, "
                f"which gateway.toml does not name; it names {', '.join(map(repr, sorted(vaults))) or 'none'}"
            )
        wrapped = Wrapped(row.vault, row.root, row.root_version, row.wrapped)
        secret = vault.unwrap(wrapped, _context(row.organisation, row.purpose, row.version))
        if len(secret) != _KEY_OCTETS:
            raise VaultBroken(f"the domain key {row.purpose!r} (version {row.version}) does not have 32 octets")
        secrets[row.purpose, row.version] = secret
    return DomainKeys(secrets)


def _new_row(vault: Vault, purpose: str, chance: Chance, clock: Clock) -> KeyRow:
    wrapped = vault.wrap(ROOT, chance.octets(_KEY_OCTETS), _context(ORGANISATION, purpose, 1))
    return KeyRow(
        organisation=ORGANISATION,
        purpose=purpose,
        version=1,
        vault=wrapped.vault,
        root=wrapped.root,
        root_version=wrapped.root_version,
        wrapped=wrapped.octets,
        created=int(clock.now() * 1000),
    )


def _context(organisation: str, purpose: str, version: int) -> bytes:
    # No name holds a NUL, so no two keys share a context.
    return f"gateway domain key 1\0{organisation}\0{purpose}\0{version}".encode()
