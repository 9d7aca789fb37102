"""What was found out about who a message really comes from (RFC 8601 2.7). Values, which rules, trace and log read.

Leaves out: SPF, DMARC and ARC, which come later and take their places beside `dkim`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The result words of DKIM in an Authentication-Results field (RFC 8601 2.7.1)."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True, kw_only=True)
class DkimResult:
    """Of one signature, or of a message without one (`none`).

    `domain` (d=) and `selector` (s=) are A-labels in lower case, "" where the signature gives none that can be read;
    `algorithm` is a=. `bits` is the size of the key that was used. `reason` is a constant of
    `gateway.authenticate.dkim.findings`, "" for a pass. `start` has the first characters of b=, by which the result's
    signature can be told from others (RFC 6008 3).
    """

    verdict: Verdict
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    bits: int | None = None
    reason: str = ""
    start: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """All that was found of one message. `skipped` signatures stood there too and were not looked at."""

    dkim: tuple[DkimResult, ...]
    skipped: int = 0

    def signed_by(self, domain: str) -> bool:
        """Whether a signature of exactly this domain (A-labels, lower case) holds."""
        return any(one.verdict is Verdict.PASS and one.domain == domain for one in self.dkim)
