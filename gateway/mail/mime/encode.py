"""Transfer encodings while octets stream: quoted-printable and base64 (RFC 2045 6.7, 6.8). Lines end with CR LF."""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp
from enum import StrEnum
from typing import Protocol

LINE = 76  # RFC 2045 6.7 and 6.8: the longest line, without its end.
PIECE = 64 * 1024  # A line that is longer than this is written in pieces, so that memory stays bounded.

_LINE_OCTETS = LINE // 4 * 3
# What is quoted; an equals sign twice, which readers take for one or for two; a soft line end; a letter.
_ATOMS = re.compile(rb"=[0-9A-Fa-f]{2}|==|=[ \t]*\Z|[^=]|=", re.DOTALL)
_FROM = re.compile(rb"^From [^\r\n]*", re.MULTILINE)
_HIGH = re.compile(rb"[\x80-\xff]")


class Encoding(StrEnum):
    """A transfer encoding, by the name that it has in the header. `MENDED` is quoted-printable whose writer forgot the
    octets over 127: they alone are written anew.
    """

    QUOTED_PRINTABLE = "quoted-printable"
    BASE64 = "base64"
    MENDED = "quoted-printable mended"


class Encoder(Protocol):
    """Made for one body: `feed` it all octets in order, then ask `end` for what is left."""

    def feed(self, octets: bytes) -> bytes:
        """What can be written of it so far."""

    def end(self) -> bytes:
        """The rest."""


def encoder(encoding: Encoding) -> Encoder:
    """An encoder for one body, whose lines end with CR LF already."""
    match encoding:
        case Encoding.BASE64:
            return _Base64()
        case Encoding.QUOTED_PRINTABLE:
            return _Lines(_quoted)
        case Encoding.MENDED:
            return _Lines(_mended)


class _Base64:
    """The last line has no end: the CR LF in front of a delimiter is the delimiter's."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def feed(self, octets: bytes) -> bytes:
        octets = self._rest + octets
        whole = len(octets) // _LINE_OCTETS * _LINE_OCTETS
        self._rest = octets[whole:]
        return self._lines(octets[:whole])

    def end(self) -> bytes:
        return self._lines(self._rest)

    def _lines(self, octets: bytes) -> bytes:
        if not octets:
            return b""
        text = b2a_base64(octets, newline=False)
        lines = b"\r\n".join([text[at : at + LINE] for at in range(0, len(text), LINE)])
        lines = b"\r\n" + lines if self._begun else lines
        self._begun = True
        return lines


class _Lines:
    """Quoted-printable, which keeps lines as they are but for those that have to be broken."""

    def __init__(self, write: _Write) -> None:
        self._rest = b""
        self._write = write

    def feed(self, octets: bytes) -> bytes:
        octets = self._rest + octets
        whole = octets.rfind(b"\r\n") + 2
        if whole < 2:
            whole = 0
        out = self._write(octets[:whole])
        while len(octets) - whole > PIECE:
            cut = _before_quoted(octets, whole, whole + PIECE)
            out += self._write(octets[whole:cut] + b"\r\n")[:-2] + b"=\r\n"
            whole = cut
        self._rest = octets[whole:]
        return out

    def end(self) -> bytes:
        return self._write(self._rest + b"\r\n")[:-2] if self._rest else b""


class _Write(Protocol):
    def __call__(self, octets: bytes, /) -> bytes:
        """Whole lines, each with its CR LF."""


def _before_quoted(octets: bytes, start: int, cut: int) -> int:
    """A place at `cut` or a little in front of it, where no `=XX` is cut apart."""
    equals = octets.rfind(b"=", cut - 2, cut)
    if equals < 0:
        return cut
    while equals > start + 1 and octets[equals - 1] == 0x3D:
        equals -= 1
    return equals if equals > start + 1 else cut


def _quoted(octets: bytes) -> bytes:
    # Text mode: CR LF stays a line's end, and white space in front of it is quoted (RFC 2045 6.7, rule 3).
    return _from_quoted(b2a_qp(octets, quotetabs=False, istext=True, header=False)) if octets else b""


def _mended(octets: bytes) -> bytes:
    if not octets.isascii():
        octets = b"\r\n".join([line if line.isascii() else _mended_line(line) for line in octets.split(b"\r\n")])
    return _from_quoted(octets)


def _from_quoted(octets: bytes) -> bytes:
    """Mailbox files put a ">" in front of a line that begins with "From " (RFC 8551 3.1.2): its F is quoted too."""
    return _FROM.sub(_from_line, octets) if b"From " in octets else octets


def _from_line(found: re.Match[bytes]) -> bytes:
    line = b"=46" + found[0][1:]
    return line if len(line) <= LINE else _mended_line(line)


def _mended_line(line: bytes) -> bytes:
    """Octets over 127 quoted; broken where it becomes too long, never inside of what was quoted already."""
    atoms: list[bytes] = _ATOMS.findall(line)
    out: list[bytes] = []
    length = 0
    for place, atom in enumerate(atoms):
        last = place == len(atoms) - 1
        # An equals sign that quotes nothing is one to all readers, but not in front of what we quote.
        text = b"=%02X" % atom[0] if _HIGH.match(atom) or (atom == b"=" and not last) else atom
        if length + len(text) > (LINE if last else LINE - 1):
            out.append(b"=\r\n")
            length = 0
        out.append(text)
        length += len(text)
    return b"".join(out)
