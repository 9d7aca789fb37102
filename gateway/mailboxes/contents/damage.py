"""What is wrong with one stored message, by name. The others read on."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

HEAD: Final = "head"  # What is kept beside a message, and can be read anew from it.


class Damage(StrEnum):
    """The same words in log, IMAP answer and `gateway mailbox verify`."""

    FLIPPED = "flipped"  # Octets were changed, or belong to another message.
    SWAPPED = "swapped"  # Chunks of this message stand in each other's places.
    DUPLICATED = "duplicated"  # One chunk stands in two places.
    MISSING = "missing"
    TRUNCATED = "truncated"
    EXTENDED = "extended"  # Octets were added behind it.
    UNKNOWN = "unknown"  # A version mark that this gateway does not know.


class Damaged(Exception):
    """A content that does not open. A value too: `Contents.read_many` gives it in a message's place.

    `content` is the content's id in hex, `part` is "map", "head" or "chunk N of M" counted from 1.
    """

    def __init__(self, content: bytes, damage: Damage, part: str, why: str) -> None:
        super().__init__(f"the stored content {content.hex()} is damaged: its {part} {why}")
        self.content = content.hex()
        self.damage = damage
        self.part = part
