"""A body's hash, made from pieces as they come (RFC 6376 3.4.3, 3.4.4, 3.7). Pure; memory stays that of a piece.

Nothing is rewritten line by line: searching a piece for what canonicalisation would change is as fast as memory, and in
most of a large body (base64) there is nothing to change.
"""

from __future__ import annotations

import hashlib
from typing import Final

from gateway.authenticate.dkim.canonical import one_blank
from gateway.mail.body_hash import HashTerms
from gateway.mail.digest import sha256

_END: Final = b"\r\n"
_MANY: Final = 1 << 15  # Line ends that are written at once.
_FEW: Final = 4  # Line ends at the end of a body that are taken off one by one.


class BodyHash:
    """Feed it the octets behind the empty line, cut anywhere; `digest` is the value of `bh=`."""

    __slots__ = ("_carry", "_hash", "_is_relaxed", "_left", "_lines", "size", "terms")

    def __init__(self, terms: HashTerms) -> None:
        self.terms = terms
        self.size = 0  # Canonical octets so far; after `digest` of the whole body, also those beyond `terms.length`.
        self._is_relaxed = terms.canonicalization == "relaxed"
        self._hash = hashlib.sha256() if terms.algorithm == "sha256" else hashlib.sha1(usedforsecurity=False)
        self._left = terms.length
        self._lines = 0  # Line ends that came last: they count only if something follows them.
        self._carry = b""  # What may become part of a line end: a blank, a CR.

    def update(self, octets: bytes) -> None:
        """The next piece, of any length."""
        text = self._carry + octets if self._carry else octets
        if self._is_relaxed and (b" " in text or b"\t" in text):
            text = one_blank(text).replace(b" \r\n", _END)
        self._carry = _open_end(text, self._is_relaxed)
        end = len(text) - len(self._carry)
        lines = 0
        if text.endswith(_END, 0, end):
            lines, end = _line_ends(text, end)
        if end:
            self._write_lines()
            self._write(text if end == len(text) else memoryview(text)[:end])
        self._lines += lines

    def digest(self) -> bytes:
        """The hash of all that came. Call it once, at the end."""
        if self._carry != b" " and self._carry:  # A CR that no LF follows is a letter like others.
            self._write_lines()
            self._write(self._carry)
        if self.size or not self._is_relaxed:
            # All line ends at the end are one, and where there is none it is added.
            self._write(_END)
        return self._hash.digest()

    def _write_lines(self) -> None:
        while self._lines:
            count = min(self._lines, _MANY)
            self._write(_END * count)
            self._lines -= count

    def _write(self, octets: bytes | memoryview) -> None:
        self.size += len(octets)
        if self._left is not None:
            octets = octets[: self._left]
            self._left -= len(octets)
        self._hash.update(octets)


def body_hash(body: bytes, terms: HashTerms) -> bytes:
    """The hash of a whole body at hand."""
    if terms.length is None and terms.algorithm == "sha256" and (end := _canonical_end(body, terms)):
        return sha256(body if end == len(body) else memoryview(body)[:end])
    one = BodyHash(terms)
    one.update(body)
    return one.digest()


def _canonical_end(body: bytes, terms: HashTerms) -> int:
    """Up to where a body surely is in canonical form as it stands, as most are; 0 where it may be another.

    Searching is much faster than writing anew.
    """
    end = len(body)
    for _ in range(_FEW):
        if not body.endswith(b"\r\n\r\n", 0, end):
            break
        end -= 2
    else:
        return 0
    if end <= 2 or not body.endswith(_END, 0, end):
        return 0
    if terms.canonicalization == "relaxed" and (b"\t" in body or b"  " in body or b" \r\n" in body):
        return 0
    return end


def body_at(head: bytes) -> int:
    """Where the body begins in `head`, a message's beginning; its length where no empty line stands there."""
    if head.startswith(_END):
        return 2
    end = head.find(b"\r\n\r\n")
    return len(head) if end < 0 else end + 4


def _open_end(text: bytes, is_relaxed: bool) -> bytes:
    """The end of `text` whose meaning depends on what follows."""
    carry = b"\r" if text.endswith(b"\r") else b""
    if is_relaxed and text.endswith(b" ", 0, len(text) - len(carry)):
        carry = b" " + carry
    return carry


def _line_ends(text: bytes, end: int) -> tuple[int, int]:
    """How many CR LF stand at the end of text[:end], and where they begin."""
    if not text.endswith(b"\n\r\n", 0, end):
        return 1, end - 2
    start = len(text[:end].rstrip(_END))
    # Only CR and LF from here on. What is bare among them is no line end, and ends the run.
    for bare, length in ((b"\n\n", 2), (b"\r\r", 1)):
        if (at := text.rfind(bare, start, end)) >= 0:
            start = max(start, at + length)
    if text.startswith(b"\n", start):
        start += 1
    return (end - start) // 2, start
