"""Public keys as a token has them, as SubjectPublicKeyInfo in DER (RFC 5280 4.1)."""

from __future__ import annotations

from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, PKCS11Error

from gateway.keys.providers.pkcs11.shelf import Half, Kept
from gateway.keys.vault import Denied, KeyType, VaultBroken

_OCTET_STRING: Final = 0x04
_POINTS: Final = {KeyType.ED25519: 32, KeyType.EC_P256: 65}  # Octets; an uncompressed point begins with 0x04 as well.


def public_of(kept: Kept, half: Half, type_: KeyType | None) -> bytes:
    """The public key that belongs to the private `half`. Raises Denied, VaultBroken, PKCS11Error."""
    where = f"version {half.version} of key {kept.name!r} in vault {kept.vault!r}"
    if type_ is None or not type_.signs:
        raise Denied(f"{where} has no public key")
    # A token may keep the private half alone; an RSA one has what it takes.
    source = kept.public(half.version) or (half if type_.wraps else None)
    if source is None:
        raise Denied(f"the public half of {where} is not in the token; put it beside the private one, with its CKA_ID")
    try:
        if type_.wraps:
            return _rsa(source.handle)
        return _curve(type_, source.handle[Attribute.EC_POINT])
    except ValueError:
        raise VaultBroken(f"the public half of {where} is no public key of type {type_}") from None
    except PKCS11Error as error:
        error.add_note(f"reading the public half of {where}")
        raise


def _rsa(handle: Any) -> bytes:
    modulus, exponent = handle[Attribute.MODULUS], handle[Attribute.PUBLIC_EXPONENT]
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
    return _info(numbers.public_key())


def _curve(type_: KeyType, octets: bytes) -> bytes:
    point = _point(octets, _POINTS[type_])
    if type_ is KeyType.ED25519:
        return _info(ed25519.Ed25519PublicKey.from_public_bytes(point))
    return _info(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))


def _point(octets: bytes, length: int) -> bytes:
    """CKA_EC_POINT is the point in a DER OCTET STRING (Cryptoki 2.40); some tokens leave that away."""
    if len(octets) == length + 2 and octets[0] == _OCTET_STRING and octets[1] == length:
        return octets[2:]
    if len(octets) == length:
        return octets
    raise ValueError("no point of that curve")


def _info(key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
