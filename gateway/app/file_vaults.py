"""File vaults of the settings: what opens each, and the vault itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from getpass import getpass
from pathlib import Path
from typing import Final

from gateway.keys.providers.file import custody, protectors, store
from gateway.keys.providers.file.means import Means, from_settings
from gateway.keys.providers.file.sheet import Kind, Sheet
from gateway.keys.providers.file.vault import FileVault, facts, sheet_in
from gateway.keys.vault import Denied, KeyFault
from gateway.settings import schema
from gateway.settings.fault import Fault
from gateway.settings.load import Loaded
from gateway.world.chance import Chance
from gateway.world.clock import Clock

_CLEAR: Final = ", whose keys lie in clear"  # So ends what is found where a vault is not sealed.

_EXPOSED: Final = ", so that other accounts may use or replace what should be the gateway's alone"


def is_about_protection(fault: Fault) -> bool:
    """Whether it came of how a vault's files are protected: `protection_warnings` tells that anew whenever somebody
    asks.
    """
    return fault.found.endswith((_CLEAR, _EXPOSED))


def exposures(folder: Path) -> list[tuple[str, str]]:
    """What other accounts may do harm to of the vault in `folder`: what was found, and what mends it. Blocks."""
    found = [
        (f"{path} with mode {mode:04o}{_EXPOSED}", f"chmod {'700' if path == folder else '600'} {path}")
        for path, mode in store.exposed(folder)
    ]
    if (owners := store.stranger(folder)) is not None:
        theirs, ours = owners
        found.append((f"{folder} of the account {theirs} beside keys of {ours}{_EXPOSED}", f"chown {ours} {folder}"))
    return found


def means_of(loaded: Loaded, vault: schema.Vault, masters: Mapping[str, bytes] | None = None) -> Means:
    """What may open it. `masters`: the master keys that another process of ours has opened, by vaults' names."""
    master = (masters or {}).get(vault.name)
    return from_settings(vault, loaded.resolve, os.environ, fips=loaded.settings.security.fips, master=master)


def open_file_vault(
    loaded: Loaded,
    vault: schema.Vault,
    masters: Mapping[str, bytes] | None = None,
    *,
    chance: Chance | None = None,
    clock: Clock | None = None,
) -> FileVault:
    """The vault, open. Blocks; raises KeyFault."""
    means = means_of(loaded, vault, masters)
    return FileVault(vault.name, loaded.resolve(vault.path), means, chance=chance, clock=clock)


def judge_file_vault(loaded: Loaded, number: int) -> Iterator[Fault]:
    """Warnings about the vault in that place of `[[vaults]]`. Blocks; raises KeyFault where it can't be used."""
    vault = loaded.settings.vaults[number]
    means = means_of(loaded, vault)
    for exposure, right in exposures(loaded.resolve(vault.path)):
        yield loaded.warning(f"vaults[{number}].path", exposure, right)
    found = facts(loaded.resolve(vault.path))
    if found.head is None:
        right = (
            "gateway migrate, which seals it under the secret that is named here"
            if means.at_hand
            else f"gateway key protector add {vault.name} --secret-file FILE, which seals it"
        )
        yield loaded.warning(f"vaults[{number}].path", f"{found.path}{_CLEAR}", right)
        return
    if means.is_asked_for and any(one.kind is Kind.PASSPHRASE for one in found.head.protectors):
        return  # `serve` will ask for it; whether it is right is known then.
    open_file_vault(loaded, vault)


# -- opened once, for all processes ------------------------------------------------------------------------------------

TRIES: Final = 3


class AtTerminal:
    """Has a person type the passphrase of a vault at the terminal. It is not shown, and not kept."""

    def __init__(self) -> None:
        self._asked: set[str] = set()

    def __call__(self, vault: str) -> bytes:
        """What was typed. Asked again it says why."""
        again = vault in self._asked
        self._asked.add(vault)
        question = f"that does not open vault {vault}; once more: " if again else f"passphrase of vault {vault}: "
        return getpass(question).encode("utf-8", "surrogateescape")


def unlocked(loaded: Loaded, ask: Callable[[str], bytes] | None) -> dict[str, bytes]:
    """The master keys of the vaults that a passphrase opens, by name. Blocks; raises KeyFault.

    The one process that serves finds them out and hands them to the others, so that none of these takes a second for
    it, and nobody is asked twice. `ask` has a person type the passphrase of the vault that it is given; None: nobody is
    there. Vaults that a secret opens are not among them: each process opens those by itself. Nor are those that are
    away, but for the first: whether it goes without them is found out where they are used.
    """
    masters: dict[str, bytes] = {}
    for number, vault in enumerate(loaded.settings.vaults):
        if vault.provider != "file":
            continue
        means = means_of(loaded, vault)
        if any(source.kind is Kind.SECRET for source in means.at_hand):
            continue
        is_typed = False
        try:
            if (found := sheet_in(loaded.resolve(vault.path))) is None:
                continue
            known = bool(means.at_hand)
            is_typed = not known and ask is not None and _has_passphrase(found)
            masters[vault.name] = means.master_of(vault.name, found) if known else _asked(vault.name, means, found, ask)
        except KeyFault:
            if number == 0 or is_typed:  # Whoever has typed something wrong is there to type it again.
                raise
    return masters


def _has_passphrase(found: Sheet) -> bool:
    return any(one.kind is Kind.PASSPHRASE for one in found.head.protectors)


def _asked(vault: str, means: Means, found: Sheet, ask: Callable[[str], bytes] | None) -> bytes:
    if ask is None or not _has_passphrase(found):
        return means.master_of(vault, found)  # Which says what is missing.
    for left in reversed(range(TRIES)):
        try:
            return means.with_passphrase(ask(vault)).master_of(vault, found)
        except Denied:
            if not left:
                raise
    raise AssertionError


def seal_up(loaded: Loaded, chance: Chance, clock: Clock) -> list[str]:
    """Seal the vaults that still lie in clear under what the settings name for them; a line for each. Blocks.

    One that can't be written, such as a credential of systemd, stays as it is, and its line says so. Raises KeyFault
    where the first can't be read; another that is away is left alone.
    """
    told: list[str] = []
    for number, vault in enumerate(loaded.settings.vaults):
        folder = loaded.resolve(vault.path)
        means = means_of(loaded, vault)
        if vault.provider != "file" or not means.at_hand:
            continue
        try:
            if not custody.is_clear(folder):
                continue
            makers = [_maker(source.kind, source.read(), means.fips, chance, clock) for source in means.at_hand[:1]]
        except KeyFault:
            if number == 0:
                raise
            continue
        try:
            custody.seal_up(vault.name, folder, makers, chance=chance)
        except KeyFault as error:
            told.append(f"vault {vault.name}: not sealed: {error}")
        else:
            told.append(f"vault {vault.name}: sealed")
    return told


def _maker(kind: Kind, given: bytes, fips: bool, chance: Chance, clock: Clock) -> custody.Maker:
    now = clock.now()
    if kind is Kind.PASSPHRASE:
        return lambda id_, master: protectors.with_passphrase(
            id_, "passphrase", given, master, fips=fips, now=now, chance=chance
        )
    return lambda id_, master: protectors.with_secret(id_, "service", given, master, now=now, chance=chance)
