"""A process that takes mail into a spool until somebody kills it: `python -m tests.fakes.accepting PLACE [LIMIT]`.

PLACE is a spool's folder, or the address of a PostgreSQL database.
It writes the id of each message to standard output once `accept` has returned, as a session writes its 250. With LIMIT
no file may grow beyond so many octets; what fails then is written with `!` in front.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

from gateway.storage.spooling import Spooling
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import SystemClock
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.spool import SpoolOf, put

SIZES = (300, 5_000, 130_000, 140_000, 1_100_000)
SENDERS = 6


def content_of(number: int) -> bytes:
    """What message `Q<number>` holds."""
    line = b"%d of many\r\n" % number
    return (line * (SIZES[number % len(SIZES)] // len(line) + 1))[: SIZES[number % len(SIZES)]]


async def main(place: str, limit: int | None) -> None:
    opened: SpoolOf | PostgresSpoolOf
    if place.startswith("postgresql:"):
        opened = PostgresSpoolOf(place, SystemClock())
    else:
        opened = SpoolOf(Path(place), SystemClock(), make=False)
    spool = await opened.open()
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    first = int(os.environ.get("FIRST", "1"))
    async with asyncio.TaskGroup() as tasks:
        for sender in range(SENDERS):
            tasks.create_task(take(spool, range(first + sender, first + (60 if limit else 1_000_000), SENDERS)))
    await opened.close()


async def take(spool: Spooling, numbers: range) -> None:
    """One session: a message after the other."""
    for number in numbers:
        try:
            await put(spool, f"Q{number}", content_of(number), lease=True)
        except (StorageFull, StorageBroken) as error:
            os.write(1, b"!Q%d %s\n" % (number, type(error).__name__.encode()))
            await asyncio.sleep(0.02)  # A database that comes back needs the machine more than we do.
        else:
            os.write(1, b"Q%d\n" % number)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
