"""The spool: what was accepted and has not left yet. One SQLite file and one folder for each worker (DESIGN 4, 5, 13).

A 250 rests on `accept`: when it returns, message, deliveries and records are on disk, sealed. Fulfils
`gateway.delivery.queue.Queue`. Leaves out: sharing a spool between processes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from pathlib import Path
from typing import Any

from gateway.mail.address import Address
from gateway.mail.delivery import Delivery, State, Target
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Content, Held
from gateway.observe.events import Event, Found
from gateway.storage.content import PURPOSE, Incoming, SealedFile
from gateway.storage.record import TRACE, Keeper, Prepared, Record
from gateway.storage.sealer import SealBroken, Sealer
from gateway.storage.spool_rows import decode_delivery, encode_delivery
from gateway.storage.writer import StorageBroken, StorageFull, Writer, open_for_writing
from gateway.world.clock import Clock

_MESSAGE = "INSERT INTO messages(id, received, size, content) VALUES (?, ?, ?, ?)"
_DELIVERY = (
    "INSERT INTO deliveries(id, message, connector, destination, state, next_attempt, attempts, created, size, sealed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_RECORD = "INSERT INTO records(seq, message, kind, sealed) VALUES (?, ?, ?, ?)"
_COLUMNS = "id, message, connector, state, next_attempt, attempts, created, size, sealed"
_POSTPONE = "UPDATE deliveries SET connector=?, destination=?, state=?, next_attempt=?, attempts=?, sealed=? WHERE id=?"
# Whoever accepts a delivery has it leased, and most leave at once: until it is given back it stands in no index.
NEW = "new"
_QUEUED = (
    "state <> 'new' AND state IN ('ready', 'waiting')"  # The first half is how SQLite knows the partial index again.
)
_DUE_FIRST = "ORDER BY next_attempt, id LIMIT ?"

AGAIN = 1.0  # Seconds until a database that takes nothing is asked again.

DATABASE = "spool.db"
CONTENT = "content"


class Spool:
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
    ) -> None:
        """`moved` is told, after their commit, which records of `done`, `postpone`, `note` and `change` are to be
        moved; `observe` works and seconds of each commit.
        """
        self.name = name
        self._tell = tell
        self._folder = folder
        self._content = folder / CONTENT
        self._sealer = sealer
        self._keeper = keeper
        self._clock = clock
        self._executor = executor
        self._min_free = min_free
        self._moved = moved
        self._writer = Writer(
            lambda: open_for_writing(str(folder / DATABASE)),
            name=f"spool-{name}",
            monotonic=clock.monotonic,
            observe=observe,
        )
        self._leased: set[str] = set()
        self._given_back: set[str] = set()  # Of those that were accepted here: not to be found in the index yet.
        self._uid = 0
        self._earliest: float | None = None  # A lower bound of when something in the table is due; None: unknown.
        self._free = 0  # Octets free on the disk, as of at most a second ago.
        self._free_until = 0.0

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the database and clear away what a crash left. Raises StorageBroken, OSError."""
        try:
            self._writer.start(loop)
        except sqlite3.Error as error:
            raise StorageBroken(
                f"{self._folder / DATABASE} can't be opened: {error}. Restore it from a copy"
            ) from error
        # Greater than every number that was given before, also where the clock went back since.
        last = await self._writer.do(lambda db: db.execute("SELECT max(seq) FROM records").fetchone()[0])
        # Leases ended with the process that had them.
        query = "SELECT id FROM deliveries WHERE state='new'"
        self._given_back.update(await self._writer.do(lambda db: [row[0] for row in db.execute(query)]))
        await self._put_in_index()
        self._uid = max(int(self._clock.now() * 1_000_000), last or 0)
        known = set(
            await self._writer.do(
                lambda db: [row[0] for row in db.execute("SELECT id FROM messages WHERE content IS NULL")]
            )
        )
        await loop.run_in_executor(self._executor, self._clear, known)

    def _clear(self, known: set[str]) -> None:
        """Files that no row knows are of messages that were never answered with 250."""
        self._content.mkdir(mode=0o700, exist_ok=True)
        for path in self._content.iterdir():
            if path.name not in known:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Write what was asked for, then close."""
        self._writer.close()

    # -- taking mail --------------------------------------------------------------------------------------------------

    def begin(self, id_: str) -> Incoming:
        """Room for the octets of message `id_`."""
        return Incoming(id_, self._content, self._sealer, self._executor)

    def check_room(self, size: int) -> None:
        """Raises StorageFull where `size` octets more would leave less than min_free on the disk."""
        now = self._clock.monotonic()
        if now >= self._free_until:
            self._free_until = now + 1.0
            disk = os.statvfs(self._folder)
            self._free = disk.f_bavail * disk.f_frsize
        if self._free - size < self._min_free:
            raise StorageFull(f"less than {self._min_free} octets are free where the spool lies")

    def new_record(self, message: str, events: Sequence[Event], found: Found | None = None) -> Prepared:
        """A record with a uid of its own."""
        self._uid += 1
        return self._keeper.prepare(Record(message=message, uid=self._uid, events=events, found=found))

    async def accept(self, mail: Mail, deliveries: Sequence[Delivery], records: Sequence[Prepared]) -> None:
        """Take responsibility. Raises StorageFull, StorageBroken; then nothing is stored.

        Deliveries are leased to the caller, who has the records moved before he lets them go.
        """
        inline = mail.message.content.inline
        sealed = None if inline is None else self._sealer.seal(PURPOSE, f"content {mail.id}", inline)
        message = (mail.id, int(mail.received * 1000), mail.message.size, sealed)
        rows = [self._row(delivery) for delivery in deliveries]
        record_rows = self._record_rows(records)

        def work(db: sqlite3.Connection) -> None:
            db.execute(_MESSAGE, message)
            for row in rows:
                db.execute(_DELIVERY, row)
            for row in record_rows:
                db.execute(_RECORD, row)

        self._leased.update(delivery.id for delivery in deliveries)
        try:
            await self._writer.do(work)
        except BaseException:
            self._leased.difference_update(delivery.id for delivery in deliveries)
            raise

    async def note(self, records: Sequence[Prepared]) -> None:
        """Store records that go with no message."""
        rows = self._record_rows(records)

        def work(db: sqlite3.Connection) -> None:
            for row in rows:
                db.execute(_RECORD, row)

        await self._writer.do(work)
        self._moved(self, records)

    def _row(self, delivery: Delivery) -> tuple[Any, ...]:
        return (
            delivery.id,
            delivery.message,
            delivery.connector,
            self._destination(delivery.connector, delivery.destination),
            NEW if delivery.state is State.READY else delivery.state.value,
            int(delivery.next_attempt * 1000),
            delivery.attempts,
            int(delivery.created * 1000),
            delivery.size,
            self._sealer.seal(PURPOSE, f"delivery {delivery.id}", encode_delivery(delivery)),
        )

    @staticmethod
    def _record_rows(records: Iterable[Prepared]) -> list[tuple[Any, ...]]:
        return [(r.uid, r.message, TRACE, r.sealed) for r in records]

    def _destination(self, connector: str, destination: str) -> int:
        return self._sealer.token("destination", f"{connector}\n{destination}")

    # -- records ------------------------------------------------------------------------------------------------------

    async def records(self, after: int = 0, limit: int = 1000) -> list[Prepared]:
        """What a former process left to be moved, oldest first, from behind the uid `after` on.

        Damaged ones are left where they are.
        """
        query = "SELECT message, seq, sealed FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = await self._writer.do(lambda db: db.execute(query, (after, limit)).fetchall())
        found = []
        for message, uid, sealed in rows:
            try:
                found.append(self._keeper.recover(message, uid, sealed))
            except SealBroken:
                continue
        return found

    def forget_records(self, uids: Sequence[int]) -> None:
        """They are elsewhere now. A crash before the commit moves them once more, which changes nothing."""
        numbers = json.dumps(uids)
        sql = "DELETE FROM records WHERE seq IN (SELECT value FROM json_each(?))"
        self._writer.later(lambda db: db.execute(sql, (numbers,)))

    # -- the queue (gateway.delivery.queue.Queue) ---------------------------------------------------------------------

    async def due(self, now: float, limit: int, busy: Collection[tuple[str, str]]) -> list[Delivery]:
        """See Queue."""
        await self._put_in_index()
        tokens = json.dumps([self._destination(*pair) for pair in busy])
        room = limit + len(self._leased)
        condition = f"{_QUEUED} AND next_attempt <= ? AND destination NOT IN (SELECT value FROM json_each(?))"  # noqa: S608
        query = f"SELECT id FROM deliveries WHERE {condition} {_DUE_FIRST}"  # noqa: S608 - constants alone
        arguments = (int(now * 1000), tokens, room)

        def work(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            ids = [row[0] for row in db.execute(query, arguments) if row[0] not in self._leased][:limit]
            return self._select(db, ids)

        rows = await self._writer.do(work)
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

    async def next_due(self) -> float | None:
        """See Queue."""
        if self._earliest is None:
            await self._put_in_index()
            room = len(self._leased) + 1
            query = f"SELECT id, next_attempt FROM deliveries WHERE {_QUEUED} {_DUE_FIRST}"  # noqa: S608
            rows = await self._writer.do(lambda db: db.execute(query, (room,)).fetchall())
            times = [at / 1000 for id_, at in rows if id_ not in self._leased]
            self._earliest = times[0] if times else float("inf")
        if self._given_back:  # The disk took no word of them: ask again soon.
            return min(self._earliest, self._clock.now() + AGAIN)
        return None if self._earliest == float("inf") else self._earliest

    async def content(self, delivery: Delivery) -> Content:
        """See Queue."""
        row = await self._writer.do(
            lambda db: db.execute("SELECT size, content FROM messages WHERE id=?", (delivery.message,)).fetchone()
        )
        if row is None:
            raise SealBroken(f"the octets of {delivery.message} are gone")
        size, sealed = row
        if sealed is None:
            return SealedFile(self._content / delivery.message, delivery.message, size, self._sealer, self._executor)
        return Held(self._sealer.open(PURPOSE, f"content {delivery.message}", sealed))

    async def done(self, delivery: Delivery, events: Sequence[Event]) -> None:
        """See Queue."""
        records = [self.new_record(delivery.message, events)] if events else []
        rows = self._record_rows(records)
        # Without haste: what a crash undoes here is sent once more, as RFC 5321 4.2.5 lets it.
        if await self._writer.do(lambda db: _forget(db, delivery.id, delivery.message, rows), haste=False):
            await asyncio.get_running_loop().run_in_executor(
                self._executor, (self._content / delivery.message).unlink, True
            )
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
            self._sealer.seal(PURPOSE, f"delivery {delivery.id}", encode_delivery(delivery)),
            delivery.id,
        )

        def work(db: sqlite3.Connection) -> None:
            db.execute(_POSTPONE, row)
            for record in rows:
                db.execute(_RECORD, record)

        await self._writer.do(work)
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
        ids = [(id_,) for id_ in self._given_back]
        if not ids:
            return
        sql = "UPDATE deliveries SET state='ready' WHERE id=? AND state='new'"
        try:
            await self._writer.do(lambda db: db.executemany(sql, ids))
        except (StorageFull, StorageBroken):
            return
        self._given_back.difference_update(id_ for (id_,) in ids)

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

        def work(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            if ids is None:
                return db.execute(f"SELECT {_COLUMNS} FROM deliveries ORDER BY id LIMIT ?", (limit,)).fetchall()  # noqa: S608
            return self._select(db, ids, messages=True)

        return await self._open_rows(await self._writer.do(work), broken_too=True)

    async def change(self, deliveries: Sequence[Delivery], events: Callable[[Delivery], Event]) -> list[str]:
        """Store state and next_attempt of those that nobody has in hand; the ids of these."""
        free = [delivery for delivery in deliveries if self.lease(delivery)]
        records = [self.new_record(delivery.message, [events(delivery)]) for delivery in free]
        rows = self._record_rows(records)
        changes = [(d.state.value, int(d.next_attempt * 1000), d.id) for d in free]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE deliveries SET state=?, next_attempt=? WHERE id=?", changes)
            for row in rows:
                db.execute(_RECORD, row)

        try:
            await self._writer.do(work)
        finally:
            self._leased.difference_update(delivery.id for delivery in free)
            self._earliest = None
        self._moved(self, records)
        return [delivery.id for delivery in free]

    async def head(self, message: str) -> bytes:
        """The beginning of a message's octets, long enough to hold its header section. Raises SealBroken, OSError."""
        row = await self._writer.do(
            lambda db: db.execute("SELECT size, content FROM messages WHERE id=?", (message,)).fetchone()
        )
        if row is None:
            raise SealBroken(f"the octets of {message} are gone")
        size, sealed = row
        if sealed is not None:
            return self._sealer.open(PURPOSE, f"content {message}", sealed)[:MAX_HEAD]
        file = SealedFile(self._content / message, message, size, self._sealer, self._executor)
        async with aclosing(file.blocks()) as blocks:
            return (await anext(blocks))[:MAX_HEAD]

    async def counts(self) -> tuple[dict[str, int], float | None]:
        """Deliveries by state, and when the oldest of them was taken (seconds since 1970)."""

        def work(db: sqlite3.Connection) -> tuple[dict[str, int], float | None]:
            states = dict(db.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall())
            if fresh := states.pop(NEW, 0):
                states[State.READY.value] = states.get(State.READY.value, 0) + fresh
            oldest = db.execute("SELECT min(created) FROM deliveries").fetchone()[0]
            return states, None if oldest is None else oldest / 1000

        return await self._writer.do(work)

    @staticmethod
    def _select(db: sqlite3.Connection, ids: Sequence[str], *, messages: bool = False) -> list[tuple[Any, ...]]:
        names = json.dumps(list(ids))
        query = f"SELECT {_COLUMNS} FROM deliveries WHERE id IN (SELECT value FROM json_each(:ids))"  # noqa: S608
        if messages:  # Deliveries of Q are Q.1, Q.2, ...: a range of the key, `/` being what comes behind `.`.
            query += (
                f" UNION SELECT {_COLUMNS} FROM (SELECT value AS name FROM json_each(:ids)) AS wanted"  # noqa: S608
                " JOIN deliveries ON deliveries.id > wanted.name || '.' AND deliveries.id < wanted.name || '/'"
            )
        return db.execute(f"{query} ORDER BY next_attempt, id", {"ids": names}).fetchall()

    async def _open_rows(self, rows: Sequence[tuple[Any, ...]], *, broken_too: bool = False) -> list[Delivery]:
        """Rows as deliveries. One that does not open is held where it lies, so that it never stops the others.

        With `broken_too` it comes as a delivery of which no more is known than its columns, for people to see.
        """
        found: list[Delivery] = []
        broken: list[tuple[str]] = []
        for id_, message, connector, state, next_attempt, attempts, created, size, sealed in rows:
            try:
                found.append(
                    decode_delivery(
                        self._sealer.open(PURPOSE, f"delivery {id_}", sealed),
                        id_=id_,
                        message=message,
                        connector=connector,
                        state=State.READY.value if state == NEW else state,
                        next_attempt=next_attempt / 1000,
                        attempts=attempts,
                        created=created / 1000,
                        size=size,
                    )
                )
            except SealBroken:
                broken.append((id_,))
                if broken_too:
                    found.append(_unreadable(id_, message, connector, attempts, created / 1000, size))
        if broken:
            self._tell("error", "deliveries_do_not_open", spool=self.name, deliveries=[row[0] for row in broken])
            await self._writer.do(lambda db: db.executemany("UPDATE deliveries SET state='held' WHERE id=?", broken))
        return found


