"""Whether octets are a wrapped mail and nothing else, by the octets alone. Pure.

The last look before a copy leaves: it knows nothing of how that was made, so that a fault there is found all the same.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as NoBase64
from collections.abc import Sequence
from typing import Final

from pybase64 import b64decode

from gateway.mail.mime.base64_lines import LINE
from gateway.rights.wrapper.outside import SEVERAL, SINGLE, head_of
from gateway.rights.wrapper.wrapped import CLASS, rpmsg_head

LARGEST_HEAD: Final = 512 * 1024  # Octets in front of message.rpmsg: header section, what is said, twice, a logo.
_OURS: Final = frozenset((b"mime-version", b"content-class", b"content-type"))
_KNOWN: Final = SINGLE | SEVERAL | _OURS
_CLASS: Final = b" " + CLASS.encode()
_BOUNDARY = re.compile(rb' multipart/mixed; boundary="=_m([0-9a-f]{16,64})"')
_TYPE = re.compile(rb"\r\nContent-Type: ([a-z]+/[a-z-]+)(?:;[^\r\n]*)?\r\n")
# [MS-OXORMMS] 2.2.4.5: how the file begins; of the last octet two bits alone are told by its letter.
_BEGINS: Final = b64encode(bytes.fromhex("76e80460c411e386"))[:10]
_LINE: Final = LINE + 2  # With its CR LF.
_LINES: Final = 1024 * _LINE  # Octets of so many whole lines of base64 (RFC 2045 6.8), which decode by themselves.
_SAID: Final = [b"multipart/alternative", b"text/plain", b"text/html"]


class Proof:
    """Of the copies of one plan: octets that several of them share are looked through once."""

    def __init__(self) -> None:
        self._shared: dict[tuple[int, bytes], bytes | None] = {}

    def holds(self, pieces: Sequence[bytes]) -> bool:
        """Whether the pieces, one behind the other, are header fields that may stand outside, a text and an HTML part,
        a picture at most, and a message.rpmsg to the end. Pieces that are shared have to stay as long as this does.
        """
        if not pieces:
            return False
        first = head_of(pieces[0])
        fields = [(name.lower(), value) for name, value in first.fields()]
        names = [name for name, _ in fields]
        if not _KNOWN.issuperset(names) or any(names.count(one) != 1 for one in _OURS):
            return False
        # Lines that are no field would be passed over above, and read by somebody.
        if sum([len(name) + len(value) + 3 for name, value in fields]) != len(first.header_section()):
            return False
        ours = dict(fields)
        found = _BOUNDARY.fullmatch(ours[b"content-type"])
        if found is None or ours[b"content-class"] != _CLASS:
            return False
        mark = found[1]
        if len(pieces) == 1:
            said = _before(pieces[0], mark, tail=True)
        elif len(pieces) == 3 and pieces[2] == _end(mark):
            shared = self._looked_through(pieces[1], mark)
            said = None if shared is None else pieces[0] + shared
        else:
            return False
        return said is not None and len(said) <= LARGEST_HEAD and _is_said(said, mark)

    def _looked_through(self, shared: bytes, mark: bytes) -> bytes | None:
        key = (id(shared), mark)
        if key not in self._shared:
            self._shared[key] = _before(shared, mark, tail=False)
        return self._shared[key]


def _end(mark: bytes) -> bytes:
    return b"--=_m" + mark + b"--\r\n"


def _before(octets: bytes, mark: bytes, *, tail: bool) -> bytes | None:
    """What stands in front of message.rpmsg; None where there is none, or something else is behind it."""
    front = rpmsg_head(mark.decode())
    at = octets.find(front)
    end = _end(mark) if tail else b""
    if at < 0 or not octets.endswith(end):
        return None
    start = at + len(front)
    is_all = octets.startswith(_BEGINS, start) and _is_base64(octets, start, len(octets) - len(end))
    return octets[:at] if is_all else None


def _is_base64(octets: bytes, start: int, end: int) -> bool:
    """Whether all of it is lines of base64 as we write them: each full but the last one, which alone is filled up."""
    if octets.find(b"=", start, end - 4) >= 0:
        return False
    return all(_are_lines(octets, at, min(at + _LINES, end)) for at in range(start, end, _LINES))


def _are_lines(octets: bytes, start: int, end: int) -> bool:
    whole, rest = divmod(end - start, _LINE)
    full = start + whole * _LINE
    if octets[start + LINE : full : _LINE] != b"\r" * whole or octets[start + LINE + 1 : full : _LINE] != b"\n" * whole:
        return False
    if not octets.endswith(b"\r\n", start, end):
        return False
    letters = end - start - 2 * (whole + (rest > 0))
    try:
        # It passes over what is no letter: where it missed as many octets as the line ends have, there is nothing else.
        decoded = len(b64decode(memoryview(octets)[start:end]))
    except NoBase64:
        return False
    return letters % 4 == 0 and decoded == letters // 4 * 3 - octets.count(b"=", max(start, end - 4), end)


def _is_said(said: bytes, mark: bytes) -> bool:
    """The parts that are read: one text, one HTML, one picture at most."""
    body = said[said.find(b"\r\n\r\n") + 2 :]
    types = _TYPE.findall(body)
    edges = body.count(b"\r\n--=_")
    if types == _SAID:
        return edges == 4 and body.endswith(b"\r\n--=_a" + mark + b"--\r\n")
    if types[:-1] != [b"multipart/related", *_SAID] or not types[-1].startswith(b"image/"):
        return False
    return edges == 7 and body.endswith(b"\r\n--=_r" + mark + b"--\r\n")
