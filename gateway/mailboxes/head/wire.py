"""Octets as IMAP writes them: quoted, as a literal, or NIL (RFC 3501 4.3, 4.5; RFC 3516 4.2)."""

from __future__ import annotations

import re
from typing import Final

NIL: Final = b"NIL"
MAX_QUOTED: Final = 4096  # Octets; clients have limits on their lines, literals have none.

_SIMPLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-!#-\[\]-\x7f]{0,%d}\Z" % MAX_QUOTED)
_SAFE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,%d}\Z" % MAX_QUOTED)
_BLANKS = re.compile(rb"[ \t]+")
_SPECIAL = re.compile(rb'(["\\])')


def string(octets: bytes) -> bytes:
    """A string: quoted where it may be, else a literal."""
    if _SIMPLE.match(octets) is not None:
        return b'"' + octets + b'"'
    if _SAFE.match(octets) is None:
        return literal(octets)
    return b'"' + _SPECIAL.sub(rb"\\\1", octets) + b'"'


def nstring(octets: bytes | None) -> bytes:
    """The same, or NIL where there is nothing."""
    return NIL if octets is None else string(octets)


def literal(octets: bytes) -> bytes:
    """A literal. NUL, which none may hold (RFC 3501 9, CHAR8), becomes 0x80, as elsewhere: sizes must stay."""
    if b"\x00" in octets:
        octets = octets.replace(b"\x00", b"\x80")
    return b"{%d}\r\n%b" % (len(octets), octets)


def literal8(octets: bytes) -> bytes:
    """A literal that may hold any octet, which BINARY alone may answer with (RFC 3516 4.2, 6)."""
    if b"\x00" in octets:
        return b"~{%d}\r\n%b" % (len(octets), octets)
    return b"{%d}\r\n%b" % (len(octets), octets)


def shown(octets: bytes) -> bytes:
    """A line that people read, with one blank where folding left several."""
    return _BLANKS.sub(b" ", octets) if b"  " in octets or b"\t" in octets else octets
