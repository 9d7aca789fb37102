"""The Date field as a moment (RFC 5322 3.3, 4.3). Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONES: Final = {"ut": 0, "gmt": 0, "z": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8,
                 "pdt": -7}  # fmt: skip
_DATE = re.compile(
    r"(\d{1,2})[ \t-]{1,9}([A-Za-z]{3})[a-z]{0,9}[ \t-]{1,9}(\d{4}|\d{2})[ \t]{1,9}(\d{1,2}):(\d{2})(?::(\d{2}))?"
    r"[ \t]{0,9}(?:([+-])(\d{2}):?(\d{2})|([A-Za-z]{1,5}))?"
)


def sent_date(value: str) -> datetime | None:
    """The moment in the sender's own zone; an unknown zone counts as UTC (RFC 5322 4.3). None: it is no date."""
    found = _DATE.search(value[:200])
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes, zone = found.groups()
    try:
        years = int(year)
        if len(year) == 2:
            years += 2000 if years < 50 else 1900
        offset = _ZONES.get((zone or "z").lower(), 0) * 60
        if sign is not None:
            offset = (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1)
        found_at = datetime(
            years,
            _MONTHS.index(month.lower()) + 1,
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59),  # A leap second.
            tzinfo=timezone(timedelta(minutes=offset)),
        )
        found_at.astimezone(UTC)  # Whoever shows it may need it so, and there is no year 0 or 10,000.
        return found_at
    except (ValueError, OverflowError):
        return None
