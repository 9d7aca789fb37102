"""A certificate for mail, as facts (RFC 8550, RFC 5280, RFC 8398): whose it is, until when, and what it may do.

What a certificate says of itself, no more: whether it is believed is `trust`'s to judge. Leaves out: policies,
revocation, S/MIME capabilities that a certificate holds (RFC 4262).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from asn1crypto import core
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dh, dsa, ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.mail.address import BadAddress, normal_domain, parse_address

MAX_OCTETS: Final = 256 * 1024  # Of one certificate; a real one has one to six KiB.
MAX_NAMES: Final = 1000  # Addresses and domains of one certificate.
RSA_BITS: Final = (2048, 16384)  # Shorter ones are broken, longer ones cost a second for each message.
CURVES: Final = {"secp256r1": "ec-p256", "secp384r1": "ec-p384", "secp521r1": "ec-p521"}

# Why a certificate can't be used for something. They appear alike in log, trace, `gateway certificate` and tests.
CERTIFICATE_EXPIRED: Final = "certificate-expired"
CERTIFICATE_NOT_YET_VALID: Final = "certificate-not-yet-valid"
CERTIFICATE_NOT_TRUSTED: Final = "certificate-not-trusted"
CERTIFICATE_NOT_FOR_MAIL: Final = "certificate-not-for-mail"  # Its extended key usage names other purposes.
CERTIFICATE_NOT_FOR_ENCRYPTION: Final = "certificate-not-for-encryption"  # Its key usage, or its kind of key.
CERTIFICATE_NOT_FOR_SIGNING: Final = "certificate-not-for-signing"
CERTIFICATE_KEY_WEAK: Final = "certificate-key-weak"
CERTIFICATE_SIGNATURE_WEAK: Final = "certificate-signature-weak"  # Its issuer signed it, or one above, with SHA-1.
CERTIFICATE_NOT_APPROVED: Final = "certificate-not-approved"  # [security] fips, and its key is of another kind.
CERTIFICATE_MALFORMED: Final = "certificate-malformed"

_UTF8_MAILBOX = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")  # RFC 8398 3: id-on-SmtpUTF8Mailbox
_PSS_KEY = "1.2.840.113549.1.1.10"  # RFC 4055 1.2: a key that signs with RSASSA-PSS and does nothing else
# RFC 3183 2: who signs and who opens for all of a domain, by the local parts of their certificates' addresses.
_DOMSEC = frozenset({"domain-signing-authority", "domain-confidentiality-authority"})
# How certificates are signed, by the object identifier or the branch under which it stands.
_SIGNATURES: Final = {
    "1.2.840.113549.1.1.10": "rsa-pss",
    "1.2.840.113549.1.1": "rsa",
    "1.2.840.10045.4": "ecdsa",
    "1.2.840.10045.4.3": "ecdsa",
    "1.2.840.10040.4": "dsa",
    "2.16.840.1.101.3.4.3": "dsa",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
}
_DER = Encoding.DER


class Purpose(StrEnum):
    """What a certificate is to be used for."""

    SIGN = "sign"
    ENCRYPT = "encrypt"


class Unreadable(ValueError):
    """No certificate or key can be made of what was given. `found` and `right` are words, never content of a key."""

    def __init__(self, found: str, right: str) -> None:
        super().__init__(f"found {found}; right would be {right}")
        self.found = found
        self.right = right


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two are equal where their octets are. Times are seconds since 1970.

    `addresses` (lower case, domains in A-labels) and `domains` (of which it speaks for everybody: DNS names, and those
    of domain authorities after RFC 3183) are what it names; an administrator may bind it to others.
    `algorithm`: of its key, as `rsa-2048`, `ec-p256`, `x25519`, `ed25519`; `unknown` where `cryptography` can't use it.
    `encryption` and `signing` are reasons why it can't be used so, None where it can; a weak key is the last of them.
    """

    der: bytes = field(repr=False)
    x509: x509.Certificate = field(repr=False, compare=False)
    fingerprint: str = field(compare=False)  # SHA-256 of its octets, hexadecimal.
    subject: str = field(compare=False)
    issuer: str = field(compare=False, repr=False)
    serial: int = field(compare=False, repr=False)
    ski: bytes | None = field(compare=False, repr=False)
    addresses: tuple[str, ...] = field(compare=False)
    domains: tuple[str, ...] = field(compare=False)
    not_before: float = field(compare=False, repr=False)
    not_after: float = field(compare=False, repr=False)
    algorithm: str = field(compare=False)
    signed_with: str = field(compare=False, repr=False)
    is_ca: bool = field(compare=False, repr=False)
    encryption: str | None = field(compare=False, repr=False)
    signing: str | None = field(compare=False, repr=False)

    @property
    def may_encrypt(self) -> bool:
        """Whether a message may be encrypted for it; its dates are another question."""
        return self.encryption is None

    @property
    def may_sign(self) -> bool:
        """Whether its key may sign messages; its dates are another question."""
        return self.signing is None

    @property
    def is_weak(self) -> bool:
        """Whether its key is so short that others may know it."""
        return CERTIFICATE_KEY_WEAK in (self.encryption, self.signing)

    @property
    def is_self_issued(self) -> bool:
        """Whether it names itself as its issuer."""
        return self.x509.issuer == self.x509.subject

    @property
    def subject_der(self) -> bytes:
        """Its subject's name, DER."""
        return self.x509.subject.public_bytes()

    @property
    def issuer_der(self) -> bytes:
        """Its issuer's name, DER, as a recipient info or a signer info names it (RFC 5652 10.2.4)."""
        return self.x509.issuer.public_bytes()

    def reason(self, purpose: Purpose, now: float) -> str | None:
        """Why it can't be used for `purpose` at `now`, as far as it says itself; None where it can."""
        if now > self.not_after:
            return CERTIFICATE_EXPIRED
        if now < self.not_before:
            return CERTIFICATE_NOT_YET_VALID
        return self.encryption if purpose is Purpose.ENCRYPT else self.signing


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate whose private key is ours. `chain`: what leads towards an anchor, the nearest first, no anchor."""

    certificate: Certificate
    key: PrivateKeyTypes = field(repr=False, compare=False)
    chain: tuple[Certificate, ...] = field(default=(), repr=False)

    def __reduce__(self) -> str:
        raise TypeError("identities are not pickled: their keys must not leave the process")


def certificate(der: bytes) -> Certificate:
    """The facts of a DER certificate. Raises Unreadable."""
    if len(der) > MAX_OCTETS:
        raise Unreadable(f"a certificate of {len(der)} octets", f"one of at most {MAX_OCTETS}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # Old ones have odd serial numbers.
        try:
            return of(x509.load_der_x509_certificate(der))
        except Unreadable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a hostile certificate sets off
            raise Unreadable(f"a damaged certificate ({_words(error)})", "a whole X.509 certificate") from error


def of(one: x509.Certificate) -> Certificate:
    """The facts of a certificate that `cryptography` has read. Raises Unreadable, and ValueError of its extensions."""
    extensions = {extension.oid: extension.value for extension in one.extensions}
    names = extensions.get(x509.SubjectAlternativeName.oid)
    addresses, domains = _names(one, names if isinstance(names, x509.SubjectAlternativeName) else None)
    constraints = extensions.get(x509.BasicConstraints.oid)
    ski = extensions.get(x509.SubjectKeyIdentifier.oid)
    algorithm, weak = _key(one)
    return Certificate(
        der=one.public_bytes(_DER),
        x509=one,
        fingerprint=one.fingerprint(SHA256()).hex(),
        subject=one.subject.rfc4514_string(),
        issuer=one.issuer.rfc4514_string(),
        serial=one.serial_number,
        ski=ski.digest if isinstance(ski, x509.SubjectKeyIdentifier) else None,
        addresses=addresses,
        domains=domains,
        not_before=one.not_valid_before_utc.timestamp(),
        not_after=one.not_valid_after_utc.timestamp(),
        algorithm=algorithm,
        signed_with=_signed_with(one),
        is_ca=isinstance(constraints, x509.BasicConstraints) and constraints.ca,
        encryption=_why_not_encrypt(algorithm, extensions) or (CERTIFICATE_KEY_WEAK if weak else None),
        signing=_why_not_sign(algorithm, extensions) or (CERTIFICATE_KEY_WEAK if weak else None),
    )


def plain_address(text: str) -> str | None:
    """An address as certificates are found by it: lower case, the domain in A-labels; None where it is none.

    RFC 8550 3 compares the local part as it stands, but no mail system that we know tells two people apart by case.
    """
    try:
        address = parse_address(text.strip())
    except BadAddress:
        return None
    return address.who if address.domain else None


def same_key(one: Certificate, key: PrivateKeyTypes) -> bool:
    """Whether `key` is the private key of that certificate."""
    spki = PublicFormat.SubjectPublicKeyInfo
    try:
        mine: Any = one.x509.public_key()
        return bool(mine.public_bytes(_DER, spki) == key.public_key().public_bytes(_DER, spki))
    except (UnsupportedAlgorithm, ValueError):
        return False


def _names(one: x509.Certificate, names: x509.SubjectAlternativeName | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Addresses and domains that it names, each once, in its order."""
    if names is not None and len(list(names)) > MAX_NAMES:
        raise Unreadable(f"a certificate with {len(list(names))} names", f"one with at most {MAX_NAMES}")
    found = list(_alternative(names)) if names is not None else []
    if not found:  # RFC 8550 3: legacy certificates have the address in the subject alone.
        attributes = one.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
        found = [str(attribute.value) for attribute in attributes[:MAX_NAMES]]
    addresses = [plain for text in found if (plain := plain_address(text)) is not None]
    domains = [address.rpartition("@")[2] for address in addresses if address.rpartition("@")[0] in _DOMSEC]
    if names is not None:
        domains += [plain for text in names.get_values_for_type(x509.DNSName) if (plain := _plain_domain(text))]
    return tuple(dict.fromkeys(addresses)), tuple(dict.fromkeys(domains))


