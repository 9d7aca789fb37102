"""Domain keys: one for each purpose, wrapped by a root key of a vault, kept in the shared database.

They come between root keys and content keys, so that the vault is asked now and then and not for each message. A
purpose's key has versions: what is sealed now names the newest that everybody has had time to learn, and all of them
open. How they change is in `gateway.keys.rotation`. Leaves out: organisations but `default`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.keys.vault import Denied, KeyFault, Unavailable, Vault, VaultBroken, Wrapped
from gateway.storage.keyrows import KeyRow
from gateway.world.chance import Chance
from gateway.world.clock import Clock

ORGANISATION: Final = "default"
ROOT: Final = "default"
SPOOL: Final = "spool"  # what lies in the spools
TRACE: Final = "trace"  # what lies in the trace
TOKEN: Final = "token"  # noqa: S105  (no password: the name of the key for blind search tokens)
ACCOUNTS: Final = "accounts"  # people who may log in, their passwords' hashes
DKIM: Final = "dkim"  # which keys sign for which domains
CERTIFICATES: Final = "certificates"  # certificates for S/MIME, and the private keys of ours
PORTAL: Final = "portal"  # what is kept of rights-managed mail: copies, readers, the licence log, passcodes
MAILBOXES: Final = "mailboxes"  # who has which mailbox, its folders' names, policies; mailbox keys without a policy
PURPOSES: Final = (SPOOL, TRACE, TOKEN, ACCOUNTS, DKIM, CERTIFICATES, PORTAL, MAILBOXES)

# Seconds from the making of a version to its first use. Every process looks twice in that time (`keeper.LOOK`), and
# some are left for clocks of several nodes that differ.
LEARNING: Final = 60.0

KEY_OCTETS: Final = 32


class KeyStore(Protocol):
    """What is asked of storage: rows of wrapped keys. `gateway.storage.shared.Shared` fulfils it."""

    def keys(self) -> list[KeyRow]:
        """Every row."""

    def add_missing_keys(self, rows: Iterable[KeyRow]) -> None:
        """Add those rows whose organisation, purpose and version are not there yet, in one transaction."""

    def replace_keys(self, changes: Sequence[tuple[KeyRow, KeyRow]]) -> None:
        """Put each second row in the place of the first, in one transaction; of the wrapping alone.

        Raises KeyRowsChanged where one of the first rows is no longer as it is given here; then nothing has changed.
        """


class DomainKeys:
    """The unwrapped keys of the organisation, all versions. Never shown: neither repr nor exceptions hold octets."""

    __slots__ = ("_newest", "_sealing", "_secrets")

    def __init__(self, secrets: Mapping[tuple[str, int], bytes], sealing: Mapping[str, int] | None = None) -> None:
        """`sealing`: the version to seal with, of purposes where that is not simply the newest."""
        self._secrets = dict(secrets)
        self._newest: dict[str, int] = {}
        for purpose, version in self._secrets:
            self._newest[purpose] = max(version, self._newest.get(purpose, 0))
        self._sealing = self._newest | {
            purpose: version for purpose, version in (sealing or {}).items() if (purpose, version) in self._secrets
        }

    def __repr__(self) -> str:
        return f"DomainKeys({', '.join(f'{purpose} {version}' for purpose, version in sorted(self._secrets))})"

    def __reduce__(self) -> str:
        raise TypeError("domain keys are not pickled: they must not leave the process")

    def newest(self, purpose: str) -> int:
        """The greatest version. Raises Denied where there is no key for `purpose`."""
        if (version := self._newest.get(purpose)) is None:
            raise Denied(f"there is no domain key {purpose!r}")
        return version

    def sealing(self, purpose: str) -> int:
        """The version to seal with. Raises Denied where there is no key for `purpose`."""
        if (version := self._sealing.get(purpose)) is None:
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


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What the vaults made of the rows. A purpose one of whose versions did not open stands in `faults` alone."""

    secrets: Mapping[tuple[str, int], bytes] = field(repr=False)
    faults: Mapping[str, KeyFault]


def ensure(
    store: KeyStore, vault: Vault, purposes: Iterable[str], chance: Chance, clock: Clock, *, root: str = ROOT
) -> None:
    """Make version 1 of each domain key that is missing, wrapped by `root` of `vault`. Blocks; raises KeyFault.

    Two processes may try at once: the first row stays, and the other's key was never used by anybody.
    """
    there = {row.purpose for row in store.keys() if row.organisation == ORGANISATION}
    rows = [new_row(vault, root, purpose, 1, chance, clock) for purpose in purposes if purpose not in there]
    if rows:
        store.add_missing_keys(rows)


def load(store: KeyStore, vaults: Mapping[str, Vault], *, now: float | None = None) -> DomainKeys:
    """Unwrap every domain key, old versions too. `vaults` by their names in gateway.toml. Blocks; raises KeyFault.

    `now` (seconds since 1970): seal with versions only that all processes know by then; None: with the newest.
    """
    rows = store.keys()
    unwrapped = unwrap_all(rows, vaults)
    for fault in unwrapped.faults.values():
        raise fault
    return DomainKeys(unwrapped.secrets, None if now is None else learnt(rows, now))


