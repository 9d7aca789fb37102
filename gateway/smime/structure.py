"""Whether what a cipher without authentication gave back is a whole MIME entity, as somebody wrote it.

CBC lets whoever holds the message change it: he can put in octets of his own, each time at the price of a block that
turns into chance (EFAIL, CVE-2017-17688). Such blocks hold octets that no writer of mail sends; what has one is never
shown to anybody, nor to a rule. Pure.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from typing import Final

from gateway.mail.mime.part import Kind, Part, Walked
from gateway.mail.mime.walk import Walk

BLOCK: Final = 256 * 1024  # Octets that are looked at in one.

# All control characters but tab, line feed, form feed, carriage return and escape (ISO-2022-JP has that one).
_CONTROLS: Final = bytes(octet for octet in (*range(32), 127) if octet not in (9, 10, 12, 13, 27))
_NO_CONTROLS: Final = bytes(octet for octet in range(256) if octet not in _CONTROLS)
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n \t"
_UTF8 = re.compile(rb"""[;\s]charset\s*=\s*"?utf-?8["';\s]?""", re.IGNORECASE)


def is_whole(octets: bytes) -> bool:
    """Whether a decrypted content is a MIME entity without any fault in its structure, and without an octet that the
    transfer encodings of its parts rule out. Bare text in ASCII without any header section is one too, as some programs
    encrypt it.
    """
    walk = Walk()
    walk.feed(octets)
    walked = walk.end()
    first = walked.parts[0]
    if walked.flaw is not None:
        return False
    if first.body is None or first.head.content_type is None:
        return octets.isascii() and not octets.translate(None, _NO_CONTROLS)
    return all(_is_sound(octets, part) for part in walked.parts) and _has_no_garbage(octets, walked)


def _is_sound(octets: bytes, part: Part) -> bool:
    if part.flaw is not None or part.body is None:
        return False
    if part.head_beyond and not _is_utf8(octets, part.start, part.body):  # RFC 6532 2.2
        return False
    if part.kind is not Kind.LEAF:
        return not part.beyond  # A preamble or an epilogue that nobody reads, in which chance could hide.
    encoding = part.head.encoding
    if encoding == b"binary":
        return True
    if encoding == b"base64":
        return not any(block.translate(None, _BASE64) for block in _blocks(octets, part.body, part.end))
    if not part.beyond:
        return True
    if encoding != b"8bit":
        return False
    kind = part.head.content_type
    return kind is None or not _UTF8.search(kind.value) or _is_utf8(octets, part.body, part.end)


def _has_no_garbage(octets: bytes, walked: Walked) -> bool:
    """Whether there is no control character outside of bodies that are binary."""
    at = 0
    for part in walked.parts:
        if part.kind is Kind.LEAF and part.body is not None and part.head.encoding == b"binary":
            if _has_controls(octets, at, part.body):
                return False
            at = part.end
    return not _has_controls(octets, at, len(octets))


def _has_controls(octets: bytes, start: int, end: int) -> bool:
    return any(len(block.translate(None, _CONTROLS)) != len(block) for block in _blocks(octets, start, end))


def _is_utf8(octets: bytes, start: int, end: int) -> bool:
    decoder = getincrementaldecoder("utf-8")()
    try:
        for block in _blocks(octets, start, end):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _blocks(octets: bytes, start: int, end: int) -> Iterator[bytes]:
    """In pieces, so that nothing as large as the message lies beside it."""
    for at in range(start, end, BLOCK):
        yield octets[at : min(at + BLOCK, end)]
