"""From 8 bits to 7: which edits a message needs so that a host without 8BITMIME can take it (RFC 6152 3).

Leaf parts that hold octets over 127 get a transfer encoding, one by one; every other octet stays as it came. Header
fields beyond ASCII are the matter of SMTPUTF8. Leaves out: binary content (RFC 3030), which is not taken in either.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.mail.edit import Edit
from gateway.mail.mime.encode import Encoding
from gateway.mail.mime.head import Head
from gateway.mail.mime.part import Flaw, Kind, Part, Walked


class Obstacle(StrEnum):
    """Why a message can't be converted, in words that fit behind "it can't be converted: "."""

    SIGNED = "a part is signed, and the signature would break"
    ENCRYPTED = "a part is encrypted and has 8-bit octets"
    BINARY = "a part is binary"
    HEADER = "a header field has octets beyond ASCII"
    COMPOSITE = "a part of type message may not be encoded"
    STRAY = "there are octets beyond ASCII outside of all parts"
    ENCODED = "a part has octets beyond ASCII under an encoding that has none"
    BROKEN = "its MIME structure is broken"


class Unconvertible(Exception):
    """The message has octets over 127 and has to stay as it is. `detail` says more for the log; content never."""

    def __init__(self, obstacle: Obstacle, detail: str = "") -> None:
        super().__init__(obstacle.value)
        self.obstacle = obstacle
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Downgrade:
    """`edits` in the order of their octets; `encodings` of each part that is encoded. Both empty: 7 bits already."""

    edits: tuple[Edit, ...] = ()
    encodings: tuple[Encoding, ...] = ()


_CONVERTIBLE: Final = frozenset((b"7bit", b"8bit"))
_PKCS7: Final = frozenset((b"pkcs7-mime", b"x-pkcs7-mime", b"pkcs7-signature", b"x-pkcs7-signature"))
_FOREIGN: Final = {b"signed": Obstacle.SIGNED, b"encrypted": Obstacle.ENCRYPTED}
_DEAR = 0.25  # Up to here text stays readable in quoted-printable; beyond it base64 is shorter too (it adds 37 of 100).


def downgrade(walked: Walked, also: Collection[int] = ()) -> Downgrade:
    """What to edit. `also`: places of leaf parts to encode whatever octets they hold. Raises Unconvertible."""
    if walked.is_seven_bit and not also:
        return Downgrade()
    if walked.flaw is not None:
        raise Unconvertible(Obstacle.BROKEN, walked.flaw)
    if any(part.head_beyond for part in walked.parts):
        raise Unconvertible(Obstacle.HEADER)
    chosen: dict[int, Encoding] = {}
    touched: set[int] = set()  # Parts that hold something converted, themselves included.
    for place, part in enumerate(walked.parts):
        if part.beyond or place in also:
            chosen[place] = _encoding(part, walked.line_of(place))
            at: int | None = place
            while at is not None and at not in touched:
                touched.add(at)
                at = walked.parts[at].parent
    edits: list[Edit] = []
    for place in sorted(touched):
        edits += _edits(walked.parts[place], chosen.get(place))
    edits.sort(key=lambda edit: edit.start)
    return Downgrade(tuple(edits), tuple(chosen[place] for place in sorted(chosen)))


def _encoding(part: Part, line: list[Part]) -> Encoding:
    """How to encode it; `line` is all that it lies in, itself first. Raises Unconvertible."""
    for outer in line:
        if outer.main == b"multipart" and outer.sub in _FOREIGN:
            raise Unconvertible(_FOREIGN[outer.sub])
    for outer in line:
        if outer.flaw is not None:
            raise Unconvertible(Obstacle.BROKEN, outer.flaw)
    if part.main == b"application" and part.sub in _PKCS7:
        raise Unconvertible(Obstacle.SIGNED)
    if part.kind is not Kind.LEAF:
        raise Unconvertible(Obstacle.STRAY)
    if part.main == b"message" and not part.sub.startswith(b"global"):
        # RFC 2046 5.2; those of RFC 6532 3.7 and RFC 6533 6 may be.
        raise Unconvertible(Obstacle.COMPOSITE)
    encoding = part.head.encoding
    if encoding == b"binary":
        raise Unconvertible(Obstacle.BINARY)
    if encoding == b"quoted-printable":
        return Encoding.MENDED
    if encoding not in _CONVERTIBLE:
        raise Unconvertible(Obstacle.ENCODED)
    if part.main != b"text":
        return Encoding.BASE64
    size = part.end - (part.body or 0)
    return Encoding.QUOTED_PRINTABLE if part.costly <= size * _DEAR else Encoding.BASE64


def _edits(part: Part, encoding: Encoding | None) -> list[Edit]:
    """Those of one part: its header section, and its body where that is encoded."""
    if part.body is None:
        raise Unconvertible(Obstacle.BROKEN, Flaw.HEAD)
    edits: list[Edit] = []
    word = b"7bit"
    if encoding is not None:
        word = b"base64" if encoding is Encoding.BASE64 else b"quoted-printable"
        # Base64 has no line ends of its own: behind the last line stands a delimiter's CR LF, or one of ours.
        behind = b"\r\n" if encoding is Encoding.BASE64 and part.is_last else b""
        edits.append(Edit(part.body, part.end, behind, encoding))
    head = part.head
    if (was := head.transfer) is not None:
        if head.encoding != word:
            edits.append(Edit(was.start, was.end, b"Content-Transfer-Encoding: " + word + b"\r\n"))
        added = b""
    else:
        added = b"" if encoding is None else b"Content-Transfer-Encoding: " + word + b"\r\n"
    added = _as_mime(part, head) + added
    if added:
        edits.append(Edit(part.body - 2, part.body - 2, added))  # In front of the empty line.
    return edits


def _as_mime(part: Part, head: Head) -> bytes:
    """The fields that make a message one of MIME, so that what is encoded is decoded (RFC 2045 4, RFC 1428 3)."""
    if not part.is_message or head.version is not None:
        return b""
    if head.content_type is not None:
        return b"MIME-Version: 1.0\r\n"
    return b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
