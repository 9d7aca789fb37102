"""The header section of a message or part, read as tolerantly as it can be (RFC 5322 2.2, 4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gateway.mail.reading.encoded_word import decoded
from gateway.mail.reading.unseen import without_unseen

MAX_HEAD: Final = 1 << 20  # Octets of one header section that are read in full. Real ones have 10 KiB.
MAX_FIELDS: Final = 10_000  # Of one header section; likewise.
MAX_USUAL: Final = 16 * 1024  # Octets of one that is read in one go, if nothing in it is strange.
MAX_LATER: Final = 100  # Fields of MIME and subjects that are sought in what lies beyond.

_EMPTY = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"([!-9;-~\x80-\xff]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*)\n?")
# The same where nothing is strange: no blank in front of the colon, no sign in a name that may make a parameter of it.
_USUAL = re.compile(rb"([!#-9;<>-~\x80-\xff]++):([^\n]*+(?:\n[ \t][^\n]*+)*)\n")
_ALL_USUAL = re.compile(rb"(?:[!#-9;<>-~\x80-\xff]++:[^\n]*+(?:\n[ \t][^\n]*+)*\n)+")
_LATER = re.compile(rb"(?<=\n)(content-[a-z-]{1,40}|subject)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*)", re.IGNORECASE)
_PARAMETER = re.compile(rb"[ \t]*[A-Za-z0-9*_'-]+[ \t]*=")


class ReadField:
    """One header field. `name` is in small letters, `raw` what stands behind the colon, with its folding."""

    __slots__ = ("_text", "name", "raw")

    def __init__(self, name: str, raw: bytes) -> None:
        self.name = name
        self.raw = raw
        self._text: tuple[str, ...] | None = None

    @property
    def text(self) -> str:
        """The value as a reader sees it: unfolded, decoded (RFC 2047), without letters that nobody sees."""
        return self.texts[0]

    @property
    def texts(self) -> tuple[str, ...]:
        """The same as each reader may see it, where a charset is wrong; mostly one."""
        if self._text is None:
            self._text = field_texts(self.raw)
        return self._text

    def __repr__(self) -> str:
        return f"ReadField({self.name!r})"


def field_texts(raw: bytes) -> tuple[str, ...]:
    """A field's value as `ReadField.texts` has it."""
    value = unfolded(raw)
    if value.isascii() and b"=?" not in value and b"\x1b" not in value:
        return (without_unseen(value.decode("ascii")),)
    return tuple(dict.fromkeys([without_unseen(text) for text in decoded(value)]))


def unfolded(raw: bytes) -> bytes:
    """The value on one line, white space around it taken off."""
    if b"\n" in raw:
        raw = raw.replace(b"\r\n", b"").replace(b"\n", b"")
    return raw.strip()


class Head:
    """`fields`: name in small letters, and raw value. `body` is where the body begins. `broken` is where a line begins
    that belongs to no field: some take it for the body's first. `ended`: an empty line ends it. `is_long`: not all
    fields were read.
    """

    __slots__ = ("_by_name", "body", "broken", "ended", "fields", "is_long")

    def __init__(
        self,
        fields: list[tuple[bytes, bytes]],
        body: int,
        *,
        ended: bool,
        broken: int | None = None,
        is_long: bool = False,
    ) -> None:
        self.fields = fields
        self.body = body
        self.ended = ended
        self.broken = broken
        self.is_long = is_long
        by_name: dict[bytes, list[bytes]] = {}  # Half a dozen names are asked for of each head.
        for name, raw in fields:
            if name in by_name:
                by_name[name].append(raw)
            else:
                by_name[name] = [raw]
        self._by_name = by_name

    def all(self, name: bytes) -> Sequence[bytes]:
        """The raw values of the fields of that name."""
        return self._by_name.get(name, ())


def head_at(octets: bytes, start: int, end: int) -> Head:
    """The header section of the message or part that lies from `start` to `end`."""
    if octets.startswith((b"\n", b"\r\n"), start, end):
        return Head([], octets.index(b"\n", start) + 1, ended=True)
    match = _EMPTY.search(octets, start, end)
    close, body = (end, end) if match is None else (match.start() + 1, match.end())
    if match is not None and close - start <= MAX_USUAL and _ALL_USUAL.fullmatch(octets, start, close) is not None:
        usual = [(name.lower(), raw) for name, raw in _USUAL.findall(octets, start, close)]
        if len(usual) <= MAX_FIELDS:
            return Head(usual, body, ended=True)
    last = min(close, start + MAX_HEAD)
    fields: list[tuple[bytes, bytes]] = []
    value = start  # Where the last field's value begins; a line that continues it by mistake makes it longer.
    broken: int | None = None
    place = start
    while place < last and len(fields) < MAX_FIELDS:
        found = _FIELD.match(octets, place, last)
        if found is not None:
            name, raw = found.groups()
            # A name with an equals sign is a parameter of the field before, on a line that is not indented.
            if not ((b"=" in name or b'"' in name) and fields and fields[-1][0].startswith(b"content-")):
                fields.append((name.lower(), raw))
                value = found.start(2)
                place = found.end()
                continue
        after = octets.find(b"\n", place, last) + 1 or last
        if fields and _PARAMETER.match(octets, place, last) and fields[-1][0].startswith(b"content-"):
            fields[-1] = (fields[-1][0], octets[value:after])
            broken = place if broken is None else broken
        elif broken is None and not (place == start and octets.startswith((b"From ", b">From "), place)):
            broken = place
        place = after
    if not fields and match is None:
        return Head([], start, ended=False, broken=broken)
    if place < close:
        later = [
            found.groups() for found, _ in zip(_LATER.finditer(octets, place, close), range(MAX_LATER), strict=False)
        ]
        fields.extend((name.lower(), raw) for name, raw in later)
    if match is None and broken is not None:
        body = broken  # Without an empty line, what is no field begins the body.
    return Head(fields, body, ended=match is not None, broken=broken, is_long=place < close)
