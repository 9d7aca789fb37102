"""When a waiting delivery is tried again (RFC 5321 4.5.4.1). Pure: the clock and chance are handed in.

Every failed attempt counts, whichever phase it failed in: greylisting at MAIL lets the wait grow as 451 at RCPT does.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.settings.schema import Retry
from gateway.world.chance import Chance

_MOST_STEPS = 64  # Beyond it every wait is the longest one; a power of a larger number would overflow.
CLOSE = 1.0  # Seconds. Storage rounds times; an attempt just before the end must not be followed by one at the end.
LATE = 4 * 3600.0  # Seconds until the sender hears of a delay, where the settings say nothing.


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTerms:
    """Waits in seconds: `first`, each `factor` times the one before, at most `longest`, the share `jitter` by chance.

    `expire` is how long after its arrival a message is given up, `delay_notice` how long after it the sender is told
    that it is late; None: never.
    """

    first: float
    factor: float
    longest: float
    jitter: float
    expire: float
    delay_notice: float | None = LATE

    @classmethod
    def from_settings(cls, retry: Retry) -> RetryTerms:
        """The section [retry] of gateway.toml."""
        return cls(
            first=retry.first,
            factor=retry.factor,
            longest=retry.longest,
            jitter=retry.jitter,
            expire=retry.expire,
            delay_notice=retry.delay_notice or None,
        )

    def is_late(self, now: float, created: float) -> bool:
        """Whether the sender is to hear of the delay of what was taken at `created`, and has not expired yet."""
        if self.delay_notice is None or self.delay_notice >= self.expire:
            return False
        return now >= created + self.delay_notice - CLOSE


def wait(attempts: int, retry: RetryTerms, chance: Chance) -> float:
    """Seconds to wait after the failed attempt number `attempts` (from 1)."""
    full = min(retry.first * retry.factor ** min(max(attempts, 1) - 1, _MOST_STEPS), retry.longest)
    return full * chance.between(1.0 - retry.jitter, 1.0)


def next_attempt(attempts: int, now: float, created: float, retry: RetryTerms, chance: Chance) -> float | None:
    """When to try again after the failed attempt number `attempts`, in seconds since 1970; None: it has expired.

    Never later than expiry, so that the last attempt happens there, give or take a second. Nor beyond the time of the
    delay notice while that has not come: whether it is late is known only by trying.
    """
    end = created + retry.expire
    if now >= end - CLOSE:
        return None
    when = min(now + wait(attempts, retry, chance), end)
    if retry.delay_notice is not None and now < (late := created + retry.delay_notice) - CLOSE:
        when = min(when, late)
    return when
