"""The parts of a message, as each reader may find them (RFC 2045, RFC 2046).

Where a part names several types, encodings or boundaries, each is followed. A line that looks like a boundary is taken
for one where a reader could: in front of the first and behind the last, and where none fits. A message in a message is
read in its place, also if it is encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gateway.mail.reading.content_type import NONE, TEXT_PLAIN, ContentType, content_types
from gateway.mail.reading.flaw import Flaw
from gateway.mail.reading.header import Head, head_at, unfolded
from gateway.mail.reading.parameter import Parameters
from gateway.mail.reading.transfer import Encoding, decoded_blocks, encoding_of, is_askew, is_doubtful

MAX_PARTS: Final = 10_000  # Parts in all; what would be one more is part of the last.
MAX_DEPTH: Final = 100  # Parts in each other; real mail stays below ten.
MAX_BOUNDARY: Final = 1_000  # Octets; the standard has 70, and no reader a limit.
MAX_DECODED: Final = 64 << 20  # Octets of messages in encodings, which have to be decoded to be read, in all.

# What may be a boundary of which nobody told: a line with two dashes, and a MIME field below.
_IMPLIED = re.compile(rb"(?:(?<=\n)|\A)--([^\r\n]{0,200})\r?\n(?=content-[a-z-]{2,30}[ \t]*:)", re.IGNORECASE)


@dataclass(slots=True)  # Not frozen: each message makes some, and a frozen one takes thrice as long to make.
class Leaf:
    """A part without parts, by one reading; its body lies in `source` from `start` to `end`.

    `where` is its place, such as `1.2`, empty for the whole message; `within` how many attached messages it lies in.
    `content_id` as it stands in its field (RFC 2392), angle brackets and all.
    """

    source: bytes = field(repr=False)
    start: int
    end: int
    where: str
    within: int
    type: ContentType
    encoding: Encoding
    disposition: bytes
    parameters: Parameters
    content_id: bytes = b""


@dataclass(frozen=True, slots=True)
class Node:
    """A part that holds others, or another's octets: what kinds of message are told by."""

    type: ContentType
    within: int
    where: str


@dataclass(slots=True)
class Structure:
    """What was found, in the order in which readers show it. `heads`: of messages in the message, with their places."""

    leaves: list[Leaf] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    heads: list[tuple[str, Head]] = field(default_factory=list)
    flaws: set[Flaw] = field(default_factory=set)


@dataclass(slots=True)
class _Region:
    """Octets that are a part or a message, and are not read yet."""

    source: bytes
    start: int
    end: int
    where: str
    depth: int
    within: int
    in_digest: bool = False
    boundaries: tuple[bytes, ...] = ()  # Of what it lies in.
    is_salvaged: bool = False


def structure_of(octets: bytes, head: Head) -> Structure:
    """The parts of the message `octets`, whose own header section was read already."""
    walk = _Walk(Structure())
    walk.enter(_Region(octets, 0, len(octets), "", 0, 0), head)
    while walk.pending:
        region = walk.pending.pop()
        walk.enter(region, head_at(region.source, region.start, region.end))
    return walk.found


