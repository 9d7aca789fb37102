"""The tenant key: what licences are signed with and content keys are sealed to ([MS-RMPR] 3.1.4.7). A protocol.

It has versions: the current one seals, and all of them open. Where it lies (a vault, a file) is the caller's affair.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from hashlib import sha256
from typing import Final, Protocol
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.mail.digest import Hashed

MIN_BITS: Final = 2048
MAX_BITS: Final = 4096
MODE_1_BITS: Final = 1024


class TenantFault(Exception):
    """The tenant key can't be used. The text names it, and holds nothing of it."""


class TenantAway(TenantFault):
    """Whoever holds it does not answer now: passing."""


class TenantDenied(TenantFault):
    """Whoever holds it says no, or there is none to seal with."""


class Mode(IntEnum):
    """Cryptographic modes of [MS-RMPR] 3.1.4.7. Mode 1 opens what is old; nothing is sealed with it."""

    MODE_1 = 1  # RSA of 1,024 bits, SHA-1.
    MODE_2 = 2  # RSA of 2,048 bits and more, SHA-256.

    @property
    def oaep(self) -> padding.OAEP:
        """How a key is sealed (RFC 8017 7.1). The text names no padding; this one is ours (no label)."""
        return _oaep(self)

    @property
    def digest(self) -> str:
        """The name of its hash, as hashlib has it."""
        return "sha256" if self is Mode.MODE_2 else "sha1"


@cache
def _oaep(mode: Mode) -> padding.OAEP:
    # SHA-1 is harmless in OAEP, which asks for no collision resistance.
    kind = SHA256 if mode is Mode.MODE_2 else SHA1
    return padding.OAEP(padding.MGF1(kind()), kind(), None)


@dataclass(frozen=True, slots=True)
class TenantVersion:
    """One version. `guid` names it in licences; `number` counts from 1 where it is kept."""

    public_key: RSAPublicKey
    guid: UUID
    mode: Mode
    number: int
    modulus: int = field(init=False, repr=False)  # By which a licence's key is known again.

    def __post_init__(self) -> None:
        # Asked for several times for each message, and each time OpenSSL would write the numbers out.
        object.__setattr__(self, "modulus", self.public_key.public_numbers().n)


class TenantKeys(Protocol):
    """Handed to whoever seals and opens. All methods may block (a vault, a token): call them on a thread.

    They raise TenantAway where it would work later and TenantDenied where it would not.
    """

    @property
    def is_local(self) -> bool:
        """Whether `current` and `sign` are a matter of this process' CPU alone now, so that they never wait."""

    @property
    def current(self) -> TenantVersion:
        """The version to seal with, of Mode 2."""

    def find(self, modulus: int) -> TenantVersion | None:
        """The version with that modulus, archived ones too."""

    def sign(self, version: TenantVersion, data: bytes | Hashed) -> bytes:
        """A signature over `data`: RSA PKCS #1 v1.5 with SHA-256 (RFC 8017 8.2), in network order."""

    def unseal(self, version: TenantVersion, octets: bytes) -> bytes:
        """What was sealed to that version by `Mode.oaep`. Raises ValueError for what was not."""


def tenant_version(public_key: RSAPublicKey, number: int) -> TenantVersion:
    """The version of a public key. Its GUID is the first half of SHA-256 over the SubjectPublicKeyInfo, so that all
    who have the key name it alike.

    Raises ValueError where the key is not 2,048 to 4,096 bits long, or 1,024 (which makes it one of Mode 1).
    """
    bits = public_key.key_size
    if bits != MODE_1_BITS and not MIN_BITS <= bits <= MAX_BITS:
        raise ValueError(f"a tenant key of {bits} bits; right would be {MIN_BITS} to {MAX_BITS}, such as rsa-2048")
    info = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    mode = Mode.MODE_1 if bits == MODE_1_BITS else Mode.MODE_2
    return TenantVersion(public_key, UUID(bytes=sha256(info).digest()[:16]), mode, number)
