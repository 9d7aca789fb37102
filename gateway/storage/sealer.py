"""What storage asks of keys: to seal what it writes, to open what it reads, and blind search tokens."""

from __future__ import annotations

from typing import Protocol


class SealBroken(Exception):
    """Sealed octets that do not open: damaged, moved from another record, or of an unknown key."""


class KeysClosed(Exception):
    """The keys are not at hand: their vault is away for too long, or says no. Passing; nothing was sealed or opened.

    The text is for people and names vault and key. Whoever meets it leaves everything as it was and asks again later.
    """


class Segments(Protocol):
    """Seals or opens one long content in pieces, in their order of writing; each piece knows its place."""

    @property
    def start(self) -> bytes:
        """What stands in front of the first piece (version mark, key version, salt)."""

    def seal(self, place: int, last: bool, plain: bytes | memoryview) -> bytes:
        """The sealed piece, `OVERHEAD` octets longer."""

    def open(self, place: int, last: bool, sealed: bytes | memoryview) -> bytes:
        """The plain piece. Raises SealBroken."""


class Sealer(Protocol):
    """AES-256-GCM with purpose and record as associated data: nothing can be moved from one record to another.

    Every call raises KeysClosed while the purpose's keys are not at hand.
    """

    def check(self, purpose: str) -> None:
        """Return where what has that purpose can be sealed now."""

    def seal(self, purpose: str, record: str, plain: bytes) -> bytes:
        """Octets that only `open` with the same purpose and record can read."""

    def open(self, purpose: str, record: str, sealed: bytes) -> bytes:
        """The plain octets. Raises SealBroken."""

    def segments(self, purpose: str, record: str, start: bytes | None = None) -> Segments:
        """For writing (`start` None), or for reading what begins with `start`. Raises SealBroken."""

    def token(self, purpose: str, value: str) -> int:
        """A signed 64-bit number that stands for `value` in an index and tells nothing without the key."""
