"""The recorder of one process: gathers uses in memory and adds them to the key-access log, at most once a second.

A use is in the log within a second; a process that is killed takes the last second with it, and the numbers of what
others write fit all the same. What can't be written is kept, up to a bound, and written once the database works again;
what is over the bound is counted, and the number becomes a line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any, Final, Protocol

from gateway.keys.access_heads import Heads
from gateway.keys.access_log import GENESIS, MAX_LINES, Bodies, batch_of, lost_body
from gateway.keys.uses import Operation, Use
from gateway.storage.key_log_rows import Batch
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

MAX_WAITING: Final = 100_000  # Uses in memory, some 40 MB; beyond that they are counted.
GATHER: Final = 0.8  # Seconds in which uses gather for one transaction.
RETRY: Final = 5.0  # Seconds between two tries at a database that refuses.
LOOK: Final = 60.0  # Seconds between two looks whether a head is due.
# What happens for messages gathers; what people do is written at once.
_COMMON: Final = frozenset({Operation.WRAP, Operation.UNWRAP, Operation.DECRYPT, Operation.SIGN})


class Chain(Protocol):
    """The log, as it is asked here: `gateway.storage.key_log.KeyLogStore`."""

    def append(self, make: Callable[[int, bytes | None], Batch]) -> Batch:
        """Add a batch. Blocks; raises StorageFull, StorageBroken."""

    def again(self) -> Batch | None:
        """The batch of the last `append` that failed, where it was stored all the same."""


class AccessLog:
    """A `Recorder`. `run` writes while a loop runs; else `flush` and `close` do."""

    def __init__(
        self, chain: Chain, *, who: str, clock: Clock, tell: Callable[..., None], most: int = MAX_WAITING
    ) -> None:
        """`who` is the process; `most`: how many uses are kept while none can be written."""
        self._chain = chain
        self._who = who
        self._clock = clock
        self._tell = tell
        self._most = most
        self._heads: Heads | None = None
        self._uses: list[Use] = []
        self._lost = 0
        self._guard = Lock()  # Of the two above, which any thread may change.
        self._writing = Lock()  # Held by whoever writes,
        self._signing = Lock()  # and by whoever signs.
        self._form = Bodies()
        self._bodies: list[bytes] = []  # What was to be written when it last failed.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._some = asyncio.Event()
        self._hurry = asyncio.Event()
        self.failing: str | None = None  # Why nothing can be written.

    def __repr__(self) -> str:
        return f"AccessLog({self._who!r})"

    def keep_heads(self, heads: Heads) -> None:
        """Sign by these from now on. They hold vaults, and those are opened with this recorder."""
        self._heads = heads

    def record(self, use: Use) -> None:
        """See Recorder."""
        with self._guard:
            if len(self._uses) >= self._most:
                self._lost += 1
                return
            self._uses.append(use)
            first = len(self._uses) == 1
        rare = use.operation not in _COMMON
        if (first or rare) and self._loop is not None:
            with suppress(RuntimeError):  # The loop has ended; `close` writes it.
                self._loop.call_soon_threadsafe(self._wake, rare)

    def state(self) -> dict[str, Any]:
        """Why nothing is written or signed, and what does not fit; None where all is well."""
        heads = self._heads
        return {
            "unwritten": self.failing,
            "unsigned": None if heads is None else heads.unsigned,
            "contradicted": None if heads is None else heads.contradicted,
        }

    async def run(self) -> None:
        """Write and sign, for ever."""
        self._loop = asyncio.get_running_loop()
        if self._uses:  # From before there was a loop.
            self._some.set()
        look = self._clock.monotonic()
        while True:
            if not self._some.is_set():
                with suppress(TimeoutError):
                    async with self._clock.timeout(max(0.0, look - self._clock.monotonic())):
                        await self._some.wait()
            if self._some.is_set() and not self._hurry.is_set():
                with suppress(TimeoutError):
                    async with self._clock.timeout(GATHER):
                        await self._hurry.wait()
            self._some.clear()
            self._hurry.clear()
            due = self._clock.monotonic() >= look
            if due:
                look = self._clock.monotonic() + LOOK
            if not await asyncio.to_thread(self._work, due):
                self._some.set()
                await self._clock.sleep(RETRY)

    def flush(self) -> bool:
        """Write what was recorded before; False where it could not be, and is kept. Blocks; in any thread."""
        with self._writing:
            try:
                while self._write():
                    pass
            except (StorageBroken, StorageFull) as error:
                self._fail(str(error))
                return False
            if self.failing is not None:
                self._tell("info", "key_log_written_again", who=self._who)
                self.failing = None
            return True

    def close(self) -> None:
        """Write what there is and sign a head over it. Blocks. What is recorded afterwards is lost."""
        if self._work(True, last=True):
            self.flush()  # Signing was a use.
        with self._guard:
            left = len(self._uses) + len(self._bodies) + self._lost
        if left:
            self._tell("error", "key_log_lost", who=self._who, uses=left)

    # -- on a thread --------------------------------------------------------------------------------------------------

    def _wake(self, rare: bool) -> None:
        self._some.set()
        if rare:
            self._hurry.set()

    def _work(self, due: bool, *, last: bool = False) -> bool:
        if not self.flush():
            return False
        if due and self._heads is not None:
            try:
                with self._signing:
                    self._heads.look(last=last)
            except (StorageBroken, StorageFull) as error:
                self._fail(str(error))
                return False
        return True

    def _write(self) -> bool:
        """Write one batch; False where there is nothing to write."""
        if self._bodies and self._chain.again() is not None:
            self._bodies = []
        if not self._bodies:
            self._bodies = self._taken()
        bodies = self._bodies
        if not bodies:
            return False
        self._chain.append(lambda first, before: batch_of(first, before or GENESIS, bodies))
        self._bodies = []
        return True

    def _taken(self) -> list[bytes]:
        with self._guard:
            uses, self._uses = self._uses[: MAX_LINES - 1], self._uses[MAX_LINES - 1 :]
            lost = 0
            if not self._uses:
                lost, self._lost = self._lost, 0
        bodies = [self._form.of(use) for use in uses]
        if lost:
            self._tell("error", "key_log_lost", who=self._who, uses=lost)
            bodies.append(lost_body(self._clock.now(), self._who, lost))
        return bodies

    def _fail(self, why: str) -> None:
        if self.failing is None:  # Once, not with every try.
            self._tell("error", "key_log_not_written", who=self._who, why=why)
        self.failing = why