def _unreadable(id_: str, message: str, connector: str, attempts: int, created: float, size: int) -> Delivery:
    nobody = Target(address=Address("", ""), reason="its sealed row does not open", enhanced="4.3.0")
    return Delivery(
        id=id_,
        message=message,
        connector=connector,
        destination="",
        sender=None,
        targets=(nobody,),
        size=size,
        created=created,
        next_attempt=created,
        attempts=attempts,
        state=State.HELD,
    )


def _forget(db: sqlite3.Connection, id_: str, message: str, records: list[tuple[Any, ...]]) -> bool:
    """Drop a delivery, and its message with the last one. Whether a file has to go too."""
    db.execute("DELETE FROM deliveries WHERE id=?", (id_,))
    # Deliveries of Q are Q.1, Q.2, ...: a range of the key, `/` being what comes behind `.`.
    last = (
        "DELETE FROM messages WHERE id=? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE id > ? AND id < ?)"
        # Not `content IS NULL`: SQLite 3.40 answers that with 0 for every row of a table without row ids.
        " RETURNING typeof(content)"
    )
    gone = db.execute(last, (message, f"{message}.", f"{message}/")).fetchone()
    has_file = gone is not None and gone[0] == "null"
    for record in records:
        db.execute(_RECORD, record)
    return has_file