def _alternative(names: x509.SubjectAlternativeName) -> Iterator[str]:
    for name in names:
        if isinstance(name, x509.RFC822Name):
            yield name.value
        elif isinstance(name, x509.OtherName) and name.type_id == _UTF8_MAILBOX:
            yield str(core.UTF8String.load(name.value, strict=True).native)  # RFC 8398 3


def _plain_domain(text: str) -> str | None:
    try:
        return normal_domain(text)
    except BadAddress:
        return None


def _key(one: x509.Certificate) -> tuple[str, bool]:
    """Its kind in words, and whether it is weak."""
    try:
        key = one.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return "unknown", False
    match key:
        case rsa.RSAPublicKey():
            kind = "rsa-pss" if one.public_key_algorithm_oid.dotted_string == _PSS_KEY else "rsa"
            return f"{kind}-{key.key_size}", not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]
        case ec.EllipticCurvePublicKey():
            return CURVES.get(key.curve.name, f"ec-{key.curve.name}"), key.curve.key_size < 256
        case ed25519.Ed25519PublicKey():
            return "ed25519", False
        case ed448.Ed448PublicKey():
            return "ed448", False
        case x25519.X25519PublicKey():
            return "x25519", False
        case x448.X448PublicKey():
            return "x448", False
        case dsa.DSAPublicKey():
            return f"dsa-{key.key_size}", True  # RFC 8550 4.3: historic
        case dh.DHPublicKey():
            return f"dh-{key.key_size}", True
    return "unknown", False


