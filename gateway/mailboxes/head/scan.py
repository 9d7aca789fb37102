"""The parts of a message, found while its octets come (RFC 2046 5.1), as an IMAP client counts them.

`gateway.mail.mime.walk` reads what may be edited, strictly; this reads what is shown: lines may end with LF alone, a
line is a delimiter if it begins with one (RFC 2046 5.1.1), and what breaks the rules stays text of the part it is in.
Memory is bounded by one block and what is told of the parts, whatever the message.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.mailboxes.head.fields import fields_of, text_of
from gateway.mailboxes.head.parameter import typed
from gateway.mailboxes.head.part import NO_TYPE, Kind, Part

MAX_DEPTH: Final = 100  # Parts in each other; beyond it nothing is looked into. Real mail stays below ten.
MAX_PARTS: Final = 2000  # What would be one more is text of the last.
MAX_SECTION: Final = 256 * 1024  # Octets of one header section that are read.
MAX_SECTIONS: Final = 2 << 20  # And of all of them.
MAX_BOUNDARY: Final = 200  # RFC 2046 5.1.1 has 70.
_LINE: Final = MAX_BOUNDARY + 6  # Octets of a line that decide whether it is a delimiter.

_HEAD_END = re.compile(rb"\n\r?\n")
_HEAD_END_OR_DASHES = re.compile(rb"\n(?:\r?\n|--)")


class Scan:
    """Made for one message: `feed` it all octets in order, in pieces as they come, then ask `end` for the whole."""

    def __init__(self) -> None:
        self._root = Part(0)
        self._stack = [self._root]
        self._pending = b""
        self._at = 0  # Where the octets begin that are being looked at.
        self._counted = self._lines = 0  # So many line ends lie in front of the octet `_counted`.
        self._parts = 1
        self._sections = 0  # Octets of header sections that were read.
        self._active: list[tuple[bytes, int]] = []  # Boundaries that count, and their places in the stack.
        self._in_head = True
        self._fresh = True  # What comes next begins a line.
        self._skips = False  # What comes next belongs to a delimiter's line.
        self._section: list[bytes] = []  # Of the header section under way, when it comes in pieces.

    def feed(self, octets: bytes) -> None:
        """Take the next octets."""
        if octets:
            self._go(self._pending + octets if self._pending else octets, done=False)

    def end(self) -> Part:
        """The message, after the last octet. To be called once."""
        data = self._pending
        self._go(data, done=True)
        size = self._at
        while self._stack:
            self._close(data, size)
        return self._root

    def _go(self, data: bytes, *, done: bool) -> None:
        base = self._at
        place = 0
        more = True
        while more:
            if self._skips:
                place, more = self._skip(data, base, place)
            elif self._in_head:
                place, more = self._go_head(data, base, place, done)
            else:
                place, more = self._go_body(data, base, place, done)
        self._count(data, base + place)
        self._at = base + place
        self._pending = data[place:]

    def _count(self, data: bytes, upto: int) -> int:
        """How many line ends lie in front of that octet of the message, which is in `data` or where it ends, and in
        front of none that was asked for before.
        """
        base = self._at
        if upto > self._counted:
            self._lines += data.count(b"\n", self._counted - base, upto - base)
            self._counted = upto
        return self._lines

    def _skip(self, data: bytes, base: int, place: int) -> tuple[int, bool]:
        """The rest of a delimiter's line, whatever it says."""
        end = data.find(b"\n", place)
        after = len(data) if end < 0 else end + 1
        if self._in_head:
            self._stack[-1].start = base + after
        self._skips = end < 0
        return after, end >= 0

    # -- header sections ----------------------------------------------------------------------------------------------

    def _go_head(self, data: bytes, base: int, place: int, done: bool) -> tuple[int, bool]:
        """Look for the end of the header section that goes on at `place`. Where to go on, and whether it makes sense.

        A delimiter of what the part lies in ends it as well; the line end in front of it is the delimiter's.
        """
        line = place
        if self._fresh and not self._section:  # The first line.
            if data.startswith((b"\n", b"\r\n"), place):
                return self._end_head(data, base, place, place, data.index(b"\n", place) + 1), True
            if self._active and data.startswith(b"--", place):
                ended = data.find(b"\n", place) >= 0 or len(data) - place > _LINE
                if not ended and not done:
                    return place, False
                if (level := self._delimiter(data, place)) is not None:
                    self._end_head(data, base, place, place, place)
                    return self._meet(data, base, place, place, level), True
            elif not done and data[place:] in (b"", b"\r", b"-"):
                return place, False
        pattern = _HEAD_END_OR_DASHES if self._active else _HEAD_END
        while (match := pattern.search(data, line)) is not None:
            if not match[0].endswith(b"-"):
                return self._end_head(data, base, place, match.start() + 1, match.end()), True
            begin = match.end() - 2
            if data.find(b"\n", begin) < 0 and len(data) - begin <= _LINE and not done:
                return self._keep_head(data, place, match.start()), False
            if (level := self._delimiter(data, begin)) is not None:
                end = _before(data, begin, place)
                self._end_head(data, base, place, end, end)
                return self._meet(data, base, begin, end, level), True
            line = begin
        if done:
            self._end_head(data, base, place, len(data), len(data))
            return len(data), False
        last = data.rfind(b"\n", max(place, len(data) - 3))
        return self._keep_head(data, place, len(data) if last < 0 else last), False

    def _keep_head(self, data: bytes, place: int, upto: int) -> int:
        """What lies in front of `upto` is header section, whatever comes."""
        if upto > place and data[upto - 1] == 13:
            upto -= 1
        if upto > place:
            self._section.append(data[place:upto] if sum(map(len, self._section)) < MAX_SECTION else b"")
            self._fresh = False
        return upto

    def _end_head(self, data: bytes, base: int, place: int, end: int, body: int) -> int:
        """The innermost part's header section ends in front of `end`, its body begins at `body`."""
        part = self._stack[-1]
        if self._section:
            section = b"".join([*self._section, data[place:end]])
            self._section = []
        else:
            section = data[place:end]
        room = min(MAX_SECTION, MAX_SECTIONS - self._sections)
        section = section[:room]
        self._sections += len(section)
        part.fields = fields_of(section)
        part.has_head = True
        part.body = base + body
        part.lines = -self._count(data, base + body)  # Those of the body are told when it ends.
        self._in_head = False
        self._fresh = True
        self._settle(part)
        return body

    def _settle(self, part: Part) -> None:
        """What kind of part it is, now that its header is known."""
        value = text_of(part.fields, b"content-type")
        if value is not None:
            part.type = typed(value) or NO_TYPE
        main, sub = part.type[0].lower(), part.type[1].lower()
        if value is None and part.in_digest:  # RFC 2046 5.1.5
            main, sub = b"message", b"rfc822"
        if main == b"message" and sub == b"rfc822":
            if len(self._stack) < MAX_DEPTH and self._parts < MAX_PARTS:
                part.kind = Kind.MESSAGE
                self._begin(part, part.body)
        elif main == b"multipart" and len(self._stack) < MAX_DEPTH:
            part.kind = Kind.MULTIPART
            for name, value in part.type[2]:
                if name.lower().rstrip(b"*") == b"boundary" and (boundary := value.rstrip(b" \t")):
                    part.boundary = boundary[:MAX_BOUNDARY]
                    self._arrange()
                    break

    # -- bodies -------------------------------------------------------------------------------------------------------

    def _go_body(self, data: bytes, base: int, place: int, done: bool) -> tuple[int, bool]:
        """Look for the delimiter that ends the body at `place`. Where to go on, and whether it makes sense."""
        if not self._active:
            self._fresh = False
            return len(data), False
        if self._fresh:
            if data.startswith(b"--", place):
                if data.find(b"\n", place) < 0 and len(data) - place <= _LINE and not done:
                    return place, False
                if (level := self._delimiter(data, place)) is not None:
                    return self._meet(data, base, place, place, level), True
            elif not done and data[place:] in (b"", b"-"):
                return place, False
            self._fresh = False
        line = place
        while (found := data.find(b"\n--", line)) >= 0:
            begin = found + 1
            if data.find(b"\n", begin) < 0 and len(data) - begin <= _LINE and not done:
                return _before(data, begin, place), False
            if (level := self._delimiter(data, begin)) is not None:
                return self._meet(data, base, begin, _before(data, begin, place), level), True
            line = begin
        if done:
            return len(data), False
        keep = len(data)
        for tail in (b"\n-", b"\n", b"\r"):
            if data.endswith(tail) and keep - len(tail) >= place:
                keep -= len(tail)
                if tail != b"\r" and keep > place and data[keep - 1] == 13:
                    keep -= 1
                break
        return keep, False

    # -- the stack ----------------------------------------------------------------------------------------------------

    def _delimiter(self, data: bytes, begin: int) -> int | None:
        """The place in the stack of the multipart whose delimiter the line at `begin` is, or begins with. Of several
        the longest, and the innermost of those (RFC 2046 5.1.1, 5.1.2).
        """
        if self._parts >= MAX_PARTS:
            return None
        best: int | None = None
        length = 0
        for boundary, level in self._active:
            if len(boundary) > length and data.startswith(boundary, begin + 2):
                best, length = level, len(boundary)
        return best

    def _meet(self, data: bytes, base: int, begin: int, before: int, level: int) -> int:
        """A delimiter at `begin`, with its line end at `before`: what lies in its multipart ends, and a part begins or
        none comes any more. Where the next line begins, as far as it is there.

        Right behind another delimiter's line, or an empty line that ended a header section, a delimiter has no line
        end of its own. Behind the last delimiter of an inner multipart RFC 2046 5.1.1 would give it that one's; the
        servers that clients know leave it there, and sizes have to be theirs.
        """
        while len(self._stack) > level + 1:
            self._close(data, base + before)
        multipart = self._stack[level]
        boundary = multipart.boundary or b""
        end = data.find(b"\n", begin)
        self._skips = end < 0
        after = len(data) if end < 0 else end + 1
        if data.startswith(b"--", begin + 2 + len(boundary)):
            multipart.boundary = None  # What follows is its epilogue.
            self._fresh = True
        else:
            self._begin(multipart, base + after)
        self._arrange()
        return after

    def _begin(self, parent: Part, start: int) -> None:
        in_digest = parent.kind is Kind.MULTIPART and parent.type[1].lower() == b"digest"
        part = Part(start, in_digest=in_digest)
        parent.inner.append(part)
        self._stack.append(part)
        self._parts += 1
        self._in_head = True
        self._fresh = True

    def _close(self, data: bytes, end: int) -> None:
        """The innermost part ends in front of that octet of the message."""
        part = self._stack.pop()
        self._in_head = False
        if part.has_head:
            part.end = max(part.body, end)
            part.lines += self._count(data, part.end)
        else:
            part.body = part.end = part.start

    def _arrange(self) -> None:
        self._active = [
            (part.boundary, level) for level, part in enumerate(self._stack) if part.boundary is not None
        ][::-1]  # fmt: skip


def _before(data: bytes, begin: int, least: int) -> int:
    """Where the line end in front of the line at `begin` starts; it belongs to the delimiter (RFC 2046 5.1.1)."""
    place = begin
    if place > least and data[place - 1] == 10:
        place -= 1
        if place > least and data[place - 1] == 13:
            place -= 1
    return place
