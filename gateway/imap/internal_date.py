"""INTERNALDATE as the wire has it (RFC 3501 9, date-time), always in UTC. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY: Final = 86400


def internal_date(seconds: float) -> bytes:
    """`seconds` since 1970, such as `" 3-Nov-2026 08:12:00 +0000"`, with its quotes."""
    day, rest = divmod(int(seconds), _DAY)
    return b'"%b %02d:%02d:%02d +0000"' % (_day(day), rest // 3600, rest // 60 % 60, rest % 60)


@lru_cache(maxsize=512)
def _day(day: int) -> bytes:
    """Names of its own: strftime's depend on the locale."""
    try:
        at = datetime.fromtimestamp(day * _DAY, UTC)
    except (OverflowError, ValueError, OSError):
        return b" 1-Jan-1970"
    return f"{at.day:2d}-{MONTHS[at.month - 1]}-{at.year:04d}".encode("ascii")


def day_of(seconds: float) -> date:
    """The day in UTC, for BEFORE, ON and SINCE, which disregard time and zone (RFC 3501 6.4.4)."""
    try:
        return datetime.fromtimestamp(seconds, UTC).date()
    except (OverflowError, ValueError, OSError):
        return date(1970, 1, 1)
