"""What a part is, by each of its Content-Type fields (RFC 2045 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from gateway.mail.reading.header import Head, unfolded
from gateway.mail.reading.parameter import Parameters

MAX_TYPES: Final = 3  # Content-Type fields of one part that are followed: readers take the first or the last.
MAX_COMMON: Final = 64  # Octets of a Content-Type that may be one of many alike.
TEXT_PLAIN: Final = (b"text", b"plain")

NONE: Final = Parameters(b"")

_TYPE = re.compile(rb"\s*([^\s/;,()\"=]+)\s*(?:/\s*([^\s/;,()\"=]+))?")
_COMMENT = re.compile(rb"\s*\((?:[^()\\]|\\.)*\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ContentType:
    """One reading of what a part is, in small letters. `told`: a field says so."""

    main: bytes
    sub: bytes
    parameters: Parameters
    told: bool = True
    name: str = field(init=False, default="")  # As `text/plain`.

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.main.decode('latin-1')}/{self.sub.decode('latin-1')}")


def content_types(head: Head, *, in_digest: bool = False) -> list[ContentType]:
    """What a part is by each of its fields, the first one's word first (RFC 2045 5.2: text without any)."""
    found: list[ContentType] = []
    raws = head.all(b"content-type")
    for raw in raws if len(raws) == 1 else (*raws[:1], *raws[1:][-(MAX_TYPES - 1) :]):
        value = unfolded(raw)
        one = _common_type(value) if len(value) <= MAX_COMMON else _content_type(value)
        if not found or all(
            (one.main, one.sub, one.parameters.pieces) != (other.main, other.sub, other.parameters.pieces)
            for other in found
        ):
            found.append(one)
    if not found:
        main, sub = (b"message", b"rfc822") if in_digest else TEXT_PLAIN
        found.append(ContentType(main, sub, NONE, told=False))
    return found


def _content_type(value: bytes) -> ContentType:
    if value.startswith(b"("):
        value = _COMMENT.sub(b"", value)
    match = _TYPE.match(value)
    if match is None or value.startswith(b"=", match.end()):
        return ContentType(*TEXT_PLAIN, Parameters(value))
    main, sub = match[1].lower(), (match[2] or b"").lower()
    if not sub and main != b"multipart":  # A multipart is one to readers whatever stands behind, or nothing.
        main, sub = TEXT_PLAIN if main == b"text" else (b"application", b"octet-stream")
    return ContentType(main, sub, Parameters(value[match.end() :]))


# Most parts are of a few types, written alike.
_common_type = lru_cache(maxsize=256)(_content_type)
