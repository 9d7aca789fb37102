"""Files that stand inside a text: uuencode and yEnc, which old readers show as attachments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.mail.reading.transfer import Encoding

MAX_BLOCKS: Final = 200  # In one text.

_BEGIN = re.compile(
    rb"(?:(?<=\n)|\A)(?:begin(-base64)? {1,4}[0-7]{3,5} {1,4}([^\r\n]{1,1000})\r?\n"
    rb"|=ybegin [^\r\n]*?name=([^\r\n]{1,1000})\r?\n)"
)
_END = re.compile(rb"\n(?:end|====)[ \t]*\r?(?:\n|\Z)")
_YEND = re.compile(rb"\n=yend")


@dataclass(frozen=True, slots=True)
class Block:
    """A file: its name as it stands, and where its lines lie in the text."""

    name: bytes
    start: int
    end: int
    encoding: Encoding


def blocks(octets: bytes, start: int, end: int) -> Iterator[Block]:
    """The files in a text that lies from `start` to `end`."""
    # Most texts hold neither word; looking for one is a hundred times faster than the expression.
    if octets.find(b"begin", start, end) < 0:
        return
    place, count = start, 0
    while count < MAX_BLOCKS and (match := _BEGIN.search(octets, place, end)) is not None:
        place = match.end()
        # What follows `begin` in a sentence is no file: its next line must say how long it is.
        if match[2] is None:
            encoding, ending = Encoding.YENC, _YEND
        elif match[1]:
            encoding, ending = Encoding.BASE64, _END
        elif _looks_encoded(octets, place, end):
            encoding, ending = Encoding.UUENCODE, _END
        else:
            continue
        last = ending.search(octets, place - 1, end)
        stop = end if last is None else last.start() + 1
        yield Block((match[3] or match[2]).strip(), place, stop, encoding)
        count += 1
        place = max(place, stop)


def _looks_encoded(octets: bytes, start: int, end: int) -> bool:
    """Whether a line of uuencode stands here: as many letters as its first one says."""
    stop = octets.find(b"\n", start, end)
    line = octets[start : end if stop < 0 else stop].rstrip(b"\r")
    if not line or line == b"end" or line == b"`":
        return True
    length = (line[0] - 32) & 63
    return 0x20 <= line[0] <= 0x60 and abs(len(line) - 1 - (length + 2) // 3 * 4) <= 4
