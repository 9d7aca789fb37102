"""The availability key: the service's own, under which each policy's key lies a third time (DESIGN 21)."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.keys.rotation import RootName
from gateway.mailboxes.policies.availability import ensure_availability as ensure_availability
from gateway.settings.fault import Fault, entry_keys, shown
from gateway.settings.load import Loaded


def wants_mailboxes(loaded: Loaded) -> bool:
    """Whether these settings have mail end here, or read here, so that the key is made where it is missing."""
    settings = loaded.settings
    delivered = any(one.deliver == "mailbox" and one.enabled for one in settings.connectors.outbound)
    return delivered or settings.imap is not None


def availability_name(loaded: Loaded) -> RootName:
    """Where it lies, by the settings."""
    vault, _, key = loaded.settings.mailboxes.availability_key.partition("/")
    return RootName(vault, key)


def judge_availability(loaded: Loaded) -> Iterator[Fault]:
    """What is wrong with [mailboxes] availability_key, where mailboxes are wanted. Asks no vault."""
    name, vaults = availability_name(loaded), [one.name for one in loaded.settings.vaults]
    if vaults and name.vault not in vaults and wants_mailboxes(loaded):
        right = f"VAULT/KEY with a vault of [[vaults]] that is the service's own: {', '.join(vaults)}"
        yield loaded.fault(
            "mailboxes.availability_key", shown(str(name)), right, beside=entry_keys("vaults", len(vaults), "name")
        )
