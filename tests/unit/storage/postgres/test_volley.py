"""Statements that are sent at once are one transaction: all of it is there, or nothing."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from gateway.storage.postgres.connection import Connection, Database
from gateway.storage.postgres.volley import Shot, Statement, fire, prepare

TEXT, INT = 25, 23
STATEMENTS = (
    Statement("put", "INSERT INTO things(name) VALUES (%b)", (TEXT,)),
    Statement("count", "SELECT name, length(name) FROM things ORDER BY name", ()),
    Statement("echo", "SELECT %b", (TEXT,)),
    Statement("divide", "SELECT 1 / length(%s)", (TEXT,)),
)


@pytest.fixture
def db(empty_postgres: str) -> Iterator[Connection]:
    connection = Database.at(empty_postgres).connect("test")
    connection.execute("CREATE TABLE things(name text PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
    prepare(connection, STATEMENTS)
    yield connection
    connection.close()


def names(db: Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT name FROM things ORDER BY name")]


def put(name: str) -> Shot:
    return Shot("put", (name.encode(),))


def test_all_of_it_is_there_afterwards_and_the_rows_come_back(db: Connection) -> None:
    answers = fire(db, [put("a"), put("bb"), Shot("count", ())])
    assert answers["count"] == [(b"a", b"\0\0\0\1"), (b"bb", b"\0\0\0\2")]
    assert names(db) == ["a", "bb"]
    assert fire(db, [put("c")]) == {}
    assert names(db) == ["a", "bb", "c"]


def test_where_one_fails_nothing_of_the_others_stays(db: Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        fire(db, [put("a"), Shot("divide", (b"",)), put("b")])
    assert names(db) == []
    fire(db, [put("a")])  # The connection goes on.
    assert names(db) == ["a"]


def test_a_commit_that_fails_is_told(db: Connection) -> None:
    """A deferred constraint is looked at when all statements have been answered."""
    with pytest.raises(psycopg.errors.UniqueViolation):
        fire(db, [put("a"), put("a")])
    assert names(db) == []


def test_an_answer_longer_than_the_sockets_hold_is_read_while_it_is_sent(db: Connection) -> None:
    shots = [Shot("echo", (b"x" * 3_000_000,)) for _ in range(8)]
    assert fire(db, shots)["echo"] == [(b"x" * 3_000_000,)]


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_connection_that_is_cut_is_told_as_such(db: Connection, empty_postgres: str, when: str) -> None:
    with Database.at(empty_postgres).connect("other") as other:
        pid = db.info.backend_pid
        if when == "before":
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            shots = [put("a")]
        else:
            db.execute(
                "CREATE FUNCTION cut(text) RETURNS int LANGUAGE sql AS 'SELECT 1 FROM pg_terminate_backend($1::int)'"
            )
            prepare(db, [Statement("cut", "SELECT cut(%s)", (TEXT,))])
            shots = [put("a"), Shot("cut", (str(pid).encode(),)), put("b")]
        with pytest.raises(psycopg.OperationalError):
            fire(db, shots)
        assert names(other) == []