class _Walk:
    def __init__(self, found: Structure) -> None:
        self.found = found
        self.pending: list[_Region] = []
        self.parts = 1
        self.decoded = 0

    def enter(self, region: _Region, head: Head) -> None:
        """Read one part; what lies in it waits in `pending`, the first on top."""
        flaws = self.found.flaws
        if head.broken is not None:
            flaws.add(Flaw.HEAD)
        if head.is_long:
            flaws.add(Flaw.LONG_HEAD)
        types = content_types(head, in_digest=region.in_digest)
        encodings = self._encodings(head)
        if len(types) > 1 or len(encodings) > 1:
            flaws.add(Flaw.TYPES)
        if Encoding.BASE64 in encodings and is_askew(region.source, head.body, region.end):
            flaws.add(Flaw.ENCODING)
            encodings += (Encoding.BASE64_IN_FOURS, Encoding.BASE64_UNPADDED)
        inner: list[_Region] = []
        seen: list[ContentType] = []
        for kind in types:
            if kind.main == b"multipart":
                self.found.nodes.append(Node(kind, region.within, region.where))
                if not inner:
                    inner = self._multipart(region, head, types, encodings)
                if not inner:
                    seen.append(ContentType(*TEXT_PLAIN, kind.parameters))
            elif kind.main == b"message" and kind.sub in (b"rfc822", b"global", b"news", b"partial", b"x-rfc822"):
                self.found.nodes.append(Node(kind, region.within, region.where))
                self._leaf(region, head, kind, encodings)
                for encoding in encodings:
                    inner.extend(self._message(region, head.body, encoding))
            else:
                seen.append(kind)
        for kind in seen:
            self._leaf(region, head, kind, encodings)
            inner.extend(self._salvaged(region, head.body, kind))
        if not head.ended and region.end > region.start:
            flaws.add(Flaw.NO_END_OF_HEAD)
        if head.broken is not None and head.broken < head.body:
            # Some readers end a header section at the first line that is no field: what follows is text to them.
            self._add(region, head.broken, ContentType(*TEXT_PLAIN, NONE, told=False))
        self.pending.extend(reversed(inner))

    def _encodings(self, head: Head) -> list[Encoding]:
        raws = head.all(b"content-transfer-encoding")
        if not raws:
            return [Encoding.NONE]
        found: list[Encoding] = []
        for raw in raws if len(raws) == 1 else (*raws[:1], *raws[1:][-1:]):
            encoding = encoding_of(unfolded(raw))
            if encoding is None:
                self.found.flaws.add(Flaw.ENCODING)
            found.append(encoding or Encoding.NONE)
        return found if len(found) == 1 else list(dict.fromkeys(found))

    def _leaf(self, region: _Region, head: Head, kind: ContentType, encodings: list[Encoding]) -> None:
        raws = head.all(b"content-disposition")
        disposition, parameters = b"", NONE
        if raws:
            disposition, _, rest = unfolded(raws[0]).partition(b";")
            for raw in raws[1:][-1:]:  # Of two, names are taken from both.
                rest += b";" + unfolded(raw)
            parameters = Parameters(b";" + (rest if b"=" not in disposition else disposition + b";" + rest))
        every = list(encodings)
        if any(is_doubtful(region.source, head.body, region.end, one) for one in encodings):
            self.found.flaws.add(Flaw.ENCODING)
            if kind.main == b"text" and Encoding.NONE not in every:
                every.append(Encoding.NONE)
        told = disposition.strip().lower()
        ids = head.all(b"content-id")
        for encoding in every:
            self._add(region, head.body, kind, encoding, told, parameters, ids[0] if ids else b"")

    def _add(
        self,
        region: _Region,
        start: int,
        kind: ContentType,
        encoding: Encoding = Encoding.NONE,
        disposition: bytes = b"",
        parameters: Parameters | None = None,
        content_id: bytes = b"",
    ) -> None:
        parameters = parameters or NONE
        where, within = region.where, region.within
        leaf = Leaf(
            region.source, start, region.end, where, within, kind, encoding, disposition, parameters, content_id
        )
        self.found.leaves.append(leaf)

    # -- parts in parts -----------------------------------------------------------------------------------------------

    def _multipart(
        self, region: _Region, head: Head, types: list[ContentType], encodings: list[Encoding]
    ) -> list[_Region]:
        """The parts of a multipart; none where it has no boundary that is used."""
        names = [
            name for kind in types for name in kind.parameters.octets(b"boundary") if 0 < len(name) <= MAX_BOUNDARY
        ]
        boundaries = tuple(dict.fromkeys(name.rstrip(b" \t") for name in names))
        if len(boundaries) > 1:
            self.found.flaws.add(Flaw.TYPES)
        in_digest = any(kind.sub == b"digest" for kind in types)
        inner = self._split(region, region.source, head.body, region.end, boundaries, in_digest=in_digest)
        if not inner:  # A multipart must not be encoded; if it is, some readers undo it.
            for encoding in encodings:
                if encoding is not Encoding.NONE and (octets := self._decode(region, head.body, encoding)) is not None:
                    inner += self._split(region, octets, 0, len(octets), boundaries, in_digest=in_digest)
        if not inner:
            self.found.flaws.add(Flaw.BOUNDARY)
            inner = self._implied(region, region.source, head.body, region.end)
        return inner

    def _split(
        self, region: _Region, source: bytes, start: int, end: int, boundaries: tuple[bytes, ...], *, in_digest: bool
    ) -> list[_Region]:
        """The regions between the lines that are one of the boundaries, and what readers find around them."""
        lines = self._delimiters(source, start, end, boundaries)
        if not lines:
            return []
        if region.depth + 1 >= MAX_DEPTH:
            self.found.flaws.add(Flaw.DEEP)
            return []
        inner: list[_Region] = []
        count = 0
        for place, (_, after, closing) in enumerate(lines):
            stop = lines[place + 1][0] if place + 1 < len(lines) else end
            if closing:
                if stop - after > 2 and place + 1 < len(lines):
                    self.found.flaws.add(Flaw.BEYOND)  # More boundaries behind the last; its epilogue is no part.
                inner.extend(self._implied(region, source, after, stop, beyond=True))
                continue
            if self.parts >= MAX_PARTS:
                self.found.flaws.add(Flaw.MANY)
                if inner:
                    inner[-1].end = end
                break
            self.parts += 1
            count += 1
            inner.append(
                _Region(
                    source,
                    after,
                    max(after, stop),
                    f"{region.where}.{count}" if region.where else str(count),
                    region.depth + 1,
                    region.within,
                    in_digest,
                    (*region.boundaries, *boundaries)[-MAX_DEPTH:],
                )
            )
        preamble = self._implied(region, source, start, lines[0][0], beyond=True)
        return preamble + inner

    def _delimiters(
        self, source: bytes, start: int, end: int, boundaries: tuple[bytes, ...]
    ) -> list[tuple[int, int, bool]]:
        """Lines that are a boundary: where the part before ends, where the next begins, and whether it is the last."""
        found: list[tuple[int, int, bool]] = []
        for boundary in boundaries:
            needle = b"\n--" + boundary
            lines = 0
            # At the very beginning there is no line end in front; elsewhere there is one.
            at_start = not start and source.startswith(needle[1:], 0, end)
            place = 0 if at_start else source.find(needle, max(0, start - 1), end)
            while place >= 0:
                begin = place + len(needle) - at_start
                stop = source.find(b"\n", begin, end)
                stop = end if stop < 0 else stop
                rest = source[begin:stop].strip(b" \t\r") if stop - begin < MAX_BOUNDARY else b"?"
                if rest in (b"", b"--"):
                    before = place - 1 if place and source[place - 1] == 13 else place
                    found.append((max(start, before), min(stop + 1, end), rest == b"--"))
                lines += 1
                if lines > 2 * MAX_PARTS:
                    self.found.flaws.add(Flaw.MANY)
                    break
                at_start = False
                place = source.find(needle, begin, end)
        if len(boundaries) > 1:
            found = sorted(set(found))
        return found

    def _implied(self, region: _Region, source: bytes, start: int, end: int, *, beyond: bool = False) -> list[_Region]:
        """Parts behind lines that look like a boundary, which some readers or an earlier type may take for one."""
        if end - start < 20 or source.find(b"\n--", max(0, start - 1), end) < 0:
            return []
        match = _IMPLIED.search(source, start, end)
        if match is None or region.depth + 1 >= MAX_DEPTH:
            return []
        self.found.flaws.add(Flaw.BEYOND if beyond else Flaw.BOUNDARY)
        inner: list[_Region] = []
        marks = [match, *_IMPLIED.finditer(source, match.end(), end)]
        for place, mark in enumerate(marks):
            if self.parts >= MAX_PARTS:
                self.found.flaws.add(Flaw.MANY)
                break
            self.parts += 1
            stop = marks[place + 1].start() if place + 1 < len(marks) else end
            where = f"{region.where}.{place + 1}" if region.where else str(place + 1)
            inner.append(
                _Region(
                    source, mark.end(), stop, where, region.depth + 1, region.within, False, region.boundaries, True
                )
            )
        return inner

    def _salvaged(self, region: _Region, body: int, kind: ContentType) -> list[_Region]:
        """What a reader finds in a part who takes lines for boundaries that only begin like one (RFC 2046 5.1.1)."""
        if region.is_salvaged or not region.boundaries or kind.main == b"multipart":
            return []
        if not any(region.source.find(b"\n--" + one, body, region.end) >= 0 for one in set(region.boundaries)):
            return []
        return self._implied(region, region.source, body, region.end)

    def _message(self, region: _Region, body: int, encoding: Encoding) -> list[_Region]:
        """A message that is the body of a part."""
        if region.depth + 1 >= MAX_DEPTH:
            self.found.flaws.add(Flaw.DEEP)
            return []
        if self.parts >= MAX_PARTS:
            self.found.flaws.add(Flaw.MANY)
            return []
        self.parts += 1
        source, start, end = region.source, body, region.end
        if encoding is not Encoding.NONE:
            octets = self._decode(region, body, encoding)
            if octets is None:
                return []
            source, start, end = octets, 0, len(octets)
        where = f"{region.where}.1" if region.where else "1"
        inner = _Region(source, start, end, where, region.depth + 1, region.within + 1, False, region.boundaries)
        self.found.heads.append((region.where, head_at(source, start, end)))
        return [inner]

    def _decode(self, region: _Region, body: int, encoding: Encoding) -> bytes | None:
        """A composite part without its encoding; None where there are too many octets of such."""
        self.decoded += region.end - body
        if self.decoded > MAX_DECODED:
            self.found.flaws.add(Flaw.CUT)
            return None
        return b"".join(decoded_blocks(region.source, body, region.end, encoding))
