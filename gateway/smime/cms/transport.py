"""Content keys under RSA: PKCS #1 v1.5 (RFC 3370 4.2.1) and OAEP (RFC 3560, RFC 4055 4.1), to seal and to open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from gateway.smime.cms import ber, der
from gateway.smime.cms.algorithms import SHA1, SHA256, AlgorithmIdentifier, hash_of_mask, mask_identifier
from gateway.smime.cms.findings import Finding, Unreadable
from gateway.smime.cms.identifiers import Named
from gateway.world.chance import Chance

RSA_ENCRYPTION: Final = der.oid_octets("1.2.840.113549.1.1.1")
RSAES_OAEP: Final = der.oid_octets("1.2.840.113549.1.1.7")
_LABEL: Final = der.oid_octets("1.2.840.113549.1.1.9")  # id-pSpecified
_MOST_LABEL: Final = 1024
_MOST_RSA: Final = 16384 // 8  # Octets; what OpenSSL works with.

_PKCS1: Final = padding.PKCS1v15()
_OAEP: Final = padding.OAEP(padding.MGF1(SHA256.make()), SHA256.make(), label=None)
# RFC 4055 4.1, parameters spelled out: their defaults are SHA-1.
_OAEP_IDENTIFIER: Final = der.algorithm(
    RSAES_OAEP,
    der.sequence(
        der.explicit(0, der.algorithm(SHA256.oid, der.NULL)),
        der.explicit(1, mask_identifier(SHA256)),
    ),
)


@dataclass(frozen=True, slots=True)
class RsaRecipient:
    """One whose certificate has an RSA key. All octets of his info but the encrypted key are kept ready."""

    key: RSAPublicKey
    head: bytes
    padding: padding.AsymmetricPadding
    version: int

    @classmethod
    def of(cls, key: RSAPublicKey, named: Named, *, oaep: bool, by_ski: bool) -> RsaRecipient:
        """KeyTransRecipientInfo (RFC 5652 6.2.1)."""
        version = 2 if by_ski else 0
        identifier = der.element(0x80, named.ski) if by_ski else named.issuer_and_serial()
        algorithm = _OAEP_IDENTIFIER if oaep else der.algorithm(RSA_ENCRYPTION, der.NULL)
        octets = (key.key_size + 7) // 8
        inner = der.integer(version) + identifier + algorithm + der.head(der.OCTET_STRING, octets)
        head = der.head(der.SEQUENCE, len(inner) + octets) + inner
        return cls(key, head, _OAEP if oaep else _PKCS1, version)

    def info(self, content_key: bytes) -> bytes:
        """The recipient info in DER."""
        return self.head + self.key.encrypt(content_key, self.padding)


def unwrapped(
    private: RSAPrivateKey, algorithm: AlgorithmIdentifier, encrypted: bytes, length: int, chance: Chance
) -> bytes:
    """A content key of `length` octets: the right one, or one drawn where the padding or the length is wrong.

    RFC 3218 2.3: whoever sends a thousand changed keys must not learn from any of them whether its padding was right,
    so that opening goes on either way and fails at the content. Raises Unreadable for what is wrong about the
    algorithm alone, which everybody can see.
    """
    how = _PKCS1 if algorithm.oid == RSA_ENCRYPTION else _oaep(algorithm)
    if len(encrypted) > _MOST_RSA:
        raise ber.broken()
    drawn = chance.octets(length)
    try:
        key = private.decrypt(encrypted, how)
    except UnsupportedAlgorithm:  # digests that OpenSSL does not put together
        raise Unreadable(Finding.ALGORITHM_UNKNOWN) from None
    except Exception:  # noqa: BLE001 - whatever OpenSSL says of the padding stays here
        key = drawn
    return key if len(key) == length else drawn


def _oaep(algorithm: AlgorithmIdentifier) -> padding.OAEP:
    """RSAES-OAEP-params (RFC 4055 4.1); what is left out is SHA-1 and an empty label."""
    if algorithm.oid != RSAES_OAEP:
        raise Unreadable(Finding.ALGORITHM_UNKNOWN)
    digest, mask, label = SHA1, SHA1, b""
    for one in [] if algorithm.parameters is None else algorithm.parameters.expect(der.SEQUENCE).members(most=3):
        inner = AlgorithmIdentifier.read(one.only())
        if one.tag == 0xA0:
            digest = inner.digest()
        elif one.tag == 0xA1:
            mask = hash_of_mask(inner)
        elif one.tag == 0xA2 and inner.oid == _LABEL and inner.parameters is not None:
            label = inner.parameters.expect(der.OCTET_STRING).octets()
        else:
            raise Unreadable(Finding.ALGORITHM_UNKNOWN)
    if len(label) > _MOST_LABEL:
        raise Unreadable(Finding.ALGORITHM_UNKNOWN)
    return padding.OAEP(padding.MGF1(mask.make()), digest.make(), label or None)
