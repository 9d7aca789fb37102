"""A value with parameters, as Content-Type and Content-Disposition have them, for IMAP (RFC 2045 5.1, RFC 2231).

IMAP gives parameters as they were written: encoded ones keep their charset and percent codes (RFC 3501 7.4.2), and
only what was cut in pieces is joined, since clients differ in whether they join it themselves.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_VALUE: Final = 64 * 1024  # Octets of one field that are looked at.
MAX_COMMON: Final = 64  # Octets of a Content-Type that may be one of many alike.
MAX_PARAMETERS: Final = 100  # Of one field.
MAX_PIECES: Final = 1000  # Of one parameter.

Pairs = tuple[tuple[bytes, bytes], ...]

# Each octet fits one place of these patterns alone, so that matching takes time in proportion to the length.
_COMMENT: Final = rb"\([^()\\]*(?:\\.[^()\\]*)*\)"
_BLANKS: Final = rb"[ \t]*(?:" + _COMMENT + rb"[ \t]*)*"
_TOKEN: Final = rb"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]+"
_TYPE = re.compile(
    _BLANKS + rb"(" + _TOKEN + rb")" + _BLANKS + rb"/" + _BLANKS + rb"(" + _TOKEN + rb")" + _BLANKS + rb"(?=;|\Z)",
    re.DOTALL,
)
_WORD = re.compile(_BLANKS + rb"(" + _TOKEN + rb")" + _BLANKS, re.DOTALL)
_PARAMETER = re.compile(
    rb"[; \t]*(?:" + _COMMENT + rb"[; \t]*)*(" + _TOKEN + rb")" + _BLANKS + rb"=" + _BLANKS
    + rb'(?:"([^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)|([^;\s"]*))[^;]*',
    re.DOTALL,
)  # fmt: skip
_BEGIN = re.compile(rb"[; \t]*")
_NUMBERED = re.compile(rb"([^*]+)\*([0-9]{1,4})(\*?)\Z")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_OTHER = re.compile(rb"[^!#$&+\-.0-9A-Z^_`a-z{|}~]")


def typed(value: bytes) -> tuple[bytes, bytes, Pairs] | None:
    """Main type, subtype and parameters of an unfolded Content-Type; None where it can't be read, which makes a plain
    text of the part (RFC 2045 5.2). Without a subtype it is what `gateway.mail.reading` takes it for: a text is plain,
    all else is octets.
    """
    return _common(value) if len(value) <= MAX_COMMON else _typed(value)


def _typed(value: bytes) -> tuple[bytes, bytes, Pairs] | None:
    match = _TYPE.match(value, 0, MAX_VALUE)
    if match is not None:
        return match[1], match[2], parameters(value, match.end())
    match = _WORD.match(value, 0, MAX_VALUE)
    if match is None or value[match.end() : match.end() + 1] not in (b"", b";"):
        return None
    main, sub = (b"text", b"plain") if match[1].lower() == b"text" else (b"application", b"octet-stream")
    return main, sub, parameters(value, match.end())


# Most parts are of a few types, written alike.
_common = lru_cache(maxsize=256)(_typed)


def worded(value: bytes) -> tuple[bytes, Pairs] | None:
    """The first word and the parameters of an unfolded value, such as a Content-Disposition; None without a word."""
    match = _WORD.match(value, 0, MAX_VALUE)
    return None if match is None else (match[1], parameters(value, match.end()))


def token(value: bytes) -> bytes | None:
    """The one word that an unfolded value consists of, comments read over; None where it is another thing."""
    match = _WORD.match(value, 0, MAX_VALUE)
    return match[1] if match is not None and match.end() == len(value) else None


def parameters(value: bytes, start: int) -> Pairs:
    """The parameters from `start` on, each once, in order; pieces (RFC 2231 3) are joined behind the others."""
    found: dict[bytes, tuple[bytes, bytes]] = {}
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    count = 0
    end = min(len(value), MAX_VALUE)
    place = value.find(b";", start, end)
    while 0 <= place < end and len(found) < MAX_PARAMETERS and count < MAX_PIECES:
        match = _PARAMETER.match(value, place, end)
        if match is None:  # No parameter: the next may be one.
            behind = _BEGIN.match(value, place)
            place = value.find(b";", place + 1 if behind is None else behind.end(), end)
            continue
        place = match.end()
        name, quoted, bare = match.groups()
        count += 1
        if quoted is None:
            text = bare
        else:
            text = _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        numbered = _NUMBERED.match(name) if b"*" in name else None
        if numbered is None:
            found.setdefault(name.lower(), (name, text))
        else:
            inner = pieces.setdefault(numbered[1], {})
            inner.setdefault(int(numbered[2]), (text, bool(numbered[3])))
    for name, inner in pieces.items():
        if len(found) < MAX_PARAMETERS and name.lower() not in found:
            whole = _joined(name, inner)
            if whole is not None:
                found.setdefault(whole[0].lower(), whole)
    return tuple(found.values())


def _joined(name: bytes, pieces: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bytes] | None:
    """What the pieces say together, up to the first that is missing. Where one is encoded all have to be: then the
    name has the asterisk by which a client knows it (RFC 2231 4.1).
    """
    line: list[tuple[bytes, bool]] = []
    while (piece := pieces.get(len(line))) is not None:
        line.append(piece)
    if not line:
        return None
    if not any(encoded for _, encoded in line):
        return name, b"".join([text for text, _ in line])
    text = b"".join([text if encoded else _OTHER.sub(_percent, text) for text, encoded in line])
    return name + b"*", text if line[0][1] else b"''" + text


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]
