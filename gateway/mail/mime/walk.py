"""A walk over a message in blocks: its parts, and where each begins and ends (RFC 2046 5.1).

The memory that it takes is bounded by the parts (MAX_PARTS) and one header section (MAX_HEAD), whatever the message.
"""

from __future__ import annotations

from typing import Final

from gateway.mail.message import MAX_HEAD
from gateway.mail.mime.head import Head, head_of
from gateway.mail.mime.part import Flaw, Kind, Part, Walked

MAX_DEPTH = 50  # Parts in each other; beyond it nothing is looked into. Real mail stays below ten.
MAX_PARTS = 10_000
MAX_LINE = 1000  # RFC 5321 4.5.3.1.6; a longer line is no delimiter.

_IDENTITY: Final = frozenset((b"7bit", b"8bit", b"binary"))
_PLAIN: Final = bytes(range(32, 61)) + bytes(range(62, 127)) + b"\r\n\t"  # RFC 2045 6.7, rules 2 to 4.
_NONE: Final = Head(is_sound=True)


class _Open:
    """A part that has not ended yet. `number` is its place in the list; `body` is None until its head has ended."""

    __slots__ = ("beyond", "body", "boundary", "costly", "flaw", "head", "head_beyond", "is_message", "kind", "main",
                 "number", "parent", "start", "sub")  # fmt: skip

    def __init__(self, number: int, parent: int | None, start: int, *, is_message: bool, main: bytes) -> None:
        self.number = number
        self.parent = parent
        self.start = start
        self.is_message = is_message
        self.main = b"text" if main != b"message" else main  # What it is by default (RFC 2046 5.1.5, RFC 2045 5.2).
        self.sub = b"plain" if main != b"message" else b"rfc822"
        self.body: int | None = None
        self.head = _NONE
        self.kind = Kind.LEAF
        self.boundary: bytes | None = None
        self.beyond = self.head_beyond = False
        self.costly = 0
        self.flaw: Flaw | None = None


