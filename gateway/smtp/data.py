"""The octets after DATA: finding their end, taking the dots out, judging line endings (RFC 5321 4.5.2, 2.3.8). Pure."""

from __future__ import annotations

import re

from gateway.mail.reply import BARE_NEWLINE, LINE_OVER_LIMIT, TOO_LARGE, Reply

_END = b"\r\n.\r\n"
_PREFIXES = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")  # Longest first: what may turn out to be the end.
_NEWLINES = re.compile(rb"\r\n|\r|\n")


class DataReader:
    """Feed it blocks as they come; it gives the content in them, until `ended`.

    Only CR LF . CR LF ends the data, whatever else looks like it: an ending that we saw and the client did not, or the
    other way round, would let a message smuggle a second one. After a `fault` the rest is read and dropped, so that
    the session stays in step.
    """

    __slots__ = ("_carry", "_first", "_line", "_max_line", "_max_size", "_normalize", "ended", "fault", "rest", "size")

    def __init__(self, *, normalize: bool, max_size: int, max_line: int | None) -> None:
        self._normalize = normalize
        self._max_size = max_size
        self._max_line = max_line
        self._carry = b"\r\n"  # The end of the line DATA: a dot right behind it ends an empty message.
        self._first = True
        self._line = 0  # Octets of the line under way.
        self.ended = False
        self.fault: Reply | None = None
        self.rest = b""
        self.size = 0

    def feed(self, block: bytes) -> bytes:
        """The content in `block`, dots taken out; octets that may belong to the end stay back for the next block."""
        octets = self._carry + block
        # Each look at a large message costs; where no line begins with a dot, and at the end of most, one is enough.
        dot = octets.find(b"\r\n.")
        end = -1 if dot < 0 else octets.find(_END, dot)
        if end >= 0:
            self.ended = True
            self.rest = octets[end + 5 :]
            piece = octets[: end + 2]
        else:
            for prefix in _PREFIXES:
                if octets.endswith(prefix):
                    self._carry = prefix
                    piece = octets[: -len(prefix)]
                    break
            else:
                self._carry = b""
                piece = octets
        if not piece:
            return b""
        return self._judge(piece, dotted=0 <= dot < len(piece) - 2)

    def _judge(self, piece: bytes, *, dotted: bool) -> bytes:
        """`dotted`: a line in it begins with a dot."""
        rest = piece.replace(b"\r\n", b"")
        bare = b"\r" in rest or b"\n" in rest
        if dotted:
            piece = piece.replace(b"\r\n.", b"\r\n")
        if self._first:
            self._first = False
            piece = piece[2:]
        if bare:
            if not self._normalize:
                self.fault = BARE_NEWLINE  # Over any other: it alone ends the session.
            piece = _NEWLINES.sub(b"\r\n", piece)
        if self._max_line is not None and self._longest(piece) > self._max_line:
            self.fault = self.fault or LINE_OVER_LIMIT
        self.size += len(piece)
        if self.size > self._max_size:
            self.fault = self.fault or TOO_LARGE
        return b"" if self.fault else piece

    def _longest(self, piece: bytes) -> int:
        """Octets of the longest line that ends or goes on in `piece`, without its CR LF."""
        lines = piece.split(b"\n")
        lengths = [len(line) for line in lines]
        lengths[0] += self._line
        self._line = lengths[-1]
        return max(length - 1 for length in lengths[:-1]) if len(lengths) > 1 else self._line
