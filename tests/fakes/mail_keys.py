"""Keys and certificates for S/MIME, made once for a process by `cryptography`; nothing here is secret."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x448, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SEALABLE = ("rsa", "p256", "p384", "p521", "x25519", "x448")
SIGNING = ("rsa", "p256", "p384", "p521", "ed25519", "ed448")


@functools.cache
def private_key(kind: str) -> Any:
    """The key of that kind; `rsa-1024` and so on are too short, `dsa` is of old. `:` and a word make another one."""
    kind = kind.partition(":")[0]
    curves: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind.startswith("rsa-"):
        return rsa.generate_private_key(65537, int(kind[4:]))
    if kind == "dsa":
        return dsa.generate_private_key(1024)
    others: dict[str, Any] = {
        "x25519": x25519.X25519PrivateKey,
        "x448": x448.X448PrivateKey,
        "ed25519": ed25519.Ed25519PrivateKey,
        "ed448": ed448.Ed448PrivateKey,
    }
    return others[kind].generate()


@functools.cache
def authority() -> x509.Certificate:
    """Who signs all the others."""
    key = private_key("p256:authority")
    builder = _builder("Test CA", "Test CA", key.public_key(), 1)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.add_extension(_usage(sign_certificates=True), critical=True).sign(key, hashes.SHA256())


@functools.cache
def certificate(kind: str, *, serial: int | None = None, with_ski: bool = True) -> x509.Certificate:
    """One for the key of that kind, named `<kind>@corp.example`."""
    key = private_key(kind).public_key()
    number = serial if serial is not None else 1000 + sum(kind.encode()) * 256
    builder = _builder(kind, "Test CA", key, number)
    names = x509.SubjectAlternativeName([x509.RFC822Name(f"{kind.replace(':', '-')}@corp.example")])
    builder = builder.add_extension(names, critical=False).add_extension(_usage(), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(private_key("p256:authority").public_key())
    builder = builder.add_extension(above, critical=False)
    if with_ski:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    return builder.sign(private_key("p256:authority"), hashes.SHA256())


def der(one: x509.Certificate) -> bytes:
    return one.public_bytes(serialization.Encoding.DER)


def pem(one: x509.Certificate) -> bytes:
    return one.public_bytes(serialization.Encoding.PEM)


def pkcs8(kind: str) -> bytes:
    """The private key, PEM, in clear."""
    made: bytes = private_key(kind).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made


def _builder(subject: str, issuer: str, key: Any, serial: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
    )


def _usage(*, sign_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=not sign_certificates,
        data_encipherment=False,
        key_agreement=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
