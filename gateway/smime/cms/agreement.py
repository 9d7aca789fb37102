"""Content keys under ECDH with a key of the sender that lives for one message: RFC 5753 and RFC 8418.

Written: P-256 and P-521 with SHA-256 and SHA-512, P-384 with SHA-384, by the KDF of X9.63; X25519 by HKDF with
SHA-256, X448 with SHA-512; all of them wrap with AES-256 (RFC 3394). Read besides: the other digests, SHA-1 among them
(nothing rests on its collisions here), AES-128 and AES-192, and the wrap of Triple-DES (RFC 3217).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.smime.cms import ber, der
from gateway.smime.cms.algorithms import SHA1, SHA224, SHA256, SHA384, SHA512, AlgorithmIdentifier, Digest
from gateway.smime.cms.findings import Finding, Unreadable
from gateway.smime.cms.identifiers import Named

PublicKey = ec.EllipticCurvePublicKey | x25519.X25519PublicKey | x448.X448PublicKey
PrivateKey = ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey | x448.X448PrivateKey

_EC: Final = der.oid_octets("1.2.840.10045.2.1")
_X25519: Final = der.oid_octets("1.3.101.110")  # RFC 8410 3
_X448: Final = der.oid_octets("1.3.101.111")
_MOST_POINT: Final = 256


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way from a shared secret to a key that wraps. `hkdf`: RFC 8418 2.2, else X9.63 (RFC 5753 7.2)."""

    oid: bytes
    digest: Digest
    hkdf: bool = False

    def derived(self, secret: bytes, length: int, info: bytes, salt: bytes | None = None) -> bytes:
        """`length` octets, bound to `info`. `salt` is for HKDF alone."""
        try:
            if self.hkdf:
                return HKDF(self.digest.make(), length, salt=salt, info=info).derive(secret)
            return X963KDF(self.digest.make(), length, info).derive(secret)
        except UnsupportedAlgorithm:  # SHA-1, where it is switched off
            raise Unreadable(Finding.ALGORITHM_UNKNOWN) from None


_SECG = "1.3.132.1."
_S_MIME = "1.2.840.113549.1.9.16.3."
_HKDF_256: Final = Scheme(der.oid_octets(_S_MIME + "19"), SHA256, hkdf=True)
_HKDF_384: Final = Scheme(der.oid_octets(_S_MIME + "20"), SHA384, hkdf=True)
_HKDF_512: Final = Scheme(der.oid_octets(_S_MIME + "21"), SHA512, hkdf=True)
_STANDARD_256: Final = Scheme(der.oid_octets(_SECG + "11.1"), SHA256)
_STANDARD_384: Final = Scheme(der.oid_octets(_SECG + "11.2"), SHA384)
_STANDARD_512: Final = Scheme(der.oid_octets(_SECG + "11.3"), SHA512)
SCHEMES: Final = {
    scheme.oid: scheme
    for scheme in (
        _HKDF_256,
        _HKDF_384,
        _HKDF_512,
        _STANDARD_256,
        _STANDARD_384,
        _STANDARD_512,
        Scheme(der.oid_octets("1.3.133.16.840.63.0.2"), SHA1),
        Scheme(der.oid_octets(_SECG + "11.0"), SHA224),
        # With the cofactor, which is 1 for the curves that are known here: the same secret (RFC 5753 7.1.4).
        Scheme(der.oid_octets("1.3.133.16.840.63.0.3"), SHA1),
        Scheme(der.oid_octets(_SECG + "14.0"), SHA224),
        Scheme(der.oid_octets(_SECG + "14.1"), SHA256),
        Scheme(der.oid_octets(_SECG + "14.2"), SHA384),
        Scheme(der.oid_octets(_SECG + "14.3"), SHA512),
    )
}

