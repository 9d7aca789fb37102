"""A file vault in a backup: its file, and the master key beside it, so that the backup's passphrase is enough.

    gateway-vault-copy 1
    BASE64 of the master key
    the file's octets

All of it lies sealed under the backup's passphrase. A vault of format 1, or one that did not open when the backup was
made, is the file's octets alone.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.keys.providers.file import protectors
from gateway.keys.providers.file.custody import Custody
from gateway.keys.providers.file.means import secret_in
from gateway.keys.providers.file.sheet import Head, Protector
from gateway.keys.providers.file.vault import sheet_in
from gateway.keys.vault import VaultBroken
from gateway.world.chance import Chance

MARK: Final = b"gateway-vault-copy 1\n"


@dataclass(frozen=True, slots=True)
class VaultCopy:
    """The vault's file, and its master key where that is known."""

    file: bytes = field(repr=False)
    master: bytes | None = field(repr=False)

    def octets(self) -> bytes:
        """For the backup, to be sealed."""
        if self.master is None:
            return self.file
        return MARK + base64.b64encode(self.master) + b"\n" + self.file


def parsed(octets: bytes) -> VaultCopy:
    """What `octets` gave. Raises VaultBroken."""
    if not octets.startswith(MARK):
        return VaultCopy(octets, None)
    encoded, _, file = octets.removeprefix(MARK).partition(b"\n")
    try:
        return VaultCopy(file, base64.b64decode(encoded, validate=True))
    except ValueError:
        raise VaultBroken("the backup holds a vault that is not as this gateway writes it") from None


def reopen(vault: str, folder: Path, master: bytes, secret: Path, *, now: float, chance: Chance) -> None:
    """Have the restored vault in `folder` open by the file `secret`, which is made where it is not there yet.

    The protectors that it had stay. Raises KeyFault, OSError.
    """
    if secret.exists():
        octets = secret_in(secret)
    else:
        octets = protectors.new_secret(chance)
        secret.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(octets + b"\n")
    found = sheet_in(folder)
    name = _free_name(found.head) if found is not None else ""

    def maker(id_: str, key: bytes) -> Protector:
        return protectors.with_secret(id_, name, octets, key, now=now, chance=chance)

    Custody(vault, folder, master, chance=chance).add(maker)


def _free_name(head: Head) -> str:
    number = 1
    while head.protector(f"restored-{number}") is not None:
        number += 1
    return f"restored-{number}"
