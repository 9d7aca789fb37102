"""winmail.dat: what Outlook wraps text and attachments in (MS-OXTNEF, with the properties of MS-OXCMSG).

Leaves out: compressed RTF, checksums (a reader that heeds none shows what another refuses), everything about
appointments and rights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import Final

SIGNATURE: Final = b"\x78\x9f\x3e\x22"
MAX_ATTACHMENTS: Final = 1_000
MAX_PROPERTIES: Final = 10_000  # Of one list; a name or a body stands among the first hundred.
MAX_LEVELS: Final = 10  # Messages in each other.

_LONG = Struct("<I")
_TITLE: Final = 0x8010  # attAttachTitle; identifiers without the part that says how the data is written.
_DATA: Final = 0x800F  # attAttachData
_BEGINS: Final = 0x9002  # attAttachRendData: an attachment begins.
_PROPERTIES: Final = 0x9005  # attAttachment
_MESSAGE: Final = 0x9003  # attMsgProps
_BODY: Final = 0x800C  # attBody
_SUBJECT: Final = 0x8004  # attSubject

_ATTACH_DATA: Final = 0x3701
_EXTENSION: Final = 0x3703
_FILE: Final = 0x3704
_LONG_FILE: Final = 0x3707
_TAG: Final = 0x370E
_DISPLAY: Final = 0x3001
_P_SUBJECT: Final = 0x0037
_P_BODY: Final = 0x1000
_P_HTML: Final = 0x1013
# Octets of a value by its type; those that say their own length are not here (MS-OXCDATA 2.11.1).
_FIXED: Final = {1: 0, 2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
_TEXTS: Final = frozenset((0x1E, 0x1F))
_LENGTHY: Final = frozenset((0x0D, 0x1E, 0x1F, 0x102))


@dataclass(slots=True)
class Packed:
    """A file in it: `names` as octets or text, and where its octets lie."""

    names: list[str] = field(default_factory=list)
    type: str = ""
    start: int = 0
    end: int = 0
    message: Tnef | None = None  # Where it is a message with attachments of its own.


@dataclass(slots=True)
class Tnef:
    """What was found. `html` and `body` are octets, in a charset that nobody says; `is_broken`: it ended too early."""

    files: list[Packed] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    html: list[bytes] = field(default_factory=list)
    is_broken: bool = False


def tnef(octets: bytes, start: int = 0, end: int | None = None, level: int = 0) -> Tnef | None:
    """Read what lies from `start` to `end`; None where it does not begin as such a file does."""
    end = len(octets) if end is None else end
    if not octets.startswith(SIGNATURE, start, end) or level >= MAX_LEVELS:
        return None
    found = Tnef()
    one: Packed | None = None
    place = start + 6  # The signature, and a key of two octets.
    while place + 9 <= end and len(found.files) < MAX_ATTACHMENTS:
        identifier = _LONG.unpack_from(octets, place + 1)[0] & 0xFFFF
        size = _LONG.unpack_from(octets, place + 5)[0]
        first = place + 9
        last = min(first + size, end)
        found.is_broken |= first + size > end
        place = last + 2  # A checksum.
        if identifier == _BEGINS or (one is None and identifier in (_TITLE, _DATA, _PROPERTIES)):
            one = Packed()
            found.files.append(one)
        if one is not None and identifier == _TITLE:
            one.names.append(_text(octets[first:last], 0x1E))
        elif one is not None and identifier == _DATA:
            one.start, one.end = first, last
        elif one is not None and identifier == _PROPERTIES:
            _attachment(one, octets, first, last, level)
        elif identifier == _MESSAGE:
            _message(found, octets, first, last)
        elif identifier == _BODY:
            found.bodies.append(_text(octets[first:last], 0x1E))
        elif identifier == _SUBJECT:
            found.subjects.append(_text(octets[first:last], 0x1E))
    return found


def _attachment(one: Packed, octets: bytes, start: int, end: int, level: int) -> None:
    long: list[str] = []
    for tag, kind, first, last in _properties(octets, start, end):
        if tag == _ATTACH_DATA and kind in (0x0D, 0x102):
            if kind == 0x0D:
                first = min(first + 16, last)  # An object begins with what it is (an interface's number).
                one.message = tnef(octets, first, last, level + 1)
            one.start, one.end = first, last
        elif tag == _LONG_FILE and kind in _TEXTS:
            long.append(_text(octets[first:last], kind))
        elif tag in (_FILE, _DISPLAY) and kind in _TEXTS:
            one.names.append(_text(octets[first:last], kind))
        elif tag == _TAG and kind in _TEXTS:
            one.type = _text(octets[first:last], kind).lower()
    one.names[:0] = long


def _message(found: Tnef, octets: bytes, start: int, end: int) -> None:
    for tag, kind, first, last in _properties(octets, start, end):
        if tag == _P_SUBJECT and kind in _TEXTS:
            found.subjects.append(_text(octets[first:last], kind))
        elif tag == _P_BODY and kind in _TEXTS:
            found.bodies.append(_text(octets[first:last], kind))
        elif tag == _P_HTML and kind in _LENGTHY:
            found.html.append(octets[first:last])


def _properties(octets: bytes, start: int, end: int) -> list[tuple[int, int, int, int]]:
    """A list of properties (MS-OXTNEF 2.1.3.4): tag, type, and where each value lies. What is cut off is left out."""
    found: list[tuple[int, int, int, int]] = []
    if start + 4 > end:
        return found
    count = min(_LONG.unpack_from(octets, start)[0], MAX_PROPERTIES)
    place = start + 4
    for _ in range(count):
        if place + 4 > end:
            break
        whole = _LONG.unpack_from(octets, place)[0]
        kind, tag = whole & 0xFFFF, whole >> 16
        place += 4
        if tag >= 0x8000:  # It has a name: who defined it, then a number or a text.
            if place + 24 > end:
                break
            by_text, length = _LONG.unpack_from(octets, place + 16)[0], _LONG.unpack_from(octets, place + 20)[0]
            place += 24 + (_padded(length) if by_text else 0)
        values = 1
        if kind & 0x1000 or kind in _LENGTHY:
            if place + 4 > end:
                break
            values = _LONG.unpack_from(octets, place)[0]
            place += 4
        kind &= 0xEFFF
        for _ in range(values):
            size = _FIXED.get(kind)
            if size is None:
                if kind not in _LENGTHY or place + 4 > end:
                    return found
                size = _LONG.unpack_from(octets, place)[0]
                place += 4
            if place + size > end or len(found) >= MAX_PROPERTIES:
                if kind in _LENGTHY and place < end:
                    found.append((tag, kind, place, end))  # Cut off: what is there.
                return found
            found.append((tag, kind, place, place + size))
            place += _padded(size)
    return found


def _padded(size: int) -> int:
    return (size + 3) & ~3


def _text(octets: bytes, kind: int) -> str:
    if kind == 0x1F:
        return octets.decode("utf-16-le", "replace").rstrip("\x00")
    octets = octets.rstrip(b"\x00")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")
