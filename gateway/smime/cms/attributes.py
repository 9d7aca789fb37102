"""Signed attributes (RFC 5652 11, RFC 5035 3, RFC 8551 2.5): what is signed beside the content, written and read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.smime.cms import ber, der
from gateway.smime.cms.algorithms import AES256_CBC, AES256_GCM, DATA, DIGESTS, SHA1, SHA256, AlgorithmIdentifier
from gateway.smime.cms.findings import Finding, Unreadable
from gateway.smime.cms.identifiers import Identifier, Named, read_issuer_and_serial

MOST_ATTRIBUTES: Final = 200  # Of one signer; mail has three to nine.

_PKCS9 = "1.2.840.113549.1.9."
CONTENT_TYPE: Final = der.oid_octets(_PKCS9 + "3")
MESSAGE_DIGEST: Final = der.oid_octets(_PKCS9 + "4")
SIGNING_TIME: Final = der.oid_octets(_PKCS9 + "5")
CAPABILITIES: Final = der.oid_octets(_PKCS9 + "15")
KEY_PREFERENCE: Final = der.oid_octets(_PKCS9 + "16.2.11")
SIGNING_CERTIFICATE: Final = der.oid_octets(_PKCS9 + "16.2.12")
SIGNING_CERTIFICATE_V2: Final = der.oid_octets(_PKCS9 + "16.2.47")

# RFC 8551 2.5.2: what we would like to get, the best liked first. CBC leads because it is what everybody can write and
# what the clients behind us can open; AES-128 is for those who know nothing longer.
_AES128_CBC: Final = der.oid_octets("2.16.840.1.101.3.4.1.2")
OUR_CAPABILITIES: Final = der.sequence(*[der.algorithm(oid) for oid in (AES256_CBC.oid, AES256_GCM.oid, _AES128_CBC)])


def attribute(kind: bytes, *values: bytes) -> bytes:
    """An Attribute of finished values."""
    return der.sequence(der.oid(kind), der.set_of(*values))


CONTENT_IS_DATA: Final = attribute(CONTENT_TYPE, der.oid(DATA))


def signing_certificate(certificate: bytes, named: Named) -> bytes:
    """SigningCertificateV2 (RFC 5035 3): which certificate is meant, by SHA-256, so that nobody puts in another one."""
    names = der.sequence(der.explicit(4, named.issuer))  # GeneralNames with one directoryName
    one = der.sequence(
        der.octet_string(SHA256.of([certificate])),  # SHA-256 is the default and is not named then
        der.sequence(names, der.integer(named.serial)),
    )
    return attribute(SIGNING_CERTIFICATE_V2, der.sequence(der.sequence(one)))


def key_preference(named: Named) -> bytes:
    """SMIMEEncryptionKeyPreference (RFC 8551 2.5.3): for which certificate an answer is to be encrypted."""
    inner = named.issuer + der.integer(named.serial)
    return attribute(KEY_PREFERENCE, der.element(0xA0, inner))


def signing_time(seconds: float) -> bytes:
    """When it was signed, as the signer says."""
    return _signed_at(int(seconds))


@lru_cache(maxsize=2)  # Of one second there are hundreds.
def _signed_at(second: int) -> bytes:
    return attribute(SIGNING_TIME, der.time(second))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAttributes:
    """What the attributes of one signer say. `capabilities`: as they came, in BER. `time`: seconds since 1970."""

    element: ber.Element
    content_type: bytes
    digest: bytes
    time: float | None = None
    capabilities: bytes | None = None
    preference: Identifier | None = None
    certificate: tuple[bytes, bytes] | None = None  # The identifier of a digest, and the certificate's digest by it.

    @classmethod
    def read(cls, element: ber.Element) -> SignedAttributes:
        """`element` is the `[0]` of a signer info. Raises Unreadable."""
        found: dict[bytes, list[ber.Element]] = {}
        for one in element.members(most=MOST_ATTRIBUTES):
            members = one.expect(der.SEQUENCE).members(most=2)
            if len(members) != 2:
                raise ber.broken()
            kind = members[0].oid()
            if kind in found and kind in _SINGLE:
                raise Unreadable(Finding.ATTRIBUTES_WRONG)  # RFC 5652 11.1: one instance each
            found[kind] = members[1].expect(der.SET).members(most=MOST_ATTRIBUTES)
        content_type, digest = _one(found, CONTENT_TYPE), _one(found, MESSAGE_DIGEST)
        if content_type is None or digest is None:
            raise Unreadable(Finding.ATTRIBUTES_WRONG)  # RFC 5652 5.3: both must be there
        time, capabilities = _one(found, SIGNING_TIME), _one(found, CAPABILITIES)
        return cls(
            element=element,
            content_type=content_type.oid(),
            digest=digest.octets(),
            time=_time(time),
            capabilities=None if capabilities is None else capabilities.small(),
            preference=_preference(_one(found, KEY_PREFERENCE)),
            certificate=_certificate(_one(found, SIGNING_CERTIFICATE_V2), _one(found, SIGNING_CERTIFICATE)),
        )

    def encodings(self) -> Iterator[bytes]:
        """RFC 5652 5.4: the signature is over the DER of the SET. As it came, which is DER nearly always; with definite
        lengths; and in DER's order. The content of all three is the same, so whichever was signed proves the same.
        """
        yield bytes((der.SET,)) + self.element.small()[1:]
        definite = [one.definite() for one in self.element.members()]
        yield der.element(der.SET, *definite)
        yield der.set_of(*definite)


_SINGLE: Final = {
    CONTENT_TYPE,
    MESSAGE_DIGEST,
    SIGNING_TIME,
    CAPABILITIES,
    KEY_PREFERENCE,
    SIGNING_CERTIFICATE,
    SIGNING_CERTIFICATE_V2,
}


def _one(found: dict[bytes, list[ber.Element]], kind: bytes) -> ber.Element | None:
    """The one value of an attribute that has one; None where the attribute is not there."""
    if (values := found.get(kind)) is None:
        return None
    if len(values) != 1:
        raise Unreadable(Finding.ATTRIBUTES_WRONG)
    return values[0]


def _time(value: ber.Element | None) -> float | None:
    """None for a time of another form: it proves nothing that the signature would rest on."""
    try:
        return None if value is None else value.time()
    except Unreadable:
        return None


def _preference(value: ber.Element | None) -> Identifier | None:
    """RFC 8551 2.5.3: `[0]` issuer and serial, `[1]` a RecipientKeyIdentifier, `[2]` a subject key identifier."""
    if value is None:
        return None
    if value.tag == 0xA0:
        return read_issuer_and_serial(value)
    if value.tag == 0xA1 and (members := value.members(most=3)):
        return Identifier(ski=members[0].octets())
    return Identifier(ski=value.octets()) if value.tag == 0x82 else None


def _certificate(second: ber.Element | None, first: ber.Element | None) -> tuple[bytes, bytes] | None:
    """What the newer of both attributes says of the signer's certificate, which is the first of its list (RFC 5035)."""
    if second is not None:
        members = _first_certificate(second)
        if members[0].tag != der.SEQUENCE:
            return SHA256.oid, members[0].octets()
        if len(members) < 2:
            raise ber.broken()
        return AlgorithmIdentifier.read(members[0]).oid, members[1].octets()
    return None if first is None else (SHA1.oid, _first_certificate(first)[0].octets())


def _first_certificate(value: ber.Element) -> list[ber.Element]:
    """The members of the first ESSCertID."""
    lists = value.expect(der.SEQUENCE).members(most=2)
    certificates = lists[0].expect(der.SEQUENCE).members() if lists else []
    members = certificates[0].expect(der.SEQUENCE).members(most=3) if certificates else []
    if not members:
        raise ber.broken()
    return members


def looks_like_attributes(blocks: Iterable[bytes | memoryview]) -> bool:
    """Whether content without attributes is itself the DER of some: then somebody may have taken the attributes off a
    signature of another's and shows them as what he signed (RFC 5652 5.3 leaves both under the same signature).
    """
    start = b""
    for block in blocks:
        if len(start) >= 64:
            break
        start += bytes(block[:64])
    return start[:1] == bytes((der.SET,)) and any(der.oid(kind) in start for kind in (CONTENT_TYPE, MESSAGE_DIGEST))


def names_certificate(digest: tuple[bytes, bytes], certificate: bytes) -> bool:
    """Whether `digest` (as `SignedAttributes.certificate`) is that certificate's. Unknown digests name none."""
    known = DIGESTS.get(digest[0])
    return known is not None and known.of([certificate]) == digest[1]
