"""The spool on PostgreSQL: several processes on several machines share one queue.

A 250 rests on one transaction: message, deliveries and trace. Fulfils `gateway.storage.spooling.Spooling`. Leaves out:
how much is free on the server's disk; that it is full is told by the first statement that fails.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from typing import Any, Final

from gateway.mail.delivery import HERE, QUARANTINE, Delivery, State
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Content, Held, prefaced, sliced
from gateway.mail.plan import Left
from gateway.observe.events import Event, Found
from gateway.storage.content import PURPOSE
from gateway.storage.postgres.administration import COLUMNS, Administration
from gateway.storage.postgres.batch import Batch
from gateway.storage.postgres.connection import Connection, Database
from gateway.storage.postgres.ear import Ear
from gateway.storage.postgres.leases import Leases
from gateway.storage.postgres.node import Node
from gateway.storage.postgres.recall import Recall
from gateway.storage.postgres.rows import Rows
from gateway.storage.postgres.segments import PostgresBlobs, rows_of
from gateway.storage.postgres.writer import OutcomeUnknown, Writer
from gateway.storage.record import TRACE, Keeper, Prepared, Record
from gateway.storage.sealer import KeysClosed, SealBroken, Sealer
from gateway.storage.shelf import BlobShelf, Shelf
from gateway.storage.spooling import Hands, Receiving
from gateway.storage.writer import StorageAway, StorageBroken, StorageFull
from gateway.world.clock import Clock

AGAIN: Final = 1.0  # Seconds until a database that takes nothing is asked again.
STEP: Final = 2048  # Between two uids of a node; the nodes' own numbers are below.

_DUE: Final = (
    "WITH due AS (SELECT id FROM deliveries WHERE node IS NULL AND state <> 'held' AND next_attempt <= %s"  # noqa: S608
    " AND destination <> ALL(%s::bigint[]) ORDER BY next_attempt, id LIMIT %s FOR UPDATE SKIP LOCKED)"
    " UPDATE deliveries d SET node = %s, epoch = d.epoch + 1 FROM due WHERE d.id = due.id"
    f" RETURNING {', '.join(f'd.{column}' for column in COLUMNS.split(', '))}, d.epoch"
)
_NEXT: Final = (
    "SELECT next_attempt FROM deliveries WHERE node IS NULL AND state <> 'held' ORDER BY next_attempt, id LIMIT 1"
)
_CONTENT: Final = "SELECT size, content FROM messages WHERE id = %s"
_SHELVED: Final = "SELECT id FROM messages WHERE content IS NULL"
_GIVE_BACK_ALL: Final = "UPDATE deliveries SET node = NULL, wanted = NULL WHERE node = %s"
# Waits until the transaction whose outcome is unknown has ended, if the server still has it.
_ENDED: Final = "SELECT 1 FROM nodes WHERE id = %s FOR UPDATE"
_STORED: Final = "SELECT 1 FROM messages WHERE id = %s"
_LEFT: Final = "SELECT 1 FROM deliveries WHERE id = ANY(%s::text[]) LIMIT 1"
_TRACED: Final = "SELECT 1 FROM trace_events WHERE message = %s AND uid = ANY(%s::bigint[])"
_LEASED: Final = "SELECT id, epoch FROM deliveries WHERE id = ANY(%s::text[]) AND node = %s"


class PostgresSpool(Administration):
    """Made, then `open`ed on the loop, then used on that loop alone."""

    is_shared = True

    def __init__(
        self,
        database: Database,
        *,
        node: str,
        sealer: Sealer,
        keeper: Keeper,
        clock: Clock,
        executor: Executor,
        observe: Callable[[int, float], None],
        name: str,
        tell: Callable[..., None] = lambda *_, **__: None,
        shelf: Shelf | None = None,
        host: str | None = None,
    ) -> None:
        """`node` is a UUID of this process, made at its start; `host` names its machine for people. `shelf` keeps what
        is too large for a column; default: the database's own table of segments. `observe` is told works and seconds
        of each commit.
        """
        self.name = name
        self._node_id = node
        self._sealer = sealer
        self._keeper = keeper
        self._clock = clock
        self._tell = tell
        self._leases = Leases(clock.monotonic)
        self._writer = Writer(
            lambda: database.connect(f"spool {name}"),
            lambda db: Batch(db, node, self._leases.generation),
            where=database.shown,
            name=f"spool-{name}",
            monotonic=clock.monotonic,
            observe=observe,
            tell=tell,
        )
        self._recall = Recall(self._writer, self._leases, node, clock)
        self._rows = Rows(sealer, self._writer, node, name, tell)
        self._ear = Ear(node, self._leases, self._recall, free=self._free, tell=tell)
        self._node = Node(
            node,
            os.uname().nodename if host is None else host,
            connect=lambda: database.connect(f"node {name}"),
            where=database.shown,
            leases=self._leases,
            monotonic=clock.monotonic,
            hear=self._ear.hear,
            tell=tell,
        )
        self._segments: PostgresBlobs | None = None
        if shelf is None:
            self._segments = self._own_segments(database)
            shelf = BlobShelf(self._segments, sealer, executor, tell=tell)
        self._shelf = shelf
        self._executor = executor
        self._recalled: dict[str, int] = {}  # Taken for an administrator's command.
        self._given_back: dict[str, int] = {}  # Not written yet.
        self._freeing = asyncio.Lock()
        self._uncertain: set[str] = set()  # Messages that may be stored or not.
        self._uid = 0
        self._noticed = 0.0  # When others were told last that something is due sooner.

    def _own_segments(self, database: Database) -> PostgresBlobs:
        return PostgresBlobs(
            lambda: database.connect(f"content {self.name}"),
            node=self._node_id,
            where=database.shown,
            monotonic=self._clock.monotonic,
            tell=self._tell,
        )

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sign in and connect. Raises StorageBroken."""
        self._ear.listen(loop)
        own = int(self._node_id.replace("-", ""), 16) % STEP
        self._uid = int(self._clock.now() * 1_000_000) * STEP + own
        await loop.run_in_executor(self._executor, self._node.start)
        try:
            await loop.run_in_executor(self._executor, self._writer.start, loop)
            await self._shelf.open(await self.shelved())
        except BaseException:
            await loop.run_in_executor(self._executor, self.close)
            raise

    def attend(self, hands: Hands) -> None:
        """This runner delivers from it."""
        self._node.sending = hands.sending
        self._ear.hands = hands

    async def beat(self) -> None:
        """Give a sign of life now, and look after the other nodes, instead of in some seconds."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._node.hurry().wait)

    def close(self) -> None:
        """Write what was asked for, give back all leases, sign out. Blocks."""
        self._writer.last(self._leaving)
        self._writer.close()
        if self._segments is not None:
            self._segments.close()
        self._node.close()

    def _leaving(self, batch: Batch) -> Callable[[], None]:
        batch.execute(_GIVE_BACK_ALL, (self._node_id,))
        batch.notices.add(f"look {self._node_id}")
        return lambda: None

    # -- taking mail --------------------------------------------------------------------------------------------------

    def begin(self, id_: str) -> Receiving:
        """Room for the octets of message `id_`."""
        incoming = self._shelf.begin(id_)
        # Segments see for themselves to it that those of a message stay.
        return incoming if self._segments is not None else _Careful(incoming, id_, self._uncertain)

    async def forget_content(self, id_: str) -> None:
        """See Spooling."""
        await self._shelf.forget(id_)

    def check_room(self, size: int) -> None:
        """Raises StorageAway while the database is away."""
        if self._writer.is_away:
            raise StorageAway("the database is away")

    def new_record(self, message: str, events: Sequence[Event], found: Found | None = None) -> Prepared:
        """A record whose uid no other node gives either."""
        self._uid += STEP
        return self._keeper.prepare(Record(message=message, uid=self._uid, events=events, found=found))

    def new_left(self, message: str, left: Left) -> Prepared:
        """Likewise, of what it leaves elsewhere."""
        self._uid += STEP
        return Prepared(message, self._uid, 0, b"", left.octets, left.kind)

    async def accept(self, mail: Mail, deliveries: Sequence[Delivery], records: Sequence[Prepared]) -> None:
        """Take responsibility. Raises StorageFull, StorageBroken; then nothing is stored, unless it is OutcomeUnknown.

        Deliveries are leased to the caller.
        """
        content = mail.message.content
        inline = content.inline
        sealed = None if inline is None else self._sealer.seal(PURPOSE, f"content {mail.id}", inline)
        message = (mail.id, int(mail.received * 1000), content.size, sealed)
        rows = [self._rows.of(delivery, self._destination(delivery)) for delivery in deliveries]
        ids = [delivery.id for delivery in deliveries]
        for record in records:  # Here: where keys are closed this message alone shall hear of it.
            record.tokens  # noqa: B018  (made now, and remembered)

        def run(batch: Batch) -> Callable[[], bool]:
            batch.messages.append(message)
            batch.deliveries.extend(rows)
            batch.add(records)
            batch.after.append(lambda: self._taken(ids, batch.generation))
            if inline is not None or self._segments is None:
                return lambda: True
            check = self._segments.demand(batch, mail.id, content.size)
            return lambda: check() is None

        def known(db: Connection) -> bool | None:
            return self._is_stored(db, mail.id, ids, [record.uid for record in records if record.kind == TRACE])

        self._uncertain.add(mail.id)
        try:
            await self._writer.do(run, known=known)
        except (OutcomeUnknown, asyncio.CancelledError):
            raise  # It stays uncertain, and its octets stay where they are.
        except BaseException:
            self._uncertain.discard(mail.id)
            raise
        self._uncertain.discard(mail.id)

    def _taken(self, ids: list[str], generation: int) -> None:
        """Deliveries of a message that was just stored. On the writer's thread."""
        if len(ids) == 1:
            self._leases.take_alone(ids[0], generation)
        else:
            self._leases.take([(id_, 1) for id_ in ids], generation)

    def _is_stored(self, db: Connection, id_: str, ids: list[str], uids: list[int]) -> bool | None:
        """Whether a commit of unknown outcome took place. On the writer's thread."""
        generation = self._leases.generation
        db.execute(_ENDED.encode(), (self._node_id,))
        there = db.execute(_STORED.encode(), (id_,)).fetchone()
        if there is None and uids:  # Another node may have sent it meanwhile.
            there = db.execute(_TRACED.encode(), (id_, uids)).fetchone()
        if there is None:
            return None
        self._leases.take(db.execute(_LEASED.encode(), (ids, self._node_id)).fetchall(), generation)
        return True

    async def note(self, records: Sequence[Prepared]) -> None:
        """Store records that go with no message."""

        def run(batch: Batch) -> Callable[[], None]:
            batch.add(records)
            return lambda: None

        await self._writer.do(run)

    async def unload(self) -> None:
        """Everything lies in the database from the first."""

    async def shelved(self) -> set[str]:
        """The messages whose octets are not in `messages`."""
        return {id_ for (id_,) in await self._writer.do(rows_of(_SHELVED, ()))}

    async def records(self, after: int = 0, limit: int = 1000) -> list[Prepared]:
        """None: they are in the trace as soon as they are stored."""
        return []

    def forget_records(self, uids: Sequence[int]) -> None:
        """There is nothing to forget."""

    def _quarantine(self) -> int | None:
        try:
            return self._sealer.token("destination", f"{HERE}\n{QUARANTINE}")
        except KeysClosed:  # How many there are can be told all the same; these are `held` then.
            return None

    def _destination(self, delivery: Delivery) -> int:
        return self._sealer.token("destination", f"{delivery.connector}\n{delivery.destination}")

    # -- the queue (gateway.delivery.queue.Queue) ---------------------------------------------------------------------

    async def due(self, now: float, limit: int, busy: Collection[tuple[str, str]]) -> list[Delivery]:
        """See Queue."""
        if not self._leases.are_safe():
            return []
        await self._free()
        tokens = [self._sealer.token("destination", f"{connector}\n{place}") for connector, place in busy]
        arguments = (int(now * 1000), tokens, limit, self._node_id)

        def run(batch: Batch) -> Callable[[], list[tuple[Any, ...]]]:
            batch.leases = True
            cursor = batch.execute(_DUE, arguments)

            def finish() -> list[tuple[Any, ...]]:
                rows = cursor.fetchall()
                batch.after.append(lambda: self._leases.take([(row[0], row[-1]) for row in rows], batch.generation))
                return rows

            return finish

        rows = await self._writer.do(run)
        rows.sort(key=lambda row: (row[4], row[0]))  # RETURNING has no order.
        try:
            deliveries, broken = await self._rows.opened([row[:-1] for row in rows])
        except BaseException:  # They were leased with the row: whoever can open them shall have them.
            self._leases.drop([row[0] for row in rows])
            self._given_back.update((row[0], row[-1]) for row in rows)
            self._ear.soon(self._free)
            raise
        self._leases.drop(broken)
        return deliveries

    async def next_due(self) -> float | None:
        """See Queue."""
        soon = self._clock.now() + AGAIN
        if not self._leases.are_safe():
            return soon
        await self._free()
        row = await self._writer.do(lambda batch: batch.execute(_NEXT).fetchone)
        if self._given_back:
            return soon
        return None if row is None else row[0] / 1000

    def may_send(self, delivery: Delivery) -> bool:
        """See Queue."""
        return delivery.id in self._leases and self._leases.are_safe()

    async def content(self, delivery: Delivery) -> Content:
        """See Queue."""
        size, sealed = await self._size_and_content(delivery.message)
        stored: Content = (
            self._shelf.content(delivery.message, size)
            if sealed is None
            else Held(self._sealer.open(PURPOSE, f"content {delivery.message}", sealed))
        )
        return prefaced(delivery.preface, sliced(stored, delivery.slice))

    async def _size_and_content(self, message: str) -> tuple[int, bytes | None]:
        row = await self._writer.do(lambda batch: batch.execute(_CONTENT, (message,)).fetchone)
        if row is None:
            raise SealBroken(f"the octets of {message} are gone")
        return row[0], row[1]

    async def done(self, delivery: Delivery, events: Sequence[Event]) -> None:
        """See Queue. Where the lease is no longer ours it does nothing but tell."""
        records = [self.new_record(delivery.message, events)] if events else []
        gone = await self._settle([(delivery, records)], haste=False)
        if not gone:
            self._tell("warning", "lease_lost", id=delivery.message, delivery=delivery.id)

    async def _settle(self, settled: Sequence[tuple[Delivery, list[Prepared]]], *, haste: bool) -> list[str]:
        """Forget those whose lease is ours; their ids."""
        epochs = {one.id: self._leases.epoch(one.id) for one, _ in settled}
        ours = [(one, records, epoch) for one, records in settled if (epoch := epochs[one.id]) is not None]

        def run(batch: Batch) -> Callable[[], tuple[list[str], set[str]]]:
            alone = {one.id for one, records, _ in ours if self._leases.is_alone(one.id) and _is_plain(records)}
            for one, records, epoch in ours:
                if one.id in alone:
                    batch.end_alone(one.id, epoch, records[0] if records else None)
                else:
                    batch.gone[one.id] = (epoch, one.message)

            def finish() -> tuple[list[str], set[str]]:
                gone = [one for one, _, _ in ours if one.id in batch.was_gone]
                for one, records, _ in ours:
                    if one.id in batch.was_gone and one.id not in alone:
                        batch.records.extend(records)
                batch.after.append(lambda: self._leases.drop([one.id for one, _, _ in ours]))
                return [one.id for one in gone], {one.message for one in gone if batch.last.get(one.message)}

            return finish

        def known(db: Connection) -> tuple[list[str], set[str]] | None:
            # By one and the same epoch nobody else ends them. What is on the shelf goes at the next start.
            ids = [one.id for one, _, _ in ours]
            left = db.execute(_LEFT.encode(), (ids,)).fetchone()
            if left is not None:
                return None
            self._leases.drop(ids)
            return ids, set()

        if not ours:
            return []
        gone, shelved = await self._writer.do(run, haste=haste, known=known)
        for message in shelved:
            await self._shelf.forget(message)
        return gone

    async def postpone(self, delivery: Delivery, events: Sequence[Event]) -> None:
        """See Queue. Where the lease is no longer ours it does nothing but tell."""
        records = [self.new_record(delivery.message, events)] if events else []
        epoch = self._leases.epoch(delivery.id)
        row = self._rows.of(delivery, self._destination(delivery))
        soon = self._is_sooner(delivery)

        def run(batch: Batch) -> Callable[[], bool]:
            # id, message, CONNECTOR, DESTINATION, STATE, NEXT_ATTEMPT, ATTEMPTS, CREATED, size, SEALED
            batch.postponed[delivery.id] = (epoch, *row[2:8], row[9])

            def finish() -> bool:
                batch.after.append(lambda: self._leases.drop([delivery.id]))
                if delivery.id not in batch.was_postponed:
                    return False
                batch.records.extend(records)
                if soon:
                    batch.notices.add(f"look {self._node_id}")
                return True

            return finish

        if epoch is None or not await self._writer.do(run):
            self._tell("warning", "lease_lost", id=delivery.message, delivery=delivery.id)

    def _is_sooner(self, delivery: Delivery) -> bool:
        """Whether other nodes should hear of it: they look once a minute, and we come back to it ourselves."""
        now = self._clock.monotonic()
        if delivery.state is State.HELD or delivery.next_attempt > self._clock.now() + AGAIN or now < self._noticed:
            return False
        self._noticed = now + AGAIN
        return True

    async def unlease(self, delivery: Delivery) -> None:
        """See Queue."""
        epoch = self._leases.epoch(delivery.id)
        self._leases.drop([delivery.id])
        if epoch is not None:
            self._given_back[delivery.id] = epoch
            self._ear.soon(self._free)

    async def _free(self) -> None:
        """Write down what was given back. A database that is away may take it later."""
        async with self._freeing:
            if not self._given_back:
                return
            freed = dict(self._given_back)

            def run(batch: Batch) -> Callable[[], None]:
                batch.freed.update(freed)
                batch.notices.add(f"look {self._node_id}")
                return lambda: None

            try:
                await self._writer.do(run)
            except (StorageFull, StorageBroken):
                return
            for id_, epoch in freed.items():
                if self._given_back.get(id_) == epoch:
                    del self._given_back[id_]

    def is_leased(self, id_: str) -> bool:
        """Whether this process has it in hand."""
        return id_ in self._leases

    async def head(self, message: str) -> bytes:
        """The beginning of a message's octets, long enough to hold its header section. Raises SealBroken, OSError."""
        size, sealed = await self._size_and_content(message)
        if sealed is not None:
            return self._sealer.open(PURPOSE, f"content {message}", sealed)[:MAX_HEAD]
        async with aclosing(self._shelf.content(message, size).blocks()) as blocks:
            return (await anext(blocks))[:MAX_HEAD]


def _is_plain(records: Sequence[Prepared]) -> bool:
    """Whether it is what the end of a delivery leaves as a rule: at most one record, found by its message alone."""
    return not records or (len(records) == 1 and not records[0].tokens)


class _Careful:
    """An incoming whose octets stay where they are while it is unknown whether its message was stored."""

    __slots__ = ("_id", "_incoming", "_uncertain", "finish", "flush", "write")

    def __init__(self, incoming: Receiving, id_: str, uncertain: set[str]) -> None:
        self._incoming = incoming
        self._id = id_
        self._uncertain = uncertain
        self.write = incoming.write
        self.flush = incoming.flush
        self.finish = incoming.finish

    async def abandon(self) -> None:
        """Forget everything, if it was not stored for sure."""
        if self._id in self._uncertain:
            self._uncertain.discard(self._id)
            return
        await self._incoming.abandon()
