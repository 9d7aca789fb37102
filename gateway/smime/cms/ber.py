"""BER, read (ITU-T X.690): definite and indefinite lengths, strings in pieces. Nothing is copied until it is asked for.

CMS may be BER (RFC 5652 10): what is written while it streams has indefinite lengths and its content in pieces. The
octets come from anybody: depth, number of elements and the size of what is small by nature are bounded, nothing
recurses but `definite`, which stops at `MOST_DEPTH`. Leaves out: tags over 30, which no structure of mail has.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from gateway.smime.cms import der
from gateway.smime.cms.findings import Finding, Unreadable

MOST_DEPTH: Final = 32  # A signed message has 12, its certificates some more.
MOST_ELEMENTS: Final = 600_000  # Of one structure: 36 MiB in pieces of 64 octets, under a second.
MOST_SMALL: Final = 64 * 1024  # Octets of a key, a name, a signature, an attribute.
MOST_MEMBERS: Final = 10_000  # Of a SET or SEQUENCE: recipients, above all.

CONSTRUCTED: Final = 0x20
_INDEFINITE: Final = 0x80
_MOST_LENGTH: Final = 8  # Octets of a length; some write four or eight always.


def broken() -> Unreadable:
    """For raising."""
    return Unreadable(Finding.STRUCTURE_BROKEN)


def read(octets: bytes | bytearray | memoryview) -> Element:
    """The element that `octets` begin with; what stands behind it is not looked at. Raises Unreadable."""
    return _Source(memoryview(octets).cast("B")).element(0, len(octets))


class _Source:
    """Octets, with the ends of indefinite elements that were found, and what may still be looked at."""

    __slots__ = ("ends", "left", "view")

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.ends: dict[int, int] = {}  # By where their contents begin.
        self.left = MOST_ELEMENTS

    def element(self, at: int, stop: int) -> Element:
        """The element at `at`, which ends before `stop`."""
        tag, body, length = self._head(at, stop)
        if length >= 0:
            return Element(self, tag, at, body, body + length, body + length)
        if body not in self.ends:
            self._find_ends(body, stop)
        end = self.ends[body]
        if end + 2 > stop:
            raise broken()
        return Element(self, tag, at, body, end, end + 2)

    def _head(self, at: int, stop: int) -> tuple[int, int, int]:
        """Tag, where the contents begin, how long they are (-1: until an end mark)."""
        self.left -= 1
        if self.left < 0:
            raise Unreadable(Finding.TOO_MANY_MEMBERS)
        body = at + 2
        if body > stop:
            raise broken()
        view = self.view
        tag, length = view[at], view[at + 1]
        if tag == 0 or tag & 0x1F == 0x1F:
            raise broken()
        if length >= _INDEFINITE:
            if length == _INDEFINITE:
                if not tag & CONSTRUCTED:
                    raise broken()
                return tag, body, -1
            count = length & 0x7F
            if count > _MOST_LENGTH or body + count > stop:
                raise broken()
            length = int.from_bytes(view[body : body + count], "big")
            body += count
        if body + length > stop:
            raise broken()
        return tag, body, length

    def _find_ends(self, body: int, stop: int) -> None:
        """Note the end of the indefinite element whose contents begin at `body`, and of all such right within it.

        Each is passed once, so that a nest of them costs no more than its octets.
        """
        view = self.view
        unfinished = [body]
        at = body
        while unfinished:
            if at + 2 > stop:
                raise broken()
            if view[at] == 0:
                if view[at + 1] != 0:
                    raise broken()
                self.ends[unfinished.pop()] = at
                at += 2
                continue
            _, inner, length = self._head(at, stop)
            if length >= 0:
                at = inner + length
                continue
            if len(unfinished) >= MOST_DEPTH:
                raise broken()
            unfinished.append(inner)
            at = inner


class Element:
    """One element: its tag as the identifier octet has it (class, form and number), and where its octets are."""

    __slots__ = ("_after", "_body", "_end", "_source", "_start", "tag")

    def __init__(self, source: _Source, tag: int, start: int, body: int, end: int, after: int) -> None:
        self._source = source
        self.tag = tag
        self._start = start
        self._body = body
        self._end = end
        self._after = after

    @property
    def raw(self) -> memoryview:
        """All its octets as they came."""
        return self._source.view[self._start : self._after]

    @property
    def content(self) -> memoryview:
        """What stands between its length and its end."""
        return self._source.view[self._body : self._end]

    def small(self) -> bytes:
        """All its octets, of what is small by nature."""
        if self._after - self._start > MOST_SMALL:
            raise Unreadable(Finding.TOO_MANY_MEMBERS)
        return bytes(self.raw)

    def expect(self, tag: int) -> Element:
        """Itself, where it has that tag."""
        if self.tag != tag:
            raise broken()
        return self

    def members(self, most: int = MOST_MEMBERS) -> list[Element]:
        """The elements inside it. Raises Unreadable for more than `most`."""
        if not self.tag & CONSTRUCTED:
            raise broken()
        found: list[Element] = []
        at, end = self._body, self._end
        while at < end:
            if len(found) >= most:
                raise Unreadable(Finding.TOO_MANY_MEMBERS)
            one = self._source.element(at, end)
            found.append(one)
            at = one._after
        return found

    def only(self) -> Element:
        """The one element inside it."""
        found = self.members(most=2)
        if len(found) != 1:
            raise broken()
        return found[0]

    def pieces(self) -> list[memoryview]:
        """The octets of an OCTET STRING under whatever tag, in the pieces in which they were written (X.690 8.7)."""
        if not self.tag & CONSTRUCTED:
            return [self.content]
        found: list[memoryview] = []
        source = self._source
        unfinished = [(self._body, self._end, 0)]
        while unfinished:
            at, end, depth = unfinished.pop()
            while at < end:
                one = source.element(at, end)
                at = one._after
                if one.tag == der.OCTET_STRING:
                    found.append(source.view[one._body : one._end])
                elif one.tag == der.OCTET_STRING | CONSTRUCTED and depth < MOST_DEPTH:
                    unfinished += [(at, end, depth), (one._body, one._end, depth + 1)]
                    break
                else:
                    raise broken()
        return found

    def octets(self) -> bytes:
        """The octets of a small OCTET STRING."""
        if self._after - self._start > MOST_SMALL:
            raise Unreadable(Finding.TOO_MANY_MEMBERS)
        return b"".join(self.pieces())

    def bits(self) -> bytes:
        """The octets of a small BIT STRING that has whole octets."""
        content = self.expect(der.BIT_STRING).content
        if not content or content[0] != 0 or len(content) > MOST_SMALL:
            raise broken()
        return bytes(content[1:])

    def integer(self) -> int:
        """An INTEGER. Serial numbers have 20 octets (RFC 5280 4.1.2.2), some have more."""
        content = self.expect(der.INTEGER).content
        if not 0 < len(content) <= 256:
            raise broken()
        return int.from_bytes(content, "big", signed=True)

    def oid(self) -> bytes:
        """The content octets of an OBJECT IDENTIFIER."""
        content = self.expect(der.OID).content
        if not 0 < len(content) <= 64:
            raise broken()
        return bytes(content)

    def time(self) -> float:
        """A UTCTime or GeneralizedTime in seconds since 1970 (RFC 5652 11.3: Zulu, with seconds)."""
        text = bytes(self.content[:32]).decode("ascii", "replace")
        if len(text) != (13 if self.tag == der.UTC_TIME else 15):
            raise broken()
        if self.tag == der.UTC_TIME:
            text = ("20" if text[:2] < "50" else "19") + text
        elif self.tag != der.GENERALIZED_TIME:
            raise broken()
        digits = text[:14]
        if not (digits.isascii() and digits.isdigit() and text[14:] == "Z"):
            raise broken()
        try:
            month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, 14, 2))
            return datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC).timestamp()
        except ValueError:
            raise broken() from None

    def definite(self, depth: int = 0) -> bytes:
        """Its octets with definite lengths and strings in one piece: DER, where it is otherwise in order."""
        if self._after - self._start > MOST_SMALL or depth > MOST_DEPTH:
            raise broken()
        if not self.tag & CONSTRUCTED:
            return der.element(self.tag, self.content)
        if self.tag == der.OCTET_STRING | CONSTRUCTED:
            return der.element(der.OCTET_STRING, *self.pieces())
        return der.element(self.tag, *[one.definite(depth + 1) for one in self.members()])
