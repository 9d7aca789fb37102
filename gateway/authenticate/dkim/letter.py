"""A header section, read once for all the signatures in it, and one signature judged over it (RFC 6376 3.7, 6.1.3).

Pure, and all of it may run on a thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.authenticate.dkim import findings
from gateway.authenticate.dkim.canonical import covered_at, read_fields, signed_octets
from gateway.authenticate.dkim.findings import Finding
from gateway.authenticate.dkim.record import KeyRecord
from gateway.authenticate.dkim.signature import MAX_SIGNATURES, Signature, Unreadable, read_signature, terms_of
from gateway.mail.authentication import DkimResult, Verdict
from gateway.mail.body_hash import HashTerms

FIELD: Final = b"dkim-signature"

# May stand once in a message (RFC 5322 3.6, RFC 2045 3): a reader shows either of two, so a second one that the
# signature does not cover lets anybody put his own words into a signed message (RFC 6376 8.15).
SINGULAR: Final = frozenset(
    (
        *(b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"date", b"subject", b"message-id", b"in-reply-to"),
        *(b"references", b"mime-version", b"content-type", b"content-transfer-encoding"),
    )
)


class Letter:
    """The fields of a header section and the first signatures among them.

    `is_whole`: it holds nothing but fields. `skipped` signatures were not read. `terms` are the hashes of the body that
    judging takes.
    """

    __slots__ = ("_places", "_repeated", "is_whole", "octets", "signatures", "skipped", "terms")

    def __init__(self, section: bytes) -> None:
        self._places, self.is_whole, repeated = read_fields(section)
        self.octets = len(section)
        signatures = self._places.get(FIELD, [])
        self.skipped = max(0, len(signatures) - MAX_SIGNATURES)
        if len(signatures) == 1:  # As nearly always; and likewise below.
            self.signatures: tuple[Signature | Unreadable, ...] = (read_signature(signatures[0]),)
        else:
            self.signatures = tuple([read_signature(raw) for raw in signatures[:MAX_SIGNATURES]])
        self.terms = terms_of(self.signatures)
        self._repeated = [(name, len(self._places[name])) for name in repeated if name in SINGULAR]

    def is_added_to(self, one: Signature) -> bool:
        """Whether a singular field that the signature covers stands there more often than h= covers it."""
        return bool(self._repeated) and any(0 < one.names.count(name) < count for name, count in self._repeated)

    def judge(self, number: int, one: Signature, keys: Sequence[KeyRecord]) -> DkimResult:
        """Whether one of `keys` made signature `number` over these fields. Of the body only its hash is looked at."""
        among = self._places
        if FIELD in one.names:  # Others may be signed, never itself (RFC 6376 3.5).
            signatures = among[FIELD]
            among = {**among, FIELD: signatures[:number] + signatures[number + 1 :]}
        octets = signed_octets(covered_at(among, one.turns), one.own, one.header)
        for key in keys:
            if key.made(one.signature, octets):
                return result(findings.TESTING if key.testing else None, one, key)
        return result(findings.SIGNATURE_WRONG, one, keys[0])


def body_finding(one: Signature, hashes: Mapping[HashTerms, bytes]) -> Finding | None:
    """What is wrong with the body by its hashes; None: all of it is as it was signed."""
    if hashes.get(one.whole) == one.body_hash:
        return None
    if one.partial is None:
        return findings.BODY_CHANGED
    # Octets behind those that l= counts are nobody's word (RFC 6376 8.2). A hash that was not made may be right.
    part = hashes.get(one.partial)
    return findings.BODY_CHANGED if part is not None and part != one.body_hash else findings.BODY_PARTLY_SIGNED


def result(
    finding: Finding | None, one: Signature | Unreadable | None = None, key: KeyRecord | None = None
) -> DkimResult:
    """The result of one signature; without a finding it is a pass."""
    if finding is not None and finding.verdict is Verdict.FAIL and key is not None and key.testing:
        finding = findings.TESTING  # RFC 6376 3.6.1: as if it were not signed, even should it fail.
    return DkimResult(
        verdict=Verdict.PASS if finding is None else finding.verdict,
        reason="" if finding is None else finding.word,
        domain="" if one is None else one.domain,
        selector="" if one is None else one.selector,
        algorithm="" if one is None else one.algorithm,
        start="" if one is None else one.start,
        bits=None if key is None else key.bits,
    )