_AES256_WRAP: Final = der.oid_octets("2.16.840.1.101.3.4.1.45")
_DES3_WRAP: Final = der.oid_octets("1.2.840.113549.1.9.16.3.6")
_WRAPS: Final = {  # How long their keys are, in octets (RFC 3565 2.3.2, RFC 3217).
    der.oid_octets("2.16.840.1.101.3.4.1.5"): 16,
    der.oid_octets("2.16.840.1.101.3.4.1.25"): 24,
    _AES256_WRAP: 32,
    _DES3_WRAP: 24,
}
_WRAP_IDENTIFIER: Final = der.algorithm(_AES256_WRAP)


@dataclass(frozen=True, slots=True)
class EcdhRecipient:
    """One whose certificate has a key for ECDH."""

    key: PublicKey
    identifier: bytes
    scheme: Scheme
    version: int = 3

    @classmethod
    def of(cls, key: PublicKey, named: Named, *, by_ski: bool) -> EcdhRecipient:
        """KeyAgreeRecipientInfo (RFC 5652 6.2.2)."""
        if by_ski:
            identifier = der.explicit(0, der.octet_string(named.ski))  # RecipientKeyIdentifier
        else:
            identifier = named.issuer_and_serial()
        return cls(key, identifier, _scheme_for(key))

    def info(self, content_key: bytes) -> bytes:
        """The recipient info in DER, under a key that is made for it."""
        algorithm, ours, secret = _agreed(self.key)
        wrapping = self.scheme.derived(secret, 32, _shared_info(_WRAP_IDENTIFIER, 32, None))
        wrapped = aes_key_wrap(wrapping, content_key)
        originator = der.explicit(1, der.algorithm(algorithm), der.bit_string(ours))
        return der.explicit(
            1,
            der.integer(3),
            der.explicit(0, originator),
            der.algorithm(self.scheme.oid, _WRAP_IDENTIFIER),
            der.sequence(der.sequence(self.identifier, der.octet_string(wrapped))),
        )


def _scheme_for(key: PublicKey) -> Scheme:
    """As strong as the key."""
    if isinstance(key, x25519.X25519PublicKey):
        return _HKDF_256
    if isinstance(key, x448.X448PublicKey):
        return _HKDF_512
    if key.key_size <= 256:
        return _STANDARD_256
    return _STANDARD_384 if key.key_size <= 384 else _STANDARD_512


def _agreed(theirs: PublicKey) -> tuple[bytes, bytes, bytes]:
    """A new key of the same kind: its algorithm, its public octets, and the secret that it shares with `theirs`."""
    if isinstance(theirs, x25519.X25519PublicKey):
        one = x25519.X25519PrivateKey.generate()
        return _X25519, one.public_key().public_bytes_raw(), one.exchange(theirs)
    if isinstance(theirs, x448.X448PublicKey):
        other = x448.X448PrivateKey.generate()
        return _X448, other.public_key().public_bytes_raw(), other.exchange(theirs)
    private = ec.generate_private_key(theirs.curve)
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return _EC, point, private.exchange(ec.ECDH(), theirs)


