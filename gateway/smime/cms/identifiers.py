"""Whose certificate is meant: by issuer and serial number, or by subject key identifier (RFC 5652 5.3, 6.2.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.smime.cms import ber, der
from gateway.smime.cms.findings import Unreadable, Unusable

SKI_TAG: Final = 0x80  # [0] IMPLICIT OCTET STRING, wherever a choice of both stands.
_CONSTRUCTED_SKI_TAG: Final = 0xA0


@dataclass(frozen=True, slots=True)
class Identifier:
    """Either `issuer` (a name in DER) and `serial`, or `ski`."""

    issuer: bytes | None = None
    serial: int | None = None
    ski: bytes | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """How others may name a certificate. `issuer` is as its octets have it, not as a library would write it anew."""

    issuer: bytes
    serial: int
    ski: bytes

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Named:
        """Raises Unusable for a certificate whose octets can't be read."""
        try:
            fields = ber.read(certificate.tbs_certificate_bytes).expect(der.SEQUENCE).members(most=16)
            if fields[0].tag == 0xA0:  # the version; a certificate of version 1 has none
                del fields[0]
            serial, issuer = fields[0].integer(), bytes(fields[2].raw)
            key = fields[5].expect(der.SEQUENCE).members(most=2)[1].bits()
        except (Unreadable, IndexError) as error:
            raise Unusable("its structure can't be read") from error
        return cls(issuer, serial, _key_identifier(certificate) or _hashed(key))

    def issuer_and_serial(self) -> bytes:
        """IssuerAndSerialNumber (RFC 5652 10.2.4)."""
        return der.sequence(self.issuer, der.integer(self.serial))

    def is_meant(self, identifier: Identifier) -> bool:
        """Whether `identifier` names this certificate."""
        if identifier.issuer is None:
            return identifier.ski == self.ski
        if identifier.serial != self.serial:
            return False
        return identifier.issuer == self.issuer or _plain_name(identifier.issuer) == _plain_name(self.issuer)


def read_issuer_and_serial(element: ber.Element) -> Identifier:
    """IssuerAndSerialNumber, whatever its tag."""
    members = element.members(most=2)
    if len(members) != 2:
        raise ber.broken()
    return Identifier(issuer=members[0].small(), serial=members[1].integer())


def read_identifier(element: ber.Element) -> Identifier:
    """SignerIdentifier and RecipientIdentifier (RFC 5652 5.3, 6.2.1)."""
    if element.tag in (SKI_TAG, _CONSTRUCTED_SKI_TAG):
        return Identifier(ski=element.octets())
    return read_issuer_and_serial(element.expect(der.SEQUENCE))


def meant(identifier: Identifier, certificates: Iterable[tuple[Named, x509.Certificate]]) -> list[x509.Certificate]:
    """Those that `identifier` names."""
    return [certificate for named, certificate in certificates if named.is_meant(identifier)]


def _key_identifier(certificate: x509.Certificate) -> bytes | None:
    """As the certificate says it."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except Exception:  # noqa: BLE001 - there is none, or whatever a hostile certificate sets off
        return None  # What is wrong with its extensions is for those to judge who believe them.


def _hashed(key: bytes) -> bytes:
    """The identifier that most would give it (RFC 5280 4.2.1.2, the first way)."""
    digest = hashes.Hash(hashes.SHA1())  # noqa: S303 - a name, it protects nothing
    digest.update(key)
    return digest.finalize()


def _plain_name(name: bytes) -> tuple[tuple[bytes, str], ...] | bytes:
    """A name for comparing (RFC 5280 7.1): whatever kind of string, case and spaces do not count.

    Some write the issuer anew, as another kind of string than the certificate has.
    """
    try:
        found = []
        for part in ber.read(name).members(most=64):
            for attribute in part.members(most=16):
                kind, value = attribute.members(most=2)
                encoding = "utf-16-be" if value.tag == 0x1E else "utf-8"  # BMPString
                text = bytes(value.content).decode(encoding, "replace")
                found.append((kind.oid(), " ".join(text.casefold().split())))
        return tuple(found)
    except (Unreadable, ValueError):
        return name
