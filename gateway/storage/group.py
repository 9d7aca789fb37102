"""Group commit: whatever is asked for at the same moment is made durable together, on a thread of its own.

Leaves out: what a commit is; `gateway.storage.writer` and `gateway.storage.journal` say it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

W = TypeVar("W")

MAX_BATCH = 256  # Works in one commit; with more the first of them would wait too long.
# Where the commit before had more than one work, the next waits a little for more: fewer, larger commits.
GATHER = 0.002  # Seconds.
PATIENCE = 0.05  # Seconds that a work without haste waits for others to share its commit.


class StorageFull(Exception):
    """The disk is full, or as full as the settings let it be. Nothing was stored."""


class StorageBroken(Exception):
    """What lies on disk does not do what was asked: locked for too long, damaged, gone. Nothing was stored."""


class StorageAway(StorageBroken):
    """The database server can't be reached, or the connection to it was lost. It is told of once, by who keeps the
    connection, when it begins and when it ends; who only meets with it need not tell it again.
    """


class Work(Generic[W]):
    """Something to store, and who waits for its commit. The commit puts a result or an error into it."""

    __slots__ = ("asked", "error", "future", "result", "what")

    def __init__(self, what: W, future: asyncio.Future[Any] | None, asked: float = 0.0) -> None:
        self.what = what
        self.asked = asked  # When, on the loop's clock; for those without haste.
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None


class Group(ABC, Generic[W]):
    """One thread, one commit at a time. Made, then started on the loop whose calls it answers."""

    def __init__(self, *, name: str, monotonic: Callable[[], float], observe: Callable[[int, float], None]) -> None:
        """`observe` is told works and seconds of each commit; it is called in the loop's thread."""
        self._works: queue.SimpleQueue[Work[W] | None] = queue.SimpleQueue()
        self._unhurried: deque[Work[W]] = deque()
        self._nudge: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._monotonic = monotonic
        self._observe = observe
        self._opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._closed = False
        self._company = False  # Whether the last commit had haste for more than one work.
        self._pause = threading.Event()  # Never set.

    # -- what a commit is; all on the thread --------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> None:
        """Make ready. What it raises, `start` raises."""

    @abstractmethod
    def _commit(self, works: list[Work[W]]) -> None:
        """Make `works` durable and give each its result or its error. Raises nothing."""

    @abstractmethod
    def _shut(self) -> None:
        """The last thing."""

    def _take_along(self) -> bool:
        """Whether works without haste share the commit that begins now, rather than wait for more of their kind."""
        return True

    def _recover(self) -> None:
        """`_commit` has raised after all: what it held may be in any state."""

    def _patience(self) -> float | None:
        """Seconds to wait for a work before `_idle` is called; None: until there is one."""
        return None

    def _idle(self) -> None:
        """Nobody asked for anything for so long."""

    # -- on the loop --------------------------------------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread. Raises what opening raises."""
        self._loop = loop
        self._thread.start()
        if (error := self._opened.get()) is not None:
            self._closed = True
            raise error

    async def _ask(self, what: W, haste: bool) -> Any:
        """The work's result once it is durable; raises its error.

        Without `haste` it shares the commit of the next work that has some, and waits PATIENCE for one.
        """
        if self._closed or self._loop is None:
            raise StorageBroken("the store is closed")
        future: asyncio.Future[Any] = self._loop.create_future()
        if haste:
            self._works.put(Work(what, future))
        else:
            self._queue_unhurried(Work(what, future, self._loop.time()))
        return await future

    def _leave(self, what: W) -> None:
        """Do it with some coming commit; nobody waits."""
        if not self._closed:
            self._queue_unhurried(Work(what, None, 0.0 if self._loop is None else self._loop.time()))

    def close(self) -> None:
        """Finish what was asked and end. Blocks for as long as that takes."""
        if not self._closed:
            self._closed = True  # The nudge is left to the loop: this may be another thread.
            self._works.put(None)
            if self._thread.ident is not None:
                self._thread.join()
            else:
                self._shut()

    def _queue_unhurried(self, work: Work[W]) -> None:
        """Its thread is not woken for it: that costs more than the work itself."""
        self._unhurried.append(work)
        if self._nudge is None and self._loop is not None:
            self._nudge = self._loop.call_later(PATIENCE, self._hurry)

    def _hurry(self) -> None:
        self._nudge = None
        try:
            due = self._unhurried[0].asked + PATIENCE
        except IndexError:  # They have shared other commits.
            return
        if self._closed or self._loop is None:
            return
        if due > self._loop.time():  # Those for whom this was set have; these are newer.
            self._nudge = self._loop.call_at(due, self._hurry)
        else:
            self._works.put(self._nothing())

    @abstractmethod
    def _nothing(self) -> Work[W]:
        """A work that stores nothing, to wake the thread for those without haste."""

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._open()
        except BaseException as error:  # noqa: BLE001 - whatever it is, whoever started us has to hear of it
            self._opened.put(error)
            return
        self._opened.put(None)
        try:
            while self._batch():
                pass
        finally:
            self._shut()
            self._refuse_the_rest()

    def _batch(self) -> bool:
        """Wait for works, do them in one commit. False when the last one is done."""
        works: list[Work[W]] = []
        goes_on = True
        try:
            work = self._works.get(timeout=self._patience())
        except queue.Empty:
            self._idle()
            return True
        if self._company and work is not None:
            self._pause.wait(GATHER)
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
        if not goes_on or self._take_along():
            while self._unhurried and (len(works) < MAX_BATCH or not goes_on):
                works.append(self._unhurried.popleft())
        if works:
            began = self._monotonic()
            try:
                self._commit(works)
            except Exception as error:  # noqa: BLE001 - a fault of ours: whoever waits must hear of it, and others go on
                for work in works:
                    work.error = work.error or StorageBroken(f"a fault in the store: {type(error).__name__}")
                self._recover()
            self._tell(works, self._monotonic() - began)
        if self._unhurried and len(works) >= MAX_BATCH:  # What is left over has nobody else who would wake us for it.
            self._works.put(self._nothing())
        return goes_on

    def _refuse_the_rest(self) -> None:
        """What was asked for while the last works were done: nobody else will answer it."""
        late = [*self._unhurried]
        self._unhurried.clear()
        while not self._works.empty():
            if (work := self._works.get()) is not None:
                late.append(work)
        for work in late:
            work.error = StorageBroken("the store is closed")
        if late:
            self._tell(late, 0.0)

    def _tell(self, works: list[Work[W]], seconds: float) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._settle, works, seconds)
        except RuntimeError:  # The loop is closed: nobody waits any more.
            pass

    def _settle(self, works: list[Work[W]], seconds: float) -> None:
        self._observe(len(works), seconds)
        for work in works:
            future = work.future
            if future is None or future.done():
                continue
            if work.error is not None:
                future.set_exception(work.error)
            else:
                future.set_result(work.result)