def _shared_info(wrap: bytes, length: int, ukm: bytes | None) -> bytes:
    """ECC-CMS-SharedInfo (RFC 5753 7.2): the wrap as it is named beside, what the sender threw in, bits of the key."""
    entity = b"" if ukm is None else der.explicit(0, der.octet_string(ukm))
    return der.sequence(wrap, entity, der.explicit(2, der.octet_string((length * 8).to_bytes(4, "big"))))


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a KeyAgreeRecipientInfo says for all of its recipients. Reading it raises Unreadable."""

    originator: tuple[bytes, bytes] | None
    ukm: bytes | None
    algorithm: AlgorithmIdentifier
    keys: tuple[ber.Element, ...]

    @classmethod
    def read(cls, info: ber.Element) -> Agreement:
        """`info` is the whole recipient info. `keys` are RecipientEncryptedKey, not read yet."""
        members = info.members(most=5)
        if len(members) < 4 or members[0].integer() != 3:
            raise ber.broken()
        choice = members[1].expect(0xA0).only()
        ukm = None
        if len(members) == 5:
            ukm = members[2].expect(0xA1).only().octets()
        return cls(
            _originator(choice) if choice.tag == 0xA1 else None,  # else static ECDH, which nobody uses for mail
            ukm,
            AlgorithmIdentifier.read(members[-2].expect(der.SEQUENCE)),
            tuple(members[-1].expect(der.SEQUENCE).members()),
        )

    def unwrapped(self, private: PrivateKey, wrapped: bytes) -> bytes | None:
        """The content key; None where it does not come out, for a reason that is nobody's business."""
        scheme = SCHEMES.get(self.algorithm.oid)
        if scheme is None or self.originator is None or self.algorithm.parameters is None:
            raise Unreadable(Finding.ALGORITHM_UNKNOWN)
        wrap = AlgorithmIdentifier.read(self.algorithm.parameters)
        if (length := _WRAPS.get(wrap.oid)) is None:
            raise Unreadable(Finding.ALGORITHM_UNKNOWN)
        secret = _secret(private, *self.originator)
        # Some hash the wrap's identifier with NULL and send it without, or the other way.
        others = (der.algorithm(wrap.oid), der.algorithm(wrap.oid, der.NULL))
        identifiers = dict.fromkeys((wrap.raw, *others))
        # RFC 8418 2.2: what the sender threw in is the salt too; Bouncy Castle leaves that out.
        salts = (self.ukm, None) if scheme.hkdf and self.ukm else (None,)
        for identifier, salt in product(identifiers, salts):
            key = scheme.derived(secret, length, _shared_info(identifier, length, self.ukm), salt)
            found = _unwrapped_des3(key, wrapped) if wrap.oid == _DES3_WRAP else _unwrapped_aes(key, wrapped)
            if found is not None:
                return found
        return None


def _originator(choice: ber.Element) -> tuple[bytes, bytes]:
    """OriginatorPublicKey: algorithm and public octets. The curve is the recipient's own, whatever stands here."""
    members = choice.members(most=2)
    if len(members) != 2:
        raise ber.broken()
    return AlgorithmIdentifier.read(members[0].expect(der.SEQUENCE)).oid, members[1].bits()


def _secret(private: PrivateKey, algorithm: bytes, octets: bytes) -> bytes:
    """What our key shares with the sender's. Raises Unreadable for another kind of key, and for none."""
    if len(octets) > _MOST_POINT:
        raise ber.broken()
    try:
        match private:
            case ec.EllipticCurvePrivateKey() if algorithm == _EC:
                return private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(private.curve, octets))
            case x25519.X25519PrivateKey() if algorithm == _X25519:
                return private.exchange(x25519.X25519PublicKey.from_public_bytes(octets))
            case x448.X448PrivateKey() if algorithm == _X448:
                return private.exchange(x448.X448PublicKey.from_public_bytes(octets))
            case _:
                raise Unreadable(Finding.KEY_DOES_NOT_FIT)
    except ValueError:  # No point of the curve, or one of small order (RFC 7748 6.1)
        raise ber.broken() from None


def _unwrapped_aes(key: bytes, wrapped: bytes) -> bytes | None:
    try:
        return aes_key_unwrap(key, wrapped)
    except (InvalidUnwrap, ValueError):
        return None


def _unwrapped_des3(key: bytes, wrapped: bytes) -> bytes | None:
    """RFC 3217 3.2: twice CBC, the second time with an initial vector of the first, and a checksum by SHA-1."""
    if len(wrapped) != 40:
        return None
    outer = Cipher(TripleDES(key), CBC(bytes.fromhex("4adda22c79e82105"))).decryptor()
    turned = outer.update(wrapped)[::-1]
    inner = Cipher(TripleDES(key), CBC(turned[:8])).decryptor()
    plain = inner.update(turned[8:])
    digest = hashes.Hash(hashes.SHA1())  # noqa: S303 - as the wrap says it
    digest.update(plain[:24])
    return plain[:24] if bytes_eq(digest.finalize()[:8], plain[24:]) else None
