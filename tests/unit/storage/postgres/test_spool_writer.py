"""The connection under a spool goes: what was acknowledged is there, what was refused is not, and it comes back."""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import signal
import socket
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import pytest

from gateway.storage.postgres.connection import Connection
from gateway.storage.postgres.spool import PostgresSpool
from gateway.storage.postgres.writer import OutcomeUnknown
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import SystemClock
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.spool import delivery_of, event_of, mail_of, message_of, put
from tests.postgres import Cluster

T = TypeVar("T")


@pytest.fixture
async def of(postgres: str) -> AsyncIterator[PostgresSpoolOf]:
    of = PostgresSpoolOf(postgres, SystemClock())
    yield of
    for spool in of.spools:
        of.join(spool)
    await of.close()


@pytest.fixture
async def spool(of: PostgresSpoolOf) -> PostgresSpool:
    return await of.open()


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


async def accepting(spool: PostgresSpool, id_: str) -> asyncio.Task[None]:
    mail = mail_of(id_, await message_of(spool, id_, b"x"))
    record = spool.new_record(id_, [event_of(id_)])
    return asyncio.create_task(spool.accept(mail, [delivery_of(mail)], [record]))


async def again(work: Callable[[], Awaitable[T]]) -> T:
    async with asyncio.timeout(30):
        while True:
            try:
                return await work()
            except StorageBroken:
                await asyncio.sleep(0.05)


def waits_in(of: PostgresSpoolOf, event: str) -> bool:
    return bool(
        of.rows(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'gateway spool 0' AND datname = current_database()"
            f" AND wait_event = '{event}'"
        )
    )


def slow_commits(of: PostgresSpoolOf) -> None:
    """A commit that stores a message takes a minute, and may be ended before it has happened."""
    of.rows(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$"
    )
    of.rows(
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON messages DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        " EXECUTE FUNCTION slow()"
    )


async def test_an_idle_connection_that_was_cut_costs_nothing(spool: PostgresSpool, of: PostgresSpoolOf) -> None:
    of.end("gateway spool 0")
    await put(spool, "Q1", lease=True)
    assert of.rows("SELECT id FROM deliveries") == [("Q1.1",)]
    assert "database_lost" in of.told.events()


async def test_a_commit_that_did_not_happen_is_found_out(spool: PostgresSpool, of: PostgresSpoolOf) -> None:
    slow_commits(of)
    task = await accepting(spool, "Q1")
    await until(lambda: waits_in(of, "PgSleep"))
    of.end("gateway spool 0")
    with pytest.raises(StorageBroken) as caught:
        await task
    assert not isinstance(caught.value, OutcomeUnknown)
    assert of.rows("SELECT id FROM messages") == []
    assert not spool.is_leased("Q1.1")


async def test_a_commit_that_happened_is_found_out(spool: PostgresSpool, of: PostgresSpoolOf, cluster: Cluster) -> None:
    # A commit that waits for a stand-by is on the disk already. The server's end takes its answer away.
    cluster.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    cluster.run("SELECT pg_reload_conf()")
    try:
        task = await accepting(spool, "Q1")
        await until(lambda: waits_in(of, "SyncRep"))
        await asyncio.to_thread(of.end, "gateway spool 0")
    finally:
        cluster.run("ALTER SYSTEM RESET synchronous_standby_names")
        cluster.run("SELECT pg_reload_conf()")
    await task
    assert of.rows("SELECT id, node FROM deliveries") == [("Q1.1", spool._node_id)]
    assert spool.is_leased("Q1.1")
    assert of.record_count() == 1
    assert "database_lost" in of.told.events()


async def test_an_end_that_happened_is_found_out(spool: PostgresSpool, of: PostgresSpoolOf, cluster: Cluster) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)
    cluster.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    cluster.run("SELECT pg_reload_conf()")
    try:
        task = asyncio.create_task(spool.done(delivery, [event_of("Q1")]))
        await until(lambda: waits_in(of, "SyncRep"))
        await asyncio.to_thread(of.end, "gateway spool 0")
    finally:
        cluster.run("ALTER SYSTEM RESET synchronous_standby_names")
        cluster.run("SELECT pg_reload_conf()")
    await task
    assert of.rows("SELECT id FROM messages") == []
    assert not spool.is_leased("Q1.1")
    assert "lease_lost" not in of.told.events()


async def test_a_server_that_has_yet_to_read_a_commit_does_not_do_it_after_it_was_refused(
    spool: PostgresSpool, of: PostgresSpoolOf
) -> None:
    await put(spool, "Q1", lease=True)
    who = "SELECT pid FROM pg_stat_activity WHERE application_name = 'gateway spool 0' AND datname = current_database()"
    ((pid,),) = of.rows(who)
    assert spool._writer._db is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        task = await accepting(spool, "Q2")
        with socket.socket(fileno=os.dup(spool._writer._db.fileno())) as wire:
            await until(lambda: unread(wire))
            wire.shutdown(socket.SHUT_RDWR)  # What was sent lies at the server.
        await until(lambda: "database_lost" in of.told.events())
        await until(lambda: len(of.rows(who)) > 1)
        await asyncio.sleep(0.3)
        assert not task.done()
    finally:
        os.kill(pid, signal.SIGCONT)
    with pytest.raises(StorageBroken) as caught:
        await task
    assert not isinstance(caught.value, OutcomeUnknown)
    await until(lambda: (pid,) not in of.rows(who))
    assert of.rows("SELECT id FROM messages") == [("Q1",)]


