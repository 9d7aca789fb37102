"""Messages of an mbox file (RFC 4155): each behind a line `From SENDER DATE`, with an empty line in front of that.

Two ways to quote a line of a message that looks the same: mboxrd puts `>` in front of any that begins with `From `
behind any number of `>`, and takes one away; mboxo only in front of `From ` itself. A file does not tell which it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from gateway.mailboxes.transfer.found import MAX_MESSAGE, BadSource, Finding, Found, Skipped, with_crlf
from gateway.storage.mailboxes.model import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

PIECE: Final = 1 << 16  # Octets of a line that are looked at together.
HEAD: Final = 64 << 10  # Octets of a header section in which flags are looked for.

_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
# asctime (RFC 4155): `Thu Nov 26 16:01:09 2026`; some write a zone before the year or behind it.
_DATE: Final = re.compile(
    rb" (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +(" + b"|".join(_MONTHS) + rb") +([0-9]{1,2}) +([0-9]{1,2}):([0-9]{2})"
    rb"(?::([0-9]{2}))?(?: +[A-Za-z]{1,5})?(?: +[+-][0-9]{4})? +([0-9]{4})(?![0-9])(?: +([+-])([0-9]{2})([0-9]{2}))?"
)
# No two stars beside each other where there are no letters: a line of blanks would take time by its square.
_STATUS: Final = re.compile(rb"^(?:X-)?Status:[ \t]*(?:([A-Za-z]{1,16})[ \t]*)?\r?$", re.IGNORECASE | re.MULTILINE)
_MOZILLA: Final = re.compile(rb"^X-Mozilla-Status:[ \t]*([0-9A-Fa-f]{4})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_LETTERS: Final = {ord("R"): SEEN, ord("A"): ANSWERED, ord("F"): FLAGGED, ord("T"): DRAFT, ord("D"): DELETED}
_BITS: Final = {1: SEEN, 2: ANSWERED, 4: FLAGGED}
_GONE: Final = 8  # Of X-Mozilla-Status: deleted, and still in the file until that is compacted.


class Form(StrEnum):
    """How lines that begin with From are quoted."""

    MBOXRD = "mboxrd"
    MBOXO = "mboxo"


_QUOTED: Final = {
    Form.MBOXRD: re.compile(rb"^>(>*From )", re.MULTILINE),
    Form.MBOXO: re.compile(rb"^>(From )", re.MULTILINE),
}


def read_mbox(path: Path, form: Form = Form.MBOXRD, *, told: Callable[[int], None] = lambda octets: None) -> Finding:
    """Every message. `told` is given the octets read so far. Blocks; raises BadSource, OSError."""
    with path.open("rb") as file:
        first = file.readline(PIECE)
        if not first:
            return
        if not first.startswith(b"From "):
            raise BadSource(f"{path} is no mbox: its first line would begin with `From `")
        yield from _messages(file, first, path.name, form, told)


def _messages(file: BinaryIO, first: bytes, name: str, form: Form, told: Callable[[int], None]) -> Finding:
    date = _date(first)
    number, size, read = 1, 0, len(first)
    octets = bytearray()  # Not a list of lines: each would take some forty octets more.
    is_start, is_blank = True, False  # Of a line; and whether the line before it was empty.
    for piece in iter(partial(file.readline, PIECE), b""):
        read += len(piece)
        if is_start and is_blank and piece.startswith(b"From ") and _DATE.search(piece):
            told(read)
            yield _message(octets, size, f"{name}: message {number}", date, form, ends_blank=is_blank)
            date = _date(piece)
            number, size, octets, is_blank = number + 1, 0, bytearray(), False
            continue
        size += len(piece)
        if size > MAX_MESSAGE:
            octets.clear()
        else:
            octets += piece
        is_blank = is_start and piece in (b"\n", b"\r\n")
        is_start = piece.endswith(b"\n")
    told(read)
    yield _message(octets, size, f"{name}: message {number}", date, form, ends_blank=is_blank)


def _message(
    whole: bytearray, size: int, place: str, date: float | None, form: Form, *, ends_blank: bool
) -> Found | Skipped:
    if size > MAX_MESSAGE:
        return Skipped(place, f"it has {size} octets, and {MAX_MESSAGE} are taken at most")
    if ends_blank:  # It belongs to the line that follows.
        del whole[-2 if whole.endswith(b"\r\n") else -1 :]
    octets = _QUOTED[form].sub(rb"\1", whole)
    if not octets:
        return Skipped(place, "it is empty")
    flags = _flags(octets)
    if flags is None:
        return Skipped(place, "it was deleted (X-Mozilla-Status)")
    return Found(place=place, octets=with_crlf(octets), date=date, flags=flags)


def _flags(octets: bytes) -> int | None:
    """What the header says, by Status, X-Status or X-Mozilla-Status; None: the message is deleted."""
    head = octets[:HEAD]
    ends = [at for at in (head.find(b"\n\n"), head.find(b"\n\r\n")) if at >= 0]
    head = head[: min(ends, default=len(head)) + 1]
    flags = 0
    for letters in _STATUS.findall(head):
        for letter in letters.upper():
            flags |= _LETTERS.get(letter, 0)
    if (found := _MOZILLA.search(head)) is not None:
        bits = int(found[1], 16)
        if bits & _GONE:
            return None
        flags |= sum(flag for bit, flag in _BITS.items() if bits & bit)
    return flags


def _date(line: bytes) -> float | None:
    if (found := _DATE.search(line)) is None:
        return None
    month, day, hour, minute, second, year, sign, hours, minutes = found.groups()
    try:
        at = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC
        ).timestamp()
    except (ValueError, OverflowError):
        return None
    if sign is None:
        return at
    return at - (1 if sign == b"+" else -1) * (int(hours) * 3600 + int(minutes) * 60)
