"""Certificates in words, for log, trace, Received and people. Never raises: what is told may be anybody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.mail.envelope import PeerCertificate

_SHOWN: Final = 100  # Letters of a name out of a certificate.


@dataclass(frozen=True, slots=True)
class Described:
    """A certificate for people: whose, from whom, until when (seconds since 1970, None where unreadable)."""

    name: str
    issuer: str
    until: float | None


def described(chain: Sequence[bytes]) -> Described:
    """The first certificate of `chain` in words. Never raises; what can't be read is told as that."""
    try:
        certificate = x509.load_der_x509_certificate(chain[0])
        return Described(
            name=printable(_own_name(certificate)),
            issuer=printable(_common(certificate.issuer) or certificate.issuer.rfc4514_string()),
            until=certificate.not_valid_after_utc.timestamp(),
        )
    except Exception:  # noqa: BLE001 - a hostile certificate; the words are for people only
        return Described("unreadable", "unreadable", None)


def names_shown(der: bytes) -> tuple[str, ...]:
    """All dNSNames and iPAddresses of a certificate, for people; none where it has none, or can't be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = names.get_values_for_type(x509.DNSName)
        return tuple(printable(name) for name in [*hosts, *map(str, names.get_values_for_type(x509.IPAddress))])
    except Exception:  # noqa: BLE001 - as above
        return ()


def shown(chain: tuple[bytes, ...]) -> PeerCertificate:
    """What a client showed, as a fact of its connection; `chain` in DER, not empty."""
    words = described(chain)
    return PeerCertificate(chain, words.name, words.issuer)


def _own_name(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if found := names.get_values_for_type(x509.DNSName):
            return found[0] if len(found) == 1 else f"{found[0]} and {len(found) - 1} more"
    except (x509.ExtensionNotFound, x509.UnsupportedGeneralNameType, ValueError):
        pass
    return _common(certificate.subject) or certificate.subject.rfc4514_string() or "no name"


def _common(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def printable(text: str) -> str:
    """`text` as it may stand in a comment of a header line and in a log: short, ASCII, nothing that ends a comment."""
    kept = "".join(letter if " " <= letter <= "~" and letter not in '()\\"<>' else "?" for letter in text[:_SHOWN])
    return kept.strip() or "?"
