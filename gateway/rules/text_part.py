"""One text part with text of ours in it: its charset and its transfer encoding stay true (RFC 2045 6, RFC 2046 4.1).

HTML is written in ASCII, with character references for all else, so that it fits every charset that ASCII is a part of.
In plain text a letter that the part's charset lacks makes the part UTF-8, and a part of 7 bits that gets letters beyond
ASCII becomes quoted-printable; the header fields that say so are edited with it. Pure.

Leaves out: UTF-16 and what is like it, and base64 that is broken, which take the fallback.
"""

from __future__ import annotations

import binascii
import codecs
import re
import textwrap
from base64 import b64decode
from dataclasses import dataclass
from typing import Final

from gateway.mail.edit import Edit
from gateway.mail.field import folded
from gateway.mail.mime.encode import Encoding, encoder
from gateway.mail.mime.part import Part
from gateway.rules.html_places import body_places
from gateway.rules.html_text import html_text

_CHARSET = re.compile(rb"""(;\s*charset\s*=\s*)("(?:[^"\\]|\\.)*"|[^\s;"]+)""", re.IGNORECASE)
_STATEFUL: Final = ("iso2022", "hz", "utf_7")  # Their letters beyond ASCII are made of ASCII's octets.
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_IDENTITY: Final = frozenset((b"7bit", b"8bit", b"binary"))
_LINE: Final = 900  # Octets; RFC 5322 2.1.1 has 998 with what may stand around.


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What is put in, as HTML with its tokens filled in, in the order in which it is to be read."""

    front: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The edits of one part. `eight_bit`: what was put in is beyond ASCII and not encoded."""

    edits: tuple[Edit, ...]
    eight_bit: bool = False


def added(part: Part, body: bytes, texts: Texts, *, html: bool) -> Done | None:
    """The edits that put `texts` into `part`, whose body is `body`; None where that can't be done so that every reader
    sees all of it.
    """
    transfer = part.head.encoding
    plain = _decoded(body, transfer)
    if plain is None:
        return None
    return _into_html(part, plain, transfer, texts) if html else _into_text(part, plain, transfer, texts)


def as_part(texts: Texts) -> bytes:
    """A part that says `texts` and nothing else, without the CR LF in front of the next delimiter."""
    head = b"Content-Type: text/html; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    return head + _html((*texts.front, *texts.behind))


# -- HTML -------------------------------------------------------------------------------------------------------------


def _html(pieces: tuple[str, ...]) -> bytes:
    """In ASCII, in lines of a length that every encoding may hold."""
    return b"\r\n".join([_lined(piece.encode("ascii", "xmlcharrefreplace")) for piece in pieces])


def _lined(octets: bytes) -> bytes:
    """Line ends are CR LF, and a line that is too long is broken at a space, which HTML does not tell apart."""
    out = []
    for line in octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        while len(line) > _LINE and (cut := line.rfind(b" ", 1, _LINE)) > 0:
            out.append(line[:cut])
            line = line[cut + 1 :]
        out.append(line)
    return b"\r\n".join(out)


def _into_html(part: Part, plain: bytes, transfer: bytes, texts: Texts) -> Done | None:
    codec = _codec(part)
    if codec is not None and not _is_transparent(codec):
        return None
    places = body_places(plain)
    if places is None:
        return None
    pieces: list[tuple[int, bytes]] = []
    if texts.front:
        pieces.append((places[0], b"\r\n" + _html(texts.front) + b"\r\n"))
    if texts.behind:
        pieces.append((places[1], b"\r\n" + _html(texts.behind) + b"\r\n"))
    if transfer in _IDENTITY:
        begin = part.end if part.body is None else part.body
        return Done(tuple(Edit(begin + at, begin + at, octets) for at, octets in pieces))
    for at, octets in reversed(pieces):
        plain = plain[:at] + octets + plain[at:]
    return Done((_whole(part, plain, transfer),))


# -- text -------------------------------------------------------------------------------------------------------------