class Walk:
    """Made for one message: `feed` it all octets in order, in pieces as they come, then ask `end` for the parts."""

    def __init__(self) -> None:
        self._parts: list[Part | None] = []
        self._stack: list[_Open] = []
        self._active: dict[bytes, int] = {}  # Boundaries that count now, and their places in the stack.
        self._pending = b""
        self._at = 0  # Where `_pending` begins in the message.
        self._fresh = True  # `_pending` begins at the start of a line.
        self._seen = 0  # Octets of `_pending` that were looked through already while a head goes on.
        self._in_head = True
        self._returns = self._feeds = self._pairs = 0
        self._last = 0  # The last octet of the block before.
        self._flaw: Flaw | None = None
        self._begin(0, is_message=True, main=b"")

    def feed(self, octets: bytes) -> None:
        """Take the next octets."""
        if not octets:
            return
        self._count(octets)
        self._go(self._pending + octets if self._pending else octets, done=False)

    def end(self) -> Walked:
        """The parts, after the last octet. To be called once."""
        self._go(self._pending, done=True)
        size = self._at + len(self._pending)
        while self._stack:
            self._close(size, is_last=True)
        if not self._returns == self._feeds == self._pairs:
            self._flaw = self._flaw or Flaw.LINES
        return Walked(parts=tuple(part for part in self._parts if part is not None), size=size, flaw=self._flaw)

    def _count(self, octets: bytes) -> None:
        self._returns += octets.count(b"\r")
        self._feeds += octets.count(b"\n")
        self._pairs += octets.count(b"\r\n") + (self._last == 13 and octets[0] == 10)
        self._last = octets[-1]

    def _go(self, data: bytes, *, done: bool) -> None:
        """Look through `data`, and keep what is not decided yet; with `done` everything is decided."""
        place = 0
        while True:
            if self._in_head:
                place, more = self._go_head(data, place, done=done)
            else:
                place, more = self._go_body(data, place, done=done)
            if not more:
                break
        self._pending = data[place:]
        self._at += place

    # -- header sections ----------------------------------------------------------------------------------------------

    def _go_head(self, data: bytes, place: int, *, done: bool) -> tuple[int, bool]:
        """Look for the end of the header section that begins at `place`. Where to go on, and whether it makes sense."""
        line = place + self._seen
        while True:
            end = data.find(b"\r\n", line)
            if end < 0:
                break
            if end == line:
                self._end_head(data[place:line], self._at + place, self._at + line + 2)
                return line + 2, True
            if data.startswith(b"--", line) and (level := self._delimiter(data[line:end])) is not None:
                self._end_head(data[place:line], self._at + place, None)
                self._meet(level, data[line:end], self._at + line, self._at + end + 2)
                return end + 2, True
            line = end + 2
            if line - place > MAX_HEAD:
                break
        if line - place > MAX_HEAD or len(data) - place > MAX_HEAD + MAX_LINE:
            # Nobody can say what follows; it counts as a body that is not to be touched.
            self._end_head(b"", self._at + place, self._at + place)
            self._stack[-1].flaw = Flaw.LONG_HEAD
            return place, True
        if done:
            rest = data[line:]
            if rest.startswith(b"--") and (level := self._delimiter(rest)) is not None:
                self._end_head(data[place:line], self._at + place, None)
                self._meet(level, rest, self._at + line, self._at + len(data))
            else:
                self._end_head(data[place:], self._at + place, None)
            return place, False
        self._seen = line - place
        return place, False

    def _end_head(self, section: bytes, start: int, body: int | None) -> None:
        """The innermost part's head is known: what kind of part it is."""
        one = self._stack[-1]
        self._seen = 0
        self._in_head = False
        self._fresh = True
        one.body = body
        one.head = head = head_of(section, start)
        one.head_beyond = not section.isascii()
        if head.main:
            one.main, one.sub = head.main, head.sub
        if not head.is_sound:
            one.flaw = Flaw.HEAD
        if body is None:
            return
        composite = one.main == b"multipart" or (one.main == b"message" and one.sub in (b"rfc822", b"news"))
        if not composite:
            return
        if head.encoding not in _IDENTITY:  # RFC 2045 6.4 forbids it, and what is encoded can't be looked into.
            one.flaw = one.flaw or Flaw.ENCODED
        elif len(self._stack) >= MAX_DEPTH:
            one.flaw = one.flaw or Flaw.DEEP
        elif one.main == b"message":
            one.kind = Kind.MESSAGE
            self._begin(body, is_message=True, main=b"")
        elif head.boundary is not None:
            one.kind = Kind.MULTIPART
            one.boundary = head.boundary
            if head.boundary in self._active:
                self._flaw = self._flaw or Flaw.BOUNDARY
            self._arrange()

    # -- bodies -------------------------------------------------------------------------------------------------------

    def _go_body(self, data: bytes, place: int, *, done: bool) -> tuple[int, bool]:
        """Look for the delimiter that ends the body at `place`. Where to go on, and whether it makes sense."""
        while True:
            candidate = self._candidate(data, place, done=done)
            if candidate < 0:  # Nothing here; a beginning of CR LF -- at the end has to wait.
                rest = len(data) if done else ~candidate
                self._own(data, place, rest)
                self._fresh = self._fresh and rest == place
                return rest, False
            end = data.find(b"\r\n", candidate)
            if end < 0 and not done and len(data) - candidate <= MAX_LINE:
                # Up to here it is body in any case; the CR LF in front stays with it for the time being.
                self._own(data, place, candidate)
                self._fresh = True
                return candidate, False
            stop = len(data) if end < 0 else end
            level = self._delimiter(data[candidate:stop]) if stop - candidate <= MAX_LINE else None
            if level is None:
                self._own(data, place, stop)
                self._fresh = False
                place = stop
                continue
            self._own(data, place, candidate)
            after = len(data) if end < 0 else end + 2
            self._meet(level, data[candidate:stop], self._at + candidate, self._at + after)
            return after, True

    def _candidate(self, data: bytes, place: int, *, done: bool) -> int:
        """Where a line begins that may be a delimiter; else ~n, where n is how far nothing of one can begin."""
        if not self._active:
            return ~len(data)
        if self._fresh:
            if data.startswith(b"--", place):
                return place
            if not done and data[place:] in (b"", b"-"):
                return ~place
        found = data.find(b"\r\n--", place)
        if found >= 0:
            return found + 2
        for keep in (3, 2, 1):
            if data.endswith(b"\r\n-"[:keep]) and len(data) - keep >= place:
                return ~(len(data) - keep)
        return ~len(data)

    def _own(self, data: bytes, start: int, end: int) -> None:
        """These octets are the innermost part's own."""
        if end <= start:
            return
        octets = data[start:end]
        one = self._stack[-1]
        if not octets.isascii():
            one.beyond = True
        if one.kind is Kind.LEAF and one.main == b"text":
            one.costly += len(octets.translate(None, _PLAIN))

    # -- the stack ----------------------------------------------------------------------------------------------------

    def _delimiter(self, line: bytes) -> int | None:
        """The place in the stack of the multipart that `line` belongs to; it may end it as well."""
        bare = line[2:].rstrip(b" \t")
        level = self._active.get(bare)
        if level is None and bare.endswith(b"--"):
            level = self._active.get(bare[:-2])
        return level

    def _meet(self, level: int, line: bytes, start: int, after: int) -> None:
        """A delimiter, from octet `start` to `after`: everything inside ends, and a part begins or none comes any more.

        A delimiter of an outer multipart ends inner ones as well, whether they were ended or not (RFC 2046 5.1.2).
        """
        while len(self._stack) > level + 1:
            self._close(start - 2, is_last=False)
        one = self._stack[level]
        self._fresh = True
        self._in_head = False
        if line[2:].rstrip(b" \t") != one.boundary:
            one.boundary = None  # What follows is its epilogue.
            self._arrange()
        elif len(self._parts) >= MAX_PARTS:
            self._flaw = self._flaw or Flaw.MANY
            for open_ in self._stack:
                open_.boundary = None
            self._arrange()
        else:
            self._arrange()
            self._begin(after, is_message=False, main=b"message" if one.sub == b"digest" else b"")

    def _begin(self, start: int, *, is_message: bool, main: bytes) -> None:
        parent = self._stack[-1].number if self._stack else None
        self._stack.append(_Open(len(self._parts), parent, start, is_message=is_message, main=main))
        self._parts.append(None)
        self._in_head = True
        self._seen = 0

    def _close(self, end: int, *, is_last: bool) -> None:
        """The innermost part ends, in front of octet `end`."""
        one = self._stack.pop()
        begin = one.start if one.body is None else one.body
        self._parts[one.number] = Part(
            parent=one.parent,
            kind=one.kind,
            head=one.head,
            main=one.main,
            sub=one.sub,
            start=one.start,
            body=one.body,
            end=max(begin, end),
            beyond=one.beyond,
            head_beyond=one.head_beyond,
            costly=one.costly,
            is_message=one.is_message,
            is_last=is_last,
            flaw=one.flaw,
        )

    def _arrange(self) -> None:
        self._active = {one.boundary: at for at, one in enumerate(self._stack) if one.boundary is not None}
