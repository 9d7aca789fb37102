"""Octets in a buffer of their own, which are worked on in their place: what is large is in memory once."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO


@dataclass(frozen=True, slots=True)
class Stretch:
    """`size` octets of `buffer` from `start` on. Nobody else writes into the buffer."""

    buffer: BytesIO = field(repr=False)
    start: int
    size: int

    @classmethod
    def of(cls, octets: bytes) -> Stretch:
        """These octets, all of them."""
        return cls(BytesIO(octets), 0, len(octets))

    def view(self) -> memoryview:
        """A view that may be written through. None may be left when `cut` is called."""
        return self.buffer.getbuffer()[self.start : self.start + self.size]

    def cut(self, start: int, size: int) -> bytes:
        """`size` octets of it, from its octet `start` on, without a copy; the buffer is of no use afterwards."""
        with self.buffer.getbuffer() as whole:
            whole[:size] = whole[self.start + start : self.start + start + size]
        self.buffer.truncate(size)
        return self.buffer.getvalue()
