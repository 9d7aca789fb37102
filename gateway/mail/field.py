"""Header fields as the gateway writes them: encoded where they hold letters beyond ASCII, folded (RFC 5322 2.2).

Leaves out: structured fields, whose words would have to be encoded one by one; To and Cc get whole addresses.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final

WIDTH: Final = 78  # RFC 5322 2.1.1: what a line should have at most.
LONGEST: Final = 998  # And must have at most.
_WORD: Final = 45  # Octets in an encoded word: 60 letters of base64, 75 at most with what stands around (RFC 2047 2).

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
_PLAIN = re.compile(r"[\t\x20-\x7e]*")


def safe(text: str) -> str:
    """`text` without what could begin another field: line ends and other control characters become a space."""
    return _CONTROLS.sub(" ", text)


def written(text: str) -> str:
    """Unstructured text as a field may hold it: as it stands where that is ASCII, else in encoded words (RFC 2047)."""
    text = safe(text)
    if _PLAIN.fullmatch(text) and "=?" not in text and max(map(len, text.split(" ")), default=0) < LONGEST - WIDTH:
        return text
    return " ".join(_words(text))


def _words(text: str) -> list[str]:
    """A space between two encoded words is none (RFC 2047 6.2), so that spaces stand inside of them."""
    words, held = [], b""
    for letter in text:
        octets = letter.encode("utf-8", "replace")
        if len(held) + len(octets) > _WORD:
            words.append(held)
            held = b""
        held += octets
    words.append(held)
    return [f"=?utf-8?B?{b64encode(word).decode()}?=" for word in words]


def field(name: str, value: str) -> bytes:
    """A whole field with its CR LF; `value` as `written` makes it, or of addresses."""
    return folded(f"{safe(name)}: {safe(value)}").encode("utf-8", "replace") + b"\r\n"


def folded(line: str) -> str:
    """Lines of at most WIDTH letters as far as there are spaces to fold at; none consists of spaces alone."""
    out: list[str] = []
    start = line.find(":") + 2  # A fold right behind the name would leave a line that some readers take for empty.
    while len(line) > WIDTH:
        place = line.rfind(" ", start, WIDTH + 1)
        if place < start or not line[:place].strip():
            place = line.find(" ", WIDTH)
        if place < 0 or not line[place:].strip():
            break
        out.append(line[:place])
        line = line[place:]
        start = len(line) - len(line.lstrip(" ")) + 1
    return "\r\n".join([*out, line])
