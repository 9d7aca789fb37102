"""A message that comes in chunks (RFC 3030 2): its octets, judged as those after DATA are, and what is known of it.

How long a chunk is stands before it, so nothing in it ends it and no dots are taken out. Bare CR and LF are judged all
the same, across the borders of chunks: the message leaves by DATA, where the next hop would have to tell its end.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.smtp.data import DataReader
from gateway.smtp.desk import Arrival


class ChunkReader(DataReader):
    """Feed it the octets of all chunks, then `end`; it gives the content. A `fault` is told as soon as it is seen."""

    __slots__ = ("_mid_line",)

    def __init__(self, *, normalize: bool, max_size: int, max_line: int | None) -> None:
        super().__init__(normalize=normalize, max_size=max_size, max_line=max_line)
        self._carry = b""
        self._first = False
        self._mid_line = False

    def feed(self, block: bytes) -> bytes:
        """The content in `block`; a CR at its end stays back, for its LF may be the first octet of the next."""
        octets = self._carry + block
        if octets.endswith(b"\r"):
            self._carry = b"\r"
            octets = octets[:-1]
        else:
            self._carry = b""
        return self._given(octets) if octets else b""

    def end(self) -> bytes:
        """The last octets of the message.

        One that does not end with CR LF gets it, as Postfix and Exchange have it: it can't leave by DATA otherwise
        (RFC 5321 4.1.1.4), and signatures by DKIM count the last line as ended in any case. An empty one stays empty.
        """
        last = self._given(self._carry) if self._carry else b""
        self._carry = b""
        self.ended = True
        return last + self._given(b"\r\n") if self._mid_line else last

    def _given(self, octets: bytes) -> bytes:
        piece = self._judge(octets, dotted=False)
        if piece:
            self._mid_line = not piece.endswith(b"\n")
        return piece


@dataclass(frozen=True, slots=True)
class Chunked:
    """The message under way. `until` is its deadline on the monotonic clock."""

    arrival: Arrival
    reader: ChunkReader
    until: float