def unwrap_all(rows: Iterable[KeyRow], vaults: Mapping[str, Vault]) -> Unwrapped:
    """What of `rows` opens, and what does not and why, by purpose. Blocks; raises nothing for what a vault says."""
    secrets: dict[tuple[str, int], bytes] = {}
    faults: dict[str, KeyFault] = {}
    for row in rows:
        if row.organisation != ORGANISATION:
            continue
        try:
            secrets[row.purpose, row.version] = unwrap(row, vaults)
        except KeyFault as fault:
            faults[row.purpose] = weightier(faults.get(row.purpose), fault)
    return Unwrapped({place: secret for place, secret in secrets.items() if place[0] not in faults}, faults)


def unwrap(row: KeyRow, vaults: Mapping[str, Vault]) -> bytes:
    """The 32 octets of one row. Blocks; raises KeyFault, whose text names the row."""
    if (vault := vaults.get(row.vault)) is None:
        raise Denied(
            f"{told(row)} is wrapped by the vault {row.vault!r}, "
            f"which gateway.toml does not name; it names {', '.join(map(repr, sorted(vaults))) or 'none'}"
        )
    wrapped = Wrapped(row.vault, row.root, row.root_version, row.wrapped)
    about = f"domain key {row.purpose} {row.version}"
    try:
        secret = vault.unwrap(wrapped, context(row.organisation, row.purpose, row.version), about=about)
    except KeyFault as fault:
        raise restated(fault, f"{told(row)} can't be had: {fault}") from fault
    if len(secret) != KEY_OCTETS:
        raise VaultBroken(f"{told(row)} does not have {KEY_OCTETS} octets")
    return secret


def learnt(rows: Iterable[KeyRow], now: float, *, alone: bool = False) -> dict[str, int]:
    """The version of each purpose to seal with: the newest that everybody has had LEARNING seconds to learn.

    Where no version is so old, the oldest: it was there first. `alone`: nobody else reads, so the newest at once.
    """
    versions: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if row.organisation == ORGANISATION:
            versions.setdefault(row.purpose, []).append((row.version, row.created / 1000))
    found: dict[str, int] = {}
    for purpose, known in versions.items():
        old = [version for version, created in known if alone or created + LEARNING <= now]
        found[purpose] = max(old) if old else min(version for version, _ in known)
    return found


def new_row(vault: Vault, root: str, purpose: str, version: int, chance: Chance, clock: Clock) -> KeyRow:
    """A domain key that was just drawn, wrapped. Blocks; raises KeyFault."""
    made = KeyRow(
        organisation=ORGANISATION,
        purpose=purpose,
        version=version,
        vault=vault.name,
        root=root,
        root_version=0,
        wrapped=b"",
        created=int(clock.now() * 1000),
    )
    return wrapped_by(made, vault, root, chance.octets(KEY_OCTETS))


def wrapped_by(row: KeyRow, vault: Vault, root: str, secret: bytes) -> KeyRow:
    """The row with its key, whose octets are `secret`, under the newest version of that root. Blocks; KeyFault."""
    about = f"domain key {row.purpose} {row.version}"
    wrapped = vault.wrap(root, secret, context(row.organisation, row.purpose, row.version), about=about)
    return KeyRow(
        organisation=row.organisation,
        purpose=row.purpose,
        version=row.version,
        vault=wrapped.vault,
        root=wrapped.root,
        root_version=wrapped.root_version,
        wrapped=wrapped.octets,
        created=row.created,
    )


def context(organisation: str, purpose: str, version: int) -> bytes:
    """What a wrapped domain key is bound to. No name holds a NUL, so no two keys share a context."""
    return f"gateway domain key 1\0{organisation}\0{purpose}\0{version}".encode()


def told(row: KeyRow) -> str:
    """The row as a person is told of it."""
    return f"the domain key {row.purpose!r} (version {row.version})"


def weightier(one: KeyFault | None, other: KeyFault) -> KeyFault:
    """Of two faults of a purpose, the one by which it goes: the owner's no, then damage, then absence."""
    if one is None:
        return other
    return min(one, other, key=lambda fault: 0 if isinstance(fault, Denied) else 1 if _is_broken(fault) else 2)


def _is_broken(fault: KeyFault) -> bool:
    return not isinstance(fault, Denied | Unavailable)


def restated(fault: KeyFault, text: str) -> KeyFault:
    """A fault of the same meaning in other words. A provider's own subclasses become what they stand for."""
    kinds: tuple[Callable[[str], KeyFault], ...] = (Denied, Unavailable, VaultBroken)
    return next((kind(text) for kind in kinds if isinstance(fault, kind)), KeyFault(text))  # type: ignore[arg-type]
