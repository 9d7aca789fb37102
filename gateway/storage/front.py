"""The front of a spool: takes messages into the journal, lets most of them end there, and carries the rest inside.

Leaves out: the database's tables, which `gateway.storage.spool_sql` knows.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from gateway.storage import entries, spool_sql
from gateway.storage.entries import BadEntry, Batch, Carried, Row, Taken
from gateway.storage.fresh import Fresh, Freshness
from gateway.storage.journal import MAX_ENTRY, Journal
from gateway.storage.segments import Place, Segments
from gateway.storage.writer import StorageBroken, StorageFull, Writer

SOFT: Final = 16  # Segments that count; with more, what stands in the oldest is carried inside.
HARD: Final = 48  # With more, whoever brings mail waits for that.


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
        self._relief: asyncio.Task[None] | None = None

    async def open(self, loop: asyncio.AbstractEventLoop, executor: Executor) -> list[str]:
        """The ids of deliveries that a former process left here. Raises OSError."""
        batches, faults = await loop.run_in_executor(executor, self._journal.recover)
        self._fresh = replayed(batches, faults)
        for fault in faults:
            self._tell("error", "journal_damaged", spool=self._name, text=fault)
        self._journal.start(loop)
        return [id_ for fresh in self._fresh for id_ in fresh.live]

    def close(self) -> None:
        """Write what was asked for, then close. Blocks."""
        if self._relief is not None:
            self._relief.cancel()
        self._journal.close()

    # -- a message's life ---------------------------------------------------------------------------------------------

    async def take(self, message: Row, deliveries: Sequence[Row], records: Sequence[Row]) -> bool:
        """Durable when this returns; False where it is too long for the journal. Raises StorageFull, StorageBroken."""
        if self._fresh.get(message[0]) is not None:
            raise StorageBroken(f"a message {message[0]} is there already")
        octets = entries.taken(message, deliveries, records)
        if len(octets) > MAX_ENTRY:
            return False

        def account(place: Place) -> None:
            self._fresh.add(_fresh(Taken(message, deliveries, records), place))
            self._fresh.add_records([row[0] for row in records], place)

        if (crowd := self._fresh.segments()) > SOFT:
            await self._relieve(wait=crowd > HARD)
        await self._journal.append(octets, account=account)
        return True

    async def end(self, delivery: str, message: str, records: Sequence[Row]) -> bool | None:
        """Forget a delivery: whether a file of its message has to go too, or None where it stands in the database.

        Durable when this returns. Raises StorageFull, StorageBroken.
        """
        fresh = await self._settled(message)
        if fresh is None:
            return None
        fresh.ending.add(delivery)
        uids = [row[0] for row in records]
        try:
            await self._journal.append(
                entries.done(delivery, message, records),
                account=lambda place: self._fresh.add_records(uids, place),
                haste=False,
            )
        finally:
            fresh.ending.discard(delivery)
        fresh.live.discard(delivery)
        if fresh.live:
            return False
        self._fresh.drop(fresh)
        self._let_go()
        return fresh.has_file

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
        if not wanted:
            return
        await self._carry([fresh for fresh in wanted if fresh.carried is None])
        for fresh in wanted:  # Those that somebody else has in hand.
            if fresh.carried is not None:
                await asyncio.shield(fresh.carried)
        if strict and any(self._fresh.get(fresh.message) is fresh and fresh.live > fresh.ending for fresh in wanted):
            raise StorageBroken("a message could not be carried from the journal into the database")

    async def carry_records(self) -> None:
        """Bring all records into the database. Raises StorageFull, StorageBroken."""
        await self._carry([], self._fresh.records())

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

    async def _carry(self, wanted: Sequence[Fresh], records: dict[int, Place] | None = None) -> None:
        records = records or {}
        # What ends at this moment is left out: its end is written here, and means nothing to the database.
        live = {fresh.message: some for fresh in wanted if (some := fresh.live - fresh.ending)}
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
        if broken:
            self._tell("error", "journal_damaged", spool=self._name, text=f"{len(broken)} entries can't be read")
        if late := self._fresh.drop_records(records):  # Forgotten while they were carried.
            self._writer.later(lambda db: spool_sql.forget_records(db, late))
        self._let_go()

    def _drop(self, wanted: Sequence[Fresh], went_well: bool, broken: set[Place]) -> None:
        for fresh in wanted:
            carried, fresh.carried = fresh.carried, None
            gone = went_well and fresh.place not in broken
            if gone:
                self._fresh.drop(fresh)
            if carried is not None and not carried.done():
                carried.set_result(gone)

    async def _note_carried(self, messages: list[str], records: list[int]) -> None:
        """Before anybody ends them in the database: a crash would bring them back from here."""
        try:
            await self._journal.append(entries.carried(messages, records))
        except (StorageFull, StorageBroken) as error:
            # They are safe. After a crash they might be sent once more.
            self._tell("error", "journal_not_written", spool=self._name, error=str(error))

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
            self._relief = asyncio.get_running_loop().create_task(self._carry_oldest())
        if wait:
            await asyncio.shield(self._relief)

    async def _carry_oldest(self) -> None:
        oldest = self._fresh.oldest()
        if oldest is None:
            return
        wanted = [fresh for fresh in self._fresh if fresh.place.segment == oldest and fresh.carried is None]
        try:
            await self._carry(wanted, self._fresh.records(oldest))
        except (StorageFull, StorageBroken) as error:
            self._tell("error", "journal_not_relieved", spool=self._name, error=str(error))


def replayed(batches: Iterable[Batch], faults: list[str]) -> Freshness:
    """What stands in a journal and nowhere else. `faults` takes what can't be read, in words."""
    fresh = Freshness()
    for batch in batches:
        for offset, octets in batch.entries:
            place = Place(batch.segment, offset, len(octets))
            try:
                _again(fresh, entries.read(octets), place)
            except BadEntry as error:
                faults.append(f"segment {batch.segment} at {offset}: {error}")
    return fresh


def _again(fresh: Freshness, entry: entries.Entry, place: Place) -> None:
    if isinstance(entry, Carried):
        for message in entry.messages:
            if (known := fresh.get(message)) is not None:
                fresh.drop(known)
        fresh.drop_records(entry.records)
        return
    if isinstance(entry, Taken):
        fresh.add(_fresh(entry, place))
    elif (known := fresh.get(entry.message)) is not None:
        known.live.discard(entry.delivery)
        if not known.live:
            fresh.drop(known)
    fresh.add_records([row[0] for row in entry.records], place)


def waiting_messages(folder: Path) -> int:
    """How many messages stand in the journal in `folder`. Opens nothing that is sealed; blocks. Raises OSError."""
    if not folder.exists():
        return 0
    segments = Segments(folder)
    try:
        return len(replayed(segments.recover()[0], []))
    finally:
        segments.close()


def _fresh(taken: Taken, place: Place) -> Fresh:
    id_, received, _, content = taken.message
    return Fresh(id_, place, (row[0] for row in taken.deliveries), received, has_file=content is None)
