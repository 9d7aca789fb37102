"""The header section of a message or a part, as far as MIME is concerned (RFC 2045 3 to 6, RFC 5322 2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MIME_VERSION: Final = b"mime-version"
CONTENT_TYPE: Final = b"content-type"
ENCODING: Final = b"content-transfer-encoding"

LONGEST_BOUNDARY = 200  # RFC 2046 5.1.1 has 70; some write more.

_FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n")
_NAMES: Final = frozenset((MIME_VERSION, CONTENT_TYPE, ENCODING))
_TOKEN: Final = rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_TYPE = re.compile(rb"\s*(" + _TOKEN + rb")\s*/\s*(" + _TOKEN + rb")\s*(?=[;(]|\Z)")
_BOUNDARY = re.compile(rb"""[;\s]boundary\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"][^\s;]*)""", re.IGNORECASE | re.DOTALL)
_CONTINUED = re.compile(rb"boundary\*", re.IGNORECASE)
_FOLDING = re.compile(rb"\r\n(?=[ \t])")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Field:
    """One header field of a message. `value` is unfolded and stripped; `start` and `end` are its octets in the message,
    its line end included.
    """

    value: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a header section says of MIME. Absent fields are None.

    `is_sound`: every line belongs to a field, and no field of ours stands twice, so that all readers see the same.
    `main` and `sub` are the type in small letters, both empty where the field is absent; where it is there and can't be
    read the head is not sound.
    """

    is_sound: bool
    version: Field | None = None
    content_type: Field | None = None
    transfer: Field | None = None
    main: bytes = b""
    sub: bytes = b""
    boundary: bytes | None = None

    @property
    def encoding(self) -> bytes:
        """The transfer encoding in small letters, without comments; 7bit where none is named (RFC 2045 6.1)."""
        return b"7bit" if self.transfer is None else self.transfer.value.partition(b"(")[0].strip().lower()


def head_of(section: bytes, start: int) -> Head:
    """Read `section`, which begins at octet `start` of the message: its fields with their line ends, no empty line."""
    found: dict[bytes, Field] = {}
    sound = True
    place = 0
    while place < len(section):
        match = _FIELD.match(section, place)
        if match is None:
            sound = False
            line = section.find(b"\r\n", place)
            if line < 0:
                break
            place = line + 2
            continue
        name = match[1].lower()
        if name in _NAMES:
            sound = sound and name not in found
            value = _FOLDING.sub(b"", match[2]).strip()
            found.setdefault(name, Field(value, start + place, start + match.end()))
        place = match.end()
    main, sub, boundary = b"", b"", None
    kind = found.get(CONTENT_TYPE)
    if kind is not None:
        type_ = _TYPE.match(kind.value)
        if type_ is None:
            sound = False
        else:
            main, sub = type_[1].lower(), type_[2].lower()
            if main == b"multipart":
                boundary = _boundary(kind.value)
                sound = sound and boundary is not None
    return Head(
        is_sound=sound,
        version=found.get(MIME_VERSION),
        content_type=kind,
        transfer=found.get(ENCODING),
        main=main,
        sub=sub,
        boundary=boundary,
    )


def _boundary(value: bytes) -> bytes | None:
    """The boundary, or None where there is none or readers could differ about it."""
    if _CONTINUED.search(value):
        return None
    found = {_unquoted(raw) for raw in _BOUNDARY.findall(value)}
    if len(found) != 1:
        return None
    boundary = found.pop()
    return boundary if 0 < len(boundary) <= LONGEST_BOUNDARY else None


def _unquoted(raw: bytes) -> bytes:
    if raw.startswith(b'"'):
        raw = _ESCAPED.sub(rb"\1", raw[1:-1])
    return raw.rstrip(b" \t")
