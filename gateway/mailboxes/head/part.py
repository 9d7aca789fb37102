"""One part of a message, as IMAP counts them (RFC 3501 6.4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from gateway.mailboxes.head.fields import Fields
from gateway.mailboxes.head.parameter import Pairs

NO_TYPE: Final[tuple[bytes, bytes, Pairs]] = (b"", b"", ())


class Kind(IntEnum):
    """How a part is built. The numbers are kept with each message."""

    LEAF = 0
    MULTIPART = 1
    MESSAGE = 2  # message/rfc822: its one inner part is the message.


@dataclass(slots=True)
class Part:
    """A part while it is read, and afterwards. Octets of the message: its header section lies from `start` to `body`,
    the empty line included, its body to `end`. `lines` are those of the body. `type`: main type, subtype, parameters;
    empty where it has none that can be read: then it is a plain text, or in a digest a message.
    """

    start: int
    body: int = 0
    end: int = 0
    lines: int = 0
    kind: Kind = Kind.LEAF
    type: tuple[bytes, bytes, Pairs] = NO_TYPE
    fields: Fields = field(default_factory=dict)
    inner: list[Part] = field(default_factory=list)
    in_digest: bool = False
    boundary: bytes | None = None  # While it counts.
    has_head: bool = False  # Its header section was read; else it has ended before that.
