"""Certificates for development: an authority of one's own and a server certificate from it (RFC 5280).

Good for trying things out on one machine. In earnest the server's certificate comes from a CA that partners trust.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.world.chance import Chance

AUTHORITY_DAYS = 3650
SERVER_DAYS = 825  # More is refused by clients that follow the CA/Browser Forum's old limit, Apple's among them.
_SLACK = timedelta(hours=1)  # The clocks of two machines differ.


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"Pair({self.certificate.subject.rfc4514_string()})"

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as PEM (PKCS#8), without a passphrase."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def authority(now: float, chance: Chance) -> Pair:
    """A certificate authority, EC P-256, that may sign server certificates and no further authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    # A mark in the name tells the authorities of two installations apart: OpenSSL looks an issuer up by its name.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Gateway development CA {chance.octets(4).hex()}")])
    usage = _usage(digital_signature=False, signs_certificates=True)
    draft = (
        _draft(name, name, key, now, AUTHORITY_DAYS, chance)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Pair(draft.sign(key, hashes.SHA256()), key)


def server(issuer: Pair, names: Iterable[str], now: float, chance: Chance) -> Pair:
    """A server certificate, EC P-256, for `names`: host names and IP addresses; the first is its common name too."""
    whole = list(dict.fromkeys(names))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, whole[0][:64])])  # RFC 5280: at most 64 letters
    draft = (
        _draft(subject, issuer.certificate.subject, key, now, SERVER_DAYS, chance)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in whole]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True, signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
            critical=False,
        )
    )
    return Pair(draft.sign(issuer.key, hashes.SHA256()), key)


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: float, days: int, chance: Chance
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(now, UTC).replace(microsecond=0) - _SLACK
    # RFC 5280 4.1.2.2: positive, at most 20 octets; a high bit at the front keeps it from ever being zero.
    serial = int.from_bytes(b"\x40" + chance.octets(15), "big")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )


def _usage(*, digital_signature: bool, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
