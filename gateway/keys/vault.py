"""The protocol of a vault: it wraps, unwraps and signs for us without showing its keys.

A vault holds named keys (root keys, and keys that sign). Each has a type, a state and versions; what is made anew is
made with the newest version, and older ones open and verify for as long as they are kept. Every method may block for as
long as its store takes; whoever has a loop to keep calls it on a thread unless `is_local`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gateway.mail.digest import Hashed


class KeyFault(Exception):
    """A vault could not do what was asked. The text names vault and key, never key material."""


class Unavailable(KeyFault):
    """The vault does not answer now: passing. Mail waits."""


class Denied(KeyFault):
    """The vault says no: the key is disabled or gone, or we may not use it. The owner's will; no way around it."""


class VaultBroken(KeyFault):
    """What the vault holds, or what was wrapped by it, is damaged."""


class KeyType(StrEnum):
    """What a key is, by the names of `gateway key create --type`."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    AES_256 = "aes-256"
    ED25519 = "ed25519"
    EC_P256 = "ec-p256"

    @property
    def wraps(self) -> bool:
        """Whether it can wrap and unwrap: AES by RFC 3394, RSA by OAEP with SHA-256 (RFC 8017 7.1)."""
        return self is KeyType.AES_256 or self.name.startswith("RSA")

    @property
    def decrypts(self) -> bool:
        """Whether it decrypts what others have encrypted to it: RSA by OAEP with SHA-256 (RFC 8017 7.1)."""
        return self.name.startswith("RSA")

    @property
    def signs(self) -> bool:
        """Whether it can sign: RSA by PKCS #1 v1.5 with SHA-256, Ed25519 (RFC 8032), ECDSA P-256 with SHA-256."""
        return self is not KeyType.AES_256


class KeyState(StrEnum):
    """Of a key with all its versions."""

    ENABLED = "enabled"
    DISABLED = "disabled"  # Every use is denied until it is enabled again.
    DELETED = "deleted"  # Every use is denied; until its waiting time ends it can be recovered.


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """`created`: seconds since 1970, or None where the vault does not know."""

    number: int
    created: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultKey:
    """A key as the vault tells of it. `ends`: when a deleted one is destroyed, in seconds since 1970."""

    vault: str
    name: str
    type: KeyType
    state: KeyState
    versions: tuple[KeyVersion, ...]
    ends: float | None = None

    @property
    def newest(self) -> int:
        """The version that is used for what is made now."""
        return max(version.number for version in self.versions)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A key under a root key. `octets` begins with a version mark."""

    vault: str
    root: str
    root_version: int
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signature:
    """What `sign` made, and with which version of the key."""

    version: int
    octets: bytes


class Vault(Protocol):
    """Handed to whoever holds wrapped keys. All methods but `name` and `is_local` raise KeyFault.

    `about` says for what a key is used, as the access log has it ("domain key spool 1", "message 4XYZ"): no content.
    """

    @property
    def name(self) -> str:
        """Its name in gateway.toml."""

    @property
    def is_local(self) -> bool:
        """Whether wrap, unwrap and sign are a matter of this process' CPU alone, so that they never wait."""

    def wrap(self, root: str, plain: bytes, context: bytes, *, about: str = "") -> Wrapped:
        """`plain` under the newest version of the root key, bound to `context`, which must be the same at unwrap."""

    def unwrap(self, wrapped: Wrapped, context: bytes, *, about: str = "") -> bytes:
        """The plain key. Raises VaultBroken for what is damaged or belongs to another context."""

    def decrypt(self, key: str, sealed: bytes, *, version: int, about: str = "") -> bytes:
        """What was encrypted to the public key of that version by RSAES-OAEP, SHA-256, no label (RFC 8017 7.1).

        For octets that others frame, as the licences of rights-managed mail; what we keep ourselves is
        wrapped, which binds a context. Raises VaultBroken for what does not open, Denied for a key that is no RSA key.
        """

    def sign(self, key: str, data: bytes | Hashed, *, version: int | None = None, about: str = "") -> Signature:
        """A signature over `data` by that version (default: the newest), in the one way that the key's type has."""

    def public_key(self, key: str, version: int | None = None) -> bytes:
        """The public key of that version (default: the newest): SubjectPublicKeyInfo in DER (RFC 5280 4.1)."""

    def keys(self) -> tuple[VaultKey, ...]:
        """All keys that it holds, by name, disabled and deleted ones too."""

    def health(self) -> None:
        """Return where the vault answers; raise Unavailable, Denied or VaultBroken where it does not."""

    # -- the life of a key: asked by people alone ---------------------------------------------------------------------

    def create(self, key: str, type_: KeyType) -> VaultKey:
        """A new key with version 1. Raises Denied where there is one of that name or the vault has no such type."""

    def rotate(self, key: str) -> VaultKey:
        """One version more, which is used from now on; the older ones stay."""

    def disable(self, key: str) -> VaultKey:
        """Deny every use of all its versions, until `enable`."""

    def enable(self, key: str) -> VaultKey:
        """Allow its use again. Raises Denied for one that is deleted."""

    def delete(self, key: str, ends: float) -> VaultKey:
        """Deny every use, and destroy it once `ends` has come (seconds since 1970)."""

    def recover(self, key: str) -> VaultKey:
        """Take back `delete` in time: the key is disabled then, until `enable`. Raises Denied where it is gone."""

    def purge(self, now: float) -> tuple[str, ...]:
        """Destroy what was deleted and whose waiting time has ended; their names."""
