"""The algorithms by their object identifiers: digests, and ciphers of content. A new one is a row in a table.

RFC 3370 and RFC 5754 (digests), RFC 3565 and RFC 5084 (AES), RFC 8551 2.7 (what S/MIME asks for), RFC 8702 (SHAKE).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import RC2, TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import CipherAlgorithm
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from gateway.mail.digest import sha256
from gateway.smime.cms import ber, der
from gateway.smime.cms.findings import Finding, Unreadable

DATA: Final = der.oid_octets("1.2.840.113549.1.7.1")
SIGNED_DATA: Final = der.oid_octets("1.2.840.113549.1.7.2")
ENVELOPED_DATA: Final = der.oid_octets("1.2.840.113549.1.7.3")
AUTH_ENVELOPED_DATA: Final = der.oid_octets("1.2.840.113549.1.9.16.1.23")
COMPRESSED_DATA: Final = der.oid_octets("1.2.840.113549.1.9.16.1.9")


class Strength(IntEnum):
    """What an algorithm still proves: nothing, little, or what it should."""

    BROKEN = 0
    WEAK = 1
    GOOD = 2


@dataclass(frozen=True, slots=True)
class Digest:
    """`name` is as `micalg` says it (RFC 8551 3.5.3.2)."""

    name: str
    oid: bytes
    make: Callable[[], hashes.HashAlgorithm]
    strength: Strength = Strength.GOOD
    parameters: bytes = b""  # In DER; absent for all (RFC 5754 2) but those of chosen length.

    @property
    def identifier(self) -> bytes:
        """Its AlgorithmIdentifier."""
        return _identifier(self.oid, self.parameters)

    def of(self, blocks: Iterable[bytes | memoryview]) -> bytes:
        """The digest of all blocks, one behind the other. Raises Unreadable where this machine's OpenSSL lacks it."""
        every = tuple(blocks)
        if self.make is hashes.SHA256 and len(every) == 1:  # As nearly always.
            return sha256(every[0])
        try:
            state = hashes.Hash(self.make())
        except UnsupportedAlgorithm:
            raise Unreadable(Finding.ALGORITHM_UNKNOWN) from None
        for block in every:
            state.update(block)
        return state.finalize()


class Mode(Enum):
    """How a cipher runs over content."""

    CBC = "cbc"
    GCM = "gcm"


@dataclass(frozen=True, slots=True)
class ContentCipher:
    """`name` is as people and `--json` read it; `block` are octets."""

    name: str
    oid: bytes
    mode: Mode
    key_octets: int
    block: int
    make: Callable[[bytes], CipherAlgorithm]
    strength: Strength = Strength.GOOD


@functools.cache
def _identifier(oid: bytes, parameters: bytes) -> bytes:
    return der.algorithm(oid, parameters)


def _shake256() -> hashes.HashAlgorithm:
    return hashes.SHAKE256(64)


MD5: Final = Digest("md5", der.oid_octets("1.2.840.113549.2.5"), hashes.MD5, Strength.BROKEN)
SHA1: Final = Digest("sha-1", der.oid_octets("1.3.14.3.2.26"), hashes.SHA1, Strength.WEAK)
SHA224: Final = Digest("sha-224", der.oid_octets("2.16.840.1.101.3.4.2.4"), hashes.SHA224)
SHA256: Final = Digest("sha-256", der.oid_octets("2.16.840.1.101.3.4.2.1"), hashes.SHA256)
SHA384: Final = Digest("sha-384", der.oid_octets("2.16.840.1.101.3.4.2.2"), hashes.SHA384)
SHA512: Final = Digest("sha-512", der.oid_octets("2.16.840.1.101.3.4.2.3"), hashes.SHA512)
SHA3_256: Final = Digest("sha3-256", der.oid_octets("2.16.840.1.101.3.4.2.8"), hashes.SHA3_256)
SHA3_384: Final = Digest("sha3-384", der.oid_octets("2.16.840.1.101.3.4.2.9"), hashes.SHA3_384)
SHA3_512: Final = Digest("sha3-512", der.oid_octets("2.16.840.1.101.3.4.2.10"), hashes.SHA3_512)
SHAKE256: Final = Digest("shake256", der.oid_octets("2.16.840.1.101.3.4.2.12"), _shake256)
# RFC 8419 3.1: the one for Ed448, whose length in bits is said.
SHAKE256_512: Final = Digest(
    "shake256", der.oid_octets("2.16.840.1.101.3.4.2.18"), _shake256, parameters=der.integer(512)
)
DIGESTS: Final = {
    digest.oid: digest
    for digest in (
        *(MD5, SHA1, SHA224, SHA256, SHA384, SHA512, SHA3_256, SHA3_384, SHA3_512),
        *(SHAKE256, SHAKE256_512),
    )
}

