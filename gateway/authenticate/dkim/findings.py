"""Why a signature is no pass: each reason under one name, with its verdict and the words for people.

The names appear alike in trace, log, Authentication-Results and tests. Syntax that can't be read is `neutral`, what is
lasting and wrong `permerror`, what the standards or we do not accept `policy` (RFC 8601 2.7.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.mail.authentication import Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """`word` goes into trace and header, `text` is for people."""

    verdict: Verdict
    word: str
    text: str


class Found(Exception):
    """A signature or key record is no good; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


# Of the message
NOT_SIGNED: Final = Finding(Verdict.NONE, "not_signed", "the message is not signed")
BROKEN_HEADER: Final = Finding(
    Verdict.PERMERROR, "broken_header", "the header section holds a line that is no field, which two readers read apart"
)
HEADER_TOO_LARGE: Final = Finding(Verdict.PERMERROR, "header_too_large", "the header section is too large to be judged")

# Of the signature's own words (RFC 6376 3.5)
BAD_TAGS: Final = Finding(Verdict.NEUTRAL, "bad_tags", "the signature is no list of tags")
MISSING_TAG: Final = Finding(Verdict.NEUTRAL, "missing_tag", "the signature lacks a tag that it needs")
UNKNOWN_VERSION: Final = Finding(Verdict.NEUTRAL, "unknown_version", "the signature is of another version than v=1")
BAD_DOMAIN: Final = Finding(Verdict.NEUTRAL, "bad_domain", "d= is no domain name")
BAD_SELECTOR: Final = Finding(Verdict.NEUTRAL, "bad_selector", "s= is no selector")
BAD_BASE64: Final = Finding(Verdict.NEUTRAL, "bad_base64", "b= or bh= is no base64 of the right length")
BAD_NUMBER: Final = Finding(Verdict.NEUTRAL, "bad_number", "l=, t= or x= is no number")
UNKNOWN_CANONICALIZATION: Final = Finding(
    Verdict.NEUTRAL, "unknown_canonicalization", "c= is neither simple nor relaxed"
)
UNKNOWN_ALGORITHM: Final = Finding(Verdict.NEUTRAL, "unknown_algorithm", "a= is an algorithm unknown here")
HISTORIC_ALGORITHM: Final = Finding(
    Verdict.PERMERROR, "historic_algorithm", "rsa-sha1 proves nothing any more (RFC 8301 3.1)"
)
UNKNOWN_QUERY: Final = Finding(Verdict.PERMERROR, "unknown_query", "q= does not say that the key lies in the DNS")
TOO_MANY_NAMES: Final = Finding(Verdict.PERMERROR, "too_many_names", "h= names too many fields")
FROM_NOT_SIGNED: Final = Finding(Verdict.PERMERROR, "from_not_signed", "h= does not name From")
IDENTITY_OUTSIDE: Final = Finding(Verdict.PERMERROR, "identity_outside", "i= is not within the domain of d=")
TIMES_CROSSED: Final = Finding(Verdict.PERMERROR, "times_crossed", "x= is not later than t=")
EXPIRED: Final = Finding(Verdict.POLICY, "expired", "the signature has expired (x=)")
FIELD_ADDED: Final = Finding(
    Verdict.POLICY,
    "field_added",
    "a field that may stand once stands there more often than h= covers, so one was added after signing",
)

# Of the key (RFC 6376 3.6)
NO_KEY: Final = Finding(Verdict.PERMERROR, "no_key", "the DNS has no key of this selector")
NO_ANSWER: Final = Finding(Verdict.TEMPERROR, "no_answer", "the DNS gave no answer about the key")
RECORD_TOO_LONG: Final = Finding(Verdict.PERMERROR, "record_too_long", "the key record is too long")
BAD_RECORD: Final = Finding(Verdict.PERMERROR, "bad_record", "the key record can't be read")
BAD_KEY: Final = Finding(Verdict.PERMERROR, "bad_key", "the key in the record can't be read")
REVOKED: Final = Finding(Verdict.PERMERROR, "revoked", "the key was revoked")
OTHER_KIND: Final = Finding(Verdict.PERMERROR, "other_kind", "the key is not for the signature's algorithm")
OTHER_HASH: Final = Finding(Verdict.PERMERROR, "other_hash", "the key is not for SHA-256 (h= of the record)")
OTHER_SERVICE: Final = Finding(Verdict.PERMERROR, "other_service", "the key is not for mail (s= of the record)")
IDENTITY_NOT_EXACT: Final = Finding(
    Verdict.PERMERROR, "identity_not_exact", "i= is in a subdomain, which the key does not allow (t=s)"
)
KEY_TOO_SHORT: Final = Finding(Verdict.POLICY, "key_too_short", "the key has less than 1,024 bits (RFC 8301 3.2)")
KEY_TOO_LONG: Final = Finding(Verdict.POLICY, "key_too_long", "the key has more than 4,096 bits, which nobody needs")
TESTING: Final = Finding(
    Verdict.NONE, "testing", "the domain only tests its signatures (t=y), so it counts as not signed"
)

# Of the hashes (RFC 6376 6.1.3)
BODY_CHANGED: Final = Finding(Verdict.FAIL, "body_changed", "the body is not the one that was signed")
BODY_PARTLY_SIGNED: Final = Finding(
    Verdict.POLICY, "body_partly_signed", "the signature covers the first part of the body alone (l=)"
)
SIGNATURE_WRONG: Final = Finding(
    Verdict.FAIL, "signature_wrong", "the signed fields were changed, or another key signed them"
)

ALL: Final = {one.word: one for one in list(vars().values()) if isinstance(one, Finding)}
