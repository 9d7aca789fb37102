"""Certificates and private keys in PEM files (RFC 7468): read, and told in clear words where that fails."""

from __future__ import annotations

import re
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

MAX_PEM = 8 << 20  # Octets. All CAs of a system take a quarter of a MiB.
_PRIVATE = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")


class PemFault(Exception):
    """The file is not what it should be. `found` and `right` are words for a fault of settings, never content."""

    def __init__(self, found: str, right: str) -> None:
        super().__init__(f"found {found}; right would be {right}")
        self.found = found
        self.right = right


def certificates(path: Path) -> list[x509.Certificate]:
    """All certificates in the file, in its order, at least one. Raises PemFault."""
    octets = _octets(path, "a PEM file with certificates")
    if b"-----BEGIN CERTIFICATE-----" not in octets:
        what = "a private key" if _PRIVATE.search(octets) else "no certificate"
        raise PemFault(f"{what} in {path}", "a PEM file with a CERTIFICATE block")
    try:
        return x509.load_pem_x509_certificates(octets)
    except ValueError as error:
        raise PemFault(f"a damaged certificate in {path}", "a PEM file with whole CERTIFICATE blocks") from error


def der(certificate: x509.Certificate) -> bytes:
    """Its octets."""
    return certificate.public_bytes(Encoding.DER)


def private_key(path: Path) -> PrivateKeyTypes:
    """The private key in the file. Raises PemFault; its words hold nothing of the key."""
    octets = _octets(path, "a PEM file with a private key")
    if b"ENCRYPTED" in octets:
        raise PemFault(f"a private key with a passphrase in {path}", "one without, in a file of mode 0600")
    if not _PRIVATE.search(octets):
        raise PemFault(f"no private key in {path}", "a PEM file with a PRIVATE KEY block")
    try:
        return load_pem_private_key(octets, None)
    except (ValueError, TypeError) as error:
        # The cause is kept from the text, not from the log: the library's words hold no key either.
        raise PemFault(f"a damaged private key in {path}", "a PEM file with a whole PRIVATE KEY block") from error


def pair(certificate: Path, key: Path) -> x509.Certificate:
    """The first certificate of the one file, whose key is in the other. Raises PemFault.

    `right` speaks to the key's place where the two do not match.
    """
    first = certificates(certificate)[0]
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private_key(key).public_key().public_bytes(*spki) != first.public_key().public_bytes(*spki):
        raise PemFault(f"the key of another certificate in {key}", f"the key of the first certificate in {certificate}")
    return first


def _octets(path: Path, right: str) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_PEM + 1)
    except FileNotFoundError as error:
        raise PemFault(f"no file {path}", right) from error
    except OSError as error:
        raise PemFault(f"that {path} can't be read ({error.strerror})", f"{right} that the gateway may read") from error
    if len(octets) > MAX_PEM:
        raise PemFault(f"more than {MAX_PEM} octets in {path}", right)
    return octets