_AES = "2.16.840.1.101.3.4.1."
AES256_CBC: Final = ContentCipher("aes256-cbc", der.oid_octets(_AES + "42"), Mode.CBC, 32, 16, AES)
AES256_GCM: Final = ContentCipher("aes256-gcm", der.oid_octets(_AES + "46"), Mode.GCM, 32, 16, AES)
_DES3 = der.oid_octets("1.2.840.113549.3.7")
_RC2 = der.oid_octets("1.2.840.113549.3.2")
CONTENT_CIPHERS: Final = {
    cipher.oid: cipher
    for cipher in (
        AES256_CBC,
        AES256_GCM,
        ContentCipher("aes192-cbc", der.oid_octets(_AES + "22"), Mode.CBC, 24, 16, AES),
        ContentCipher("aes128-cbc", der.oid_octets(_AES + "2"), Mode.CBC, 16, 16, AES),
        ContentCipher("aes192-gcm", der.oid_octets(_AES + "26"), Mode.GCM, 24, 16, AES),
        ContentCipher("aes128-gcm", der.oid_octets(_AES + "6"), Mode.GCM, 16, 16, AES),
        ContentCipher("des-ede3-cbc", _DES3, Mode.CBC, 24, 8, TripleDES, Strength.WEAK),
        ContentCipher("rc2-cbc", _RC2, Mode.CBC, 16, 8, RC2, Strength.WEAK),
    )
}
WRITTEN: Final = {cipher.name: cipher for cipher in (AES256_CBC, AES256_GCM)}
"""What messages are sealed with, by name."""


@dataclass(frozen=True, slots=True)
class AlgorithmIdentifier:
    """`parameters` None: absent. `raw`: its octets as they came."""

    oid: bytes
    parameters: ber.Element | None
    raw: bytes

    @classmethod
    def read(cls, element: ber.Element) -> AlgorithmIdentifier:
        """Whatever its tag (it may be implicit). Raises Unreadable."""
        members = element.members(most=2)
        if not members:
            raise ber.broken()
        return cls(members[0].oid(), members[1] if len(members) > 1 else None, element.small())

    def digest(self) -> Digest:
        """The digest that it names. Raises Unreadable."""
        if (found := DIGESTS.get(self.oid)) is None:
            raise Unreadable(Finding.ALGORITHM_UNKNOWN)
        if found.parameters and (self.parameters is None or self.parameters.raw != found.parameters):
            raise Unreadable(Finding.ALGORITHM_UNKNOWN)  # of another length
        return found


def hash_of_mask(mask: AlgorithmIdentifier) -> Digest:
    """The digest of a MaskGenAlgorithm, which has to be MGF1 (RFC 4055 2.2)."""
    if mask.oid != MGF1 or mask.parameters is None:
        raise Unreadable(Finding.ALGORITHM_UNKNOWN)
    return AlgorithmIdentifier.read(mask.parameters).digest()


MGF1: Final = der.oid_octets("1.2.840.113549.1.1.8")


def mask_identifier(digest: Digest) -> bytes:
    """The MaskGenAlgorithm MGF1 with that digest (RFC 4055 2.2)."""
    return der.algorithm(MGF1, der.algorithm(digest.oid, der.NULL))