def unread(wire: socket.socket) -> int:
    """Octets that were sent and the other side has not read."""
    waiting = array.array("i", [0])
    fcntl.ioctl(wire, termios.TIOCOUTQ, waiting)
    return waiting[0]


async def test_what_comes_and_goes_as_a_rule_asks_nothing_before_its_commit(
    spool: PostgresSpool, of: PostgresSpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[None] = []
    monkeypatch.setattr("psycopg.Pipeline.sync", lambda self: turns.append(None))
    (delivery,) = await put(spool, "Q1", lease=True)
    await spool.done(delivery, [event_of("Q1")])
    assert turns == []
    assert of.rows("SELECT id FROM messages UNION SELECT id FROM deliveries") == []
    assert of.record_count() == 2
    assert "lease_lost" not in of.told.events()


async def test_an_end_by_a_lease_that_is_not_ours_any_more_changes_nothing(
    spool: PostgresSpool, of: PostgresSpoolOf
) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)
    of.rows("UPDATE deliveries SET epoch = epoch + 1")
    await spool.done(delivery, [event_of("Q1")])
    assert "lease_lost" in of.told.events()
    assert of.rows("SELECT id FROM messages UNION SELECT id FROM deliveries ORDER BY 1") == [("Q1",), ("Q1.1",)]
    assert of.record_count() == 1


async def test_where_nobody_can_tell_it_is_unknown_and_the_octets_stay(
    spool: PostgresSpool, of: PostgresSpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.storage.postgres.writer.PAUSES", (0.01, 0.01))
    slow_commits(of)
    mail = mail_of("Q1", await message_of(spool, "Q1", b"x" * 200_000))
    task = asyncio.create_task(spool.accept(mail, [delivery_of(mail)], []))
    await until(lambda: waits_in(of, "PgSleep"))
    refuse(spool)
    of.end("gateway spool 0")
    with pytest.raises(OutcomeUnknown):
        await task
    assert of.contents == ["Q1"]


def refuse(spool: PostgresSpool) -> None:
    def connect() -> Connection:
        raise StorageBroken("away")

    spool._writer._connect = connect


async def test_while_the_database_is_away_everything_is_refused_and_afterwards_goes_on(
    spool: PostgresSpool, of: PostgresSpoolOf
) -> None:
    (delivery,) = await put(spool, "Q1", lease=True)
    await of.cut_off(spool)
    with pytest.raises(StorageBroken):
        await put(spool, "Q2")
    with pytest.raises(StorageBroken):
        spool.check_room(1)
    with pytest.raises(StorageBroken):
        await spool.done(delivery, [event_of("Q1")])
    with pytest.raises(StorageBroken):
        await spool.content(delivery)
    of.join(spool)
    await again(lambda: put(spool, "Q2", lease=True))
    spool.check_room(1)
    await spool.done(delivery, [event_of("Q1")])
    assert of.rows("SELECT id FROM deliveries") == [("Q2.1",)]
    assert of.told.events().count("database_away") == 1
    assert "database_back" in of.told.events()


async def test_a_work_that_fails_fails_alone(spool: PostgresSpool, of: PostgresSpoolOf) -> None:
    await put(spool, "Q1")
    tasks = [await accepting(spool, id_) for id_ in ("Q2", "Q1", "Q3")]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in results] == [type(None), StorageBroken, type(None)]
    assert of.rows("SELECT id FROM messages ORDER BY id") == [("Q1",), ("Q2",), ("Q3",)]
    assert of.record_count() == 3


async def test_what_is_large_for_a_socket_goes_through_in_one_batch(spool: PostgresSpool, of: PostgresSpoolOf) -> None:
    # psycopg's pipeline alone waits for ever where the system takes a statement in more than two pieces.
    async with asyncio.timeout(40):
        await asyncio.gather(*(put(spool, f"Q{number}", b"x" * 120_000) for number in range(100)))
    assert of.rows("SELECT count(*), min(length(content)) > 120000 FROM messages") == [(100, True)]


async def test_a_full_disk_is_told_as_such_also_for_large_content(spool: PostgresSpool, of: PostgresSpoolOf) -> None:
    of.fill()
    of.rows("CREATE TRIGGER full_disk BEFORE INSERT ON message_segments EXECUTE FUNCTION full_disk()")
    with pytest.raises(StorageFull):
        await put(spool, "Q1")
    with pytest.raises(StorageFull):
        await message_of(spool, "Q2", b"x" * 200_000)
    assert of.contents == []


async def test_octets_that_were_cleared_away_are_not_accepted(spool: PostgresSpool, of: PostgresSpoolOf) -> None:
    mail = mail_of("Q1", await message_of(spool, "Q1", b"x" * 3_000_000))
    of.rows("DELETE FROM message_segments WHERE start = (SELECT max(start) FROM message_segments)")
    with pytest.raises(StorageBroken, match="cleared away"):
        await spool.accept(mail, [delivery_of(mail)], [])
    assert of.rows("SELECT id FROM messages") == []


async def test_octets_of_a_message_that_is_there_are_not_abandoned(spool: PostgresSpool, of: PostgresSpoolOf) -> None:
    incoming = spool.begin("Q1")
    incoming.write(b"x" * 200_000)
    mail = mail_of("Q1", await incoming.finish())
    await spool.accept(mail, [delivery_of(mail)], [])
    await incoming.abandon()  # As a session does whose answer from the database was lost.
    assert of.contents == ["Q1"]
    other = spool.begin("Q2")
    other.write(b"x" * 200_000)
    await other.finish()
    await other.abandon()
    assert of.contents == ["Q1"]
