"""FETCH: what is asked for, read in batches, and only as much of each message as that takes.

FLAGS and UID cost nothing; INTERNALDATE and RFC822.SIZE a query for many; ENVELOPE and BODYSTRUCTURE open the head that
is kept beside the message; BODY[...] opens the chunks in which its octets lie. While one batch is sent the next is
read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from gateway.imap.answers import Refusal
from gateway.imap.desk import Desk
from gateway.imap.fetch_command import Item, Kind
from gateway.imap.fetch_response import Message, response
from gateway.imap.memory import AccountMemory
from gateway.imap.opened import Opened
from gateway.mailboxes.contents.damage import HEAD, Damage, Damaged
from gateway.mailboxes.faults import KeyBroken
from gateway.mailboxes.head import BadHead, Head, HeadReader, UnknownEncoding, What
from gateway.storage.mailboxes.model import ContentRow
from gateway.storage.writer import StorageBroken, StorageFull

if TYPE_CHECKING:
    from gateway.mailboxes.policies.mailbox_keys import MailboxKey

ROWS: Final = 250  # Messages of one query.
FEW: Final = 5  # Copies of its octets that a message may always have.
OCTETS: Final = 2 << 20  # Of messages that are opened at once; a larger one is alone.
PLAIN: Final = 2000  # Messages of one piece, where nothing is read for them.
PARTIAL_FROM: Final = 1 << 20  # Octets of a message from which on only the chunks that are asked for are opened.
MOST: Final = (
    256 << 20
)  # Octets of one message's response; one that asks for its parts again and again would have more.

_OF_HEAD: Final = (Kind.ENVELOPE, Kind.BODY, Kind.STRUCTURE)
_OF_OCTETS: Final = (Kind.SECTION, Kind.BINARY, Kind.BINARY_SIZE)


class Keyed(Protocol):
    """Who knows the mailbox's key."""

    async def key(self, *, fresh: bool = False) -> MailboxKey:
        """The key now; `fresh`: read the mailbox's row anew, it has another. Raises MailboxClosed."""


class Plan:
    """What a list of items takes: a message's row, its head, its octets (`whole`: all of them)."""

    __slots__ = ("copies", "has_flags", "head", "items", "octets", "row", "sees", "whole")

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = tuple(dict.fromkeys(items))
        asked = sum(item.kind in _OF_OCTETS for item in self.items)
        self.octets = asked > 0
        self.copies = 1 + asked  # Of a message's octets while it is made into a response, at most.
        self.whole = any(_is_whole(item) for item in self.items)
        self.head = any(item.kind in _OF_HEAD or _needs_places(item) for item in self.items)
        self.row = self.head or self.octets or any(item.kind in (Kind.DATE, Kind.SIZE) for item in self.items)
        self.sees = any(item.sees for item in self.items)
        self.has_flags = any(item.kind is Kind.FLAGS for item in self.items)


def _needs_places(item: Item) -> bool:
    """Whether one has to know where the message's parts lie."""
    section = item.section
    return section is not None and (bool(section.path) or section.what is not What.ALL or section.binary)


def _is_whole(item: Item) -> bool:
    section = item.section
    return section is not None and not section.path and section.what is What.ALL and section.partial is None


