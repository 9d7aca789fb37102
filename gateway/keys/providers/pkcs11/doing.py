"""Wrap, unwrap and sign in a token.

AES roots wrap by CKM_AES_KEY_WRAP (RFC 3394): the key-encryption key, 32 octets that envelope.py drew for one wrapping,
is an object of our session for that moment and destroyed at once. RSA roots wrap by OAEP with SHA-256 (RFC 8017 7.1):
outside with their public half, and what opens it is CKM_RSA_PKCS_OAEP in the token, which SoftHSM2 2.6 has for SHA-1
alone; so a token is tried before anything is wrapped that it could not open.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import MGF, Attribute, Mechanism, ObjectClass, PKCS11Error, Session
from pkcs11 import KeyType as TokenKeyType
from pkcs11 import exceptions as p11

from gateway.keys.envelope import KEY_OCTETS
from gateway.keys.providers.pkcs11.faults import DAMAGED
from gateway.keys.vault import KeyType
from gateway.mail.digest import Hashed

_OAEP_256: Final = (Mechanism.SHA256, MGF.SHA256, None)
_OAEP: Final = padding.OAEP(padding.MGF1(SHA256()), SHA256(), label=None)
_NO_OAEP: Final = (p11.ArgumentsBad, p11.FunctionNotSupported, p11.MechanismInvalid, p11.MechanismParamInvalid)
# An object of this session, which only the login sees, and whose octets we may read: they came from us.
_PASSING: Final = {
    Attribute.TOKEN: False,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: False,
    Attribute.EXTRACTABLE: True,
}
# What a token may say to octets that it can't open. SoftHSM2 says CKR_GENERAL_ERROR, as it does for its own troubles.
_PERHAPS_DAMAGED: Final = (*DAMAGED, p11.GeneralError, p11.FunctionFailed, p11.DeviceError, p11.ArgumentsBad)
_PROBE: Final = bytes(KEY_OCTETS)
# DigestInfo for SHA-256 (RFC 8017 9.2, note 1), for tokens that sign only what was hashed outside.
_SHA256_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")


class NoOaep(Exception):
    """The token has no RSA-OAEP with SHA-256."""


def aes_wrap(session: Session, root: Any, key: bytes) -> bytes:
    """`key` under the AES root. Raises PKCS11Error."""
    passing = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: TokenKeyType.GENERIC_SECRET,
            Attribute.VALUE: key,
            **_PASSING,
        }
    )
    try:
        wrapped: bytes = root.wrap_key(passing, mechanism=Mechanism.AES_KEY_WRAP)
        return wrapped
    finally:
        _destroy(passing)


def aes_unwrap(session: Session, root: Any, wrapped: bytes) -> bytes:
    """What `aes_wrap` was given. Raises ValueError where it is damaged, PKCS11Error where the token fails."""
    try:
        return _aes_open(root, wrapped)
    except _PERHAPS_DAMAGED as error:
        if isinstance(error, DAMAGED) or _aes_open(root, aes_wrap(session, root, _PROBE)) == _PROBE:
            raise ValueError("it does not open") from None
        raise


def _aes_open(root: Any, wrapped: bytes) -> bytes:
    passing = root.unwrap_key(
        ObjectClass.SECRET_KEY,
        TokenKeyType.GENERIC_SECRET,
        wrapped,
        mechanism=Mechanism.AES_KEY_WRAP,
        template=_PASSING,
    )
    try:
        key: bytes = passing[Attribute.VALUE]
        return key
    finally:
        _destroy(passing)


def rsa_wrap(public: bytes, key: bytes) -> bytes:
    """`key` under an RSA root, by its public key in DER. The token has no part in it."""
    root = load_der_public_key(public)
    if not isinstance(root, rsa.RSAPublicKey):
        raise TypeError("an RSA root has an RSA public key")
    return root.encrypt(key, _OAEP)


def rsa_unwrap(root: Any, public: bytes, wrapped: bytes) -> bytes:
    """What `rsa_wrap` was given. Raises NoOaep, ValueError where it is damaged, PKCS11Error where the token fails."""
    try:
        return _rsa_open(root, wrapped)
    except (*_PERHAPS_DAMAGED, *_NO_OAEP) as error:
        if isinstance(error, DAMAGED) or rsa_opens(root, public):
            raise ValueError("it does not open") from None
        raise NoOaep from error


def rsa_opens(root: Any, public: bytes) -> bool:
    """Whether the token opens what is wrapped for that RSA root. Raises PKCS11Error where it fails otherwise."""
    try:
        return _rsa_open(root, rsa_wrap(public, _PROBE)) == _PROBE
    except _NO_OAEP:
        return False


def _rsa_open(root: Any, wrapped: bytes) -> bytes:
    key: bytes = root.decrypt(wrapped, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=_OAEP_256)
    return key


def sign(session: Session, key: Any, type_: KeyType, data: bytes | Hashed) -> bytes:
    """A signature in the one way that the type has. Raises PKCS11Error."""
    if isinstance(data, Hashed):  # Tokens differ in what they take of a hash that they have not made.
        data = data.octets
    if type_ is KeyType.ED25519:
        return bytes(key.sign(data, mechanism=Mechanism.EDDSA))
    if type_ is KeyType.EC_P256:
        both = key.sign(hashlib.sha256(data).digest(), mechanism=Mechanism.ECDSA)
        half = len(both) // 2
        return encode_dss_signature(int.from_bytes(both[:half], "big"), int.from_bytes(both[half:], "big"))
    if Mechanism.SHA256_RSA_PKCS in session.token.slot.get_mechanisms():
        return bytes(key.sign(data, mechanism=Mechanism.SHA256_RSA_PKCS))
    return bytes(key.sign(_SHA256_INFO + hashlib.sha256(data).digest(), mechanism=Mechanism.RSA_PKCS))


def _destroy(passing: Any) -> None:
    # What fails here ends with its session at the latest, which the next call finds lost.
    with suppress(PKCS11Error):
        passing.destroy()
