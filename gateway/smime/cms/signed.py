"""Judging signatures: SignedData (RFC 5652 5). Whether the signer's certificate is believed is judged elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.mail.opened import SignatureStatus
from gateway.smime.cms import ber, der
from gateway.smime.cms.algorithms import DATA, SIGNED_DATA, Digest, Strength
from gateway.smime.cms.attributes import SignedAttributes, looks_like_attributes, names_certificate
from gateway.smime.cms.enveloped import content_info
from gateway.smime.cms.findings import Finding, Unreadable, Unusable
from gateway.smime.cms.identifiers import Identifier, Named, meant
from gateway.smime.cms.schemes import Scheme, read_scheme, strength_of
from gateway.smime.cms.signer_info import SignerInfo

MOST_SIGNERS: Final = 32  # Each costs a public-key operation; mail has one.
MOST_CERTIFICATES: Final = 500
MOST_CANDIDATES: Final = 4  # Certificates that bear the name of one signer.

Known = Callable[[Identifier], Iterable[x509.Certificate]]
"""Certificates that were known before, by how a signer is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerFinding:
    """One signature. `reason` is None where `status` is good. `certificate`: the signer's, None where it is missing.

    `identifier`: how the signer is named; `algorithm`: as `rsa-pss-sha-256`. `time` (seconds since 1970),
    `capabilities` (as they came, in BER) and `preference` are what he says in signed attributes: they are worth as much
    as the signature.
    """

    status: SignatureStatus
    reason: Finding | None = None
    certificate: x509.Certificate | None = None
    identifier: Identifier | None = None
    algorithm: str | None = None
    time: float | None = None
    capabilities: bytes | None = None
    preference: Identifier | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSigned:
    """What came of reading. `finding`: why there is nothing to judge, None where every signer has a finding of his own.

    `content`: what was signed, where it is inside; also where a signature is wrong, for whoever shows such.
    `content_type`: its identifier, `algorithms.DATA` for mail. `certificates`: all that came along, the signers' too.
    """

    finding: Finding | None = None
    signers: tuple[SignerFinding, ...] = ()
    content: bytes | None = field(default=None, repr=False)
    content_type: bytes = DATA
    certificates: tuple[x509.Certificate, ...] = field(default=(), repr=False)


def read_signed(
    octets: bytes | memoryview,
    content: bytes | memoryview | Sequence[bytes | memoryview] | None = None,
    *,
    known: Known | None = None,
) -> ReadSigned:
    """Judge SignedData. `content`: what was signed, where it stands beside it, in one block or several, with line
    ends as they are hashed. Never raises, whatever comes, but for what `known` raises.
    """
    beside: Sequence[bytes | memoryview] | None = None
    if content is not None:
        beside = [content] if isinstance(content, (bytes, memoryview)) else content
    try:
        return _Reader(octets, beside, known).read()
    except Unreadable as error:
        return ReadSigned(finding=error.finding)


