"""Columns of values reach the server as they are."""

from __future__ import annotations

import struct
from typing import Any

import psycopg
import pytest

from gateway.storage.postgres.arrays import Array, Longs, Octets, Texts
from gateway.storage.postgres.connection import Connection, Database


@pytest.fixture
def db(postgres: str) -> Any:
    with Database.at(postgres).connect("test") as connection:
        yield connection


@pytest.mark.parametrize(
    ("array", "type_"),
    [
        (Texts(["a", "", None, "grün", "{\",'\\}", "NULL"]), "text[]"),
        (Longs([0, -1, None, (1 << 63) - 1, -(1 << 63)]), "bigint[]"),
        (Octets([b"", b"\x00\xff", None, b"x" * 100_000]), "bytea[]"),
        (Texts(["grün"]), "text[]"),
        (Longs([-(1 << 63)]), "bigint[]"),
        (Longs([None]), "bigint[]"),
        (Octets([b"\x00"]), "bytea[]"),
        (Texts([]), "text[]"),
        (Longs([]), "bigint[]"),
        (Octets([]), "bytea[]"),
        (Octets([None]), "bytea[]"),
    ],
)
def test_each_value_arrives_in_its_order(db: Connection, array: Array, type_: str) -> None:
    query = "SELECT pg_typeof(%b)::text, value, number FROM unnest(%b) WITH ORDINALITY AS u(value, number)"
    for _ in range(7):  # Also once the statement is prepared.
        rows = db.execute(query.encode(), (array, array), binary=True).fetchall()
        assert [row[1] for row in rows] == list(array.values)
        assert [row[2] for row in rows] == list(range(1, len(array.values) + 1))
        assert all(row[0] == type_ for row in rows)


def test_a_number_that_does_not_fit_is_refused_before_it_is_sent(db: Connection) -> None:
    with pytest.raises(struct.error):
        db.execute(b"SELECT %b", (Longs([1 << 63]),))
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