def _signed_with(one: x509.Certificate) -> str:
    """How its issuer signed it: `sha256 rsa`, `ed25519`; an object identifier where `cryptography` does not know it."""
    oid = one.signature_algorithm_oid
    try:
        digest = one.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return oid.dotted_string
    kind = _SIGNATURES.get(oid.dotted_string) or _SIGNATURES.get(oid.dotted_string.rpartition(".")[0], "")
    return f"{digest.name} {kind}".strip() if digest is not None else kind or oid.dotted_string


_Extensions = dict[x509.ObjectIdentifier, x509.ExtensionType]


def _is_for_mail(extensions: _Extensions) -> bool:
    """RFC 8550 4.4.4: no extended key usage at all, or one that names mail or everything."""
    purposes = extensions.get(x509.ExtendedKeyUsage.oid)
    if not isinstance(purposes, x509.ExtendedKeyUsage):
        return True
    return any(
        one in (ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE) for one in purposes
    )


def _usage(extensions: _Extensions) -> x509.KeyUsage | None:
    usage = extensions.get(x509.KeyUsage.oid)
    return usage if isinstance(usage, x509.KeyUsage) else None


def _why_not_encrypt(algorithm: str, extensions: _Extensions) -> str | None:
    if not _is_for_mail(extensions):
        return CERTIFICATE_NOT_FOR_MAIL
    usage = _usage(extensions)
    if algorithm.startswith("rsa-") and not algorithm.startswith("rsa-pss"):
        allowed = usage is None or usage.key_encipherment  # RFC 8550 4.4.2
    elif algorithm == "x25519" or algorithm in CURVES.values():
        allowed = usage is None or usage.key_agreement  # RFC 5480 3, RFC 8410 5
    else:
        allowed = False
    return None if allowed else CERTIFICATE_NOT_FOR_ENCRYPTION


def _why_not_sign(algorithm: str, extensions: _Extensions) -> str | None:
    if not _is_for_mail(extensions):
        return CERTIFICATE_NOT_FOR_MAIL
    if algorithm.startswith(("x25519", "x448", "dh-", "unknown")):
        return CERTIFICATE_NOT_FOR_SIGNING
    usage = _usage(extensions)
    # RFC 8550 4.4.2: either of the two lets a key sign a message.
    allowed = usage is None or usage.digital_signature or usage.content_commitment
    return None if allowed else CERTIFICATE_NOT_FOR_SIGNING


def _words(error: Exception) -> str:
    """The first line of what the library says: of a certificate, which is public."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