class _Reader:
    """One SignedData: digests of its content are made once, and only those that a signer asks for."""

    def __init__(
        self, octets: bytes | memoryview, beside: Sequence[bytes | memoryview] | None, known: Known | None
    ) -> None:
        kind, data = content_info(octets)
        if kind != SIGNED_DATA:
            raise Unreadable(Finding.CONTENT_TYPE_UNKNOWN)
        members = data.expect(der.SEQUENCE).members(most=6)
        if len(members) < 4:
            raise ber.broken()
        members[0].integer()
        members[1].expect(der.SET)
        inner = members[2].expect(der.SEQUENCE).members(most=2)
        if not inner:
            raise ber.broken()
        self._content_type = inner[0].oid()
        self._inside = _string(inner[1].expect(0xA0).only()) if len(inner) > 1 else None
        optional = members[3:-1]
        self._certificates = _certificates(optional.pop(0)) if optional and optional[0].tag == 0xA0 else ()
        if optional and optional[0].tag != 0xA1:  # [1]: revocation lists
            raise ber.broken()
        self._infos = members[-1].expect(der.SET).members(most=MOST_SIGNERS)
        self._beside = beside
        self._known = known
        self._digests: dict[bytes, bytes] = {}
        self._named: list[tuple[Named, x509.Certificate]] | None = None

    def read(self) -> ReadSigned:
        """All signers. Raises Unreadable for what is wrong with the whole."""
        content = None if self._inside is None else b"".join(self._inside)
        whole = ReadSigned(content=content, content_type=self._content_type, certificates=self._certificates)
        if not self._infos:
            return replace(whole, finding=Finding.SIGNATURE_MISSING)
        if self._inside is None and self._beside is None:
            return replace(whole, finding=Finding.CONTENT_MISSING)
        return replace(whole, signers=tuple(self._judged(info) for info in self._infos))

    @property
    def _blocks(self) -> Sequence[bytes | memoryview]:
        """What was signed: what stands beside goes before what is inside, which has to be the same then."""
        return self._beside if self._beside is not None else self._inside or ()

    def _digest(self, digest: Digest) -> bytes:
        if (found := self._digests.get(digest.oid)) is None:
            found = self._digests[digest.oid] = digest.of(self._blocks)
            if self._beside is not None and self._inside is not None and digest.of(self._inside) != found:
                # Shown one content and signed another: whichever a reader takes, the next one takes the other.
                found = self._digests[digest.oid] = b""
        return found

    def _judged(self, info: ber.Element) -> SignerFinding:
        """A signer info, whatever is in it."""
        said = _Said()
        try:
            one = SignerInfo.read(info)
            said.identifier, said.attributes = one.identifier, one.attributes
            scheme = read_scheme(one.algorithm, one.digest)
            said.algorithm = scheme.name
            self._expect_content(one)
            certificate = self._verified(one, scheme)
        except Unreadable as error:
            known = error.certificate if isinstance(error, _Wrong) else None
            return said.finding(SignatureStatus.BAD, error.finding, known)
        strength = min(one.digest.strength, scheme.digest.strength, strength_of(certificate.public_key()))
        if strength is Strength.GOOD:
            return said.finding(SignatureStatus.GOOD, None, certificate)
        # It holds, and proves what its weakest part proves.
        status = SignatureStatus.WEAK if strength is Strength.WEAK else SignatureStatus.BAD
        return said.finding(status, Finding.WEAK_ALGORITHM, certificate)

    def _expect_content(self, one: SignerInfo) -> None:
        """The content is what the signer saw, as far as his attributes say it (RFC 5652 5.6)."""
        digest = self._digest(one.digest)
        if not digest:
            raise _Wrong(Finding.DIGEST_MISMATCH, self._first(one.identifier))
        if one.attributes is None:
            if self._content_type != DATA or looks_like_attributes(self._blocks):
                raise Unreadable(Finding.ATTRIBUTES_WRONG)  # RFC 5652 5.3: without them the content is data
            return
        if one.attributes.content_type != self._content_type:
            raise Unreadable(Finding.ATTRIBUTES_WRONG)
        if one.attributes.digest != digest:
            raise _Wrong(Finding.DIGEST_MISMATCH, self._first(one.identifier))

    def _verified(self, one: SignerInfo, scheme: Scheme) -> x509.Certificate:
        """The certificate by whose key the signature holds. Raises Unreadable."""
        candidates = self._candidates(one.identifier)
        if not candidates:
            raise Unreadable(Finding.CERTIFICATE_MISSING)
        finding = Finding.SIGNATURE_WRONG
        for certificate in candidates:
            try:
                self._verify(one, scheme, certificate)
            except Unreadable as error:
                finding = error.finding
                continue
            if one.attributes is not None and one.attributes.certificate is not None:
                if not names_certificate(one.attributes.certificate, certificate.public_bytes(Encoding.DER)):
                    finding = Finding.CERTIFICATE_DIFFERS
                    continue
            return certificate
        raise _Wrong(finding, candidates[0])

    def _verify(self, one: SignerInfo, scheme: Scheme, certificate: x509.Certificate) -> None:
        """Return where the signature holds by that certificate's key."""
        try:
            key = certificate.public_key()
        except Exception:  # noqa: BLE001 - whatever a hostile certificate sets off
            raise Unreadable(Finding.ALGORITHM_UNKNOWN) from None
        if one.attributes is None:
            return scheme.verify(key, one.signature, b"".join(self._blocks))
        for octets in one.attributes.encodings():
            try:
                return scheme.verify(key, one.signature, octets)
            except Unreadable as error:
                if error.finding is not Finding.SIGNATURE_WRONG:
                    raise
        raise Unreadable(Finding.SIGNATURE_WRONG)

    def _first(self, identifier: Identifier) -> x509.Certificate | None:
        """The certificate that the signer seems to have, to say who he claims to be."""
        found = self._candidates(identifier)
        return found[0] if found else None

    def _candidates(self, identifier: Identifier) -> list[x509.Certificate]:
        """Certificates that are named so: those that came along, and those that were known."""
        if self._named is None:
            self._named = list(_named(self._certificates))
        found = dict.fromkeys(meant(identifier, self._named))
        if self._known is not None:
            found |= dict.fromkeys(self._known(identifier))
        return list(found)[:MOST_CANDIDATES]


