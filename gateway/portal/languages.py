"""In which language a page is. Pure (RFC 9110 12.5.4)."""

from __future__ import annotations

import re
from typing import Final

LANGUAGES: Final = {"en": "English", "de": "Deutsch", "ar": "العربية"}  # Each named in itself.
RIGHT_TO_LEFT: Final = frozenset(("ar",))
MAX_HEADER: Final = 500  # Letters of Accept-Language that are looked at.

_RANGE = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8})*\s*(?:;\s*q\s*=\s*(0(?:\.\d{1,3})?|1(?:\.0{1,3})?)\s*)?")


def chosen(cookie: str | None, accepted: str | None, default: str) -> str:
    """The language that the reader chose, else the first that his browser asks for and that we have, else `default`."""
    if cookie in LANGUAGES:
        return str(cookie)
    best, weight = default, 0.0
    for piece in (accepted or "")[:MAX_HEADER].split(","):
        found = _RANGE.fullmatch(piece)
        if found is not None and found[1].lower() in LANGUAGES and float(found[2] or 1) > weight:
            best, weight = found[1].lower(), float(found[2] or 1)
    return best


def direction(language: str) -> str:
    """`rtl` or `ltr`, as HTML has it."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"
