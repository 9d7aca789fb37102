"""Times, sizes and texts as a language writes them (CLDR, by Babel). Pure."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_decimal
from babel.units import format_unit
from markupsafe import Markup, escape

_STEPS: Final = ((1 << 20, "megabyte"), (1 << 10, "kilobyte"))
_ADDRESS = re.compile(r"https?://[^\s<>\"'\\^`{|}]++", re.IGNORECASE)
_LONGEST: Final = 2_000  # Letters of an address that can be followed.
_BEHIND: Final = ".,;:!?)]"  # What ends a sentence, or a bracket around it, is no part of an address.


def size(octets: int, locale: Locale) -> str:
    """`octets` in words, such as `1.2 MB`."""
    # Arabic abbreviates to letters with dots, which read as an end of a sentence.
    short: Literal["short", "long"] = "long" if locale.language == "ar" else "short"
    for step, unit in _STEPS:
        if octets >= step:
            number = octets / step
            written = format_unit(round(number, 1 if number < 10 else 0), unit, length=short, locale=locale)
            break
    else:
        written = format_unit(octets, "byte", length="long", locale=locale)
    return written.replace(" ", "\u00a0")  # A number stands on the line of its unit.


def date(moment: datetime, locale: Locale) -> str:
    """Day and time in the zone that the moment has, which is named: no server knows the reader's."""
    zone = moment.strftime("%z")
    named = "UTC" if moment.utcoffset() in (None, timedelta()) else f"UTC{zone[:3]}:{zone[3:]}"
    day = format_date(moment, "long", locale=locale)
    # Isolated: among letters from right to left the sign of a zone would change its side.
    return f"{day}{comma(locale)} {format_time(moment, 'short', locale=locale)} \u2066{named}\u2069"


def comma(locale: Locale) -> str:
    """What stands between two things of a list."""
    return "\u060c" if locale.language == "ar" else ","


def moment(seconds: float, locale: Locale) -> str:
    """The same of seconds since 1970, in UTC."""
    return date(datetime.fromtimestamp(seconds, UTC), locale)


def minutes(until: float, now: float) -> int:
    """How many minutes are left, at least one."""
    return max(1, math.ceil((until - now) / 60))


def number(value: float, locale: Locale) -> str:
    """As the language writes it."""
    return format_decimal(value, locale=locale)


def linked(text: str) -> Markup:
    """A text whose addresses can be followed; all of it escaped."""
    pieces: list[Markup] = []
    place = 0
    for found in _ADDRESS.finditer(text):
        address = found[0].rstrip(_BEHIND)
        if address.endswith("//") or len(address) > _LONGEST:
            continue
        pieces.append(escape(text[place : found.start()]))
        pieces.append(
            Markup('<a href="{0}" target="_blank" rel="noopener noreferrer">{0}</a>').format(address)  # Escapes it.
        )
        place = found.start() + len(address)
    pieces.append(escape(text[place:]))
    return Markup("").join(pieces)
