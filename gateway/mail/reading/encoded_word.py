"""Encoded words in header fields (RFC 2047, RFC 2231 5), with what real mail does to them.

Read although the standard forbids it: words in quoted strings, without blanks around them, with blanks inside, without
an end, with letters or base64 cut between two of them.
"""

from __future__ import annotations

import re
from binascii import a2b_qp

from gateway.mail.reading.charset import readings
from gateway.mail.reading.transfer import from_base64

# The text of a word ends at `?=`, or where another begins: a scan never reads on over that, so that time stays linear.
_WORD = re.compile(rb"=\?([^?\s=]{1,80})\?([bBqQ])\?((?:[^?=]++|=(?!\?[^=])|\?(?!=))*)(?:\?=|(?==\?)|\Z)")
MAX_WORDS = 20_000  # In one field; what follows stays as it is.


def decoded(value: bytes) -> tuple[str, ...]:
    """An unfolded value as readers may see it: mostly one text; where a charset is wrong, two."""
    pieces: list[tuple[str, ...]] = []
    run: list[tuple[bytes, bytes, bytes]] = []  # Words that follow each other: charset, encoding, text.
    place = 0
    for count, match in enumerate(_WORD.finditer(value)):
        if count >= MAX_WORDS:
            break
        between = value[place : match.start()]
        if between.strip(b" \t\r\n") or not run:  # White space between two words is none (RFC 2047 6.2).
            pieces.extend(_run(run))
            run = []
            pieces.append(readings(between, None))
        run.append((match[1].partition(b"*")[0].lower(), match[2].lower(), match[3]))
        place = match.end()
    pieces.extend(_run(run))
    pieces.append(readings(value[place:], None))
    first = "".join([piece[0] for piece in pieces])
    if all(len(piece) == 1 for piece in pieces):
        return (first,)
    return tuple(dict.fromkeys((first, "".join([piece[1] if len(piece) > 1 else piece[0] for piece in pieces]))))


def _run(words: list[tuple[bytes, bytes, bytes]]) -> list[tuple[str, ...]]:
    """Words without anything between them. Octets of one charset are joined first: a letter may be cut apart."""
    found: list[tuple[str, ...]] = []
    place = 0
    while place < len(words):
        charset = words[place][0]
        end = place
        while end < len(words) and words[end][0] == charset:
            end += 1
        octets = _octets([(encoding, text) for _, encoding, text in words[place:end]])
        found.append(readings(octets, charset))
        place = end
    return found


def _octets(words: list[tuple[bytes, bytes]]) -> bytes:
    """What words of one charset stand for."""
    if all(encoding == b"b" for encoding, _ in words):
        whole = all(len(text.strip()) % 4 == 0 or text.endswith(b"=") for _, text in words[:-1])
        if not whole:  # Base64 was cut between two words.
            return from_base64(b"".join([text for _, text in words]))
    out = []
    for encoding, text in words:
        out.append(from_base64(text) if encoding == b"b" else a2b_qp(text.replace(b"\n", b" "), header=True))
    return b"".join(out)
