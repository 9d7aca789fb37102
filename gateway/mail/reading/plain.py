"""The short way to what a message says that is a single text in ASCII or UTF-8: no walk through parts.

It comes to what `structure`, `rendering` and `files` make of the same octets. What may be anything else has none.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import Final

from gateway.mail.reading.header import Head
from gateway.mail.reading.rendering import clean
from gateway.mail.reading.unseen import CONTROLS
from gateway.mail.reading.uublock import blocks

LONGEST: Final = 128 * 1024  # Octets; of a longer text the walk costs little beside the rest.

LONGEST_TYPE: Final = 256  # Octets of the field that says so.

# Charsets to which octets of ASCII are the letters of ASCII, those of nearly all such mail. No other parameter than
# `format` may stand there: a name would make a file of the text, `delsp` would change it.
_PLAIN = re.compile(
    rb"[ \t\r\n]*+text/plain(?:[ \t\r\n]*+;[ \t\r\n]*+"
    rb'(?:charset="?(?:us-ascii|utf-8|iso-8859-15?|windows-1252)"?|format="?flowed"?))*[ \t\r\n]*+;?[ \t\r\n]*+',
    re.IGNORECASE,
)
_AS_IT_STANDS: Final = frozenset((b"7bit", b"8bit", b"binary"))


def plain_text(octets: bytes, head: Head, most: int) -> str | None:
    """What the message `octets` shows, where all of it is one text of `most` octets at most, which holds no files."""
    start, end = head.body, len(octets)
    if not head.ended or head.broken is not None or head.is_long or not 0 < end - start <= min(most, LONGEST):
        return None
    types = head.all(b"content-type")
    if types and (len(types) > 1 or len(types[0]) > LONGEST_TYPE or _PLAIN.fullmatch(types[0]) is None):
        return None
    encodings = head.all(b"content-transfer-encoding")
    if encodings and (len(encodings) > 1 or encodings[0].strip().lower() not in _AS_IT_STANDS):
        return None
    if head.all(b"content-disposition"):
        return None
    body = octets[start:]
    if b"\x1b" in body or b"\x00" in body:  # An escape may shift, a zero be half a letter.
        return None
    if b"begin" in body and next(blocks(body, 0, len(body)), None) is not None:
        return None
    if body.isascii():
        return body.translate(None, CONTROLS).decode("ascii")
    told = types[0].lower() if types else b""
    if told.count(b"charset") != told.count(b"utf-8") or body.startswith(BOM_UTF8):  # Another one is named.
        return None
    try:
        return clean(body.decode("utf-8"))
    except UnicodeDecodeError:
        return None
