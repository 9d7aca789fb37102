"""The protocol of a vault: it wraps and unwraps for us without showing its root keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class KeyFault(Exception):
    """A vault could not do what was asked. The text names vault and key, never key material."""


class Unavailable(KeyFault):
    """The vault does not answer now: passing. Mail waits."""


class Denied(KeyFault):
    """The vault says no: the key is disabled or gone, or we may not use it. The owner's will; no way around it."""


class VaultBroken(KeyFault):
    """What the vault holds, or what was wrapped by it, is damaged."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A key under a root key. `octets` begins with a version mark."""

    vault: str
    root: str
    root_version: int
    octets: bytes


class Vault(Protocol):
    """Handed to whoever holds wrapped keys. `context` is bound to the wrapped key and must be the same at unwrap."""

    @property
    def name(self) -> str:
        """Its name in gateway.toml."""

    def wrap(self, root: str, plain: bytes, context: bytes) -> Wrapped:
        """`plain` under the newest version of the root key. Raises KeyFault."""

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """The plain key. Raises KeyFault."""

    def roots(self) -> tuple[str, ...]:
        """The names of the root keys that it holds."""
