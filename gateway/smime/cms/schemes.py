"""How signatures are made and judged: RSA PKCS #1 v1.5, RSA-PSS, ECDSA, Ed25519 and Ed448, and DSA of old.

RFC 3370 3 and RFC 5754 3 (RSA, DSA, ECDSA), RFC 4056 (RSA-PSS), RFC 5753 (ECDSA), RFC 8419 (Ed25519, Ed448).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from gateway.smime.cms import der
from gateway.smime.cms.algorithms import (
    MD5,
    SHA1,
    SHA3_256,
    SHA3_384,
    SHA3_512,
    SHA224,
    SHA256,
    SHA384,
    SHA512,
    SHAKE256_512,
    AlgorithmIdentifier,
    Digest,
    Strength,
    hash_of_mask,
    mask_identifier,
)
from gateway.smime.cms.findings import Finding, Unreadable, Unusable

LEAST_RSA: Final = 2048  # Bits; NIST SP 800-131A calls shorter ones disallowed.
BROKEN_RSA: Final = 1024  # What is shorter was factored.
_MOST_SALT: Final = 512
PSS_KEY: Final = "1.2.840.113549.1.1.10"


class Kind(Enum):
    """Of a signature."""

    RSA = "rsa"
    PSS = "rsa-pss"
    ECDSA = "ecdsa"
    ED25519 = "ed25519"
    ED448 = "ed448"
    DSA = "dsa"


@cache
def _written(oid: bytes) -> bytes:
    return der.algorithm(oid)


@dataclass(frozen=True, slots=True)
class Scheme:
    """`digest`: of what is signed; of Ed25519 and Ed448, which take it whole, the one of the attributes (RFC 8419 3.1).

    `salt` and `mask` belong to RSA-PSS.
    """

    kind: Kind
    digest: Digest
    salt: int = 0
    mask: Digest | None = None

    @property
    def name(self) -> str:
        """For people, as `rsa-pss-sha-256`."""
        kind = str(self.kind.value)
        return kind if self.kind in (Kind.ED25519, Kind.ED448) else f"{kind}-{self.digest.name}"

    @property
    def padding(self) -> padding.AsymmetricPadding:
        """Of RSA."""
        if self.kind is Kind.RSA:
            return padding.PKCS1v15()
        return padding.PSS(padding.MGF1((self.mask or self.digest).make()), self.salt)

    @property
    def identifier(self) -> bytes:
        """The SignatureAlgorithmIdentifier that we write."""
        match self.kind:
            case Kind.RSA:
                # Not the one that names the digest too: older software looks for this one (RFC 3370 3.2, RFC 5754 3.2).
                return der.algorithm(_RSA, der.NULL)
            case Kind.PSS:
                digest = der.algorithm(self.digest.oid, der.NULL)
                mask = mask_identifier(self.mask or self.digest)
                salt = der.explicit(2, der.integer(self.salt))
                return der.algorithm(_PSS, der.sequence(der.explicit(0, digest), der.explicit(1, mask), salt))
            case _:
                return _written(_WRITTEN[self.kind, self.digest.oid])

    def verify(self, key: PublicKeyTypes, signature: bytes, signed: bytes) -> None:
        """Return where the signature over `signed` holds. Raises Unreadable where not, or for another kind of key."""
        try:
            match key:
                case rsa.RSAPublicKey() if self.kind in (Kind.RSA, Kind.PSS):
                    key.verify(signature, signed, self.padding, self.digest.make())
                case ec.EllipticCurvePublicKey() if self.kind is Kind.ECDSA:
                    key.verify(signature, signed, ec.ECDSA(self.digest.make()))
                case ed25519.Ed25519PublicKey() if self.kind is Kind.ED25519:
                    key.verify(signature, signed)
                case ed448.Ed448PublicKey() if self.kind is Kind.ED448:
                    key.verify(signature, signed)
                case dsa.DSAPublicKey() if self.kind is Kind.DSA:
                    key.verify(signature, signed, self.digest.make())
                case _:
                    raise Unreadable(Finding.KEY_DOES_NOT_FIT)
        except Unreadable:
            raise
        except (InvalidSignature, ValueError):
            raise Unreadable(Finding.SIGNATURE_WRONG) from None
        except Exception:  # noqa: BLE001 - OpenSSL has errors of its own for digests that it does not put together
            raise Unreadable(Finding.ALGORITHM_UNKNOWN) from None


_PKCS1_ = "1.2.840.113549.1.1."
_RSA: Final = der.oid_octets(_PKCS1_ + "1")
_PSS: Final = der.oid_octets(_PKCS1_ + "10")
_NIST_SIGNATURES = "2.16.840.1.101.3.4.3."

# What names the digest too; all else takes the digest that stands beside it in the signer info.
_NAMED: Final = {
    der.oid_octets(dotted): (kind, digest)
    for dotted, kind, digest in (
        (_PKCS1_ + "4", Kind.RSA, MD5),
        (_PKCS1_ + "5", Kind.RSA, SHA1),
        ("1.3.14.3.2.29", Kind.RSA, SHA1),  # OIW's, which Microsoft wrote for long
        (_PKCS1_ + "14", Kind.RSA, SHA224),
        (_PKCS1_ + "11", Kind.RSA, SHA256),
        (_PKCS1_ + "12", Kind.RSA, SHA384),
        (_PKCS1_ + "13", Kind.RSA, SHA512),
        (_NIST_SIGNATURES + "14", Kind.RSA, SHA3_256),
        (_NIST_SIGNATURES + "15", Kind.RSA, SHA3_384),
        (_NIST_SIGNATURES + "16", Kind.RSA, SHA3_512),
        ("1.2.840.10045.4.1", Kind.ECDSA, SHA1),
        ("1.2.840.10045.4.3.1", Kind.ECDSA, SHA224),
        ("1.2.840.10045.4.3.2", Kind.ECDSA, SHA256),
        ("1.2.840.10045.4.3.3", Kind.ECDSA, SHA384),
        ("1.2.840.10045.4.3.4", Kind.ECDSA, SHA512),
        (_NIST_SIGNATURES + "10", Kind.ECDSA, SHA3_256),
        (_NIST_SIGNATURES + "11", Kind.ECDSA, SHA3_384),
        (_NIST_SIGNATURES + "12", Kind.ECDSA, SHA3_512),
        ("1.2.840.10040.4.3", Kind.DSA, SHA1),
        (_NIST_SIGNATURES + "1", Kind.DSA, SHA224),
        (_NIST_SIGNATURES + "2", Kind.DSA, SHA256),
    )
}
_UNNAMED: Final = {
    _RSA: Kind.RSA,
    der.oid_octets("1.2.840.10045.2.1"): Kind.ECDSA,  # the key's identifier, which some write
    der.oid_octets("1.2.840.10045.4.3"): Kind.ECDSA,
    der.oid_octets("1.2.840.10040.4.1"): Kind.DSA,
    der.oid_octets("1.3.101.112"): Kind.ED25519,
    der.oid_octets("1.3.101.113"): Kind.ED448,
}
_WRITTEN: Final = {(kind, digest.oid): oid for oid, (kind, digest) in _NAMED.items() if kind is Kind.ECDSA} | {
    (Kind.ED25519, SHA512.oid): der.oid_octets("1.3.101.112"),
    (Kind.ED448, SHAKE256_512.oid): der.oid_octets("1.3.101.113"),
}


def read_scheme(algorithm: AlgorithmIdentifier, digest: Digest) -> Scheme:
    """The scheme of a signer info whose own digest is `digest`. Raises Unreadable."""
    if algorithm.oid == _PSS:
        return _read_pss(algorithm)
    if (kind := _UNNAMED.get(algorithm.oid)) is not None:
        return Scheme(kind, digest)
    if (named := _NAMED.get(algorithm.oid)) is not None:
        return Scheme(*named)
    raise Unreadable(Finding.ALGORITHM_UNKNOWN)


def _read_pss(algorithm: AlgorithmIdentifier) -> Scheme:
    """RSASSA-PSS-params (RFC 4055 3.1); what is left out is SHA-1 and a salt of 20 octets."""
    digest, mask, salt = SHA1, SHA1, 20
    for one in [] if algorithm.parameters is None else algorithm.parameters.expect(der.SEQUENCE).members(most=4):
        inner = one.only()
        if one.tag == 0xA0:
            digest = AlgorithmIdentifier.read(inner).digest()
        elif one.tag == 0xA1:
            mask = hash_of_mask(AlgorithmIdentifier.read(inner))
        elif one.tag == 0xA2 and 0 <= inner.integer() <= _MOST_SALT:
            salt = inner.integer()
        elif one.tag != 0xA3 or inner.integer() != 1:
            raise Unreadable(Finding.ALGORITHM_UNKNOWN)
    return Scheme(Kind.PSS, digest, salt, mask)


def signs_by_pss_alone(certificate: x509.Certificate) -> bool:
    """Whether its key may be used for RSA-PSS and for nothing else (RFC 4055 1.2)."""
    return certificate.public_key_algorithm_oid.dotted_string == PSS_KEY


def scheme_for(key: PublicKeyTypes, *, pss: bool = False) -> Scheme:
    """How we sign with a key: with a digest as strong as it is. Raises Unusable for a key that does not sign."""
    match key:
        case rsa.RSAPublicKey():
            return Scheme(Kind.PSS, SHA256, 32, SHA256) if pss else Scheme(Kind.RSA, SHA256)
        case ec.EllipticCurvePublicKey():
            digest = SHA256 if key.key_size <= 256 else SHA384 if key.key_size <= 384 else SHA512
            return Scheme(Kind.ECDSA, digest)
        case ed25519.Ed25519PublicKey():
            return Scheme(Kind.ED25519, SHA512)
        case ed448.Ed448PublicKey():
            return Scheme(Kind.ED448, SHAKE256_512)
        case _:
            raise Unusable("a key of this kind signs no mail")


def strength_of(key: PublicKeyTypes) -> Strength:
    """What a signature of that key proves, by its length."""
    if isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey)):
        if key.key_size < BROKEN_RSA:
            return Strength.BROKEN
        return Strength.WEAK if key.key_size < LEAST_RSA else Strength.GOOD
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < 224:
        return Strength.WEAK
    return Strength.GOOD
