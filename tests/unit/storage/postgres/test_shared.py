"""The shared tables on PostgreSQL: keys that two nodes make at once, and a connection that is lost and found."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, text

from gateway.storage.keyrows import KeyRow
from gateway.storage.postgres.connection import Database
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.writer import StorageBroken
from tests.postgres import MISSING, Cluster, programs

ROW = KeyRow(
    organisation="default",
    purpose="spool",
    version=1,
    vault="main",
    root="default",
    root_version=1,
    wrapped=b"\x01wrapped",
    created=5,
)
PURPOSES = ("spool", "trace", "token", "accounts")


@pytest.fixture
def shared(postgres: str) -> Iterator[PostgresShared]:
    shared = PostgresShared(Database.at(postgres))
    yield shared
    shared.close()


def backend(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def test_nodes_that_make_keys_at_once_end_with_the_same_of_one_node(postgres: str) -> None:
    nodes = [PostgresShared(Database.at(postgres)) for _ in range(5)]
    barrier = threading.Barrier(len(nodes))

    def make(place: int) -> None:
        rows = [replace(ROW, purpose=purpose, wrapped=bytes([place]), created=place) for purpose in PURPOSES]
        assert nodes[place].keys() == []
        barrier.wait(20)
        nodes[place].add_missing_keys(rows if place % 2 else rows[::-1])

    threads = [threading.Thread(target=make, args=(place,)) for place in range(len(nodes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = [sorted(node.keys(), key=lambda row: row.purpose) for node in nodes]
    for node in nodes:
        node.close()
    assert found[0] == found[1] == found[2] == found[3] == found[4]
    assert [row.purpose for row in found[0]] == sorted(PURPOSES)
    assert len({row.wrapped for row in found[0]}) == 1  # Never of two nodes.


def test_a_connection_that_ended_while_nobody_used_it_is_made_anew_for_who_reads(
    shared: PostgresShared, cluster: Cluster
) -> None:
    before = shared.run(backend)
    cluster.run(f"SELECT pg_terminate_backend({before}, 5000)")
    assert shared.run(backend, read=True) != before


def test_a_connection_that_ended_while_nobody_used_it_is_made_anew_for_who_writes(
    shared: PostgresShared, cluster: Cluster
) -> None:
    before = shared.run(backend)
    cluster.run(f"SELECT pg_terminate_backend({before}, 5000)")
    assert shared.run(backend) != before


def test_who_writes_while_the_connection_ends_is_told_and_finds_a_new_one_then(
    shared: PostgresShared, cluster: Cluster
) -> None:
    def ending(connection: Connection) -> int:
        cluster.run(f"SELECT pg_terminate_backend({backend(connection)}, 5000)")
        return backend(connection)

    with pytest.raises(StorageBroken, match=r"the connection was lost|being shut down"):
        shared.run(ending)
    assert shared.run(backend)


@pytest.mark.skipif(programs() is None, reason=MISSING)
def test_a_server_that_is_away_is_told_and_found_again() -> None:
    with Cluster() as cluster:
        shared = PostgresShared(Database.at(cluster.migrated()))
        assert shared.keys() == []
        cluster.halt()
        for _ in range(2):
            with pytest.raises(StorageBroken, match=r"can't be reached.*does the server run"):
                shared.keys()
        cluster.resume()
        assert shared.keys() == []
        shared.close()


def test_two_nodes_that_add_keys_never_wait_for_each_other(
    postgres: str, shared: PostgresShared, cluster: Cluster
) -> None:
    """Whoever comes second waits at the first row, having added none, in whatever order it was given them."""
    rows = [replace(ROW, purpose=purpose, wrapped=b"second") for purpose in sorted(PURPOSES, reverse=True)]
    second = threading.Thread(target=shared.add_missing_keys, args=(rows,))
    insert = "INSERT INTO domain_keys VALUES ('default', %s, 1, 'main', 'default', 1, 'first', 5)"
    with Database.at(postgres).connect("first") as db:
        with db.transaction():
            for number, purpose in enumerate(sorted(PURPOSES)):
                db.execute(insert, (purpose,))
                if number == 0:
                    second.start()
                    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    while cluster.run(waiting) == [(0,)]:
                        second.join(0.02)
                        assert second.is_alive()
    second.join(20)
    assert {row.wrapped for row in shared.keys()} == {b"first"}


def test_a_value_that_does_not_fit_is_not_shown(shared: PostgresShared) -> None:
    with pytest.raises(StorageBroken, match="error 22P02") as caught:
        shared.run(lambda db: db.execute(text("SELECT CAST(CAST(:b AS text) AS bigint)"), {"b": "confidential"}))
    assert "confidential" not in str(caught.value)


def test_a_statement_that_takes_too_long_is_ended_and_named(postgres: str) -> None:
    engine = Database.at(postgres).engine("test", statement=50)
    with engine.connect() as connection, pytest.raises(Exception, match="statement timeout"):
        connection.execute(text("SELECT pg_sleep(20)"))
    engine.dispose()


def test_its_repr_shows_no_password(postgres: str) -> None:
    database = Database.at(postgres.replace("gateway@", "gateway:geheim@"))
    assert "geheim" not in f"{database!r} {PostgresShared(database)!r} {database.shown}"
