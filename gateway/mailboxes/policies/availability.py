"""The availability key: the service's own, under which each policy's key lies a third time (DESIGN 21)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.keys.rotation import RootName
from gateway.keys.vault import Denied, KeyType, Vault


def ensure_availability(vaults: Mapping[str, Vault], name: RootName) -> bool:
    """Make the availability key where there is none; whether it was made. Blocks; raises KeyFault."""
    vault = vaults.get(name.vault)
    if vault is None:
        known = ", ".join(map(repr, sorted(vaults))) or "none"
        raise Denied(f"[mailboxes] availability_key is {name}, and there is no vault {name.vault!r}; there are {known}")
    if any(key.name == name.key for key in vault.keys()):
        return False
    try:
        vault.create(name.key, KeyType.AES_256)
    except Denied:
        if any(key.name == name.key for key in vault.keys()):  # Another process was first.
            return False
        raise
    return True
