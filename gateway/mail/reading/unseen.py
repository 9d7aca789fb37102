"""Letters that take no room and show nothing, with which a word can be cut without a reader's seeing it."""

from __future__ import annotations

import re
from typing import Final

# Control characters but for white space (C0, DEL, C1 without NEL), the soft hyphen, joiners, zero-width blanks,
# bidirectional marks, invisible operators, fillers, variation selectors, tags.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
CONTROLS: Final = bytes([*range(9), *range(14, 28), 127])  # As octets; 28 to 31 are blanks to Python.
_PLAIN: Final = dict.fromkeys(CONTROLS)
_SUSPECT: Final = CONTROLS + b"\xc2\xcd\xd8\xe1\xe2\xe3\xef\xf0\xf3"  # What the others begin with in UTF-8.
_LEADS: Final = (
    b"\xcd\x8f", b"\xd8\x9c", b"\xe1\x85", b"\xe1\x9e", b"\xe1\xa0", b"\xe2\x80", b"\xe2\x81", b"\xe3\x85\xa4",
    b"\xef\xb8", b"\xef\xbb\xbf", b"\xef\xbe\xa0", b"\xef\xbf", b"\xf0\x9b\xb2", b"\xf0\x9d\x85", b"\xf3\xa0",
)  # fmt: skip
_LATIN: Final = re.compile(rb"\xc2[\x80-\x84\x86-\x9f\xad]")


def without_unseen(text: str) -> str:
    """`text` without the letters that nobody sees. A no-break blank and its kin are blanks and stay."""
    if text.isascii():
        return text.translate(_PLAIN)
    # The expression looks at each letter by itself; what most texts need is told ten times as fast by their octets.
    octets = text.encode("utf-8", "replace")
    if len(octets.translate(None, _SUSPECT)) == len(octets):
        return text
    if (
        len(octets.translate(None, CONTROLS)) < len(octets)
        or any(lead[0] in octets and lead in octets for lead in _LEADS)
        or (0xC2 in octets and _LATIN.search(octets) is not None)
    ):
        return _UNSEEN.sub("", text)
    return text
