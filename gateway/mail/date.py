"""Dates as header fields have them (RFC 5322 3.3). Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def rfc5322_date(now: float) -> str:
    """`now`, seconds since 1970, in UTC, such as `Tue, 3 Nov 2026 08:12:00 +0000`."""
    return _date(int(now))


@lru_cache(maxsize=16)
def _date(second: int) -> str:
    """Names of its own: strftime's depend on the locale."""
    at = datetime.fromtimestamp(second, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M:%S} +0000"