@dataclass(slots=True)
class Outcome:
    """What did not go as asked: messages that are damaged, by UID; heads that are, and were read anew from their whole
    messages; some are gone; a part can't be decoded.
    """

    damaged: list[tuple[int, Damaged]] = field(default_factory=list)
    heads: list[tuple[int, Damaged]] = field(default_factory=list)
    is_gone: bool = False
    unknown_encoding: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Responses, ready to be sent, and the memory that they hold until then."""

    octets: bytes = field(repr=False)
    taken: int


class Fetching:
    """One FETCH. `seen`: UIDs that it has just flagged, whose flags are told with them."""

    def __init__(
        self,
        desk: Desk,
        memory: AccountMemory,
        opened: Opened,
        keyed: Keyed,
        plan: Plan,
        seen: frozenset[int] = frozenset(),
    ) -> None:
        self._desk = desk
        self._memory = memory
        self._opened = opened
        self._keyed = keyed
        self._plan = plan
        self._seen = seen
        self.outcome = Outcome()

    async def batches(self, places: Sequence[int]) -> AsyncGenerator[Batch, None]:
        """The responses for the messages at these places, in their order; the next is read while one is sent.

        Whoever has one gives its memory back. Raises MailboxClosed, BlobsAway, StorageBroken and the like.
        """
        async with aclosing(self._batches(places)) as batches:
            ahead = asyncio.ensure_future(anext(batches, None))
            try:
                while (batch := await ahead) is not None:
                    ahead = asyncio.ensure_future(anext(batches, None))
                    yield batch
            finally:
                await self._let_go(ahead)

    async def _let_go(self, ahead: asyncio.Future[Batch | None]) -> None:
        if not ahead.done():
            ahead.cancel()
            await asyncio.wait([ahead])
        if not ahead.cancelled() and ahead.exception() is None and (batch := ahead.result()) is not None:
            self._memory.give(batch.taken)

    async def _batches(self, places: Sequence[int]) -> AsyncGenerator[Batch, None]:
        if not self._plan.row:
            for start in range(0, len(places), PLAIN):
                some = [self._message(place) for place in places[start : start + PLAIN]]
                yield Batch(self._responses(some), 0)
            return
        for start in range(0, len(places), ROWS):
            some = await self._rows([self._message(place) for place in places[start : start + ROWS]])
            for group in self._groups(some):
                yield await self._batch(group)

    def _message(self, place: int) -> Message:
        opened = self._opened
        return Message(place, opened.uids[place], opened.flags[place], opened.modseqs[place])

    async def _rows(self, messages: list[Message]) -> list[Message]:
        """Those that are still there, with their rows."""
        uids = [message.uid for message in messages]
        found = await self._desk.store.fetch(self._opened.folder.id, uids, head=self._plan.head)
        by_uid = {entry.uid: (entry, row) for entry, row in found}
        for message in messages:
            message.entry, message.row = by_uid.get(message.uid, (None, None))
        if len(by_uid) < len(messages):
            self.outcome.is_gone = True
        return [message for message in messages if message.row is not None]

    def _groups(self, messages: list[Message]) -> Iterator[list[Message]]:
        """As many as may be opened at once."""
        if not self._plan.octets:
            yield messages
            return
        group: list[Message] = []
        octets = 0
        for message in messages:
            size = _row(message).size
            if group and octets + size > OCTETS:
                yield group
                group, octets = [], 0
            group.append(message)
            octets += size
        if group:
            yield group

    async def _batch(self, group: list[Message]) -> Batch:
        try:
            return await self._opened_batch(group)
        except KeyBroken:  # A roll has begun or ended since.
            return await self._opened_batch(await self._rows(group), fresh=True)

    async def _opened_batch(self, group: list[Message], *, fresh: bool = False) -> Batch:
        """Open what the plan needs of each message, and take out those that are damaged."""
        if self._plan.head:
            # First, since they say how long the parts are that are asked for.
            await self._heads(await self._keyed.key(fresh=fresh), group)
        wanted = sum(self._wanted(one) for one in group) if self._plan.octets else 0
        if self._plan.copies > FEW and wanted > MOST:
            raise Refusal("That asks for too many parts of a large message at once; please ask for fewer", "LIMIT")
        taken = await self._memory.take(wanted)
        try:
            if self._plan.octets:
                # Asked for now: whoever waited for memory may have waited long.
                await self._read(await self._keyed.key(fresh=fresh), group)
            whole = await self._written(group)
        except BaseException:
            self._memory.give(taken)
            raise
        return Batch(whole, taken)

    def _is_read_whole(self, message: Message) -> bool:
        return self._plan.whole or _row(message).size <= PARTIAL_FROM

    def _wanted(self, message: Message) -> int:
        """Octets of memory for one message: all of it and its copies, or its parts and the response with them."""
        if self._is_read_whole(message):
            return _row(message).size * self._plan.copies
        needs = [message.need(item.section) for item in self._plan.items if item.section is not None]
        return 2 * sum(need.end - need.start for need in needs if need is not None)

    async def _read(self, key: MailboxKey, group: list[Message]) -> None:
        """The octets of each message, all or some of them."""
        small = [one for one in group if self._is_read_whole(one)]
        found = await self._desk.contents.read_many(key, [_row(one) for one in small])
        for message, octets in zip(small, found, strict=True):
            if isinstance(octets, Damaged):
                self._damaged(group, message, octets)
            else:
                message.octets = octets
        for message in [one for one in group if one.octets is None]:
            await self._parts(key, group, message)

    async def _heads(self, key: MailboxKey, group: list[Message]) -> None:
        found = await self._desk.contents.heads(key, [_row(one) for one in group])
        broken: dict[int, Damaged] = {}
        for message, octets in zip(list(group), found, strict=True):
            if isinstance(octets, Damaged):
                if octets.part == HEAD:  # All of it stands in the message too.
                    broken[message.uid] = octets
                else:
                    self._damaged(group, message, octets)
                continue
            try:
                message.head = Head.from_octets(octets) if octets else None
            except BadHead:
                message.head = None
        for message in [one for one in group if one.head is None]:
            try:
                message.head = await self._read_head(key, _row(message))
            except Damaged as error:
                self._damaged(group, message, error)
                broken.pop(message.uid, None)
        if broken:
            await self._mend(key, [one for one in group if one.uid in broken], broken)

    async def _mend(self, key: MailboxKey, messages: Sequence[Message], broken: Mapping[int, Damaged]) -> None:
        """Put heads that were read anew in the place of damaged ones, so that this is done once; what a newer gateway
        wrote stays. That they can't be kept now keeps nobody from reading.
        """
        self.outcome.heads += broken.items()
        with suppress(Damaged, StorageBroken, StorageFull):
            changes = [
                (row, self._desk.contents.with_head(key, row, message.head.to_octets()))
                for message in messages
                if message.head is not None
                and (row := message.row) is not None
                and broken[message.uid].damage is not Damage.UNKNOWN
            ]
            if changes:
                await self._desk.store.rewrap(changes)

    async def _read_head(self, key: MailboxKey, row: ContentRow) -> Head:
        """The head of a message beside which none is kept, or one that is damaged or that a newer gateway wrote."""
        loop = asyncio.get_running_loop()
        reader = HeadReader()
        async with aclosing(self._desk.contents.blocks(key, row)) as blocks:
            async for block in blocks:
                await loop.run_in_executor(self._desk.executor, reader.feed, block)
        return await loop.run_in_executor(self._desk.executor, reader.end)

    async def _parts(self, key: MailboxKey, group: list[Message], message: Message) -> None:
        """The octets of a large message that each item needs, and no chunk beside those."""
        for item in self._plan.items:
            if item.section is None:
                continue
            need = message.need(item.section)
            if need is None:
                continue
            try:
                octets = await self._desk.contents.read(key, _row(message), need.start, need.end - need.start)
            except Damaged as error:
                self._damaged(group, message, error)
                return
            message.parts[item.section] = octets

    def _damaged(self, group: list[Message], message: Message, error: Damaged) -> None:
        self.outcome.damaged.append((message.uid, error))
        group.remove(message)

    async def _written(self, group: list[Message]) -> bytes:
        if not (self._plan.octets or self._plan.head) or (len(group) == 1 and _row(group[0]).size < 1 << 16):
            return self._responses(group)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._desk.executor, self._responses, group)

    def _responses(self, group: list[Message]) -> bytes:
        return b"".join([piece for message in group for piece in self._response(message)])

    def _response(self, message: Message) -> list[bytes]:
        with_flags = message.uid in self._seen and not self._plan.has_flags
        try:
            return response(message, self._plan.items, self._opened.folder.keywords, with_flags=with_flags)
        except UnknownEncoding:
            self.outcome.unknown_encoding = True
            return []


def _row(message: Message) -> ContentRow:
    if message.row is None:
        raise LookupError("the row of the message was not read")
    return message.row
