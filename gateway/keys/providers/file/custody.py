"""Making and sealing a file vault, and the life of its protectors. Blocks; for the command line, not for who serves.

Leaves out: changing the master key. Whoever once held a protector and a copy of the file can open that copy for ever;
removing the protector shuts him out of what comes later only if he cannot read the file any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.keys.providers.file import clear, sheet, store
from gateway.keys.providers.file.holding import HeldKey, Holding
from gateway.keys.providers.file.means import Means
from gateway.keys.providers.file.sheet import MASTER_OCTETS, MOST_PROTECTORS, Head, Protector, Sheet
from gateway.keys.providers.file.store import FILE
from gateway.keys.providers.file.vault import format_of, sheet_in
from gateway.keys.vault import Denied, KeyType, VaultBroken
from gateway.world.chance import Chance
from gateway.world.clock import Clock

_ID_OCTETS: Final = 16

# Makes a protector of the vault with that id, for that master key.
Maker = Callable[[str, bytes], Protector]


def create(
    folder: Path,
    roots: Sequence[str],
    makers: Sequence[Maker],
    *,
    signers: Mapping[str, KeyType] | None = None,
    chance: Chance,
    clock: Clock,
) -> Head:
    """Write a new vault with version 1 of each root key (AES-256) and of each that signs, on disk when this returns.

    Raises Denied where there is one already (it is never overwritten), Unavailable where the disk refuses, ValueError
    for names that are none.
    """
    keys = Holding(folder.name)
    for root in roots:
        try:
            keys = keys.with_new(root, KeyType.AES_256, clock.now(), chance)
        except Denied as error:
            raise ValueError(f"root keys need names of letters, digits, dots and hyphens: {error}") from None
    for name, type_ in (signers or {}).items():
        keys = keys.with_new(name, type_, clock.now(), chance)
    if not roots or not makers:
        raise ValueError("a vault needs a root key and a protector")
    head, master = _new_head(makers, chance)
    store.write_first(folder, sheet.compose(head, keys, AESGCM(master), chance), chance)
    return head


class Custody:
    """The file of one vault with its master key at hand."""

    def __init__(self, vault: str, folder: Path, master: bytes, *, chance: Chance) -> None:
        self._vault = vault
        self._folder = folder
        self._path = folder / FILE
        self._master = master
        self._chance = chance

    def __repr__(self) -> str:
        return f"Custody({self._vault!r})"

    @classmethod
    def opened(cls, vault: str, folder: Path, means: Means, *, chance: Chance) -> Custody:
        """By what the settings or a person give. Raises Denied where the file is not sealed or nothing opens it."""
        found = _sealed(vault, folder)
        return cls(vault, folder, means.master_of(vault, found), chance=chance)

    def add(self, make: Maker) -> Head:
        """One protector more. Raises Denied where its name is taken or none, or there are too many."""

        def change(head: Head) -> Head:
            new = make(head.id, self._master)
            if not sheet.good_name(new.name):
                raise Denied(
                    f"{new.name!r} is no name for a protector; right would be letters, digits, dots, hyphens and "
                    "underscores"
                )
            if head.protector(new.name) is not None:
                raise Denied(f"vault {self._vault!r} has a protector {new.name!r} already; choose another --name")
            if len(head.protectors) >= MOST_PROTECTORS:
                raise Denied(f"vault {self._vault!r} has {MOST_PROTECTORS} protectors, which is the most")
            return replace(head, protectors=(*head.protectors, new))

        return self._change(change)

    def remove(self, name: str) -> Head:
        """One protector less, in the copy of the generation before too. Raises Denied for the last one."""

        def change(head: Head) -> Head:
            self._known(head, name)
            if len(head.protectors) == 1:
                raise Denied(
                    f"{name!r} is the last protector of vault {self._vault!r}: nobody could open it again. "
                    "Add another one first"
                )
            return replace(head, protectors=tuple(one for one in head.protectors if one.name != name))

        return self._change(change, keep_before=False)

    def proved(self, name: str, now: float) -> Head:
        """Keep that somebody proved, `now`, to hold this protector."""

        def change(head: Head) -> Head:
            known = self._known(head, name)
            proved = tuple(replace(one, proved=now) if one is known else one for one in head.protectors)
            return replace(head, protectors=proved)

        return self._change(change)

    def _known(self, head: Head, name: str) -> Protector:
        if (found := head.protector(name)) is None:
            there = ", ".join(one.name for one in head.protectors)
            raise Denied(f"vault {self._vault!r} has no protector {name!r}; it has {there}")
        return found

    def _change(self, change: Callable[[Head], Head], *, keep_before: bool = True) -> Head:
        master = AESGCM(self._master)
        with store.locked(self._folder):
            found = _sealed(self._vault, self._folder)
            keys = found.open(self._vault, master)
            head = replace(change(found.head), generation=found.head.generation + 1)
            octets = sheet.compose(head, keys, master, self._chance)
            store.replace(self._folder, octets, self._chance, keep_before=keep_before)
        return head


def seal_up(vault: str, folder: Path, makers: Sequence[Maker], *, chance: Chance) -> Head:
    """A file of format 1, whose keys lie in clear, becomes one of format 2 with the same keys. Raises KeyFault.

    The clear file is replaced, and no copy of it is kept beside it. What a disk keeps of it below the file system, and
    backups of it, stay readable: whoever fears that makes new root keys and rehomes the domain keys to them.
    """
    path = folder / FILE
    with store.locked(folder):
        octets = store.read(path)
        if format_of(path, octets) != 1:
            raise Denied(f"{path} is sealed already")
        keys = clear.parse(vault, path, octets)
        head, master = _new_head(makers, chance)
        sealed = sheet.compose(head, keys, AESGCM(master), chance)
        # Read it as anybody will have to from now on, before the only copy of the keys goes.
        again = sheet.parse(path, sealed).open(vault, AESGCM(master))
        if {name: _octets(key) for name, key in again.items()} != {name: _octets(key) for name, key in keys.items()}:
            raise VaultBroken(f"{path} was not sealed: what was written does not read as what was there")
        store.replace(folder, sealed, chance, keep_before=False)
    return head


def is_clear(folder: Path) -> bool:
    """Whether the vault's file is of format 1, not sealed. Raises KeyFault."""
    return sheet_in(folder) is None


def _octets(key: HeldKey) -> list[tuple[int, bytes]]:
    return [(one.number, one.key.octets()) for one in key.versions]


def _new_head(makers: Sequence[Maker], chance: Chance) -> tuple[Head, bytes]:
    id_ = chance.octets(_ID_OCTETS).hex()
    master = chance.octets(MASTER_OCTETS)
    return Head(id=id_, generation=1, protectors=tuple(make(id_, master) for make in makers)), master


def _sealed(vault: str, folder: Path) -> Sheet:
    if (found := sheet_in(folder)) is None:
        raise Denied(
            f"vault {vault!r} is not sealed ({folder / FILE} is of format 1); right would be gateway key protector add "
            f"{vault} --secret-file FILE, which seals it"
        )
    return found
