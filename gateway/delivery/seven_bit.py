"""A message for a host without 8BITMIME: converted while it is read, never kept a second time (RFC 6152 3).

What lies in the queue stays as it came, so that a host that has 8BITMIME gets the original. Leaves out: who signs the
copy, which is handed in with `Convert`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.delivery.said import Offers
from gateway.mail.delivery import Delivery
from gateway.mail.downgrade import Downgrade, Obstacle, Unconvertible, downgrade
from gateway.mail.edit import Edit
from gateway.mail.message import Content, Held
from gateway.mail.mime.editor import Editor
from gateway.mail.mime.walk import Walk

ON_THE_LOOP = 256 * 1024  # Octets that are looked through where we stand (a millisecond or two); more goes to a thread.
PIECE = 1 << 20

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What was done to a message for one host, for its trace.

    `encodings` are those of each part that was encoded. `taken_off` counts signatures of ours that would not hold any
    more, `signed` names the new ones (`domain/selector`), and `unsigned` says why there is none although there was one.
    `broken` counts signatures of others, which stay and don't verify any more.
    """

    encodings: tuple[str, ...]
    taken_off: int = 0
    signed: tuple[str, ...] = ()
    unsigned: str | None = None
    broken: int = 0


class Convert(Protocol):
    """Makes a copy of 7 bits."""

    async def __call__(self, delivery: Delivery, content: Content, /) -> tuple[Content, Conversion | None]:
        """The copy and what was done; the content itself and None where it has 7 bits already.

        Raises Unconvertible where it has to stay as it is, NotNow where it can't be done for a passing reason, and what
        reading `content` raises.
        """


class NotNow(Exception):
    """It has to wait: the words, which go into the queue and a notice, say for what. They begin with a small letter."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a host is to get: `content`, as it came or converted. `obstacle`: it has octets over 127 that the host does
    not take, and has to stay as it is. `waits`: for what a conversion waits.
    """

    content: Content
    conversion: Conversion | None = None
    obstacle: Obstacle | None = None
    waits: str | None = None


async def fit(convert: Convert, delivery: Delivery, content: Content, offers: Offers) -> Fitted:
    """What a host with these offers gets. Content is looked at only where it lacks 8BITMIME."""
    if offers.eight_bit:
        return Fitted(content)
    try:
        return Fitted(*await convert(delivery, content))
    except Unconvertible as error:
        return Fitted(content, obstacle=error.obstacle)
    except NotNow as error:
        return Fitted(content, waits=str(error))


class Rewritten:
    """Content with edits, which are made anew at each reading; large octets are worked on in threads."""

    __slots__ = ("_edits", "_size", "_source")

    def __init__(self, source: Content, edits: Sequence[Edit], size: int) -> None:
        self._source = source
        self._edits = edits
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(_edited(self._source, self._edits)) as pieces:
            async for piece in pieces:
                for start in range(0, len(piece), PIECE):
                    yield piece[start : start + PIECE]


async def planned(content: Content) -> Downgrade:
    """What has to be edited; nothing where it has 7 bits already. Raises Unconvertible, and what reading raises."""
    octets = content.inline
    if octets is not None and octets.isascii():
        return Downgrade()
    walk = Walk()
    if octets is not None and len(octets) <= ON_THE_LOOP:
        walk.feed(octets)
    else:
        blocks = content.blocks()
        try:
            async for block in blocks:
                await _aside(walk.feed, block)
        finally:
            if isinstance(blocks, AsyncGenerator):
                await blocks.aclose()
    return downgrade(walk.end())


async def rewritten(content: Content, edits: Sequence[Edit]) -> Content:
    """`content` with these edits, in order. Raises what reading `content` raises."""
    octets = content.inline
    if octets is not None and len(octets) <= ON_THE_LOOP:
        editor = Editor(edits)
        return Held(editor.feed(octets) + editor.end())
    size = 0
    async with aclosing(_edited(content, edits)) as pieces:
        async for piece in pieces:
            size += len(piece)  # MAIL has to say it, and quoted-printable has no other way to know.
    return Rewritten(content, edits, size)


async def convert_unsigned(_delivery: Delivery, content: Content, /) -> tuple[Content, Conversion | None]:
    """A `Convert` that signs nothing."""
    done = await planned(content)
    if not done.edits:
        return content, None
    return await rewritten(content, done.edits), Conversion(encodings=tuple(done.encodings))


async def _edited(content: Content, edits: Sequence[Edit]) -> AsyncGenerator[bytes, None]:
    editor = Editor(edits)
    blocks = content.blocks()
    try:
        async for block in blocks:
            yield await _aside(editor.feed, block)
    finally:
        if isinstance(blocks, AsyncGenerator):  # Left half read, it would keep its file open.
            await blocks.aclose()
    if rest := editor.end():
        yield rest


async def _aside(work: Callable[[bytes], _T], octets: bytes) -> _T:
    """`work` of `octets`, in a thread where it takes long."""
    return work(octets) if len(octets) <= ON_THE_LOOP else await asyncio.to_thread(work, octets)
