"""Certificates that a test makes for itself; nothing here is secret."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from gateway.connectors.tls import server_context

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as values and as PEM files."""

    certificate: x509.Certificate
    key: Key
    file: Path
    key_file: Path

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def server(self) -> ssl.SSLContext:
        """The context of a server that shows it."""
        return server_context(self.file, self.key_file, "1.2")


def make_certificate(
    folder: Path,
    *names: str,
    common_name: str = "x",
    issuer: Certificate | None = None,
    is_ca: bool = False,
    days: tuple[float, float] = (-1, 30),
    key: Key | None = None,
    purposes: Sequence[x509.ObjectIdentifier] = (),
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
    path_length: int | None = None,
    digest: hashes.HashAlgorithm | None = None,
) -> Certificate:
    """A certificate with `names` as SAN (addresses of hosts and of mail too), signed by `issuer` or by itself, valid
    `days` from today.

    `purposes` is the extended key usage, `more` are further extensions, each with whether it is critical.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    today = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today + timedelta(days=days[0]))
        .not_valid_after(today + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=path_length), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(purposes)), critical=False)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    signer = issuer.key if issuer else key
    silent = isinstance(signer, ed25519.Ed25519PrivateKey)
    certificate = builder.sign(signer, None if silent else digest or hashes.SHA256())  # type: ignore[arg-type]
    mark = f"{certificate.serial_number:x}"
    file, key_file = folder / f"{mark}.pem", folder / f"{mark}.key"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    key_file.chmod(0o600)
    return Certificate(certificate, key, file, key_file)


def _name(name: str) -> x509.GeneralName:
    if "@" in name:
        return x509.RFC822Name(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
