"""Entities of HTML as the letters that they stand for (HTML Living Standard 13.2.5.72 to 13.2.5.80)."""

from __future__ import annotations

import re
from html.entities import html5

_ENTITY = re.compile(r"&(?:#(?:[xX]0*+([0-9a-fA-F]{1,6})|0*+([0-9]{1,7}))|([A-Za-z][A-Za-z0-9]{1,31}));?")


def unescaped(text: str) -> str:
    """Entities as letters, also those that lack their semicolon."""
    return _ENTITY.sub(_letter, text) if "&" in text else text


def _letter(match: re.Match[str]) -> str:
    hexadecimal, decimal, name = match.groups()
    if name is None:
        code = int(hexadecimal, 16) if hexadecimal else int(decimal)
        if 0x80 <= code <= 0x9F:  # What they meant is Windows-1252.
            return bytes([code]).decode("cp1252", "replace")
        if code == 0 or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
            return "\N{REPLACEMENT CHARACTER}"
        return chr(code)
    ended = match[0].endswith(";")
    if ended and (letter := html5.get(f"{name};")) is not None:
        return letter
    for end in range(len(name), 1, -1):  # Old names need no semicolon; what follows is text.
        if (letter := html5.get(name[:end])) is not None:
            return letter + name[end:] + (";" if ended else "")
    return match[0]
