"""Time: what it is, and waiting for it."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Handed to whoever asks the time or waits."""

    def now(self) -> float:
        """Seconds since 1970, as the wall has it."""

    def monotonic(self) -> float:
        """Seconds from an unknown start; never goes back. For deadlines and durations."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """A block that raises TimeoutError when it takes longer."""


class SystemClock:
    """The machine's clock."""

    # The functions themselves: they are asked several times for each message.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)


def rfc3339(seconds: float) -> str:
    """`seconds` since 1970 as UTC with milliseconds, such as 2026-11-03T08:12:00.000Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
