"""The parts of a message, as a walk over its octets finds them (RFC 2046)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.mail.mime.head import Head


class Flaw(StrEnum):
    """Why a structure is not what it should be, so that readers may differ about it."""

    HEAD = "a header section is broken or ambiguous"
    LONG_HEAD = "a header section is too long"
    DEEP = "parts lie too deep in each other"
    MANY = "there are too many parts"
    BOUNDARY = "a boundary is used twice"
    LINES = "a line ends with CR or LF alone"
    ENCODED = "a composite part has a transfer encoding"


class Kind(StrEnum):
    """How a part is built."""

    LEAF = "leaf"
    MULTIPART = "multipart"
    MESSAGE = "message"  # message/rfc822: its body is a message, the next part.


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part. The message itself is the first, with `parent` None; `parent` is a place in `Walked.parts`.

    Octets of the message: the header section begins at `start`, the body at `body`, and ends before `end`, which is in
    front of the CR LF that belongs to the next delimiter (RFC 2046 5.1.1). Without an empty line `body` is None.
    `beyond`: octets over 127 in its own body (of a multipart: before and behind its parts); `head_beyond`: in
    its header section. `costly`: octets of its own body that quoted-printable has to write as three.
    `is_message`: it is a whole message and no body part, so MIME-Version belongs there (RFC 2045 4). `is_last`: the
    body reaches the end of the whole.
    """

    parent: int | None
    kind: Kind
    head: Head
    main: bytes
    sub: bytes
    start: int
    body: int | None
    end: int
    beyond: bool = False
    head_beyond: bool = False
    costly: int = 0
    is_message: bool = False
    is_last: bool = False
    flaw: Flaw | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """A message's parts, in the order in which they begin. `flaw` concerns the whole."""

    parts: tuple[Part, ...]
    size: int
    flaw: Flaw | None = None

    @property
    def is_seven_bit(self) -> bool:
        """Whether all octets are ASCII."""
        return not any(part.beyond or part.head_beyond for part in self.parts)

    def line_of(self, place: int) -> list[Part]:
        """The part at `place` and all that it lies in, the outermost last."""
        line = []
        at: int | None = place
        while at is not None:
            line.append(self.parts[at])
            at = self.parts[at].parent
        return line
