"""Two processes on one PostgreSQL, the second of which comes in the middle of what the first does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
from sqlalchemy import Connection

from gateway.storage.mailboxes.driver import Driver
from gateway.storage.postgres.connection import Database
from gateway.storage.postgres.shared import PostgresShared

T = TypeVar("T")


class Meanwhile:
    """The database as two processes have it: `here`, and `there`, in the middle of whose change `here` asks."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.here = PostgresShared(Database.at(address))
        self.there = PostgresShared(Database.at(address))
        self._has_begun, self._may_end = threading.Event(), threading.Event()

    async def over(self, change: Callable[[Driver], object], other: Awaitable[T]) -> T:
        """What comes of `other`, which begins in the middle of `change` and waits for its end."""

        def run(connection: Connection) -> None:
            change(Driver(connection))
            self._has_begun.set()
            assert self._may_end.wait(30)

        changing = asyncio.ensure_future(self.there.call(run))
        assert await asyncio.to_thread(self._has_begun.wait, 30)
        waiting = asyncio.ensure_future(other)
        try:
            async with asyncio.timeout(30):
                while not await asyncio.to_thread(self._somebody_waits):
                    await asyncio.sleep(0.01)
        finally:
            self._may_end.set()
        await changing
        return await waiting

    def _somebody_waits(self) -> bool:
        ask = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            " AND application_name = 'gateway shared'"
        )
        with psycopg.connect(self._address) as connection:
            return connection.execute(ask).fetchone() is not None

    def close(self) -> None:
        """Both."""
        self.here.close()
        self.there.close()
