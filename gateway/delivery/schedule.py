"""When a waiting delivery is tried again (RFC 5321 4.5.4.1). Pure: the clock and chance are handed in.

Every failed attempt counts, whichever phase it failed in: greylisting at MAIL lets the wait grow as 451 at RCPT does.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.settings.schema import Retry
from gateway.world.chance import Chance

_MOST_STEPS = 64  # Beyond it every wait is the longest one; a power of a larger number would overflow.
_CLOSE = 1.0  # Seconds. Storage rounds times; an attempt just before the end must not be followed by one at the end.


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTerms:
    """Waits in seconds: `first`, each `factor` times the one before, at most `longest`, the share `jitter` by chance.

    `expire` is how long after its arrival a message is given up.
    """

    first: float
    factor: float
    longest: float
    jitter: float
    expire: float

    @classmethod
    def from_settings(cls, retry: Retry) -> RetryTerms:
        """The section [retry] of gateway.toml."""
        return cls(
            first=retry.first, factor=retry.factor, longest=retry.longest, jitter=retry.jitter, expire=retry.expire
        )


def wait(attempts: int, retry: RetryTerms, chance: Chance) -> float:
    """Seconds to wait after the failed attempt number `attempts` (from 1)."""
    full = min(retry.first * retry.factor ** min(max(attempts, 1) - 1, _MOST_STEPS), retry.longest)
    return full * chance.between(1.0 - retry.jitter, 1.0)


def next_attempt(attempts: int, now: float, created: float, retry: RetryTerms, chance: Chance) -> float | None:
    """When to try again after the failed attempt number `attempts`, in seconds since 1970; None: it has expired.

    Never later than expiry, so that the last attempt happens there, give or take a second.
    """
    end = created + retry.expire
    if now >= end - _CLOSE:
        return None
    return min(now + wait(attempts, retry, chance), end)
