"""Vaults that may be lost without losing anything: they hold roots of policies alone, each with another elsewhere."""

from __future__ import annotations

from typing import Any, Final

from gateway.storage.mailboxes.model import CopyKind

_ROOTS: Final = (CopyKind.ROOT_A.value, CopyKind.ROOT_B.value)


def spare_vaults(listed: dict[str, Any]) -> frozenset[str]:
    """Their names, of what `gateway key list --json` tells.

    A key of which nobody knows what hangs on it counts as needed, and so does one whose other root is in the same vault
    or in one that is away or says no: then it is the last.
    """
    enabled = {key["key"] for key in listed["keys"] if key["state"] == "enabled"}
    held: dict[str, bool] = {}
    for key in listed["keys"]:
        vault = key["vault"]
        is_spare = bool(key["holds"]) and all(_is_spare(use, vault, enabled) for use in key["holds"])
        held[vault] = is_spare and held.get(vault, True)
    return frozenset(vault for vault, is_spare in held.items() if is_spare)


def _is_spare(use: dict[str, Any], vault: str, enabled: set[str]) -> bool:
    if use["kind"] != "policy" or use["as"] not in _ROOTS:
        return False
    return use["other"] in enabled and use["other"].partition("/")[0] != vault
