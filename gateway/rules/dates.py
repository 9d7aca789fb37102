"""Dates of rules (RFC 3339): a day, or a day and a time, in UTC unless an offset stands there."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from gateway.rules.flaw import BadValue
from gateway.rules.shapes.shape import Single
from gateway.settings.fault import shown

_RIGHT: Final = "a date such as 2026-12-31, or a date and time such as 2026-12-31T18:00:00Z"
_FORM = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)? ?(?:[Zz]|[+-]\d\d:\d\d)?)?")


def moment(text: str) -> float:
    """Seconds since 1970. A day alone is its beginning. Raises BadValue."""
    if not _FORM.fullmatch(text):
        raise BadValue(shown(text), _RIGHT)
    try:
        made = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-").replace(" Z", "Z").upper())
        return (made if made.tzinfo is not None else made.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:  # The 31st of June, 25 o'clock.
        raise BadValue(shown(text), _RIGHT) from error


DATE: Final = Single("a date, or a date and time", _RIGHT, moment, (("type", "string"),))
