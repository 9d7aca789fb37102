"""One thread that owns one connection to PostgreSQL: whatever is asked of it at the same moment shares one commit.

As `gateway.storage.writer`, but a work may cost no round trip of its own, a connection may be lost, and then it may be
unknown whether a commit took place: then the former session is ended before anybody looks, so that nothing it was sent
takes place later. Leaves out: several connections for one queue of works.
"""

from __future__ import annotations

import asyncio
import queue
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import psycopg

from gateway.storage.postgres.batch import Batch
from gateway.storage.postgres.connection import Connection
from gateway.storage.postgres.meaning import is_lost, meaning
from gateway.storage.writer import StorageBroken, StorageFull

T = TypeVar("T")
Finish = Callable[[], T]
Run = Callable[[Batch], Finish[T]]  # Sends statements; the answer is called once they have run, before the commit.
Known = Callable[[Connection], T | None]

MAX_BATCH: Final = 256  # Works in one commit.
GATHER: Final = 0.002  # Seconds to wait for more where the commit before had more than one work.
PATIENCE: Final = 0.05  # Seconds that a work without haste waits for others to share its commit.
PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # Seconds between two tries to get a connection.
LOOKS: Final = 5  # Tries to find out what became of a commit: some nine seconds, in which a client waits.

FRESH: Final = 5.0  # Seconds without a word after which a connection may have been cut without our knowing.

# A queue's tables are empty at one moment and long at the next, so plans must not follow what was counted last.
_PLANS: Final = (
    b"SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
    b"SET plan_cache_mode = force_generic_plan"
)
# A session, so that no other is meant when its process' number is given again, or on another server.
_WHO: Final = b"SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_END: Final = b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE (pid, backend_start) = (%s, %s)"


class OutcomeUnknown(StorageBroken):
    """The connection was lost while the transaction was being committed, and nobody can say what became of it."""


class _Work(Generic[T]):
    """Something to do, and who waits for its commit."""

    __slots__ = ("asked", "error", "future", "known", "result", "run")

    def __init__(
        self, run: Run[T], future: asyncio.Future[T] | None, known: Known[T] | None, asked: float = 0.0
    ) -> None:
        self.run = run
        self.asked = asked  # When, on the loop's clock.
        self.future = future
        self.known = known
        self.result: T | None = None
        self.error: Exception | None = None


