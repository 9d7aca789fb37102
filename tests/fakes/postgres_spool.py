"""A spool on a database of the test's own, as `tests.fakes.spool.SpoolOf` has it in a folder."""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import psycopg

from gateway.storage.postgres.connection import Connection, Database
from gateway.storage.postgres.spool import PostgresSpool
from gateway.storage.record import Prepared
from gateway.storage.sealer import Sealer
from gateway.storage.shelf import Shelf
from gateway.storage.trace_keeper import TraceKeeper
from gateway.storage.writer import StorageBroken
from gateway.world.clock import Clock
from tests.fakes.clock import FakeClock
from tests.fakes.log import fake_log
from tests.fakes.spool import sealer

TABLES = ("messages", "deliveries", "nodes", "message_segments", "trace_events", "trace_tokens")


class PostgresSpoolOf:
    """Opens and closes nodes on one database. `spools` are those that are open."""

    engine = "postgresql"

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.url = url
        self.database = Database.at(url)
        self.clock = clock or FakeClock()
        self.sealer: Sealer = sealer()
        self.commits: list[int] = []
        self.min_free = 0
        self.executor: Executor = ThreadPoolExecutor(4)
        self.log, self.told = fake_log()
        self.shelf: Shelf | None = None
        self.spools: list[PostgresSpool] = []

    @property
    def contents(self) -> list[str]:
        """The names of contents that lie in no column."""
        return [name for (name,) in self.rows("SELECT DISTINCT name FROM message_segments ORDER BY name")]

    async def open(self, clock: Clock | None = None) -> PostgresSpool:
        """One more node; `clock` is its own, else that of all."""
        spool = PostgresSpool(
            self.database,
            node=str(uuid.uuid4()),
            sealer=self.sealer,
            keeper=TraceKeeper(sealer()),
            clock=clock or self.clock,
            executor=self.executor,
            observe=lambda works, seconds: self.commits.append(works),
            name=str(len(self.spools)),
            tell=self.log.tell,
            shelf=self.shelf,
            host="here",
        )
        await spool.open(asyncio.get_running_loop())
        self.spools.append(spool)
        return spool

    async def reopen(self) -> PostgresSpool:
        """Close what is open and open it anew, as after a restart."""
        await self.close()
        return await self.open()

    async def close(self) -> None:
        for spool in self.spools:
            await asyncio.to_thread(spool.close)
        self.spools.clear()

    async def cut_off(self, spool: PostgresSpool) -> None:
        """The database is away for this node alone, until `join`."""

        def refuse() -> Connection:
            raise StorageBroken("cut off")

        spool._writer._connect = spool._node._connect = refuse
        for kind in ("spool", "node"):
            self.end(f"gateway {kind} {spool.name}")
        # The node finds out at its next sign of life, the writer with the next work.
        await spool.beat()

    def join(self, spool: PostgresSpool) -> None:
        """It can be reached again."""
        spool._writer._connect = lambda: self.database.connect(f"spool {spool.name}")
        spool._node._connect = lambda: self.database.connect(f"node {spool.name}")

    def end(self, application: str) -> None:
        """End the server's sessions of that name in this database."""
        self.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            f" WHERE application_name = '{application}' AND datname = current_database()"
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What another client sees."""
        with psycopg.connect(self.url, autocommit=True) as db:
            cursor = db.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    alter = rows

    def record_count(self) -> int:
        """Records that are stored."""
        return int(self.rows("SELECT count(*) FROM trace_events")[0][0])

    def fill(self) -> None:
        """From now on the server's disk is full."""
        self.rows(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file'; END $$"
        )
        self.rows("CREATE TRIGGER full_disk BEFORE INSERT ON messages EXECUTE FUNCTION full_disk()")

    def refuse_updates(self) -> None:
        """From now on no delivery may be changed."""
        self.rows(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$"
        )
        self.rows("CREATE TRIGGER refuse BEFORE UPDATE ON deliveries EXECUTE FUNCTION refuse()")

    def take_updates(self) -> None:
        """Deliveries may be changed again."""
        self.rows("DROP TRIGGER refuse ON deliveries")

    def octets(self) -> bytes:
        """All that lies in the tables, one value behind the other."""
        found: list[bytes] = []
        for table in TABLES:
            for row in self.rows(f"SELECT * FROM {table}"):
                found += [one if isinstance(one, bytes) else str(one).encode() for one in row]
        return b"\n".join(found)

    @property
    def moved(self) -> list[Prepared]:
        """Nothing is ever moved."""
        return []
