"""Vaults and domain keys out of the settings: what it takes before storage may seal."""

from __future__ import annotations

from gateway.keys import domain
from gateway.keys.domain import DomainKeys
from gateway.keys.file import FileVault
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import KeyFault, Vault
from gateway.settings.load import Loaded
from gateway.storage.sharing import SharedStore
from gateway.world.chance import Chance
from gateway.world.clock import Clock


def vaults(loaded: Loaded) -> dict[str, Vault]:
    """The vaults by their names. Nothing is read yet."""
    return {vault.name: FileVault(vault.name, loaded.resolve(vault.path)) for vault in loaded.settings.vaults}


def make_keys(loaded: Loaded, shared: SharedStore, chance: Chance, clock: Clock) -> None:
    """Make the domain keys that are missing, under the first vault's root key. Blocks; raises KeyFault.

    None is made beside others that our vaults do not open: they would be of two vaults.
    """
    held = vaults(loaded)
    _load(loaded, shared, held)
    domain.ensure(shared, next(iter(held.values())), domain.PURPOSES, chance, clock)
    # Read again: another node may have been first, and then its keys are there, wrapped by its vault.
    _load(loaded, shared, held)


def open_sealer(loaded: Loaded, shared: SharedStore, chance: Chance) -> KeySealer:
    """Unwrap the domain keys. Blocks; raises KeyFault."""
    return KeySealer(_load(loaded, shared, vaults(loaded)), chance)


def _load(loaded: Loaded, shared: SharedStore, held: dict[str, Vault]) -> DomainKeys:
    try:
        return domain.load(shared, held)
    except KeyFault as error:
        if not loaded.is_shared:
            raise
        raise type(error)(
            f"the database holds keys that the vaults of this machine do not open ({error}). All gateways that share "
            "a database need the same root keys under the same names: copy the vault from the machine that has them"
        ) from error
