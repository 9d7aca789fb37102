"""Times of licences: UTC, in whole minutes, such as `2026-11-03T08:12` ([MS-RMPR] 2.2.9.1.1). Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from gateway.rights.xrml.element import BadLicence

_MOMENT = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})")


def write_moment(at: float) -> str:
    """`at`, seconds since 1970, rounded down. Raises ValueError for a year that has not four digits."""
    if not 0 <= at < 253_402_300_800:  # The year 10000.
        raise ValueError("a time that a licence can't hold")
    return _written(int(at) // 60)


@lru_cache(maxsize=64)
def _written(minute: int) -> str:
    """Written out once, and not twice for each message of that minute."""
    return datetime.fromtimestamp(minute * 60, UTC).isoformat()[:16]  # A tenth of the time of `%Y-%m-%dT%H:%M`.


def read_moment(text: str) -> float:
    """Seconds since 1970. Raises BadLicence."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise BadLicence("a time that is none")
    year, month, day, hour, minute = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()
    except ValueError:
        raise BadLicence("a time that is none") from None
