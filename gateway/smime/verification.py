"""The signatures of one layer, judged: by what they hold, by who is believed, and by who the message is from.

`cms.signed` says whether a signature holds; here its certificate is judged (`trust`) and, of the outermost signed
layer, compared with From and Sender (RFC 8550 3). A layer further inside was written by somebody else, whose message
was passed on; `signer` says by whom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509

from gateway.mail.opened import Layer, LayerKind, SignatureStatus
from gateway.smime.certificate import CERTIFICATE_MALFORMED, Certificate, Purpose, Unreadable, of
from gateway.smime.cms.findings import Finding
from gateway.smime.cms.identifiers import Identifier
from gateway.smime.cms.signed import CertificateIndex, ReadSigned, SignerFinding, read_signed
from gateway.smime.signer import Claimed
from gateway.smime.trust import Trust, Untrusted

SIGNER_MISMATCH: Final = "signer-mismatch"  # The certificate names nobody of From and Sender.
MAX_BROUGHT: Final = 100  # Certificates of one layer that are looked at; real ones have one to five.

_CHANGED = frozenset((Finding.DIGEST_MISMATCH, Finding.SIGNATURE_WRONG))


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed layer. `content`: what was signed, None where nothing is there. `was_changed`: every signature says that
    the content is not what was signed. `is_proven`: one holds over it, whoever made it.
    """

    layers: tuple[Layer, ...]
    content: bytes | None = field(repr=False)
    was_changed: bool = False
    is_proven: bool = False


class Verifier:
    """Made for one message: judges one layer after the other, the outermost first."""

    def __init__(self, trust: Trust, known: Sequence[Certificate], claimed: Claimed, now: float) -> None:
        self._trust = trust
        self._known = (*trust.anchors, *known)
        self._claimed: Claimed | None = claimed  # None once a layer was compared with it.
        self._now = now

    def detached(self, der: bytes, content: bytes) -> Signed:
        """A signature with what stands beside it, its lines ending with CR LF (RFC 8551 3.1.1)."""
        return self._judged(read_signed(der, content, known=self._find), content)

    def opaque(self, der: bytes) -> Signed:
        """A signature with the content inside."""
        found = read_signed(der, known=self._find)
        return self._judged(found, found.content)

    def _find(self, identifier: Identifier) -> list[x509.Certificate]:
        """Those known before that are named so. An index of all of them would cost more than one look at each."""
        there = [one.x509 for one in self._known if one.serial == identifier.serial or _may_be(one, identifier.ski)]
        return CertificateIndex(there).find(identifier)

    def _judged(self, found: ReadSigned, content: bytes | None) -> Signed:
        if found.finding is not None:
            return Signed((_Judged(SignatureStatus.BAD, found.finding, None).layer(),), content)
        claimed, self._claimed = self._claimed, None
        brought = [one for each in found.certificates[:MAX_BROUGHT] if (one := _facts(each)) is not None]
        judged = [self._believed(one, brought) for one in found.signers]
        if claimed is not None and not any(one.is_by(claimed) for one in judged):
            judged = [self._mismatched(one) for one in judged]
        return Signed(
            tuple(one.layer() for one in judged),
            content,
            was_changed=all(one.reason in _CHANGED for one in found.signers),
            is_proven=any(one.status is not SignatureStatus.BAD for one in found.signers),
        )

    def _believed(self, found: SignerFinding, brought: Sequence[Certificate]) -> _Judged:
        """What the signature proves by itself, and whether its certificate is believed."""
        certificate = None if found.certificate is None else _facts(found.certificate)
        if found.status is SignatureStatus.BAD:
            return _Judged(SignatureStatus.BAD, found.reason, certificate)
        if certificate is None:
            return _Judged(SignatureStatus.BAD, CERTIFICATE_MALFORMED, None)
        try:
            self._trust.judge(certificate, brought, now=self._now, purpose=Purpose.SIGN)
        except Untrusted as fault:
            if not fault.is_weak:
                return _Judged(SignatureStatus.BAD, fault.reason, certificate)
            return _Judged(SignatureStatus.WEAK, found.reason or fault.reason, certificate)
        return _Judged(found.status, found.reason, certificate)

    def _mismatched(self, one: _Judged) -> _Judged:
        """Signed by somebody whom the message does not name. Who named the certificate itself as what is believed knows
        whose it is, and gets the reason beside the status.
        """
        if one.status is SignatureStatus.BAD or one.certificate is None:
            return one
        is_named = one.certificate in self._trust.anchors
        return _Judged(one.status if is_named else SignatureStatus.BAD, SIGNER_MISMATCH, one.certificate)


@dataclass(frozen=True, slots=True)
class _Judged:
    status: SignatureStatus
    reason: str | None
    certificate: Certificate | None

    def is_by(self, claimed: Claimed) -> bool:
        """Whether it is of one whom the message names, as far as it is believed."""
        good = self.status is not SignatureStatus.BAD
        return good and self.certificate is not None and claimed.matches(self.certificate)

    def layer(self) -> Layer:
        signer = None
        if self.certificate is not None:
            signer = self.certificate.addresses[0] if self.certificate.addresses else self.certificate.subject
        return Layer(kind=LayerKind.SIGNED, status=self.status, signer=signer, reason=self.reason)


def _may_be(certificate: Certificate, ski: bytes | None) -> bool:
    """One without an identifier of its own is named by the digest of its key."""
    return ski is not None and certificate.ski in (ski, None)


def _facts(certificate: x509.Certificate) -> Certificate | None:
    try:
        return of(certificate)
    except (Unreadable, ValueError):
        return None
