"""Private keys in this process' memory, of all types that a vault knows: drawn, used, and put into octets for keeping.

RSA wraps by OAEP with SHA-256 and signs by PKCS #1 v1.5 with SHA-256 (RFC 8017 7.1, 8.2); Ed25519 is RFC 8032; ECDSA
P-256 signs with SHA-256, its signature as the DER of RFC 3279 2.2.3; AES wraps by RFC 3394.
"""

from __future__ import annotations

from typing import Final, NoReturn

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from gateway.keys.envelope import Algorithm
from gateway.keys.vault import KeyType
from gateway.mail.digest import Hashed
from gateway.world.chance import Chance

AES_OCTETS: Final = 32

_BITS: Final = {KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096}
_EXPONENT: Final = 65537
_OAEP: Final = padding.OAEP(padding.MGF1(SHA256()), SHA256(), label=None)
_PKCS1: Final = padding.PKCS1v15()
_PREHASHED: Final = Prehashed(SHA256())

_Private = bytes | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


class SoftwareKey:
    """One version of a key. Neither repr nor pickle gives any of it away."""

    __slots__ = ("_private", "type")

    def __init__(self, type_: KeyType, private: _Private) -> None:
        self.type = type_
        self._private = private

    def __repr__(self) -> str:
        return f"SoftwareKey({self.type})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("private keys are not pickled: they must not leave the process")

    @classmethod
    def drawn(cls, type_: KeyType, chance: Chance) -> SoftwareKey:
        """A new key. AES from `chance`, the others from OpenSSL's generator. RSA takes up to some seconds."""
        if type_ is KeyType.AES_256:
            return cls(type_, chance.octets(AES_OCTETS))
        if type_ is KeyType.ED25519:
            return cls(type_, ed25519.Ed25519PrivateKey.generate())
        if type_ is KeyType.EC_P256:
            return cls(type_, ec.generate_private_key(ec.SECP256R1()))
        return cls(type_, rsa.generate_private_key(_EXPONENT, _BITS[type_]))

    @classmethod
    def kept(cls, type_: KeyType, octets: bytes) -> SoftwareKey:
        """The key out of what `octets` gave. Raises ValueError, whose text says nothing of them."""
        try:
            if type_ is KeyType.AES_256:
                private: object = octets if len(octets) == AES_OCTETS else None
            else:
                private = serialization.load_der_private_key(octets, None)
        except Exception:  # noqa: BLE001  (whatever OpenSSL says of a private key stays here)
            private = None
        if not _fits(type_, private):
            raise ValueError(f"no private key of type {type_}")
        return cls(type_, private)  # type: ignore[arg-type]

    def octets(self) -> bytes:
        """For keeping, sealed: 32 octets, or PKCS #8 (RFC 5958) in DER."""
        if isinstance(self._private, bytes):
            return self._private
        return self._private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def algorithm(self) -> Algorithm:
        """How it wraps. Raises ValueError where it does not."""
        return Algorithm.of(self.type)

    def wrap_key(self, key: bytes) -> bytes:
        """32 octets, wrapped. Raises ValueError where this type does not wrap."""
        if isinstance(self._private, bytes):
            return aes_key_wrap(self._private, key)
        if isinstance(self._private, rsa.RSAPrivateKey):
            return self._private.public_key().encrypt(key, _OAEP)
        raise ValueError(f"a key of type {self.type} does not wrap")

    def unwrap_key(self, algorithm: Algorithm, wrapped: bytes) -> bytes:
        """What `wrap_key` was given. Raises ValueError."""
        if algorithm is not self.algorithm:
            raise ValueError(f"a key of type {self.type} does not wrap that way")
        try:
            if isinstance(self._private, bytes):
                return aes_key_unwrap(self._private, wrapped)
            if isinstance(self._private, rsa.RSAPrivateKey):
                return self._private.decrypt(wrapped, _OAEP)
        except InvalidUnwrap:
            raise ValueError("it does not open") from None
        raise ValueError(f"a key of type {self.type} does not wrap")

    def decrypt(self, sealed: bytes) -> bytes | None:
        """What was encrypted to its public key by OAEP; None where it does not open. ValueError for no RSA key."""
        if not isinstance(self._private, rsa.RSAPrivateKey):
            raise ValueError(f"a key of type {self.type} does not decrypt")
        try:
            return self._private.decrypt(sealed, _OAEP)
        except ValueError:
            return None

    def cipher(self) -> AESGCM:
        """For what the first vaults wrapped: AES-256-GCM under the root itself. Raises ValueError for no AES key."""
        if not isinstance(self._private, bytes):
            raise ValueError(f"a key of type {self.type} is no cipher")
        return AESGCM(self._private)

    def sign(self, data: bytes | Hashed) -> bytes:
        """A signature over `data`. Raises ValueError where this type does not sign."""
        if isinstance(data, Hashed):
            if isinstance(self._private, rsa.RSAPrivateKey):
                return self._private.sign(data.sha256, _PKCS1, _PREHASHED)
            data = data.octets
        match self._private:
            case rsa.RSAPrivateKey():
                return self._private.sign(data, _PKCS1, SHA256())
            case ed25519.Ed25519PrivateKey():
                return self._private.sign(data)
            case ec.EllipticCurvePrivateKey():
                return self._private.sign(data, ec.ECDSA(SHA256()))
            case _:
                raise ValueError(f"a key of type {self.type} does not sign")

    def public(self) -> bytes:
        """SubjectPublicKeyInfo in DER. Raises ValueError where there is no public key."""
        if isinstance(self._private, bytes):
            raise ValueError(f"a key of type {self.type} has no public key")
        return self._private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def _fits(type_: KeyType, private: object) -> bool:
    match private:
        case bytes():
            return type_ is KeyType.AES_256
        case rsa.RSAPrivateKey():
            return private.key_size == _BITS.get(type_)
        case ed25519.Ed25519PrivateKey():
            return type_ is KeyType.ED25519
        case ec.EllipticCurvePrivateKey():
            return type_ is KeyType.EC_P256 and isinstance(private.curve, ec.SECP256R1)
        case _:
            return False
