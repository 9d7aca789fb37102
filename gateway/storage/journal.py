"""The journal: where what a 250 rests on is made durable, by one write; most messages never come further.

It stands before the spool's database: a message that leaves within seconds costs two entries here and nothing there.
What stays is carried into the database, and segments in which nothing counts any more are written over.
Why not the database alone: a commit of SQLite writes seven to fourteen pages for a message and syncs them in twice the
time; its rows come and go within a second.

Group commit, as `gateway.storage.group` has it, but without a thread where the kernel writes by itself: whatever is
asked for while one batch is written goes into the next. Leaves out: what the entries say, which
`gateway.storage.entries` knows.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from gateway.storage.fresh import Freshness
from gateway.storage.group import GATHER, MAX_BATCH, PATIENCE, StorageBroken, StorageFull
from gateway.storage.kernel_write import KernelWriter
from gateway.storage.replay import replayed
from gateway.storage.segment_file import SIZE
from gateway.storage.segments import Draft, Place, Segments

MAX_ENTRY: Final = 1 << 20  # Octets; what is longer goes into the database at once.
CHUNK: Final = SIZE - MAX_ENTRY - (64 << 10)  # Octets of entries in one write, with room for one that is long.
# Octets of a batch that is put together on the loop and handed to the kernel, in a tenth of a millisecond; longer ones
# would hold up sessions.
DIRECT: Final = 512 << 10
SLOW: Final = 0.01  # Seconds that the kernel may take to take a write over; if it takes longer, threads wait for it
REST: Final = 30.0  # for so many seconds.

Account = Callable[[Place | None], object]


class _Work:
    """An entry, and who waits for it."""

    __slots__ = ("account", "future", "octets", "place")

    def __init__(self, octets: bytes, account: Account | None, future: asyncio.Future[None] | None) -> None:
        self.octets = octets
        self.account = account
        self.future = future
        self.place: Place | None = None


class _Batch:
    """What is written at once, and where, if that is known."""

    __slots__ = ("began", "draft", "thread", "works", "written")

    def __init__(self, works: list[_Work], began: float) -> None:
        self.works = works
        self.written = [work for work in works if work.octets]
        self.began = began
        self.draft: Draft | None = None
        self.thread: Future[list[Place]] | None = None


class Journal:
    """One for each spool. `recover` first, then `start`; everything but `recover`, `read` and `close` on the loop."""

    def __init__(
        self, folder: Path, *, name: str, monotonic: Callable[[], float], observe: Callable[[int, float], None]
    ) -> None:
        """`observe` is told entries and seconds of each commit."""
        self._segments = Segments(folder)
        self._settled = 0  # The newest segment of which the loop knows; what is under way stands there or later.
        self._monotonic = monotonic
        self._observe = observe
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on: int | None = None  # The loop's thread.
        self._waiting: deque[_Work] = deque()
        self._unhurried: deque[_Work] = deque()
        self._nudge: asyncio.TimerHandle | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._under_way: _Batch | None = None
        self._company = False  # Whether the last batch had haste for more than one work.
        self._closed = False
        self._kernel: KernelWriter | None = None
        self._rests_until = 0.0
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=name)

    def recover(self) -> tuple[Freshness, list[str]]:
        """What of a former process stands here alone, and what is damaged. Blocks. Raises StorageBroken, OSError."""
        faults = self._segments.recover()
        fresh = replayed(self._segments.batches(faults), faults)
        self._settled = self._segments.number
        return fresh, faults

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Be ready for entries, on the loop that runs."""
        self._loop = loop
        self._on = threading.get_ident()
        try:
            self._kernel = KernelWriter(DIRECT + (8 << 10))
        except OSError:
            return  # Threads do it.
        loop.add_reader(self._kernel.descriptor, self._kernel_ended)

    async def append(self, entry: bytes, *, account: Account | None = None, haste: bool = True) -> None:
        """On disk when this returns. Raises StorageFull, StorageBroken.

        `account` is told where it stands before anything that was written later is, or None where it could not be
        written, also where whoever waits was cancelled: whoever lets segments be written over has to know of it. An
        empty entry writes nothing; it returns when all that was asked for with haste before is settled. Without `haste`
        it shares the commit of the next one that has some, and waits PATIENCE for one.
        """
        if self._closed or self._loop is None:
            raise StorageBroken("the store is closed")
        future: asyncio.Future[None] = self._loop.create_future()
        work = _Work(entry, account, future)
        if haste:
            self._waiting.append(work)
            if self._under_way is None:
                self._go_on()
        else:
            self._unhurried.append(work)
            if self._nudge is None:
                self._nudge = self._loop.call_later(PATIENCE, self._hurry)
        await future

    def read(self, place: Place) -> bytes:
        """An entry that counts, from any thread. Raises OSError, BadEntry."""
        return self._segments.read(place)

    def forget(self, before: int | None) -> None:
        """Of what is accounted for, nothing before that segment counts any more; None: nothing at all."""
        before = self._settled if before is None else min(before, self._settled)
        if before > self._segments.oldest:
            self._segments.oldest = before

    def span(self, oldest: int | None) -> int:
        """How many segments are kept because something in `oldest` still counts."""
        return 0 if oldest is None else self._settled - oldest + 1

    def close(self) -> None:
        """Write what was asked for, then let go. Blocks for as long as that takes; from any thread."""
        if self._closed:
            return
        loop = self._loop
        if loop is not None and loop.is_running() and threading.get_ident() != self._on:
            asyncio.run_coroutine_threadsafe(self._close_from_elsewhere(), loop).result()
        else:
            self._finish()
        self._threads.shutdown(wait=True)
        if self._kernel is not None:
            self._kernel.close()
        self._segments.close()

    # -- batches ------------------------------------------------------------------------------------------------------

    def _hurry(self) -> None:
        self._nudge = None
        if self._unhurried:
            self._waiting.append(_Work(b"", None, None))
            if self._under_way is None:
                self._go_on()

    def _go_on(self) -> None:
        """Begin the next batch, or wait a moment for more where the last one had company."""
        if not self._waiting or self._gathering is not None or self._loop is None:
            return
        if self._company and not self._closed:
            self._gathering = self._loop.call_later(GATHER, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._gathering = None
        works: list[_Work] = []
        octets = 0
        for queue in (self._waiting, self._unhurried):
            while queue and len(works) < MAX_BATCH and octets <= CHUNK:
                works.append(queue.popleft())
                octets += len(works[-1].octets)
            if queue is self._waiting:
                self._company = len(works) > 1
        batch = self._under_way = _Batch(works, self._monotonic())
        if not batch.written:
            self._settle(batch, None)
        elif octets > DIRECT or not self._hand_over(batch):
            self._by_thread(batch)

    def _hand_over(self, batch: _Batch) -> bool:
        """Give it to the kernel; False where that does not take it."""
        kernel, began = self._kernel, batch.began
        if kernel is None or began < self._rests_until:
            return False
        try:
            draft = batch.draft = self._segments.draft([work.octets for work in batch.written])
        except StorageBroken as error:
            self._settle(batch, error)
            return True
        if draft is None or draft.file.direct is None:
            return False
        taken = kernel.begin(draft.file.direct, draft.pieces, draft.at)
        if self._monotonic() - began > SLOW:  # It should not have waited, and has held up everybody.
            self._rests_until = self._monotonic() + REST
        return taken

    def _kernel_ended(self, *, wait: bool = False) -> None:
        kernel, batch = self._kernel, self._under_way
        if kernel is None or batch is None or not kernel.is_busy:
            return
        fault = kernel.ended(wait=wait)
        if fault is None or batch.draft is None:
            return
        if fault == errno.EAGAIN:
            self._by_thread(batch)
        elif fault:
            self._settle(batch, self._segments.failed(OSError(fault, os.strerror(fault))))
        else:
            try:
                self._place(batch, self._segments.written(batch.draft))
            except StorageBroken as error:
                self._settle(batch, error)
            else:
                self._settle(batch, None)

    def _by_thread(self, batch: _Batch) -> None:
        draft = batch.draft
        if draft is not None:
            batch.thread = self._threads.submit(self._segments.write, draft)
        else:
            batch.thread = self._threads.submit(self._segments.append, [work.octets for work in batch.written])
        if not self._closed:
            batch.thread.add_done_callback(lambda _: self._call(self._thread_ended, batch))

    def _call(self, what: Callable[[_Batch], None], batch: _Batch) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(what, batch)
        except RuntimeError:  # The loop is closed: nobody waits any more.
            pass

    def _thread_ended(self, batch: _Batch) -> None:
        if batch is not self._under_way or batch.thread is None:
            return  # `close` has seen to it.
        try:
            self._place(batch, batch.thread.result())
        except (StorageFull, StorageBroken) as error:
            self._settle(batch, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours: whoever waits must hear of it, and others go on
            self._settle(batch, StorageBroken(f"a fault in the journal: {type(error).__name__}"))
        else:
            self._settle(batch, None)

    def _place(self, batch: _Batch, places: list[Place]) -> None:
        for work, place in zip(batch.written, places, strict=True):
            work.place = place

    def _settle(self, batch: _Batch, error: Exception | None) -> None:
        """Tell whoever waits, and begin the next."""
        self._under_way = None
        self._observe(len(batch.works), self._monotonic() - batch.began)
        for work in batch.works:
            place = work.place
            if place is not None:
                self._settled = place.segment
            if work.account is not None:
                work.account(place)
        for work in batch.works:
            future = work.future
            if future is None or future.done() or future.get_loop().is_closed():
                continue
            if error is not None and work.octets:
                future.set_exception(error)
            else:
                future.set_result(None)
        if self._unhurried and self._nudge is None and self._loop is not None and not self._closed:
            self._nudge = self._loop.call_later(PATIENCE, self._hurry)
        if not self._closed:
            self._go_on()

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _close_from_elsewhere(self) -> None:
        self._closed = True
        while (batch := self._under_way) is not None:
            waiting = [work.future for work in batch.works if work.future is not None]
            if not waiting:
                break
            await asyncio.wait(waiting)
        self._finish()

    def _finish(self) -> None:
        """All that was asked for is done when this returns; nothing more is taken."""
        self._closed = True
        for timer in (self._nudge, self._gathering):
            if timer is not None:
                timer.cancel()
        while True:
            batch = self._under_way
            if batch is None:
                if not self._waiting and not self._unhurried:
                    break
                self._waiting.append(_Work(b"", None, None))
                self._begin()
            elif batch.thread is not None:
                batch.thread.exception()  # Waits.
                self._thread_ended(batch)
            else:
                self._kernel_ended(wait=True)
        if self._kernel is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._kernel.descriptor)
