"""What is said of an envelope or a signature, in constants. They appear alike in log, trace, command line and tests."""

from __future__ import annotations

from enum import StrEnum

from gateway.mail import opened


class Finding(StrEnum):
    """Why an envelope does not open, why a signature is not good, or what is weak about it."""

    STRUCTURE_BROKEN = "structure-broken"  # No CMS: tags, lengths or members are wrong, or it is cut off.
    TOO_MANY_MEMBERS = "too-many-members"  # More recipients, signers, pieces or attributes than anybody sends.
    CONTENT_TYPE_UNKNOWN = "content-type-unknown"  # CMS of a kind that is not opened here.
    COMPRESSED = opened.COMPRESSED  # RFC 3274: nobody's secret, and not opened here.
    CONTENT_MISSING = "content-missing"  # Nothing is inside, and nothing was given beside it.
    ALGORITHM_UNKNOWN = "algorithm-unknown"
    NO_RECIPIENT_OF_OURS = "no-recipient-of-ours"
    KEY_DOES_NOT_FIT = "key-does-not-fit"  # The recipient info is for another kind of key than ours is.
    # A wrong content key and a changed content look alike, or each answer would tell an attacker which it is
    # (RFC 3218 2.3).
    CONTENT_DAMAGED = "content-damaged"
    SIGNATURE_MISSING = "signature-missing"  # Certificates alone (RFC 5652 5.2), nobody signed.
    CERTIFICATE_MISSING = "certificate-missing"  # The signer's is neither inside nor known.
    CERTIFICATE_DIFFERS = "certificate-differs"  # The signer named another one in what he signed (RFC 5035 3).
    DIGEST_MISMATCH = "digest-mismatch"  # The content is not what was signed.
    SIGNATURE_WRONG = "signature-wrong"
    ATTRIBUTES_WRONG = "attributes-wrong"  # Signed attributes are missing or twice there (RFC 5652 11).
    WEAK_ALGORITHM = "weak-algorithm"
    NOT_AUTHENTICATED = "not-authenticated"  # CBC: whoever carried it could change what is read.


class Unreadable(Exception):
    """Inside this package alone: reading ended with a finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding


class Unusable(ValueError):
    """A certificate or key can't be used so. The text is for people and names the kind of key, never the key."""
