"""Sections of a message, as FETCH asks for them (RFC 3501 6.4.5 BODY[section]<partial>, RFC 3516 4.2 BINARY)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.mail.reading.transfer import Encoding, decoded_blocks
from gateway.mailboxes.head.head import Head, Place
from gateway.mailboxes.head.part import Kind

MAX_PATH: Final = 100  # Numbers in a section; deeper than parts are looked into there is nothing.


class UnknownEncoding(ValueError):
    """BINARY was asked of a part whose encoding is not known: NO [UNKNOWN-CTE] (RFC 3516 4.3)."""


class What(StrEnum):
    """What of a part is asked for."""

    ALL = ""
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Need:
    """The octets of a message that answer a section: from `start` up to `end`. `encoding`: how they stand there."""

    start: int
    end: int
    encoding: Encoding | None = Encoding.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section. `path`: numbers of parts. `names`: of fields, in any letters. `partial`: first octet and how many.
    `binary`: without its transfer encoding. First ask `need`, then give `answer` the octets that it named.
    """

    path: tuple[int, ...] = ()
    what: What = What.ALL
    names: frozenset[bytes] = frozenset()
    partial: tuple[int, int] | None = None
    binary: bool = False

    @property
    def is_cut_directly(self) -> bool:
        """Whether what is asked for stands in the message as it is, so that a partial one needs no more than itself."""
        return not self.binary and self.what not in (What.FIELDS, What.FIELDS_NOT)

    def need(self, head: Head) -> Need | None:
        """Which octets of the message are needed; None where it has no such part: the answer is NIL. Raises BadHead."""
        found = self._whole(head)
        if found is None or self.partial is None or not self.is_cut_directly:
            return found
        start = min(found.start + self.partial[0], found.end)
        return Need(start, min(start + self.partial[1], found.end), found.encoding)

    def answer(self, need: Need, octets: bytes) -> bytes:
        """What the section says, given the octets that `need` named. Raises UnknownEncoding."""
        if self.is_cut_directly:
            return octets
        if self.binary:
            octets = decoded(octets, need.encoding)
        else:
            octets = fields(octets, self.names, others=self.what is What.FIELDS_NOT)
        return octets if self.partial is None else octets[self.partial[0] : self.partial[0] + self.partial[1]]

    def _whole(self, head: Head) -> Need | None:
        if not self.path:  # Most of what is asked for.
            if self.what is What.ALL:
                return Need(0, head.size)
            if self.what is What.TEXT:
                return Need(head.top, head.size)
            return None if self.what is What.MIME else Need(0, head.top)
        places = head.places
        found = _part(places, self.path)
        if found is None:
            return None
        if self.what is What.ALL:
            return Need(found.body, found.end, found.encoding if found.kind is Kind.LEAF else Encoding.NONE)
        if self.what is What.MIME:
            return Need(found.start, found.body)
        if found.kind is not Kind.MESSAGE or not found.inner:
            return None
        inner = places[found.inner[0]]
        return Need(inner.body, found.end) if self.what is What.TEXT else Need(inner.start, inner.body)


def _part(places: tuple[Place, ...], path: tuple[int, ...]) -> Place | None:
    """The part with those numbers. A message that is no multipart has one part, 1, which is its body (RFC 3501 6.4.5);
    inside of a message that is attached numbers count that one's parts.
    """
    if len(path) > MAX_PATH:
        return None
    at: Place | None = places[0]
    for place, number in enumerate(path):
        if place and at is not None:  # What is inside of a part that was named.
            if at.kind is Kind.MESSAGE:
                at = places[at.inner[0]] if at.inner else None
            elif at.kind is Kind.LEAF:
                at = None
        if at is None:
            return None
        if at.kind is Kind.MULTIPART:
            at = places[at.inner[number - 1]] if 0 < number <= len(at.inner) else None
        elif number != 1:
            at = None
    return at


def decoded(octets: bytes, encoding: Encoding | None) -> bytes:
    """A part's octets without their transfer encoding. Raises UnknownEncoding."""
    if encoding is None:
        raise UnknownEncoding("the part has a transfer encoding that is not known; it can be read as it stands")
    if encoding is Encoding.NONE:
        return octets
    return b"".join(decoded_blocks(octets, 0, len(octets), encoding))


def fields(section: bytes, names: frozenset[bytes], *, others: bool = False) -> bytes:
    """The fields of a header section with one of those names, as they stand, in order, or all others; and the empty
    line, if it has one (RFC 3501 6.4.5). A line that is no field belongs to none.
    """
    wanted = {name.lower() for name in names}
    kept: list[bytes] = []
    keeps = False
    *lines, rest = section.split(b"\n")
    for line in lines:
        if line in (b"", b"\r"):
            return b"\n".join([*kept, line, b""])
        if line[:1] not in (b" ", b"\t"):
            keeps = _is_kept(line, wanted, others=others)
        if keeps:
            kept.append(line)
    if rest[:1] not in (b" ", b"\t"):
        keeps = _is_kept(rest, wanted, others=others)
    return b"\n".join([*kept, rest if keeps else b""])


def _is_kept(line: bytes, wanted: set[bytes], *, others: bool) -> bool:
    name, colon, _ = line.partition(b":")
    return bool(colon) and (name.rstrip(b" \t").lower() in wanted) is not others