def _into_text(part: Part, plain: bytes, transfer: bytes, texts: Texts) -> Done | None:
    front = "".join(f"{_text(piece)}\r\n\r\n" for piece in texts.front)
    behind = "".join(f"\r\n{_text(piece)}\r\n" for piece in texts.behind)
    codec = _codec(part)
    if codec is None and not (front + behind).isascii():
        return None
    codec = codec or "ascii"
    if not _is_transparent(codec):
        return None
    edits: list[Edit] = []
    try:
        before, after = front.encode(codec), behind.encode(codec)
    except UnicodeEncodeError:
        try:
            plain = plain.decode(codec).encode()
        except UnicodeDecodeError:  # What is there is not what it says; nothing can be said in it for certain.
            return None
        before, after = front.encode(), behind.encode()
        edits += _as_utf8(part)
    if after and plain and not plain.endswith(b"\r\n"):
        after = b"\r\n" + after
    if after and not part.is_last:
        after = after.removesuffix(b"\r\n")  # The delimiter brings one.
    if transfer not in _IDENTITY:
        return Done((*edits, _whole(part, before + plain + after, transfer)))
    if transfer == b"7bit" and not (before + after).isascii():
        return Done((*edits, *_as_quoted(part), _whole(part, before + plain + after, b"quoted-printable")))
    begin = part.end if part.body is None else part.body
    if edits and not plain.isascii():  # Its own octets are others now.
        return Done((*edits, Edit(begin, part.end, before + plain + after)), eight_bit=True)
    inserted = (Edit(begin, begin, before), Edit(part.end, part.end, after))
    return Done((*edits, *(one for one in inserted if one.octets)), eight_bit=not (before + after).isascii())


def _text(piece: str) -> str:
    lines: list[str] = []
    for line in html_text(piece).split("\n"):
        lines += textwrap.wrap(line, 200, break_long_words=False, break_on_hyphens=False) or [""]
    return "\r\n".join(lines)


# -- charset and encoding ---------------------------------------------------------------------------------------------


def _codec(part: Part) -> str | None:
    """Python's name for the charset; that of ASCII where none is named (RFC 2046 4.1.2), None for an unknown one."""
    if part.head.content_type is None:
        return "ascii"
    found = _CHARSET.search(b";" + part.head.content_type.value)
    if found is None:
        return "ascii"
    try:
        return codecs.lookup(found[2].strip(b'"').decode("ascii", "replace")).name.replace("-", "_")
    except (LookupError, ValueError):
        return None


def _is_transparent(codec: str) -> bool:
    """Whether ASCII stands for itself in it, wherever it stands."""
    if codec.startswith(_STATEFUL):
        return False
    try:
        return "</body>Az09".encode(codec) == b"</body>Az09"
    except (LookupError, ValueError):  # Not every codec of Python's is one of text.
        return False


def _decoded(body: bytes, transfer: bytes) -> bytes | None:
    if transfer in _IDENTITY:
        return body
    if transfer == b"quoted-printable":
        return binascii.a2b_qp(body)
    if transfer == b"base64":
        letters = body.translate(None, b" \t\r\n")
        if len(letters) % 4 or not _BASE64.fullmatch(letters):  # Readers differ about what that means.
            return None
        return b64decode(letters)
    return None


def _whole(part: Part, plain: bytes, transfer: bytes) -> Edit:
    """The whole body written anew in that encoding."""
    begin = part.end if part.body is None else part.body
    if transfer == b"base64":
        made = encoder(Encoding.BASE64)
        octets = made.feed(plain) + made.end()
        return Edit(begin, part.end, octets + (b"\r\n" if part.is_last else b""))
    return Edit(begin, part.end, quoted(plain))


def quoted(octets: bytes) -> bytes:
    """Quoted-printable (RFC 2045 6.7). CR LF are line ends, a CR or LF alone is encoded."""
    # Each line for itself, since binascii takes a CR or LF alone for a line end; "=" LF is its soft line break.
    lines = [binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in octets.split(b"\r\n")]
    return b"\r\n".join(lines)


def _as_utf8(part: Part) -> list[Edit]:
    """The part says that it is UTF-8."""
    was = part.head.content_type
    if was is not None:
        value, count = _CHARSET.subn(rb"\1utf-8", was.value, count=1)
        if not count:
            value = was.value + b"; charset=utf-8"
        line = folded("Content-Type: " + value.decode("latin-1")).encode("latin-1")
        return [Edit(was.start, was.end, line + b"\r\n")]
    version = b"MIME-Version: 1.0\r\n" if part.is_message and part.head.version is None else b""
    return [_put(part, version + b"Content-Type: text/plain; charset=utf-8\r\n")]


def _as_quoted(part: Part) -> list[Edit]:
    """The part says that it is quoted-printable."""
    line = b"Content-Transfer-Encoding: quoted-printable\r\n"
    if (was := part.head.transfer) is not None:
        return [Edit(was.start, was.end, line)]
    return [_put(part, line)]


def _put(part: Part, lines: bytes) -> Edit:
    """In front of the empty line."""
    at = (part.end if part.body is None else part.body) - 2
    return Edit(at, at, lines)
