"""Texts as values are sought in them: one form for patterns, one for the pass that finds what may be there. Pure."""

from __future__ import annotations

import unicodedata

from gateway.mail.reading.unseen import without_unseen
from gateway.rules.text import normalise

_DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212), "-")
_GAPS = bytes(octet if octet >= 0x80 or chr(octet).isalnum() else 0x20 for octet in range(256))
_ASCII_ALONE = bytes(octet if octet < 0x80 and chr(octet).isalnum() else 0x20 for octet in range(256))


def plain(text: str) -> str:
    """`text` without what nobody sees, in the one form that Unicode has for letters that look alike (NFKC)."""
    if text.isascii():
        return text
    text = without_unseen(text)
    return text if unicodedata.is_normalized("NFKC", text) else unicodedata.normalize("NFKC", text)


def hyphened(text: str) -> str:
    """`text` with a hyphen for each dash that a word processor makes of one."""
    return text if text.isascii() else text.translate(_DASHES)


def caseless(text: str) -> str:
    """`text` (of `plain`) with its case folded."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text.casefold())


def scanned(text: str) -> bytes:
    """UTF-8 of the words of `text` as `normalise` has them, but with a blank for each sign between them, which is
    quicker: whoever looks for several words in a row has to look again.
    """
    if text.isascii():
        return b" " + text.lower().encode().translate(_GAPS) + b" "
    return normalise(text).encode("utf-8", "replace")


def scanned_as_written(text: str) -> bytes:
    """What patterns of ASCII letters may meet in `text`, which has others too: these are no letters to RE2's word
    boundaries, so they become blanks.
    """
    return b" " + text.encode("utf-8", "replace").lower().translate(_ASCII_ALONE) + b" "


def has_twins(text: str) -> bool:
    """Whether it holds one of the two letters that RE2 takes for one of ASCII's where case does not count: the long s
    and the sign for kelvin.
    """
    return "\u017f" in text or "\u212a" in text
