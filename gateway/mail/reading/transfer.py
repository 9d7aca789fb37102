"""Transfer encodings, decoded as tolerantly as any reader does it (RFC 2045 6), block by block.

base64: letters outside the alphabet are read over, padding in the middle ends nothing; where it stands askew readers
go on in one of three ways, each of which has a name here. quoted-printable: what quotes
nothing stays. uuencode and yEnc, which came before MIME.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp, a2b_uu
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

BLOCK: Final = 1 << 20  # Octets that are decoded at a time.

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NO_LETTERS: Final = bytes(octet for octet in range(256) if octet not in _LETTERS)
_OUTSIDE: Final = bytes(octet for octet in range(256) if octet not in _LETTERS + b"=")
_URL_LETTERS: Final = bytes.maketrans(b"-_", b"+/")
_MAX_PADDED: Final = 1000  # Pieces that end with padding in one block; behind them padding is read over.
_PADDING: Final = bytes(octet == 61 for octet in range(256))
_SOFT = re.compile(rb"=[ \t]*+(?:\r?\n|\r)")
_NAME = re.compile(rb"\([^)]*\)|[^a-z0-9]+")


class Encoding(StrEnum):
    """How the octets of a part stand in a message."""

    NONE = "none"
    BASE64 = "base64"
    BASE64_IN_FOURS = "base64, in fours"  # Padding counts among the four, as in Thunderbird.
    BASE64_UNPADDED = "base64, unpadded"  # Padding that ends nothing is read over, as in Python.
    QUOTED = "quoted-printable"
    UUENCODE = "uuencode"
    YENC = "yenc"


_NAMES: Final = {
    b"": Encoding.NONE,
    b"7bit": Encoding.NONE,
    b"8bit": Encoding.NONE,
    b"binary": Encoding.NONE,
    b"none": Encoding.NONE,
    b"base64": Encoding.BASE64,
    b"quoted-printable": Encoding.QUOTED,
    b"quotedprintable": Encoding.QUOTED,
    b"quoteprintable": Encoding.QUOTED,
    b"xuuencode": Encoding.UUENCODE,
    b"uuencode": Encoding.UUENCODE,
    b"xuue": Encoding.UUENCODE,
    b"uue": Encoding.UUENCODE,
    b"xyenc": Encoding.YENC,
    b"yenc": Encoding.YENC,
}


def encoding_of(value: bytes) -> Encoding | None:
    """The encoding that a field names, comments and case read over; None where it is unknown."""
    name = value.lower()
    if name in _NAMES:
        return _NAMES[name]
    name = _NAME.sub(b"", name)
    if name in _NAMES:
        return _NAMES[name]
    if b"base64" in name:
        return Encoding.BASE64
    return Encoding.QUOTED if name.startswith(b"quoted") else None


def from_base64(octets: bytes) -> bytes:
    """All that is base64 in `octets`."""
    return b"".join(_base64(octets, 0, len(octets)))


def decoded_blocks(octets: bytes, start: int, end: int, encoding: Encoding) -> Iterator[bytes]:
    """The part of `octets` from `start` to `end`, decoded, in blocks of about 1 MiB."""
    match encoding:
        case Encoding.NONE:
            for place in range(start, end, BLOCK):
                yield octets[place : min(place + BLOCK, end)]
        case Encoding.BASE64:
            yield from _base64(octets, start, end)
        case Encoding.BASE64_IN_FOURS:
            yield _base64_in_fours(octets[start:end].translate(None, _OUTSIDE))
        case Encoding.BASE64_UNPADDED:
            yield _quads(octets[start:end].translate(None, _NO_LETTERS))
        case Encoding.QUOTED:
            yield from _quoted(octets, start, end)
        case Encoding.UUENCODE:
            yield from _uuencoded(octets, start, end)
        case Encoding.YENC:
            yield from _yenc(octets, start, end)


def decoded_size(octets: bytes, start: int, end: int, encoding: Encoding) -> int:
    """How many octets `decoded_blocks` gives; cheaper where that can be told without decoding."""
    if encoding is Encoding.NONE:
        return end - start
    if encoding is Encoding.BASE64:
        padding = octets.find(b"=", start, end)
        if padding < 0 or (end - padding < 100 and not octets[padding:end].strip(b"=\r\n\t ")):
            letters = sum(
                len(octets[place : min(place + BLOCK, end)].translate(None, _NO_LETTERS))
                for place in range(start, end, BLOCK)
            )
            return letters * 3 // 4
    return sum(map(len, decoded_blocks(octets, start, end, encoding)))


def is_doubtful(octets: bytes, start: int, end: int, encoding: Encoding) -> bool:
    """Whether what is said to be base64 is none to look at, so that a reader may show it as it stands."""
    if encoding is not Encoding.BASE64:
        return False
    sample = octets[start : min(end, start + 4096)]
    strange = len(sample.translate(None, _LETTERS + b"=\r\n"))
    return strange * 16 > len(sample)


def is_askew(octets: bytes, start: int, end: int) -> bool:
    """Whether there is padding in base64 where no four letters end, so that readers differ about what follows."""
    padding = octets.find(b"=", start, end)
    if padding < 0 or (end - padding < 100 and not octets[padding:end].strip(b"=\r\n\t ")):
        return False
    letters = octets[start:end].translate(None, _OUTSIDE).rstrip(b"=")
    if b"=" in letters[::4] or b"=" in letters[1::4]:
        return True
    third, fourth = letters[2::4].translate(_PADDING), letters[3::4].translate(_PADDING)
    return bool(int.from_bytes(third, "little") & ~int.from_bytes(fourth, "little"))


def _base64(octets: bytes, start: int, end: int) -> Iterator[bytes]:
    rest = b""
    for place in range(start, end, BLOCK):
        block = octets[place : min(place + BLOCK, end)]
        clean = rest + block.translate(None, _OUTSIDE)
        last = place + BLOCK >= end
        bare = clean.rstrip(b"=")
        if b"=" in bare or (len(bare) < len(clean) and not last):
            *pieces, bare = clean.split(b"=", _MAX_PADDED)
            for piece in pieces:
                yield _quads(piece)
            bare = bare.translate(None, b"=")
        whole = len(bare) if last else len(bare) // 4 * 4
        yield _quads(bare[:whole])
        rest = bare[whole:]


def _base64_in_fours(letters: bytes) -> bytes:
    """Each four letters by themselves, those that are padding count as less."""
    out: list[bytes] = []
    place = 0
    while len(out) < 2 * _MAX_PADDED and (padding := letters.find(b"=", place)) >= 0:
        start = place + (padding - place) // 4 * 4
        four = letters[start : start + 4]
        out += (_quads(letters[place:start]), _quads(four.replace(b"=", b"A"))[: max(1, 3 - four.count(b"="))])
        place = start + 4
    return b"".join([*out, _quads(letters[place:].translate(None, b"="))])


def _quads(letters: bytes) -> bytes:
    """Letters of the alphabet alone; one that is over can't be an octet."""
    over = len(letters) % 4
    if over == 1:
        letters = letters[:-1]
    elif over:
        letters += b"=" * (4 - over)
    return a2b_base64(letters)


