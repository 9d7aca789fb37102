"""Which module, token and PIN a vault has, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.keys.providers.file.store import read_secret, stamp
from gateway.keys.vault import Denied

if TYPE_CHECKING:
    from gateway.settings.load import Loaded
    from gateway.settings.schema import Vault

LONGEST_PIN: Final = 1024  # Octets. PINs have up to 255 in the tokens that we know; a longer file is another one.

_CREDENTIALS: Final = "$CREDENTIALS_DIRECTORY"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTerms:
    """`vault`: its name in gateway.toml; `token`: the token's label; `pin`: the file with the user's PIN."""

    vault: str
    module: Path
    token: str
    pin: Path

    @classmethod
    def from_settings(cls, loaded: Loaded, vault: Vault) -> TokenTerms:
        """Out of `[[vaults]]`. Raises Denied where a key is missing that a token needs; says which."""
        pin = vault.pin_file
        if pin is None and vault.pin_credential is not None:
            pin = f"{_CREDENTIALS}/{vault.pin_credential}"
        said = {"module": vault.module, "token": vault.token, "pin_file": pin}
        missing = [key for key, value in said.items() if not value]
        if not (vault.module and vault.token and pin):
            raise Denied(f"vault {vault.name!r} is in a token, and gateway.toml does not say its {', '.join(missing)}")
        return cls(vault=vault.name, module=loaded.resolve(vault.module), token=vault.token, pin=loaded.resolve(pin))

    def read_pin(self) -> str:
        """The PIN: the first line of its file. Raises Denied, Unavailable, VaultBroken."""
        octets = read_secret(self.pin, LONGEST_PIN, "a file with a PIN").partition(b"\n")[0].rstrip(b"\r")
        try:
            pin = octets.decode("utf-8")
        except UnicodeDecodeError:
            pin = ""  # Not chained: the exception holds the octets.
        if not pin:
            raise Denied(
                f"{self.pin} has no PIN in its first line; right would be the PIN of the token's user, in UTF-8"
            )
        return pin

    def pin_stamp(self) -> object:
        """Something that changes with the PIN's file."""
        return stamp(self.pin)