class _Wrong(Unreadable):
    """A finding about a signer who is known."""

    def __init__(self, finding: Finding, certificate: x509.Certificate | None) -> None:
        super().__init__(finding)
        self.certificate = certificate


class _Said:
    """What a signer info says, as far as it was read."""

    __slots__ = ("algorithm", "attributes", "identifier")

    def __init__(self) -> None:
        self.identifier: Identifier | None = None
        self.algorithm: str | None = None
        self.attributes: SignedAttributes | None = None

    def finding(
        self, status: SignatureStatus, reason: Finding | None, certificate: x509.Certificate | None
    ) -> SignerFinding:
        """With what was found of it."""
        said = self.attributes
        return SignerFinding(
            status=status,
            reason=reason,
            certificate=certificate,
            identifier=self.identifier,
            algorithm=self.algorithm,
            time=None if said is None else said.time,
            capabilities=None if said is None else said.capabilities,
            preference=None if said is None else said.preference,
        )


def _string(element: ber.Element) -> list[memoryview]:
    """The pieces of the content. PKCS #7 of old has other things than an OCTET STRING here (RFC 5652 5.2.1)."""
    if element.tag & ~ber.CONSTRUCTED != der.OCTET_STRING:
        raise Unreadable(Finding.CONTENT_TYPE_UNKNOWN)
    return element.pieces()


def _certificates(element: ber.Element) -> tuple[x509.Certificate, ...]:
    """CertificateSet (RFC 5652 10.2.3): those that can be read; one that can't be is nobody's here."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Old ones have odd serial numbers.
        for one in element.members(most=MOST_CERTIFICATES):
            if one.tag == der.SEQUENCE:
                try:
                    found.append(x509.load_der_x509_certificate(one.small()))
                except Exception:  # noqa: BLE001, S112 - whatever a hostile certificate sets off
                    continue
    return tuple(found)


def _named(certificates: Iterable[x509.Certificate]) -> Iterable[tuple[Named, x509.Certificate]]:
    for certificate in certificates:
        try:
            yield Named.of(certificate), certificate
        except Unusable:
            continue


class CertificateIndex:
    """Certificates that are known, for `read_signed`'s `known`."""

    __slots__ = ("_named",)

    def __init__(self, certificates: Iterable[x509.Certificate]) -> None:
        self._named = list(_named(certificates))

    def find(self, identifier: Identifier) -> list[x509.Certificate]:
        """Those that are named so."""
        return meant(identifier, self._named)
