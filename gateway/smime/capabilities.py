"""What a correspondent's software can read: SMIMECapabilities (RFC 8551 2.5.2), in a signature or in a certificate
(RFC 4262), and which cipher follows from it. Pure. What ours can read is written by `cms.attributes`.

Leaves out: remembering them (harvesting), key management algorithms (the certificate's key decides about those).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from gateway.smime.certificate import Certificate
from gateway.smime.cms import ber, der
from gateway.smime.cms.algorithms import AES256_CBC, AES256_GCM, CONTENT_CIPHERS, ContentCipher
from gateway.smime.cms.findings import Unreadable

MAX_CAPABILITIES: Final = 200  # Real lists have ten.

_EXTENSION = x509.ObjectIdentifier("1.2.840.113549.1.9.15")  # RFC 4262 2: the attribute's name is the extension's too.


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`algorithms`: their identifiers as `cms.algorithms` has them, the preferred ones first. Parameters are left out:
    they matter to RC2 alone.
    """

    algorithms: tuple[bytes, ...]

    @property
    def ciphers(self) -> tuple[ContentCipher, ...]:
        """Those of content that we know, the preferred ones first."""
        return tuple(found for oid in self.algorithms if (found := CONTENT_CIPHERS.get(oid)) is not None)


def read_capabilities(octets: bytes) -> Capabilities | None:
    """Read SMIMECapabilities; None where the octets are none, or more than anybody has."""
    try:
        rows = ber.read(octets).expect(der.SEQUENCE).members(most=MAX_CAPABILITIES)
        return Capabilities(tuple(row.expect(der.SEQUENCE).members(most=2)[0].oid() for row in rows))
    except (Unreadable, IndexError):
        return None


def certified(certificate: Certificate) -> Capabilities | None:
    """What a certificate says that its owner can read (RFC 4262); None where it says nothing."""
    for extension in certificate.x509.extensions:
        if extension.oid == _EXTENSION and isinstance(extension.value, x509.UnrecognizedExtension):
            return read_capabilities(extension.value.value)
    return None


def cipher_for(certificates: Iterable[Certificate]) -> ContentCipher:
    """What all these recipients can read: GCM where each of their certificates says so, else CBC, which every S/MIME
    reader since 2009 knows (RFC 5751); older ones know no AuthEnvelopedData, and OpenSSL's since version 3.0.
    """
    found = [certified(one) for one in certificates]
    all_know = bool(found) and all(one is not None and AES256_GCM in one.ciphers for one in found)
    return AES256_GCM if all_know else AES256_CBC
