"""What is kept beside a message, so that it is listed without being read again (RFC 3501 7.4.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from gateway.mail.reading.transfer import Encoding, encoding_of
from gateway.mailboxes.head.body_structure import bodies
from gateway.mailboxes.head.envelope import envelope
from gateway.mailboxes.head.fields import text_of
from gateway.mailboxes.head.part import Kind, Part
from gateway.mailboxes.head.scan import Scan

VERSION: Final = 1
# Version, size of the message, where its body begins, octets of ENVELOPE, BODY, BODYSTRUCTURE, number of parts.
_FRONT = struct.Struct(">BQIIIII")
# A part: kind, encoding, place of what it lies in, start of its header section, of its body, and its end.
_PART = struct.Struct(">BBIQQQ")
_NOBODY: Final = 0xFFFFFFFF

# By number, as it is kept. None: one that is not known, so that only the octets as they are can be given.
ENCODINGS: Final[tuple[Encoding | None, ...]] = (Encoding.NONE, Encoding.BASE64, Encoding.QUOTED, None)


class BadHead(ValueError):
    """These octets are no head, or one of a version that is not known."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part lies: its header section begins at octet `start`, its body at `body`, and ends before `end`."""

    kind: Kind
    encoding: Encoding | None
    start: int
    body: int
    end: int
    inner: tuple[int, ...]  # Places in `Head.places`.


@dataclass(frozen=True, slots=True)
class Head:
    """A message's form. `envelope`, `body` and `body_structure` are ready for IMAP; `size` is the message's, `top` that
    of its header section with the empty line, both in octets.
    """

    size: int
    top: int
    envelope: bytes
    body: bytes
    body_structure: bytes
    table: bytes = b""  # The parts, as they are kept; `places` reads them.

    @classmethod
    def of(cls, octets: bytes) -> Head:
        """Read the message `octets`. Never fails, whatever they are. Costs about 100 us for 20 KiB."""
        scan = Scan()
        scan.feed(octets)
        return cls.of_parts(scan.end())

    @classmethod
    def of_parts(cls, root: Part) -> Head:
        """The form of a message whose parts were found."""
        rows: list[bytes] = []
        _rows(root, _NOBODY, rows)
        plain, extended = bodies(root)
        return cls(root.end, root.body, envelope(root.fields), plain, extended, b"".join(rows))

    def to_octets(self) -> bytes:
        """What `from_octets` reads. It is content: to be sealed wherever it is kept."""
        front = _FRONT.pack(
            VERSION,
            self.size,
            self.top,
            len(self.envelope),
            len(self.body),
            len(self.body_structure),
            len(self.table) // _PART.size,
        )
        return b"".join((front, self.envelope, self.body, self.body_structure, self.table))

    @classmethod
    def from_octets(cls, octets: bytes) -> Head:
        """The head that `to_octets` gave. Raises BadHead."""
        if len(octets) < _FRONT.size or octets[0] != VERSION:
            raise BadHead("these octets are no head of a message, or one of a newer gateway")
        _, size, top, first, second, third, parts = _FRONT.unpack_from(octets)
        one = _FRONT.size + first
        two = one + second
        three = two + third
        if len(octets) != three + parts * _PART.size or not parts:
            raise BadHead("the head of a message is cut off, or longer than it says")
        return cls(size, top, octets[_FRONT.size : one], octets[one:two], octets[two:three], octets[three:])

    @property
    def places(self) -> tuple[Place, ...]:
        """The parts, the message itself first. Raises BadHead."""
        rows = list(_PART.iter_unpack(self.table))
        inner: list[list[int]] = [[] for _ in rows]
        for number, row in enumerate(rows):
            if row[2] != _NOBODY:
                if row[2] >= number:
                    raise BadHead("the head of a message has a part that lies in none before it")
                inner[row[2]].append(number)
        try:
            return tuple(
                [
                    Place(Kind(kind), ENCODINGS[encoding], start, body, end, tuple(inner[number]))
                    for number, (kind, encoding, _, start, body, end) in enumerate(rows)
                ]
            )
        except (ValueError, IndexError):
            raise BadHead("the head of a message has a part of a kind that is not known") from None


def _rows(part: Part, parent: int, rows: list[bytes]) -> None:
    value = text_of(part.fields, b"content-transfer-encoding")
    encoding = Encoding.NONE if value is None else encoding_of(value)
    number = len(rows)
    known = ENCODINGS.index(encoding) if encoding in ENCODINGS else ENCODINGS.index(None)
    rows.append(_PART.pack(part.kind, known, parent, part.start, part.body, part.end))
    for one in part.inner:
        _rows(one, number, rows)
