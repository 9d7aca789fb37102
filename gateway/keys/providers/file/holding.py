"""The keys of a vault in memory, and the life of a key as functions from one holding to the next. No I/O.

Every refusal is a `Denied` that names vault and key and says what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.keys.providers.file.software import SoftwareKey
from gateway.keys.vault import Denied, KeyState, KeyType, KeyVersion, VaultBroken, VaultKey
from gateway.world.chance import Chance

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,319}")  # A DKIM key has a domain and a selector in its name.
MOST_VERSIONS: Final = 1000
MOST_KEYS: Final = 5000


@dataclass(frozen=True, slots=True)
class HeldVersion:
    """One version. `created`: seconds since 1970; None: made before vaults kept it."""

    number: int
    created: float | None
    key: SoftwareKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKey:
    """A key with its versions, in the order of their numbers."""

    name: str
    type: KeyType
    state: KeyState = KeyState.ENABLED
    ends: float | None = None
    versions: tuple[HeldVersion, ...]

    def told(self, vault: str) -> VaultKey:
        """As the vault tells of it."""
        versions = tuple(KeyVersion(one.number, one.created) for one in self.versions)
        return VaultKey(
            vault=vault, name=self.name, type=self.type, state=self.state, versions=versions, ends=self.ends
        )


class Holding(Mapping[str, HeldKey]):
    """All keys of one vault. Immutable; each change gives a new one."""

    __slots__ = ("_keys", "vault")

    def __init__(self, vault: str, keys: Mapping[str, HeldKey] | None = None) -> None:
        self.vault = vault
        self._keys = dict(sorted((keys or {}).items()))

    def __repr__(self) -> str:
        return f"Holding({self.vault!r}, {list(self._keys)})"

    def __getitem__(self, name: str) -> HeldKey:
        return self._keys[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    # -- use ----------------------------------------------------------------------------------------------------------

    def usable(self, name: str, version: int | None = None) -> HeldVersion:
        """That version (default: the newest). Raises Denied where it is not held, disabled or deleted."""
        key = self._known(name)
        if key.state is KeyState.DISABLED:
            raise Denied(f"key {name!r} of vault {self.vault!r} is disabled; gateway key enable allows its use again")
        if key.state is KeyState.DELETED:
            raise Denied(
                f"key {name!r} of vault {self.vault!r} is deleted; gateway key recover takes that back in time"
            )
        return self._version(key, version)

    def any_state(self, name: str, version: int | None = None) -> HeldVersion:
        """As `usable`, but of a disabled or deleted key too: for its public half, which tells nobody anything."""
        return self._version(self._known(name), version)

    def _version(self, key: HeldKey, version: int | None) -> HeldVersion:
        if version is None:
            return key.versions[-1]
        for one in reversed(key.versions):
            if one.number == version:
                return one
        raise Denied(f"vault {self.vault!r} holds no version {version} of key {key.name!r}")

    def _known(self, name: str) -> HeldKey:
        if (key := self._keys.get(name)) is None:
            raise Denied(f"vault {self.vault!r} holds no key {name!r}")
        return key

    # -- life ---------------------------------------------------------------------------------------------------------

    def with_new(self, name: str, type_: KeyType, now: float, chance: Chance) -> Holding:
        """One key more, with version 1."""
        if not NAME.fullmatch(name):
            raise Denied(
                f"{name!r} is no name for a key; right would be letters, digits, dots, hyphens and underscores"
            )
        if (there := self._keys.get(name)) is not None:
            also = " (it is deleted, and can be recovered until its waiting time ends)" if there.ends else ""
            raise Denied(f"vault {self.vault!r} holds a key {name!r} already{also}; choose another name")
        if len(self._keys) >= MOST_KEYS:
            raise Denied(f"vault {self.vault!r} holds {MOST_KEYS} keys, which is the most that a file vault takes")
        return self._with(
            HeldKey(name=name, type=type_, versions=(HeldVersion(1, now, SoftwareKey.drawn(type_, chance)),))
        )

    def rotated(self, name: str, now: float, chance: Chance) -> Holding:
        """A new version of a key that is enabled."""
        newest = self.usable(name)
        key = self._keys[name]
        if len(key.versions) >= MOST_VERSIONS:
            raise Denied(f"key {name!r} of vault {self.vault!r} has {MOST_VERSIONS} versions, which is the most")
        version = HeldVersion(newest.number + 1, now, SoftwareKey.drawn(key.type, chance))
        return self._with(replace(key, versions=(*key.versions, version)))

    def in_state(self, name: str, state: KeyState, ends: float | None = None) -> Holding:
        """Disabled, enabled, or deleted until `ends`. What is deleted stays so: see `recovered`."""
        key = self._known(name)
        if key.state is KeyState.DELETED:
            raise Denied(f"key {name!r} of vault {self.vault!r} is deleted; right would be gateway key recover first")
        return self._with(replace(key, state=state, ends=ends))

    def recovered(self, name: str, now: float) -> Holding:
        """A deleted key is disabled instead, while its waiting time lasts."""
        key = self._known(name)
        if name in self.ended(now):
            raise Denied(f"the waiting time of key {name!r} of vault {self.vault!r} is over: it is destroyed")
        if key.state is not KeyState.DELETED:
            raise Denied(f"key {name!r} of vault {self.vault!r} is not deleted: it is {key.state}")
        return self._with(replace(key, state=KeyState.DISABLED, ends=None))

    def ended(self, now: float) -> tuple[str, ...]:
        """The names of the deleted keys whose waiting time is over."""
        return tuple(
            name
            for name, key in self._keys.items()
            if key.state is KeyState.DELETED and key.ends is not None and key.ends <= now
        )

    def without(self, names: tuple[str, ...]) -> Holding:
        """Those keys gone for good."""
        return Holding(self.vault, {name: key for name, key in self._keys.items() if name not in names})

    def _with(self, key: HeldKey) -> Holding:
        return Holding(self.vault, {**self._keys, key.name: key})


def check(key: HeldKey, where: str) -> HeldKey:
    """`key` as it was read. Raises VaultBroken where it breaks what every holding promises."""
    numbers = [one.number for one in key.versions]
    good = (
        NAME.fullmatch(key.name)
        and numbers
        and numbers == sorted(set(numbers))
        and numbers[0] >= 1
        and (key.ends is not None) == (key.state is KeyState.DELETED)
    )
    if not good:
        raise VaultBroken(f"{where} holds a key {key.name!r} that contradicts itself")
    return key
