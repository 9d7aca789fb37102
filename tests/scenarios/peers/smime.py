"""People with certificates for mail, and `openssl cms` as their mail program: it seals, opens, signs and verifies."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption as Under
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PASSWORD = "correct horse"


@dataclass(frozen=True)
class Person:
    """PEM files of one who reads mail, and both in PKCS#12 under PASSWORD."""

    address: str
    certificate: Path
    key: Path
    p12: Path

    def opens(self, message: bytes) -> bytes:
        """What `openssl cms -decrypt` finds inside a message that is encrypted for him. Raises where it can't."""
        return cms("-decrypt", "-inkey", str(self.key), "-recip", str(self.certificate), octets=message)

    def can_open(self, message: bytes) -> bool:
        """Whether it is encrypted for him."""
        try:
            self.opens(message)
        except subprocess.CalledProcessError:
            return False
        return True

    def seals(self, entity: bytes) -> bytes:
        """A MIME entity encrypted for him: a header section of S/MIME and its body, with CR LF."""
        return crlf(cms("-encrypt", "-aes-256-cbc", str(self.certificate), octets=entity, binary=True))

    def signs(self, entity: bytes) -> bytes:
        """A MIME entity signed by him in the clear."""
        return crlf(cms("-sign", "-signer", str(self.certificate), "-inkey", str(self.key), octets=entity))


class People:
    """An authority that certifies people; `ca` is its certificate (PEM)."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "People CA")])
        made = (
            self._builder(self._name, self._key.public_key(), days=60)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._certificate = made
        self.ca = folder / "people-ca.pem"
        self.ca.write_bytes(made.public_bytes(Encoding.PEM))

    def person(self, address: str, *, curve: bool | Literal["x25519"] = False, days: int = 30) -> Person:
        """One with a new RSA key, or one on P-256 or X25519 (that one has no PKCS#12); `days` until the certificate
        ends, below 0: it has ended.
        """
        key = _key(curve)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
        made = (
            self._builder(name, key.public_key(), days=days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        stem = self.folder / f"{address}-{made.serial_number:x}"
        found = Person(address, stem.with_suffix(".pem"), stem.with_suffix(".key"), stem.with_suffix(".p12"))
        found.certificate.write_bytes(made.public_bytes(Encoding.PEM))
        found.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        found.key.chmod(0o600)
        if isinstance(key, x25519.X25519PrivateKey):
            return found
        both = pkcs12.serialize_key_and_certificates(
            address.encode(), key, made, [self._certificate], Under(PASSWORD.encode())
        )
        found.p12.write_bytes(both)
        return found

    def _builder(
        self,
        name: x509.Name,
        key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | x25519.X25519PublicKey,
        *,
        days: int,
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
        )

    def verify(self, message: bytes) -> bytes:
        """The content of a signed message whose signature holds for `openssl cms -verify`. Raises where it does not."""
        return cms("-verify", "-CAfile", str(self.ca), "-purpose", "any", octets=message)


def _key(curve: bool | str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey:
    if curve == "x25519":
        return x25519.X25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)


def cms(*arguments: str, octets: bytes, binary: bool = False) -> bytes:
    """What `openssl cms` makes of a message. Raises CalledProcessError."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    command = [program, "cms", *arguments[:1], *(["-binary"] if binary else []), *arguments[1:]]
    return subprocess.run(command, input=octets, capture_output=True, check=True, timeout=30).stdout


def crlf(octets: bytes) -> bytes:
    """With the line ends of mail."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