def _quoted(octets: bytes, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        stop = min(start + BLOCK, end)
        if stop < end:  # Cut behind a line; where there is none, in front of what may be quoted.
            line = octets.rfind(b"\n", start, stop) + 1
            equals = octets.rfind(b"=", stop - 3, stop)
            stop = line or (equals if equals > start else stop)
        # Python's reader skips what stands between `=` CR and the next LF, and keeps `=` in front of blanks.
        yield a2b_qp(_SOFT.sub(b"", octets[start:stop]))
        start = stop


def _uuencoded(octets: bytes, start: int, end: int) -> Iterator[bytes]:
    """The lines between `begin` and `end`, if those are there; else all of them."""
    begin = re.compile(rb"begin {1,4}[0-7]{3,5} [^\n]*\n").search(octets, start, end)
    place = start if begin is None else begin.end()
    out: list[bytes] = []
    size = 0
    while place < end:
        stop = octets.find(b"\n", place, end)
        stop = end if stop < 0 else stop
        line = octets[place:stop].rstrip(b"\r\n")
        place = stop + 1
        if line == b"end":
            break
        if line:
            out.append(_uu_line(line))
            size += len(out[-1])
        if size > BLOCK:
            yield b"".join(out)
            out, size = [], 0
    yield b"".join(out)


def _uu_line(line: bytes) -> bytes:
    try:
        return a2b_uu(line)
    except Error:
        # Some writers count wrong or leave blanks at the end: as many octets as the line has letters for.
        length = (line[0] - 32) & 63
        letters = line[1 : 1 + (length * 4 + 5) // 3]
        try:
            return a2b_uu(line[:1] + bytes([32 + ((octet - 32) & 63) for octet in letters]))
        except Error:
            return b""


def _yenc(octets: bytes, start: int, end: int) -> Iterator[bytes]:
    """The lines between `=ybegin` and `=yend`: each octet less 42, one behind an equals sign less 64 more."""
    back = bytes((octet - 42) & 255 for octet in range(256))
    while start < end:
        stop = min(start + BLOCK, end)
        if stop < end and octets[stop - 1] == 61:
            stop += 1  # It belongs to the octet behind it.
        lines = octets[start:stop].replace(b"\r", b"").split(b"\n")
        start = stop
        body = b"".join(
            [
                line[1:] if line.startswith(b"..") else line
                for line in lines
                if not line.startswith((b"=ybegin", b"=ypart", b"=yend"))
            ]
        )
        first, *escaped = body.split(b"=")
        pieces = [first.translate(back)]
        for piece in escaped:
            if piece:
                pieces.append(bytes([(piece[0] - 106) & 255]) + piece[1:].translate(back))
        yield b"".join(pieces)
