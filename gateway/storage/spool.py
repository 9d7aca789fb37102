"""The spool: what was accepted and has not left yet. One SQLite file and one folder for each worker (DESIGN 4, 5, 13).

A 250 rests on `accept`: when it returns, message, deliveries and records are on disk, sealed. Fulfils
`gateway.delivery.queue.Queue`. Leaves out: sharing a spool between processes.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from gateway.mail.delivery import HERE, QUARANTINE, Delivery, State
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Content, Held, prefaced, sliced
from gateway.mail.plan import Left
from gateway.observe.events import Event, Found
from gateway.storage import spool_sql
from gateway.storage.alone import Alone
from gateway.storage.content import PURPOSE, Incoming
from gateway.storage.front import Front
from gateway.storage.record import RIGHTS, TRACE, Keeper, Prepared, Record
from gateway.storage.rights_rows import read_row
from gateway.storage.sealer import KeysClosed, SealBroken, Sealer
from gateway.storage.shelf import FileShelf, Shelf
from gateway.storage.spool_rows import decode_delivery, encode_delivery, unreadable
from gateway.storage.spooling import Hands
from gateway.storage.writer import StorageBroken, StorageFull, Writer, open_database
from gateway.world.clock import Clock

AT_ONCE = 1000  # Messages that are read from the journal at once where the database takes none.
LEAST_FREE = 64 << 10  # Octets on the disk without which nothing is taken, whatever the settings say.
AGAIN = 1.0  # Seconds until a database that takes nothing is asked again.

DATABASE = "spool.db"
CONTENT = "content"
JOURNAL = "journal"


class Spool(Alone):
    """One spool. Made, then `open`ed on the loop, then used on that loop alone."""

    def __init__(
        self,
        folder: Path,
        *,
        sealer: Sealer,
        keeper: Keeper,
        clock: Clock,
        executor: Executor,
        min_free: int,
        moved: Callable[[Spool, Sequence[Prepared]], None],
        observe: Callable[[int, float], None],
        name: str,
        tell: Callable[..., None] = lambda *_, **__: None,
        shelf: Shelf | None = None,
    ) -> None:
        """`shelf` keeps what is too large for the database; default: files beside it. `moved` is told, after their
        commit, which records of `done`, `postpone`, `note` and `change` are to be moved; `observe` works and seconds
        of each commit.
        """
        self.name = name
        self._tell = tell
        self._folder = folder
        self._shelf = shelf or FileShelf(folder / CONTENT, sealer, executor)
        self._sealer = sealer
        self._keeper = keeper
        self._clock = clock
        self._executor = executor
        self._min_free = min_free
        self._moved = moved
        self._writer = Writer(
            lambda: open_database(str(folder / DATABASE)),
            name=f"spool-{name}",
            monotonic=clock.monotonic,
            observe=lambda works, seconds: None,
        )
        self._front = Front(
            folder / JOURNAL,
            name=name,
            writer=self._writer,
            monotonic=clock.monotonic,
            observe=observe,
            tell=tell,
        )
        self._leased: set[str] = set()
        self._given_back: set[str] = set()  # Of those that were accepted here: not to be found in the index yet.
        self._look: Callable[[], None] | None = None
        self._uid = 0
        self._earliest: float | None = None  # A lower bound of when something in the table is due; None: unknown.
        self._free = 0  # Octets free on the disk, as of at most a second ago.
        self._free_until = 0.0

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the database and clear away what a crash left. Raises StorageBroken, OSError."""
        try:
            await self._open(loop)
        except BaseException:
            await loop.run_in_executor(self._executor, self.close)
            raise

    async def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._writer.start(loop)
        except sqlite3.Error as error:
            raise StorageBroken(
                f"{self._folder / DATABASE} can't be opened: {error}. Restore it from a copy"
            ) from error
        # Leases ended with the process that had them.
        self._given_back.update(await self._front.open(loop, self._executor))
        self._given_back.update(await self._writer.do(spool_sql.fresh))
        try:
            await self._front.carry_records()
        except (StorageFull, StorageBroken) as error:  # What we deliver makes room; the next start tries again.
            self._tell("error", "records_left_in_journal", spool=self.name, error=str(error))
        await self._put_in_index()
        # Greater than every number that was given before, also where the clock went back since.
        last = max(await self._writer.do(spool_sql.newest_record), self._front.newest_record())
        self._uid = max(int(self._clock.now() * 1_000_000), last)
        await self._shelf.open(await self.shelved())

    def attend(self, hands: Hands) -> None:
        """Nobody else will ask; but what comes back from a session that ended half-way has to be looked for."""
        self._look = hands.look

    async def shelved(self) -> set[str]:
        """The messages whose octets are not in the database but on the shelf."""
        return self._front.with_files() | await self._writer.do(spool_sql.with_files)

    def close(self) -> None:
        """Write what was asked for, then close. Blocks; from any thread."""
        self._writer.close()  # First: it may still read what stands in the journal.
        self._front.close()

    async def unload(self) -> None:
        """Bring everything into the database, for whoever reads that itself. Raises StorageFull, StorageBroken."""
        await self._front.carry()
        await self._front.carry_records()

    # -- taking mail --------------------------------------------------------------------------------------------------

    def begin(self, id_: str) -> Incoming:
        """Room for the octets of message `id_`."""
        return self._shelf.begin(id_)

    async def forget_content(self, id_: str) -> None:
        """See Spooling."""
        await self._shelf.forget(id_)

    def check_room(self, size: int) -> None:
        """Raises StorageFull where `size` octets more would leave less than min_free on the disk."""
        now = self._clock.monotonic()
        if now >= self._free_until:
            self._free_until = now + 1.0
            disk = os.statvfs(self._folder)
            self._free = disk.f_bavail * disk.f_frsize
        # What is taken now may have to be carried from the journal into the database, which takes room too.
        if self._free - size < max(self._min_free, LEAST_FREE):
            raise StorageFull(f"less than {self._min_free} octets are free where the spool lies")

    def new_record(self, message: str, events: Sequence[Event], found: Found | None = None) -> Prepared:
        """A record with a uid of its own."""
        self._uid += 1
        return self._keeper.prepare(Record(message=message, uid=self._uid, events=events, found=found))

    def new_left(self, message: str, left: Left) -> Prepared:
        """Likewise, of what it leaves elsewhere."""
        self._uid += 1
        return Prepared(message, self._uid, 0, b"", left.octets, left.kind)

    async def accept(self, mail: Mail, deliveries: Sequence[Delivery], records: Sequence[Prepared]) -> None:
        """Take responsibility. Raises StorageFull, StorageBroken; then nothing is stored.

        Deliveries are leased to the caller, who has the records moved before he lets them go.
        """
        inline = mail.message.content.inline
        sealed = None if inline is None else self._sealer.seal(PURPOSE, f"content {mail.id}", inline)
        message = (mail.id, int(mail.received * 1000), mail.message.size, sealed)
        rows = [self._row(delivery) for delivery in deliveries]
        record_rows = self._record_rows(records)

        self._leased.update(delivery.id for delivery in deliveries)
        try:
            if not await self._front.take(message, rows, record_rows):
                await self._writer.do(lambda db: spool_sql.store(db, message, rows, record_rows))
        except asyncio.CancelledError:
            self._front.hold(self._see_to(deliveries, records))
            raise
        except BaseException:
            self._leased.difference_update(delivery.id for delivery in deliveries)
            raise

    async def _see_to(self, deliveries: Sequence[Delivery], records: Sequence[Prepared]) -> None:
        """Whoever brought these is gone before he could hear whether they were stored; where they were, they leave."""
        try:
            await self._front.settled()
            await self._writer.do(lambda db: None)
            stored = {one.id for one in await self.deliveries([delivery.id for delivery in deliveries])}
        except (StorageFull, StorageBroken):  # We are about to end; the next process finds them.
            return
        if stored:
            self._moved(self, records)
        for delivery in deliveries:
            if delivery.id in stored:
                await self.unlease(delivery)
            else:
                self._leased.discard(delivery.id)
        if stored and self._look is not None:
            self._look()

    async def note(self, records: Sequence[Prepared]) -> None:
        """Store records that go with no message."""
        rows = self._record_rows(records)
        await self._writer.do(lambda db: spool_sql.store_records(db, rows))
        self._moved(self, records)

    def _row(self, delivery: Delivery) -> tuple[Any, ...]:
        return (
            delivery.id,
            delivery.message,
            delivery.connector,
            self._destination(delivery.connector, delivery.destination),
            spool_sql.NEW if delivery.state is State.READY else delivery.state.value,
            int(delivery.next_attempt * 1000),
            delivery.attempts,
            int(delivery.created * 1000),
            delivery.size,
            self._sealer.seal(PURPOSE, f"delivery {delivery.id}", encode_delivery(delivery)),
        )

    @staticmethod
    def _record_rows(records: Iterable[Prepared]) -> list[tuple[Any, ...]]:
        return [(r.uid, r.message, r.kind, r.sealed) for r in records]

    def _destination(self, connector: str, destination: str) -> int:
        return self._sealer.token("destination", f"{connector}\n{destination}")

    # -- records ------------------------------------------------------------------------------------------------------

    async def records(self, after: int = 0, limit: int = 1000) -> list[Prepared]:
        """What a former process left to be moved, oldest first, from behind the uid `after` on.

        Damaged ones, and those of a newer gateway, are left where they are.
        """
        rows = await self._writer.do(lambda db: spool_sql.records(db, after, limit))
        found = []
        for message, uid, kind, sealed in rows:
            try:
                if kind == TRACE:
                    found.append(self._keeper.recover(message, uid, sealed))
                elif kind == RIGHTS:
                    read_row(sealed)
                    found.append(Prepared(message, uid, 0, b"", sealed, kind))
            except SealBroken:
                continue
        return found

    def forget_records(self, uids: Sequence[int]) -> None:
        """They are elsewhere now. A crash before the commit moves them once more, which changes nothing."""
        if inside := self._front.forget_records(uids):
            self._writer.later(lambda db: spool_sql.forget_records(db, inside))

    # -- the queue (gateway.delivery.queue.Queue) ---------------------------------------------------------------------

    async def due(self, now: float, limit: int, busy: Collection[tuple[str, str]]) -> list[Delivery]:
        """See Queue."""
        await self._put_in_index()
        tokens = [self._destination(*pair) for pair in busy]
        room = limit + len(self._leased)

        def work(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            found = spool_sql.due(db, int(now * 1000), room, tokens)
            return spool_sql.select(db, [id_ for id_ in found if id_ not in self._leased][:limit])

        rows = await self._writer.do(work)
        if self._given_back and len(rows) < limit:
            rows += await self._due_in_journal(int(now * 1000), limit - len(rows), set(tokens))
        self._earliest = None
        found = [row for row in rows if row[0] not in self._leased]  # Some may have been leased meanwhile.
        ids = {row[0] for row in found}
        self._leased |= ids  # Before the next wait.
        deliveries: list[Delivery] = []
        try:
            deliveries = await self._open_rows(found)
        finally:
            self._leased -= ids.difference(delivery.id for delivery in deliveries)
        return deliveries

    async def _due_in_journal(self, now: int, limit: int, busy: Collection[int]) -> list[tuple[Any, ...]]:
        """What the database does not take now may leave from where it stands."""
        names = [id_.rpartition(".")[0] for id_ in self._given_back if id_ not in self._leased][:AT_ONCE]
        rows = [row for one in await self._front.taken(names) for row in one.deliveries]
        due = [row for row in rows if row[0] in self._given_back and row[0] not in self._leased and row[5] <= now]
        return [spool_sql.selected(row) for row in due if row[3] not in busy][:limit]

    async def next_due(self) -> float | None:
        """See Queue."""
        if self._earliest is None:
            await self._put_in_index()
            room = len(self._leased) + 1
            rows = await self._writer.do(lambda db: spool_sql.next_due(db, room))
            times = [at / 1000 for id_, at in rows if id_ not in self._leased]
            self._earliest = times[0] if times else float("inf")
        if self._given_back:  # The disk took no word of them: ask again soon.
            return min(self._earliest, self._clock.now() + AGAIN)
        return None if self._earliest == float("inf") else self._earliest

    async def content(self, delivery: Delivery) -> Content:
        """See Queue."""
        size, sealed = await self._stored(delivery.message)
        stored: Content = (
            self._shelf.content(delivery.message, size)
            if sealed is None
            else Held(self._sealer.open(PURPOSE, f"content {delivery.message}", sealed))
        )
        return prefaced(delivery.preface, sliced(stored, delivery.slice))

    async def done(self, delivery: Delivery, events: Sequence[Event]) -> None:
        """See Queue."""
        records = [self.new_record(delivery.message, events)] if events else []
        rows = self._record_rows(records)
        # Without haste: what a crash undoes here is sent once more, as RFC 5321 4.2.5 lets it.
        is_shelved = await self._front.end(delivery.id, delivery.message, rows)
        if is_shelved is None:
            forget = partial(spool_sql.forget, delivery=delivery.id, message=delivery.message, records=rows)
            is_shelved = await self._writer.do(forget, haste=False)
        if is_shelved:
            await self._shelf.forget(delivery.message)
        self._leased.discard(delivery.id)
        if records:
            self._moved(self, records)

    async def postpone(self, delivery: Delivery, events: Sequence[Event]) -> None:
        """See Queue."""
        records = [self.new_record(delivery.message, events)] if events else []
        rows = self._record_rows(records)
        row = (
            delivery.connector,
            self._destination(delivery.connector, delivery.destination),
            delivery.state.value,
            int(delivery.next_attempt * 1000),
            delivery.attempts,
            int(delivery.created * 1000),
            self._sealer.seal(PURPOSE, f"delivery {delivery.id}", encode_delivery(delivery)),
            delivery.id,
        )
        await self._front.carry([delivery.message], strict=True)
        await self._writer.do(lambda db: spool_sql.postpone(db, row, rows))
        self._leased.discard(delivery.id)
        if self._earliest is not None and delivery.state is not State.HELD:
            self._earliest = min(self._earliest, delivery.next_attempt)
        if records:
            self._moved(self, records)

    async def unlease(self, delivery: Delivery) -> None:
        """See Queue."""
        self._leased.discard(delivery.id)
        self._given_back.add(delivery.id)
        self._earliest = None

    async def _put_in_index(self) -> None:
        """What was accepted and given back is to be found from now on. A disk that is full now may take it later."""
        if not (ids := list(self._given_back)):
            return
        try:
            await self._front.carry([id_.rpartition(".")[0] for id_ in ids])
            await self._writer.do(lambda db: spool_sql.put_in_index(db, ids))
        except (StorageFull, StorageBroken):
            return
        self._given_back.difference_update(ids)

    # -- administration -----------------------------------------------------------------------------------------------

    def is_leased(self, id_: str) -> bool:
        """Whether somebody has it in hand."""
        return id_ in self._leased

    def lease(self, delivery: Delivery) -> bool:
        """Take `delivery` in hand; False where somebody has it already."""
        if delivery.id in self._leased:
            return False
        self._leased.add(delivery.id)
        return True

    async def deliveries(self, ids: Sequence[str] | None = None, limit: int = 10_000) -> list[Delivery]:
        """All deliveries, oldest first, or those of `ids`, which may name messages (Q) or deliveries (Q.1)."""
        named = None if ids is None else [name for id_ in ids for name in (id_, id_.rpartition(".")[0])]
        outside: list[tuple[Any, ...]] = []
        try:
            await self._front.carry(named)
        except (StorageFull, StorageBroken):  # People want to see the queue all the more.
            outside = [spool_sql.selected(row) for one in await self._front.taken(named) for row in one.deliveries]

        def work(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return spool_sql.select_all(db, limit) if ids is None else spool_sql.select(db, ids, messages=True)

        rows = await self._writer.do(work)
        if outside:
            inside = {row[0] for row in rows}
            wanted = None if ids is None else set(ids)
            outside = [row for row in outside if wanted is None or row[0] in wanted or row[1] in wanted]
            rows = [*rows, *(row for row in outside if row[0] not in inside)][:limit]
        return await self._open_rows(rows, broken_too=True)

    async def change(self, deliveries: Sequence[Delivery], events: Callable[[Delivery], Event]) -> list[str]:
        """Store state and next_attempt of those that nobody has in hand; the ids of these."""
        free = [delivery for delivery in deliveries if self.lease(delivery)]
        changes = [(d.state.value, int(d.next_attempt * 1000), d.id) for d in free]
        try:
            records = [self.new_record(delivery.message, [events(delivery)]) for delivery in free]
            rows = self._record_rows(records)
            await self._front.carry([delivery.message for delivery in free], strict=True)
            await self._writer.do(lambda db: spool_sql.change(db, changes, rows))
        finally:
            self._leased.difference_update(delivery.id for delivery in free)
            self._earliest = None
        self._moved(self, records)
        return [delivery.id for delivery in free]

    async def head(self, message: str) -> bytes:
        """The beginning of a message's octets, long enough to hold its header section. Raises SealBroken, OSError."""
        size, sealed = await self._stored(message)
        if sealed is not None:
            return self._sealer.open(PURPOSE, f"content {message}", sealed)[:MAX_HEAD]
        async with aclosing(self._shelf.content(message, size).blocks()) as blocks:
            return (await anext(blocks))[:MAX_HEAD]

    async def _stored(self, message: str) -> tuple[int, bytes | None]:
        """Size and sealed octets of a message; None for octets that lie on the shelf. Raises SealBroken."""
        try:
            await self._front.carry([message])
        except (StorageFull, StorageBroken):
            for one in await self._front.taken([message]):
                return one.message[2], one.message[3]
        row = await self._writer.do(lambda db: spool_sql.content(db, message))
        if row is None:
            raise SealBroken(f"the octets of {message} are gone")
        return row

    async def counts(self) -> tuple[dict[str, int], float | None]:
        """See Spooling."""
        try:
            quarantine = self._destination(HERE, QUARANTINE)
        except KeysClosed:  # How many there are can be told all the same; these are `held` then.
            quarantine = None
        states, oldest = await self._writer.do(lambda db: spool_sql.counts(db, quarantine))
        fresh, oldest_fresh = self._front.counts()
        if fresh:
            states[State.READY.value] = states.get(State.READY.value, 0) + fresh
        times = [time for time in (oldest, oldest_fresh) if time is not None]
        return states, min(times) / 1000 if times else None

    async def _open_rows(self, rows: Sequence[tuple[Any, ...]], *, broken_too: bool = False) -> list[Delivery]:
        """Rows as deliveries. One that does not open is held where it lies, so that it never stops the others.

        With `broken_too` it comes as a delivery of which no more is known than its columns, for people to see.
        """
        found: list[Delivery] = []
        broken: list[str] = []
        for id_, message, connector, state, next_attempt, attempts, created, size, sealed in rows:
            try:
                found.append(
                    decode_delivery(
                        self._sealer.open(PURPOSE, f"delivery {id_}", sealed),
                        id_=id_,
                        message=message,
                        connector=connector,
                        state=State.READY.value if state == spool_sql.NEW else state,
                        next_attempt=next_attempt / 1000,
                        attempts=attempts,
                        created=created / 1000,
                        size=size,
                    )
                )
            except SealBroken:
                broken.append(id_)
                if broken_too:
                    found.append(unreadable(id_, message, connector, attempts, created / 1000, size))
        if broken:
            self._tell("error", "deliveries_do_not_open", spool=self.name, deliveries=broken)
            await self._writer.do(lambda db: spool_sql.hold(db, broken))
        return found