class Writer:
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
    ) -> None:
        """`connect` blocks and raises StorageBroken; `where` names the database for people; `observe` is told works
        and seconds of each commit, in the loop's thread.
        """
        self._connect = connect
        self._new_batch = batch
        self._where = where
        self._name = name
        self._monotonic = monotonic
        self._observe = observe
        self._tell_log = tell
        self._works: queue.SimpleQueue[_Work[Any] | None] = queue.SimpleQueue()
        self._unhurried: deque[_Work[Any]] = deque()
        self._nudge: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._closed = False
        self._company = False
        self._pause = threading.Event()  # Never set.
        self._db: Connection | None = None
        self._session: tuple[Any, ...] | None = None  # The server's name of it, or of the last.
        self._heard = float("-inf")  # When it last said something.
        self._failures = 0
        self._retry_at = 0.0

    @property
    def is_away(self) -> bool:
        """Whether there is no connection now."""
        return self._db is None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the connection. Raises StorageBroken."""
        self._loop = loop
        self._thread.start()
        if (error := self._opened.get()) is not None:
            self._closed = True
            raise error

    async def do(self, run: Run[T], *, haste: bool = True, known: Known[T] | None = None) -> T:
        """What `run`'s answer returned, once it is durable. Raises StorageFull, StorageBroken or what they raise.

        `known` looks, on a new connection, whether a commit of unknown outcome took place, and gives the result if so.
        Without it such a commit raises OutcomeUnknown. Without `haste` the work shares the commit of the next that has
        some, and waits PATIENCE for one.
        """
        if self._closed or self._loop is None:
            raise StorageBroken("the database is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        work = _Work(run, future, known, self._loop.time())
        if haste:
            self._works.put(work)
        else:
            self._unhurried.append(work)
            if self._nudge is None:
                self._nudge = self._loop.call_later(PATIENCE, self._hurry)
        return await future

    def last(self, run: Run[Any]) -> None:
        """Do it before the end; nobody waits. From any thread, before `close`."""
        self._works.put(_Work(run, None, None))

    def close(self) -> None:
        """Finish what was asked and close the connection. Blocks for as long as that takes."""
        if not self._closed:
            self._closed = True
            self._works.put(None)
            self._thread.join()

    def _hurry(self) -> None:
        self._nudge = None
        try:
            asked = self._unhurried[0].asked
        except IndexError:  # They have shared other commits.
            return
        if self._loop is not None and asked + PATIENCE > self._loop.time():
            self._nudge = self._loop.call_at(asked + PATIENCE, self._hurry)
        else:
            self._works.put(_Work(_nothing, None, None))

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._db = self._open()
        except BaseException as error:  # noqa: BLE001 - whatever it is, whoever started us has to hear of it
            self._opened.put(error)
            return
        self._opened.put(None)
        try:
            while self._turn():
                pass
        finally:
            self._drop()

    def _turn(self) -> bool:
        """Wait for works, do them in one transaction. False when the last one is done."""
        try:
            work = self._works.get(timeout=self._patience())
        except queue.Empty:
            self._reconnect(at_once=True)
            return True
        if self._company and work is not None:
            self._pause.wait(GATHER)
        works: list[_Work[Any]] = []
        goes_on = True
        while True:
            if work is None:
                goes_on = False
                break
            works.append(work)
            if len(works) >= MAX_BATCH:
                break
            try:
                work = self._works.get_nowait()
            except queue.Empty:
                break
        self._company = len(works) > 1
        while self._unhurried and (len(works) < MAX_BATCH or not goes_on):
            works.append(self._unhurried.popleft())
        if works:
            began = self._monotonic()
            try:
                self._do(works)
            except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it, and the thread goes on
                for work in works:
                    work.error = error
                self._drop()
            self._tell(works, self._monotonic() - began)
        if self._unhurried and len(works) >= MAX_BATCH:
            self._works.put(_Work(_nothing, None, None))
        return goes_on

    def _do(self, works: list[_Work[Any]]) -> None:
        if self._db is None:
            self._reconnect()
        fresh = False
        while self._db is not None:
            try:
                committing = self._commit(self._db, works)
                return
            except _Failed as failed:
                error, committing = failed.error, failed.committing
            if not is_lost(error):
                self._roll_back(self._db)
                if len(works) == 1:
                    works[0].error = meaning(self._where, error) if isinstance(error, psycopg.Error) else error
                else:
                    for work in works:
                        self._do([work])
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
            work.error = StorageBroken(f"{self._where} is away")

    def _commit(self, db: Connection, works: list[_Work[Any]]) -> bool:
        """One transaction. Raises _Failed with the first error and whether the commit was on its way by then."""
        batch = self._new_batch(db)
        committing = False
        at_once = False
        error: Exception | None = None
        done: psycopg.Cursor[Any] | None = None
        try:
            with db.pipeline() as pipeline:
                # Caught inside: psycopg would log what the pipeline's end makes of a lost connection.
                try:
                    db.execute("BEGIN")
                    finishes = [work.run(batch) for work in works]
                    batch.send()
                    at_once = not batch.asks and self._is_there(db)
                    if not at_once:
                        _flush(db)
                        pipeline.sync()
                        _take_answers(batch, works, finishes)
                    batch.send_last()
                    if not at_once:
                        _flush(db)
                        pipeline.sync()
                    committing = True
                    done = db.execute("COMMIT")
                    _flush(db)  # The pipeline's end waits for the answer.
                except Exception as caught:  # noqa: BLE001 - a work's own error must reach its own caller
                    error = caught
        except psycopg.Error as caught:
            error = error or caught
        if error is None and (done is None or done.statusmessage != "COMMIT"):
            error = StorageBroken(f"{self._where} did not commit")
        if error is not None:
            raise _Failed(batch.meaning(error), committing) from error
        self._heard = self._monotonic()
        if at_once:
            _take_answers(batch, works, finishes)
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

    def _find_out(self, works: list[_Work[Any]]) -> None:
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
            if not has_ended or work.known is None or self._db is None:
                continue
            try:
                work.result = work.known(self._db)
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

    def _open(self) -> Connection:
        db = self._connect()
        try:
            db.execute(_PLANS)
            self._session = db.execute(_WHO).fetchone()
            self._heard = self._monotonic()
        except psycopg.Error as error:
            db.close()
            raise meaning(self._where, error) from error
        return db

    def _patience(self) -> float | None:
        """Seconds to wait for a work; None: until there is one."""
        return None if self._db is not None else PAUSES[min(self._failures, len(PAUSES) - 1)]

    def _reconnect(self, *, at_once: bool = False) -> None:
        """Try to have a connection again, unless that failed a moment ago."""
        if self._db is not None or (not at_once and self._monotonic() < self._retry_at):
            return
        try:
            self._db = self._open()
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

    # -- back to the loop ---------------------------------------------------------------------------------------------

    def _tell(self, works: list[_Work[Any]], seconds: float) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._settle, works, seconds)
        except RuntimeError:  # The loop is closed: nobody waits any more.
            pass

    def _settle(self, works: list[_Work[Any]], seconds: float) -> None:
        self._observe(len(works), seconds)
        for work in works:
            future = work.future
            if future is None or future.done():
                continue
            if work.error is not None:
                future.set_exception(work.error)
            else:
                future.set_result(work.result)


class _Failed(Exception):
    """A transaction that raised `error`, before its COMMIT was sent or after."""

    def __init__(self, error: Exception, committing: bool) -> None:
        self.error = error
        self.committing = committing


def _take_answers(batch: Batch, works: list[_Work[Any]], finishes: list[Finish[Any]]) -> None:
    batch.receive()
    for work, finish in zip(works, finishes, strict=True):
        work.result = finish()


def _flush(db: Connection) -> None:
    """Send all that libpq has taken. psycopg 3.3 tries once in pipeline mode, and then waits for an answer for ever."""
    poll = select.poll()
    poll.register(db.fileno(), select.POLLIN | select.POLLOUT)
    while db.pgconn.flush():
        for _, happened in poll.poll():
            if happened & ~select.POLLOUT:
                db.pgconn.consume_input()  # A server that waits for us to read does not read either.


def _nothing(batch: Batch) -> Callable[[], None]:
    return lambda: None
