"""One thread that owns one connection to PostgreSQL: whatever is asked of it at the same moment shares one commit.

As `gateway.storage.writer`, but a work may cost no round trip of its own, a connection may be lost, and then it may be
unknown whether a commit took place: then the former session is ended before anybody looks, so that nothing it was sent
takes place later. Leaves out: several connections for one queue of works.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import psycopg

from gateway.storage.group import Group, StorageAway, StorageBroken, StorageFull, Work
from gateway.storage.postgres.batch import SHOTS, Batch
from gateway.storage.postgres.connection import Connection
from gateway.storage.postgres.meaning import is_lost, meaning
from gateway.storage.postgres.volley import fire, flush, prepare

T = TypeVar("T")
Finish = Callable[[], T]
Run = Callable[[Batch], Finish[T]]  # Sends statements; the answer is called once they have run, before the commit.
Known = Callable[[Connection], T | None]

PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # Seconds between two tries to get a connection.
LOOKS: Final = 5  # Tries to find out what became of a commit: some nine seconds, in which a client waits.

# Ends of deliveries wait for each other: a statement for many costs hardly more than one for one, and each that goes
# along makes the commit longer for which a client waits.
COMPANY: Final = 0.03  # Seconds; less than PATIENCE.
TOGETHER: Final = 64
FRESH: Final = 5.0  # Seconds without a word after which a connection may have been cut without our knowing.

# A queue's tables are empty at one moment and long at the next, so plans must not follow what was counted last.
_PLANS: Final = (
    b"SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
    b"SET plan_cache_mode = force_generic_plan"
)
_LAZY: Final = b"; SET synchronous_commit = off"
# A session, so that no other is meant when its process' number is given again, or on another server.
_WHO: Final = b"SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_END: Final = b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE (pid, backend_start) = (%s, %s)"


class OutcomeUnknown(StorageAway):
    """The connection was lost while the transaction was being committed, and nobody can say what became of it."""


@dataclass(frozen=True, slots=True)
class _What:
    """Something to do in a transaction, and how to find out later whether that took place."""

    run: Run[Any]
    known: Known[Any] | None = None


class Writer(Group[_What]):
    """Group commit. A work that fails, fails alone: the others are done again without it, so a work must have no
    effect besides that on its batch, but for what it asks to have done `after` the commit.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        batch: Callable[[Connection], Batch],
        *,
        where: str,
        name: str,
        monotonic: Callable[[], float],
        observe: Callable[[int, float], None],
        tell: Callable[..., None] = lambda *_, **__: None,
        relies: bool = True,
    ) -> None:
        """`connect` blocks and raises StorageBroken; `where` names the database for people; `observe` is told works
        and seconds of each commit, in the loop's thread. `relies`: whoever asked goes by it that what he asked for is
        on disk; without, it is in the order of commits, and so at the latest with the next on which somebody relies.
        """
        super().__init__(name=name, monotonic=monotonic, observe=observe)
        self._connect = connect
        self._new_batch = batch
        self._where = where
        self._name = name
        self._tell_log = tell
        self._terms = _PLANS if relies else _PLANS + _LAZY
        self._db: Connection | None = None
        self._session: tuple[Any, ...] | None = None  # The server's name of it, or of the last.
        self._is_prepared = False
        self._heard = float("-inf")  # When it last said something.
        self._failures = 0
        self._retry_at = 0.0

    @property
    def is_away(self) -> bool:
        """Whether there is no connection now."""
        return self._db is None

    async def do(self, run: Run[T], *, haste: bool = True, known: Known[T] | None = None) -> T:
        """What `run`'s answer returned, once it is durable. Raises StorageFull, StorageBroken or what they raise.

        `known` looks, on a new connection, whether a commit of unknown outcome took place, and gives the result if so.
        Without it such a commit raises OutcomeUnknown. Without `haste` the work shares the commit of the next that has
        some, and waits PATIENCE for one.
        """
        result: T = await self._ask(_What(run, known), haste)
        return result

    def last(self, run: Run[Any]) -> None:
        """Do it before the end; nobody waits. From any thread, before `close`."""
        self._works.put(Work(_What(run), None))

    def _nothing(self) -> Work[_What]:
        return Work(_What(_nothing), None)

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._db = self._opened_connection()

    def _shut(self) -> None:
        self._drop()

    def _recover(self) -> None:
        self._drop()

    def _take_along(self) -> bool:
        waiting, loop = self._unhurried, self._loop
        if not waiting or loop is None:
            return True
        return len(waiting) >= TOGETHER or loop.time() - waiting[0].asked > COMPANY

    def _commit(self, works: list[Work[_What]]) -> None:
        if self._db is None:
            self._reconnect()
        fresh = False
        while self._db is not None:
            try:
                committing = self._transact(self._db, works)
                return
            except _Failed as failed:
                error, committing = failed.error, failed.committing
            if not is_lost(error):
                self._roll_back(self._db)
                if len(works) == 1:
                    works[0].error = meaning(self._where, error) if isinstance(error, psycopg.Error) else error
                else:
                    for work in works:
                        self._commit([work])
                return
            self._lose(error)
            if committing:
                self._find_out(works)
                return
            # Nothing was stored. An idle connection may have been cut long ago, so one new one is worth a try.
            if fresh:
                break
            fresh = True
            self._reconnect(at_once=True)
        for work in works:
            work.error = StorageAway(f"{self._where} is away")

    def _transact(self, db: Connection, works: list[Work[_What]]) -> bool:
        """One transaction. Raises _Failed with the first error and whether the commit was on its way by then."""
        return self._at_once(db, works) or self._in_steps(db, works)

    def _at_once(self, db: Connection, works: list[Work[_What]]) -> bool:
        """All of it in one go, where nobody has to see an answer before the commit; False: nothing was done."""
        if not self._is_there(db):
            return False
        batch = self._new_batch(db)
        batch.is_volley = True
        try:
            finishes = [work.what.run(batch) for work in works]
            shots = [] if batch.asks else batch.volley()
        except Exception:  # noqa: BLE001 - Asks, or a work's own error, which it raises again where it is heard
            return False
        if not shots or not self._prepare(db):
            return False
        try:
            batch.take(fire(db, shots))
        except psycopg.Error as error:
            raise _Failed(batch.meaning(error), committing=True) from error
        self._heard = self._monotonic()
        for work, finish in zip(works, finishes, strict=True):
            work.result = finish()
        for action in batch.after:
            action()
        return True

    def _prepare(self, db: Connection) -> bool:
        """Whether the session knows the statements; where it can't learn them, the long way says why."""
        if not self._is_prepared:
            try:
                prepare(db, SHOTS)
            except psycopg.Error:
                return False
            self._is_prepared = True
        return True

    def _in_steps(self, db: Connection, works: list[Work[_What]]) -> bool:
        batch = self._new_batch(db)
        committing = False
        error: Exception | None = None
        done: psycopg.Cursor[Any] | None = None
        try:
            with db.pipeline() as pipeline:
                # Caught inside: psycopg would log what the pipeline's end makes of a lost connection.
                try:
                    db.execute("BEGIN")
                    finishes = [work.what.run(batch) for work in works]
                    batch.send()
                    flush(db.pgconn)
                    pipeline.sync()
                    batch.receive()
                    for work, finish in zip(works, finishes, strict=True):
                        work.result = finish()
                    if batch.has_more:
                        batch.send_last()
                        flush(db.pgconn)
                        pipeline.sync()
                    committing = True
                    done = db.execute("COMMIT")
                    flush(db.pgconn)  # The pipeline's end waits for the answer.
                except Exception as caught:  # noqa: BLE001 - a work's own error must reach its own caller
                    error = caught
        except psycopg.Error as caught:
            error = error or caught
        if error is None and (done is None or done.statusmessage != "COMMIT"):
            error = StorageBroken(f"{self._where} did not commit")
        if error is not None:
            raise _Failed(batch.meaning(error), committing) from error
        self._heard = self._monotonic()
        for action in batch.after:
            action()
        return committing

    def _is_there(self, db: Connection) -> bool:
        """Whether the connection was in use just now and nothing tells of its end. What is sent into one that was cut
        leaves it unknown what became of it, so what might be is asked before the commit is sent.
        """
        if self._monotonic() - self._heard > FRESH:
            return False
        poll = select.poll()
        poll.register(db.fileno(), select.POLLIN)
        return not poll.poll(0)

    def _find_out(self, works: list[Work[_What]]) -> None:
        """The connection went while the commit was on its way: look what is there, as far as works can tell."""
        unknown = OutcomeUnknown(f"{self._where}: the connection was lost while storing; it may be stored or not")
        former = self._session
        has_ended = False
        for pause in (0.0, *PAUSES[:LOOKS]):
            self._pause.wait(pause)
            self._reconnect(at_once=True)
            if has_ended := self._db is not None and self._ends(self._db, former):
                break
        for work in works:
            work.error = unknown
            if not has_ended or work.what.known is None or self._db is None:
                continue
            try:
                work.result = work.what.known(self._db)
            except psycopg.Error as error:
                if is_lost(error):
                    self._lose(error)
                continue
            work.error = StorageBroken(f"{self._where} did not store it") if work.result is None else None

    def _ends(self, db: Connection, session: tuple[Any, ...] | None) -> bool:
        """Have that session ended; whether it is gone. It may still be about to read what it was sent."""
        try:
            return session is not None and db.execute(_END, session).fetchone() is None
        except psycopg.Error as error:
            if is_lost(error):
                self._lose(error)
            return False

    def _roll_back(self, db: Connection) -> None:
        try:
            if db.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                db.execute("ROLLBACK")
        except psycopg.Error as error:
            self._lose(error)

    # -- the connection -----------------------------------------------------------------------------------------------

    def _opened_connection(self) -> Connection:
        db = self._connect()
        try:
            db.execute(self._terms)
            self._is_prepared = False
            self._session = db.execute(_WHO).fetchone()
            self._heard = self._monotonic()
        except psycopg.Error as error:
            db.close()
            raise meaning(self._where, error) from error
        return db

    def _patience(self) -> float | None:
        return None if self._db is not None else PAUSES[min(self._failures, len(PAUSES) - 1)]

    def _idle(self) -> None:
        self._reconnect(at_once=True)

    def _reconnect(self, *, at_once: bool = False) -> None:
        """Try to have a connection again, unless that failed a moment ago."""
        if self._db is not None or (not at_once and self._monotonic() < self._retry_at):
            return
        try:
            self._db = self._opened_connection()
        except (StorageBroken, StorageFull) as error:
            if self._failures == 0:
                self._tell_log("error", "database_away", connection=self._name, error=str(error))
            self._failures += 1
            self._retry_at = self._monotonic() + PAUSES[min(self._failures, len(PAUSES)) - 1]
            return
        if self._failures:
            self._tell_log("info", "database_back", connection=self._name)
        self._failures = 0

    def _lose(self, error: Exception) -> None:
        if self._db is not None:
            self._tell_log("warning", "database_lost", connection=self._name, error=str(meaning(self._where, error)))
        self._drop()

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(psycopg.Error):
                db.close()


class _Failed(Exception):
    """A transaction that raised `error`, before its COMMIT was sent or after."""

    def __init__(self, error: Exception, committing: bool) -> None:
        self.error = error
        self.committing = committing


def _nothing(batch: Batch) -> Callable[[], None]:
    return lambda: None
