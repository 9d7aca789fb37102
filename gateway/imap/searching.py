"""SEARCH: keys on flags, dates and sizes first; what is left is opened and read (RFC 3501 6.4.4).

Only those messages are opened whose flags, dates and sizes have not decided yet. Leaves out: an index of words, which
would be content in clear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Final

from pymap.parsing.specials import SearchKey

from gateway.imap.answers import Refusal
from gateway.imap.desk import Desk
from gateway.imap.fetching import Keyed
from gateway.imap.internal_date import day_of
from gateway.imap.memory import AccountMemory
from gateway.imap.opened import Opened
from gateway.imap.search_key import Key, Known, judge, ready
from gateway.mailboxes.contents.damage import Damaged
from gateway.mailboxes.faults import KeyBroken
from gateway.mailboxes.head import BadHead, Head, Searched
from gateway.storage.mailboxes.model import ContentRow

if TYPE_CHECKING:
    from gateway.mailboxes.policies.mailbox_keys import MailboxKey

ROWS: Final = 200  # Messages of one query.
OCTETS: Final = 4 << 20  # Of messages that are opened at once; a larger one alone.
CHUNK: Final = 1 << 20  # Octets of which no part is opened alone.
MAX_MESSAGE: Final = 16 << 20  # Octets of a message that are opened to be searched; of a larger one the first.
COPIES: Final = 3  # Of a message's octets while it is searched.
_OF_BODY: Final = (b"BODY", b"TEXT")
_DATES: Final = (b"BEFORE", b"ON", b"SINCE")
_SIZES: Final = (b"LARGER", b"SMALLER")


class Searching:
    """One SEARCH. `most`: octets that it may open; `damaged`: messages that could not be."""

    def __init__(self, desk: Desk, memory: AccountMemory, opened: Opened, keyed: Keyed, *, most: int) -> None:
        self._desk = desk
        self._memory = memory
        self._opened = opened
        self._keyed = keyed
        self._left = most
        self.damaged = 0

    async def found(self, wanted: Sequence[SearchKey]) -> list[int]:
        """The places of messages for which all keys hold. Raises BadSequence, Refusal, MailboxClosed and the like."""
        key = Key(b"KEYSET", False, tuple(ready(one, self._opened) for one in wanted))
        words = key.words
        dates, sizes = await self._measures(words)
        sure, open_ = await self._desk.aside(len(self._opened), lambda: self._sifted(key, dates, sizes))
        if open_:
            sure += await self._read(key, open_, with_body=bool(words.intersection(_OF_BODY)))
        return sorted(sure)

    def _sifted(
        self, key: Key, dates: dict[int, int] | None, sizes: dict[int, int] | None
    ) -> tuple[list[int], list[Known]]:
        """The places for which the key holds, and those that have to be opened."""
        days: dict[int, date] = {}
        sure: list[int] = []
        open_: list[Known] = []
        opened = self._opened
        for place in range(len(opened)):
            day = None
            if dates is not None and (second := dates.get(opened.uids[place])) is not None:
                number = second // 86400
                day = days.get(number) or days.setdefault(number, day_of(second))
            known = Known(place, opened.flags[place], day, sizes.get(opened.uids[place], 0) if sizes else 0)
            holds = judge(key, known)
            if holds is None:
                open_.append(known)
            elif holds:
                sure.append(place)
        return sure, open_

    async def _measures(self, words: frozenset[bytes]) -> tuple[dict[int, int] | None, dict[int, int] | None]:
        """Dates and sizes by UID, where a key asks for them."""
        if not words.intersection((*_DATES, *_SIZES)):
            return None, None
        measures = await self._desk.store.measures(self._opened.folder.id)
        dates = dict(zip(measures.uids, measures.dates, strict=True)) if words.intersection(_DATES) else None
        return dates, dict(zip(measures.uids, measures.sizes, strict=True)) if words.intersection(_SIZES) else None

    # -- opening ------------------------------------------------------------------------------------------------------

    async def _read(self, key: Key, open_: list[Known], *, with_body: bool) -> list[int]:
        await self._keyed.key()
        found: list[int] = []
        for start in range(0, len(open_), ROWS):
            some = {self._opened.uids[one.place]: one for one in open_[start : start + ROWS]}
            found += await self._judged(key, some, with_body=with_body, fresh=False)
        return found

    async def _judged(self, key: Key, some: dict[int, Known], *, with_body: bool, fresh: bool) -> list[int]:
        await self._keyed.key(fresh=fresh)
        rows = await self._desk.store.fetch(self._opened.folder.id, list(some), head=not with_body)
        found: list[int] = []
        group: list[tuple[Known, ContentRow]] = []
        octets = 0
        try:
            for entry, row in rows:
                size = min(row.size, MAX_MESSAGE)
                if group and octets + size > OCTETS:
                    found += await self._group(key, group, with_body=with_body)
                    group, octets = [], 0
                group.append((some[entry.uid], row))
                octets += size
            if group:
                found += await self._group(key, group, with_body=with_body)
        except KeyBroken:
            if fresh:
                raise
            return await self._judged(key, some, with_body=with_body, fresh=True)  # A roll has begun or ended since.
        return found

    async def _group(self, key: Key, group: list[tuple[Known, ContentRow]], *, with_body: bool) -> list[int]:
        """Open some messages and judge them."""
        rows = [row for _, row in group]
        tops = [MAX_MESSAGE] * len(rows)
        if not with_body:
            tops = await self._tops(await self._keyed.key(), rows)
        octets = sum(min(row.size, max(top, CHUNK)) for row, top in zip(rows, tops, strict=True))
        if octets > self._left:
            raise Refusal("That search would have to read too much; please narrow it by date, size or flag", "LIMIT")
        self._left -= octets
        async with self._memory.held(octets * COPIES):
            # Asked for now: whoever waited for memory may have waited long.
            texts = await self._texts(await self._keyed.key(), rows, tops, with_body=with_body)
            self.damaged += sum(1 for text in texts if text is None)

            def judged() -> list[int]:
                return [
                    known.place
                    for (known, _), text in zip(group, texts, strict=True)
                    if text is not None and judge(key, replace(known, text=Searched(text)))
                ]

            return await asyncio.get_running_loop().run_in_executor(self._desk.executor, judged)

    async def _texts(
        self, key: MailboxKey, rows: list[ContentRow], tops: list[int], *, with_body: bool
    ) -> list[bytes | None]:
        """The octets of each message that are searched: all, or its header section. None where it is damaged."""
        contents = self._desk.contents
        small = [row for row in rows if row.size <= (OCTETS if with_body else CHUNK)]
        found = dict(zip((row.id for row in small), await contents.read_many(key, small), strict=True))
        texts: list[bytes | None] = []
        for row, top in zip(rows, tops, strict=True):
            octets = found.get(row.id)
            if octets is None:
                try:
                    octets = await contents.read(key, row, 0, top)
                except Damaged as error:
                    octets = error
            texts.append(None if isinstance(octets, Damaged) else octets[:top])
        return texts

    async def _tops(self, key: MailboxKey, rows: list[ContentRow]) -> list[int]:
        """How many octets the header section of each has, where that is kept beside it; MAX_MESSAGE at most."""
        found: list[int] = []
        for octets in await self._desk.contents.heads(key, rows):
            try:
                top = CHUNK if octets is None or isinstance(octets, Damaged) else Head.from_octets(octets).top
            except BadHead:
                top = CHUNK
            found.append(min(top, MAX_MESSAGE))
        return found
