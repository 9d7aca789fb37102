"""The front of a spool: takes messages into the journal, lets most of them end there, and carries the rest inside.

Leaves out: the database's tables, which `gateway.storage.spool_sql` knows.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final

from gateway.storage import entries, spool_sql
from gateway.storage.entries import BadEntry, Carried, Row, Taken
from gateway.storage.fresh import Fresh, Freshness
from gateway.storage.journal import MAX_ENTRY, Journal
from gateway.storage.replay import fresh_of
from gateway.storage.segments import Place
from gateway.storage.writer import StorageBroken, StorageFull, Writer

SOFT: Final = 16  # Segments that are kept; with more, what stands in the oldest is carried inside.
HARD: Final = 48  # With more, whoever brings mail waits for that;
MOST: Final = 128  # with more than this, where the database takes nothing for long, no mail is taken: half a gibibyte.
CARRY_AT_ONCE: Final = 500  # Messages in one transaction of the database.
NOTE_AT_ONCE: Final = 5000  # Names in one entry that says what was carried, which has to fit into a file.


class Front:
    """One for each spool, on its loop. `writer` is the one of its database."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        writer: Writer,
        monotonic: Callable[[], float],
        observe: Callable[[int, float], None],
        tell: Callable[..., None],
    ) -> None:
        """`observe` is told entries and seconds of each commit."""
        self._name = name
        self._journal = Journal(folder, name=f"journal-{name}", monotonic=monotonic, observe=observe)
        self._writer = writer
        self._tell = tell
        self._fresh = Freshness()
        self._executor: Executor | None = None
        self._relief: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # What the journal still has to say does not stand here alone: a write that failed, of messages and of records.
        self._owed: tuple[list[str], list[int]] = ([], [])

    async def open(self, loop: asyncio.AbstractEventLoop, executor: Executor) -> list[str]:
        """The ids of deliveries that a former process left here. Raises StorageBroken, OSError."""
        self._executor = executor
        self._fresh, faults = await loop.run_in_executor(executor, self._journal.recover)
        for fault in faults:
            self._tell("error", "journal_damaged", spool=self._name, text=fault)
        self._journal.start(loop)
        return [id_ for fresh in self._fresh for id_ in fresh.live]

    def close(self) -> None:
        """Write what was asked for, then close. Blocks; any thread may call it, once the writer is closed."""
        self._journal.close()

    def hold(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do it while the loop runs, whoever asked for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Whoever asked may be gone, and has left everything as it was.

    async def settled(self) -> None:
        """When this returns, it is known of all that was asked for with haste before. Raises StorageBroken."""
        await self._journal.append(b"")

    # -- a message's life ---------------------------------------------------------------------------------------------

    async def take(self, message: Row, deliveries: Sequence[Row], records: Sequence[Row]) -> bool:
        """Durable when this returns; False where it is too long for the journal. Raises StorageFull, StorageBroken."""
        if self._fresh.get(message[0]) is not None:
            raise StorageBroken(f"a message {message[0]} is there already")
        octets = entries.taken(message, deliveries, records)
        if len(octets) > MAX_ENTRY:
            return False
        uids = [row[0] for row in records]

        def account(place: Place | None) -> None:
            if place is not None:
                self._fresh.add(fresh_of(Taken(message, deliveries, records), place))
                self._fresh.add_records(uids, place)
            else:  # It may be on disk all the same, and its sender was told that it is not.
                self._owed[0].append(message[0])
                self._owed[1].extend(uids)

        if (span := self._journal.span(self._fresh.oldest())) > SOFT:
            await self._relieve(wait=span > HARD)
            if self._journal.span(self._fresh.oldest()) > MOST:
                raise StorageFull("the journal is full, since the database takes nothing; see the log")
        if self._owed[0] or self._owed[1]:
            await self._note([], [])
        await self._journal.append(octets, account=account)
        return True

    async def end(self, delivery: str, message: str, records: Sequence[Row]) -> bool | None:
        """Forget a delivery: whether a file of its message has to go too, or None where it stands in the database.

        Durable when this returns. Raises StorageFull, StorageBroken. Whoever is cancelled here has asked all the same.
        """
        fresh = await self._settled(message)
        if fresh is None:
            return None
        fresh.ending.add(delivery)
        uids = [row[0] for row in records]

        def account(place: Place | None) -> None:
            fresh.ending.discard(delivery)
            if place is None:
                return
            self._fresh.add_records(uids, place)
            fresh.live.discard(delivery)
            # With the last one the message is gone; unless others of its deliveries were carried inside meanwhile.
            if not fresh.live and self._fresh.get(message) is fresh:
                self._fresh.drop(fresh)
                self._let_go()

        await self._journal.append(entries.done(delivery, message, records), account=account, haste=False)
        return fresh.has_file and not fresh.live

    def forget_records(self, uids: Iterable[int]) -> list[int]:
        """They are elsewhere now; those that stand in the database come back."""
        others = self._fresh.drop_records(uids)
        self._let_go()
        return others

    # -- inside -------------------------------------------------------------------------------------------------------

    async def carry(self, messages: Iterable[str] | None = None, *, strict: bool = False) -> None:
        """Bring these, or all, into the database. Raises StorageFull, StorageBroken; they stay here then.

        An entry that the disk has damaged is told in the log, and raises StorageBroken only where `strict`.
        """
        wanted = list(self._fresh) if messages is None else self._named(messages)
        while wanted:
            free = [fresh for fresh in wanted if fresh.carried is None and not fresh.damaged]
            for start in range(0, len(free), CARRY_AT_ONCE):
                some = [fresh for fresh in free[start : start + CARRY_AT_ONCE] if fresh.carried is None]
                if some:
                    await self._whole(self._carry(some))
            left = []
            for fresh in wanted:  # Those that somebody else has in hand; where he fails we try ourselves.
                if await self._settled(fresh.message) is fresh and fresh.live > fresh.ending:
                    left.append(fresh)
            wanted = [fresh for fresh in left if not fresh.damaged]
            if strict and len(wanted) < len(left):
                raise StorageBroken("a message could not be carried from the journal into the database")

    async def carry_records(self) -> None:
        """Bring all records into the database. Raises StorageFull, StorageBroken."""
        await self._whole(self._carry([], self._fresh.records()))

    async def taken(self, messages: Iterable[str] | None = None) -> list[Taken]:
        """What stands here of these messages, or of all, with the deliveries that are not done; nothing is carried.

        For when the database takes nothing: what can't be read is left out.
        """
        wanted = list(self._fresh) if messages is None else self._named(messages)
        places = [fresh.place for fresh in wanted if not fresh.damaged]
        found = await asyncio.get_running_loop().run_in_executor(self._executor, self._entries, places)
        here = {one.message[0]: one for one in found}
        return [
            Taken(one.message, [row for row in one.deliveries if row[0] in fresh.live], one.records)
            for fresh in wanted
            if fresh.live and (one := here.get(fresh.message)) is not None
        ]

    def _entries(self, places: Iterable[Place]) -> list[Taken]:
        found = []
        for place in places:
            try:
                entry = entries.read(self._journal.read(place))
            except (OSError, BadEntry):
                continue
            if isinstance(entry, Taken):
                found.append(entry)
        return found

    def newest_record(self) -> int:
        """The greatest uid of a record that is here, 0 where there is none."""
        return max(self._fresh.records(), default=0)

    def with_files(self) -> set[str]:
        """The messages whose content lies in a file of its own."""
        return {fresh.message for fresh in self._fresh if fresh.has_file}

    def counts(self) -> tuple[int, float | None]:
        """How many deliveries are here, and when the oldest came, in milliseconds since 1970."""
        return sum(len(fresh.live) for fresh in self._fresh), min((f.created for f in self._fresh), default=None)

    def _named(self, messages: Iterable[str]) -> list[Fresh]:
        return [fresh for name in dict.fromkeys(messages) if (fresh := self._fresh.get(name)) is not None]

    async def _settled(self, message: str) -> Fresh | None:
        """The message, if it is here, once nobody carries it."""
        while (fresh := self._fresh.get(message)) is not None and fresh.carried is not None:
            await asyncio.shield(fresh.carried)
        return fresh

    async def _whole(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it to its end, also where whoever waits is cancelled.

        What is in the database and still counts here would be sent twice: its end would be told to the journal alone.
        """
        await asyncio.shield(self.hold(work))

    async def _carry(self, wanted: Sequence[Fresh], records: dict[int, Place] | None = None) -> None:
        records = records or {}
        # What ends at this moment is left out: its end is written here, and means nothing to the database.
        # So is what somebody else has taken in hand, or brought to its end, since it was asked for.
        live = {
            fresh.message: some
            for fresh in wanted
            if self._fresh.get(fresh.message) is fresh and fresh.carried is None and (some := fresh.live - fresh.ending)
        }
        wanted = [fresh for fresh in wanted if fresh.message in live]
        if not wanted and not records:
            return
        loop = asyncio.get_running_loop()
        for fresh in wanted:
            fresh.carried = loop.create_future()
        broken: list[Place] = []
        work = self._work({fresh.place: live[fresh.message] for fresh in wanted}, records, broken)
        went_well = False
        try:
            await self._writer.do(work)
            went_well = True
            await self._note_carried([fresh.message for fresh in wanted if fresh.place not in broken], list(records))
        finally:
            self._drop(wanted, went_well, set(broken))
        still = {fresh.place for fresh in wanted} | set(self._fresh.records().values()) if broken else set()
        if damaged := still.intersection(broken):
            self._tell("error", "journal_damaged", spool=self._name, text=f"{len(damaged)} entries can't be read")
        if late := self._fresh.drop_records(records):  # Forgotten while they were carried.
            self._writer.later(lambda db: spool_sql.forget_records(db, late))
        self._let_go()

    def _drop(self, wanted: Sequence[Fresh], went_well: bool, broken: set[Place]) -> None:
        for fresh in wanted:
            carried, fresh.carried = fresh.carried, None
            gone = went_well and fresh.place not in broken
            if gone:
                self._fresh.drop(fresh)
            elif went_well:
                self._fresh.give_up(fresh)
            if carried is not None and not carried.done():
                carried.set_result(gone)

    async def _note_carried(self, messages: list[str], records: list[int]) -> None:
        """Before anybody ends them in the database: a crash would bring them back from here."""
        try:
            await self._note(messages, records)
        except (StorageFull, StorageBroken) as error:
            # They are safe. After a crash before this is made good they might be sent once more.
            self._tell("error", "journal_not_written", spool=self._name, error=str(error))

    async def _note(self, messages: Sequence[str], records: Sequence[int]) -> None:
        """Say that these do not stand here alone, with what is owed of that. Raises StorageFull, StorageBroken."""
        messages, records = [*self._owed[0], *messages], [*self._owed[1], *records]
        self._owed = ([], [])
        while messages or records:
            some, uids = messages[:NOTE_AT_ONCE], records[:NOTE_AT_ONCE]
            try:
                await self._journal.append(entries.carried(some, uids))
            except BaseException:
                self._owed[0].extend(messages)
                self._owed[1].extend(records)
                raise
            messages, records = messages[NOTE_AT_ONCE:], records[NOTE_AT_ONCE:]

    def _work(
        self, messages: dict[Place, set[str]], records: dict[int, Place], broken: list[Place]
    ) -> Callable[[sqlite3.Connection], None]:
        """`messages`: which deliveries of the one at each place; `broken` takes those that can't be read."""
        places = dict.fromkeys([*messages, *records.values()])

        def work(db: sqlite3.Connection) -> None:
            broken.clear()
            for place in places:
                try:
                    entry = entries.read(self._journal.read(place))
                except (OSError, BadEntry):
                    broken.append(place)
                    continue
                if isinstance(entry, Taken) and place in messages:
                    live = messages[place]
                    spool_sql.store(db, entry.message, [row for row in entry.deliveries if row[0] in live])
                found = [] if isinstance(entry, Carried) else entry.records
                spool_sql.store_records(db, [row for row in found if row[0] in records])

        return work

    # -- room ---------------------------------------------------------------------------------------------------------

    def _let_go(self) -> None:
        self._journal.forget(self._fresh.oldest())

    async def _relieve(self, *, wait: bool) -> None:
        """Carry what stands in the oldest segment."""
        if self._relief is None or self._relief.done():
            self._relief = self.hold(self._carry_oldest())
        if wait:
            await asyncio.shield(self._relief)

    async def _carry_oldest(self) -> None:
        oldest = self._fresh.oldest()
        if oldest is None:
            return
        wanted = [
            fresh
            for fresh in self._fresh
            if fresh.place.segment == oldest and fresh.carried is None and not fresh.damaged
        ]
        try:
            await self._carry(wanted, self._fresh.records(oldest))
        except (StorageFull, StorageBroken) as error:
            self._tell("error", "journal_not_relieved", spool=self._name, error=str(error))
