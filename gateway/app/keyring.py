"""Vaults and domain keys out of the settings: what it takes before storage may seal."""

from __future__ import annotations

from gateway.keys import domain
from gateway.keys.file import FileVault
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import Vault
from gateway.settings.load import Loaded
from gateway.storage.shared import Shared
from gateway.world.chance import Chance
from gateway.world.clock import Clock


def vaults(loaded: Loaded) -> dict[str, Vault]:
    """The vaults by their names. Nothing is read yet."""
    return {vault.name: FileVault(vault.name, loaded.resolve(vault.path)) for vault in loaded.settings.vaults}


def make_keys(loaded: Loaded, shared: Shared, chance: Chance, clock: Clock) -> None:
    """Make the domain keys that are missing, under the first vault's root key. Blocks; raises KeyFault."""
    first = next(iter(vaults(loaded).values()))
    domain.ensure(shared, first, domain.PURPOSES, chance, clock)


def open_sealer(loaded: Loaded, shared: Shared, chance: Chance) -> KeySealer:
    """Unwrap the domain keys. Blocks; raises KeyFault."""
    return KeySealer(domain.load(shared, vaults(loaded)), chance)
