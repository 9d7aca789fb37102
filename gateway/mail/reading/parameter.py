"""Parameters of Content-Type and Content-Disposition, each by all readings (RFC 2045 5.1, RFC 2231).

A reader may join pieces or not, take the first or the last of two, undo backslashes and percent codes or not, stop at a
blank or at the semicolon. Whatever one of them may come to is among what is found, the standard's reading first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import unquote_to_bytes

from gateway.mail.reading.charset import readings
from gateway.mail.reading.encoded_word import decoded
from gateway.mail.reading.unseen import without_unseen

MAX_VALUE: Final = 64 * 1024  # Octets of a field that are looked at.
MAX_PARAMETERS: Final = 200  # That are heeded, and kept.
MAX_UNENDED: Final = 50  # Parameters in one field that no semicolon ends; for each the rest is read again.
MAX_FIRST: Final = 16  # Readings of one parameter: the first of them,
MAX_LAST: Final = 8  # and the last, which some readers take where there are several.

_T = TypeVar("_T")
# The others tell a reader nothing that he is shown.
_HEEDED: Final = frozenset((b"boundary", b"charset", b"delsp", b"filename", b"name", b"report-type", b"smime-type"))
_PARAMETER = re.compile(
    rb"""(?:(?<=[\s;,"])|\A)([!#$%&'*+\-.0-9A-Z^_`a-z{|}~]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*)("?)([^;]*+)|([^;]*+))""",
    re.DOTALL,
)
_NUMBERED = re.compile(rb"([^*]+)\*([0-9]{1,5})(\*?)")
_COMMENT = re.compile(rb"\((?:[^()\\]|\\.)*\)", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """One parameter as it stands. `quoted`: in quotes, without them; `beyond`: what follows the closing quote."""

    name: bytes
    value: bytes
    quoted: bool
    beyond: bytes = b""


class Parameters:
    """Of one field: made from the unfolded value behind its first semicolon."""

    __slots__ = ("_octets", "pieces")

    def __init__(self, value: bytes) -> None:
        self.pieces: list[Piece] = []
        self._octets: dict[bytes, list[bytes]] = {}  # Those of a common type are asked for by many messages.
        value = value[:MAX_VALUE]
        place = unended = 0
        while (match := _PARAMETER.search(value, place)) is not None:
            place = match.end()
            if match[2] is None:
                rest, start = match[5].partition(b" ")[2], match.start(5) + match[5].find(b" ")
            else:
                rest, start = match[4], match.start(4)
            if b"=" in rest and unended < MAX_UNENDED:  # The semicolon was forgotten.
                unended += 1
                place = start
            name = match[1].lower()
            if name.partition(b"*")[0] not in _HEEDED:
                continue
            if match[2] is None:
                piece = Piece(name, match[5].strip(), quoted=False)
            else:
                piece = Piece(name, match[2], quoted=True, beyond=rest.strip() if match[3] else b"")
            if len(self.pieces) < MAX_PARAMETERS:
                self.pieces.append(piece)
            else:
                self.pieces[-1] = piece  # The very last is kept: some readers take that.

    def octets(self, name: bytes) -> list[bytes]:
        """The readings of a parameter that is ASCII, such as a boundary or a charset."""
        if not self.pieces:
            return []
        known = self._octets.get(name)
        if known is not None:
            return known
        found: list[bytes] = []
        for joined, extended in _joined(self.pieces, name):
            found.append(_extended(joined)[0] if extended else joined)
        for piece in self.pieces:
            if piece.name == name:
                found.extend(_values(piece))
        self._octets[name] = few = _few(list(dict.fromkeys(found)))
        return few

    def texts(self, name: bytes) -> list[str]:
        """The readings of a parameter that is a text, such as a file's name."""
        if not self.pieces or not any(piece.name.startswith(name) for piece in self.pieces):
            return []
        found: list[str] = []
        for joined, extended in _joined(self.pieces, name):
            if extended:
                octets, charset = _extended(joined)
                found.extend(readings(octets, charset))
                found.extend(decoded(octets))
                if b"\0" in octets:  # To some a name ends at a zero.
                    found.extend(readings(octets.partition(b"\0")[0], charset))
            else:
                found.extend(decoded(joined))
        values = dict.fromkeys([value for piece in self.pieces if piece.name == name for value in _values(piece)])
        for value in _few(list(values)):
            found.extend(decoded(value))
            if b"\0" in value:
                found.extend(decoded(value.partition(b"\0")[0]))
            if b"%" in value:
                found.extend(readings(unquote_to_bytes(value), None))
        # Each as it is seen, and behind them as they stand: a mark of direction makes `exe.txt` look like another.
        seen = dict.fromkeys([*[without_unseen(text) for text in found], *found])
        return _few([text for text in seen if text])


def _few(found: list[_T]) -> list[_T]:
    return found if len(found) <= MAX_FIRST + MAX_LAST else found[:MAX_FIRST] + found[-MAX_LAST:]


def _values(piece: Piece) -> list[bytes]:
    """The readings of one parameter by itself."""
    if piece.quoted:
        bare = _ESCAPED.sub(rb"\1", piece.value) if b"\\" in piece.value else piece.value
        found = [bare, piece.value]
        if piece.beyond and not piece.beyond.startswith(b"("):
            found.append(piece.value + piece.beyond.replace(b'"', b""))
        return found
    bare = _COMMENT.sub(b"", piece.value).strip() if b"(" in piece.value else piece.value
    found = [bare, piece.value]
    if bare[:1] == b"'" == bare[-1:]:
        found.append(bare[1:-1])
    if (first := bare.split(None, 1)[:1]) and first[0] != bare:
        found.append(first[0])
    return found


def _joined(pieces: list[Piece], name: bytes) -> list[tuple[bytes, bool]]:
    """What RFC 2231 makes of a parameter, by its two forms: octets with percent codes or without, and which of them."""
    found: list[tuple[bytes, bool]] = []
    numbered: dict[int, tuple[bytes, bool]] = {}
    front = name + b"*"
    for piece in pieces:
        if not piece.name.startswith(front):
            continue
        if piece.name == front:
            found.append((piece.value, True))
        elif (match := _NUMBERED.fullmatch(piece.name)) is not None and match[1] == name:
            numbered.setdefault(int(match[2]), (_values(piece)[0], bool(match[3])))
    if not numbered:
        return found
    # A piece without percent codes among others that have them is taken as it stands.
    extended = any(coded for _, coded in numbered.values())
    out = [
        value if coded or not extended else value.replace(b"%", b"%25")
        for _, (value, coded) in sorted(numbered.items())
    ]
    return [(b"".join(out), extended), *found]


def _extended(value: bytes) -> tuple[bytes, bytes | None]:
    """The octets of charset'language'text, and the charset; without them where it has no two quotes."""
    parts = value.split(b"'", 2)
    if len(parts) < 3:
        return unquote_to_bytes(value), None
    return unquote_to_bytes(parts[2]), parts[0] or None
