"""A message: the octets after DATA, as they came, with lazy views on its header section (RFC 5322 2.2).

Leaves out: MIME structure, which `gateway.mail.mime` reads.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from gateway.mail.body_hash import BodyHashes

Runs = tuple[tuple[int, int], ...]  # Places in a content: where each begins, and how many octets it has.
REMEMBERED = 16 * 1024  # Octets of a header section that is kept with its fields; thousands of them take megabytes.
MAX_HEAD = 256 * 1024  # What views see of the header section; a longer one travels whole but is read in part.

_FIELD = re.compile(
    rb"(?:\A|(?<=\r\n))([\x21-\x39\x3b-\x7e]+)[ \t]*:([^\r\n]*(?:(?:\r\n[ \t]|\r(?!\n)|\n)[^\r\n]*)*)(?:\r\n|\Z)"
)


class Content(Protocol):
    """Octets that may be too many for memory. Read as often as one likes."""

    @property
    def size(self) -> int:
        """Octets in all."""

    @property
    def inline(self) -> bytes | None:
        """The whole, where it is small and at hand."""

    def blocks(self) -> AsyncIterator[bytes]:
        """The octets in order, in pieces of 1 MiB at most; the first may have a preface in front."""


@dataclass(frozen=True, slots=True)
class Held:
    """Content that lies in memory."""

    octets: bytes

    @property
    def size(self) -> int:
        return len(self.octets)

    @property
    def inline(self) -> bytes | None:
        return self.octets

    async def blocks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.octets), 1 << 20):
            yield self.octets[start : start + (1 << 20)]


@dataclass(frozen=True, slots=True)
class Prefaced:
    """Content with octets in front of it, which is read where it lies and never copied. Made by `prefaced`."""

    preface: bytes
    behind: Content

    @property
    def size(self) -> int:
        return len(self.preface) + self.behind.size

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        # In one piece with the first block: whoever looks at a message's header section reads one.
        front = self.preface
        blocks = self.behind.blocks()
        try:
            async for block in blocks:
                yield front + block if front else block
                front = b""
        finally:
            if isinstance(blocks, AsyncGenerator):  # Left half read, it would keep its file open.
                await blocks.aclose()
        if front:
            yield front


@dataclass(frozen=True, slots=True)
class Sliced:
    """`size` octets of a content from `start` on, read where they lie. Made by `sliced`."""

    behind: Content
    start: int
    size: int

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        at, end = 0, self.start + self.size
        blocks = self.behind.blocks()
        try:
            async for block in blocks:
                some = block[max(0, self.start - at) : end - at]
                at += len(block)
                if some:
                    yield some
                if at >= end:
                    return
        finally:
            if isinstance(blocks, AsyncGenerator):  # Left half read, it would keep its file open.
                await blocks.aclose()


@dataclass(frozen=True, slots=True)
class Joined:
    """Several contents, read one behind the other. Copies that have a part in common share the object itself, so that
    it is stored once.
    """

    parts: tuple[Content, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def inline(self) -> bytes | None:
        return None  # Whoever had it in one piece would lose sight of what is shared.

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        for part in self.parts:
            blocks = part.blocks()
            try:
                async for block in blocks:
                    yield block
            finally:
                if isinstance(blocks, AsyncGenerator):
                    await blocks.aclose()


def sliced(content: Content, runs: Runs | None) -> Content:
    """The octets of those runs of `content`, one behind the other, in memory where it is; None: all of it."""
    if runs is None:
        return content
    held = content.inline
    if held is not None:
        return Held(b"".join([held[start : start + length] for start, length in runs]))
    parts = [Sliced(content, start, length) for start, length in runs]
    return parts[0] if len(parts) == 1 else Joined(tuple(parts))


def prefaced(preface: bytes, content: Content) -> Content:
    """`content` with `preface` in front of it, in one piece where the content is small and at hand."""
    if not preface:
        return content
    held = content.inline
    return Prefaced(preface, content) if held is None else Held(preface + held)


@dataclass(frozen=True, slots=True)
class Message:
    """What came after DATA, dots taken out. `head` is its beginning, long enough to hold the header section (MAX_HEAD).

    `hashes` are those of the body that were made while it came; where one is missing the content has to be read.
    An edit makes a new message.
    """

    head: bytes
    content: Content
    hashes: BodyHashes | None = None
    # Asked for by each stage that looks at a message: found once.
    _section: bytes | None = field(default=None, init=False, repr=False, compare=False)
    _fields: list[tuple[bytes, bytes]] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def size(self) -> int:
        return self.content.size

    def header_section(self) -> bytes:
        """The octets before the empty line, without it."""
        found = self._section
        if found is None:
            end = self.head.find(b"\r\n\r\n", 0, MAX_HEAD)
            found = self.head[:MAX_HEAD] if end < 0 else self.head[: end + 2]
            if self.head.startswith(b"\r\n"):
                found = b""
            if len(found) <= REMEMBERED:
                object.__setattr__(self, "_section", found)
        return found

    def fields(self) -> Iterator[tuple[bytes, bytes]]:
        """Name and raw value (folding kept) of each header field, in order; lines that are no field are passed over."""
        found = self._fields
        if found is None:
            section = self.header_section()
            found = _FIELD.findall(section)
            if len(section) <= REMEMBERED:
                object.__setattr__(self, "_fields", found)
        return iter(found)

    def first(self, name: bytes) -> bytes | None:
        """The raw value of the first field of that name, whatever its case, unfolded and stripped."""
        found = _valued(name).search(b"\r\n" + self.header_section())
        return None if found is None else found[1].replace(b"\r\n", b"").strip()

    def count(self, name: bytes) -> int:
        """How many fields have that name, whatever its case."""
        return len(_named(name).findall(b"\r\n" + self.header_section()))


# Both begin with CR LF as it stands, which the engine looks for much faster than for a place between two letters.


@lru_cache(maxsize=64)
def _named(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\r\n" + re.escape(name) + rb"[ \t]*:", re.IGNORECASE)


@lru_cache(maxsize=64)
def _valued(name: bytes) -> re.Pattern[bytes]:
    value = rb"([^\r\n]*(?:(?:\r\n[ \t]|\r(?!\n)|\n)[^\r\n]*)*)(?:\r\n|\Z)"
    return re.compile(rb"\r\n" + re.escape(name) + rb"[ \t]*:" + value, re.IGNORECASE)
