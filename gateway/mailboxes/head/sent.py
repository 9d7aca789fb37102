"""The day on which a message says that it was sent, for SENTON and its like (RFC 3501 6.4.4, RFC 5322 3.3, 4.3)."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

MAX_DATE: Final = 200  # Octets of a Date field that are looked at.

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_COMMENT = re.compile(rb"\([^()]*\)")
_DATE = re.compile(rb"(?:\A|[\s,])([0-9]{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]*[\s-]+([0-9]{2,4})(?![0-9])")
# As ctime writes it, which some do: Tue Nov  3 08:12:00 2026.
_CTIME = re.compile(
    rb"([A-Za-z]{3})[a-z]*\s+([0-9]{1,2})\s+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?\s+(?:[A-Z]+\s+)?([0-9]{4})"
)


def sent_on(value: bytes) -> date | None:
    """The day that an unfolded Date names, time and zone disregarded (RFC 3501 6.4.4); None where it names none."""
    value = _COMMENT.sub(b" ", value[:MAX_DATE])
    if (match := _DATE.search(value)) is not None:
        day, month, year = match.groups()
    elif (match := _CTIME.search(value)) is not None:
        month, day, year = match.groups()
    else:
        return None
    number = int(year)
    if len(year) < 4:  # RFC 5322 4.3
        number += 1900 if len(year) == 3 or number >= 50 else 2000
    try:
        return date(number, _MONTHS[month[:3].lower()], int(day))
    except (KeyError, ValueError):
        return None
