"""To whom an envelope is sealed, and whose keys open one: the table of kinds of keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x448, x25519

from gateway.smime.cms.agreement import EcdhRecipient
from gateway.smime.cms.agreement import PrivateKey as AgreementKey
from gateway.smime.cms.findings import Unusable
from gateway.smime.cms.identifiers import Identifier, Named
from gateway.smime.cms.schemes import signs_by_pss_alone
from gateway.smime.cms.transport import RsaRecipient

PrivateKey = rsa.RSAPrivateKey | AgreementKey


class Recipient(Protocol):
    """One for whom envelopes are sealed. Worth keeping: what does not change between messages is ready in it."""

    @property
    def version(self) -> int:
        """Of his recipient info (RFC 5652 6.2)."""

    def info(self, content_key: bytes) -> bytes:
        """His recipient info in DER, with the content key for him alone."""


def recipient(certificate: x509.Certificate, *, oaep: bool = False, by_ski: bool = False) -> Recipient:
    """The recipient with that certificate, who is named in it by issuer and serial number or by key identifier.

    `oaep`: by RSA-OAEP with SHA-256, where his software knows it. Raises Unusable for a key that can't be sealed to.
    """
    named = Named.of(certificate)
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable("its public key can't be used here") from error
    match key:
        case rsa.RSAPublicKey() if not signs_by_pss_alone(certificate):
            return RsaRecipient.of(key, named, oaep=oaep, by_ski=by_ski)
        case ec.EllipticCurvePublicKey() | x25519.X25519PublicKey() | x448.X448PublicKey():
            return EcdhRecipient.of(key, named, by_ski=by_ski)
        case _:
            raise Unusable("its key signs, and can't be encrypted to")


@dataclass(frozen=True, slots=True)
class DecryptionKey:
    """A private key with the certificate by which senders name it."""

    certificate: x509.Certificate
    private: PrivateKey = field(repr=False)
    named: Named = field(repr=False)

    @classmethod
    def of(cls, certificate: x509.Certificate, private: object) -> DecryptionKey:
        """Raises Unusable for a private key that does not open anything."""
        kinds = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, x25519.X25519PrivateKey, x448.X448PrivateKey)
        if not isinstance(private, kinds):
            raise Unusable("a key of this kind signs, and opens nothing")
        return cls(certificate, private, Named.of(certificate))


class DecryptionKeys:
    """Keys of ours, found by what a recipient info names. A value; a change makes a new one."""

    __slots__ = ("_by_serial", "_by_ski")

    def __init__(self, keys: Iterable[DecryptionKey] = ()) -> None:
        self._by_serial: dict[int, list[DecryptionKey]] = {}
        self._by_ski: dict[bytes, list[DecryptionKey]] = {}
        for key in keys:
            self._by_serial.setdefault(key.named.serial, []).append(key)
            self._by_ski.setdefault(key.named.ski, []).append(key)

    def __bool__(self) -> bool:
        return bool(self._by_serial)

    def find(self, identifier: Identifier) -> list[DecryptionKey]:
        """Those that are named so."""
        if identifier.ski is not None:
            return self._by_ski.get(identifier.ski, [])
        found = self._by_serial.get(identifier.serial if identifier.serial is not None else -1, ())
        return [key for key in found if key.named.is_meant(identifier)]
