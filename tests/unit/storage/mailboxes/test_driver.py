"""Statements without SQLAlchemy between: how UIDs become conditions, and how faults come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from gateway.storage.mailboxes.driver import MOST_VALUES, Driver, Rows, chunks, inserts, spans
from gateway.storage.mailboxes.packed import CHANGED, columns
from gateway.storage.sharing import SharedStore
from gateway.storage.writer import StorageBroken


@given(st.lists(st.integers(1, 40) | st.integers(1, 4_294_967_295)))
def test_spans_hold_exactly_what_they_are_made_of(uids: list[int]) -> None:
    found: list[int] = []
    for span in spans(uids):
        found += range(span.values[0], span.values[1] + 1) if span.is_run else span.values
        assert len(span.values) <= MOST_VALUES
        assert span.condition.count("?") == len(span.values)
    assert sorted(found) == sorted(set(uids))


def test_a_whole_folder_is_one_condition() -> None:
    assert [span.is_run for span in spans(range(1, 100_001))] == [True]
    assert [len(chunk) for chunk in chunks(range(1001))] == [500, 500, 1]


def test_a_fault_of_the_engine_is_broken_storage_and_shows_no_values(shared: SharedStore) -> None:
    def bad(connection: Connection) -> None:
        Driver(connection).do("INSERT INTO mailbox_blobs (name) VALUES (?)", b"secret")

    with pytest.raises(StorageBroken) as fault:
        shared.run(bad)
    assert "secret" not in str(fault.value)

    def several(connection: Connection) -> None:
        Driver(connection).insert("INSERT INTO mailbox_blobs (name)", [(b"secret",), (b"secret",)])

    with pytest.raises(StorageBroken) as fault:
        shared.run(several)
    assert "secret" not in str(fault.value)

    def together(connection: Connection) -> None:
        Driver(connection).together([("SELECT 1", ()), ("INSERT INTO mailbox_blobs (name) VALUES (?)", (b"secret",))])

    with pytest.raises(StorageBroken, match="mailbox_blobs") as fault:
        shared.run(together)
    assert "secret" not in str(fault.value)


def test_columns_rise_even_where_an_engine_gives_them_otherwise(shared: SharedStore) -> None:
    def ask(connection: Connection) -> list[list[int]]:
        driver = Driver(connection)
        driver.insert(
            "INSERT INTO mailbox_messages (folder, uid, modseq, flags, date, size, content)",
            [(1, uid, uid, (1 << 62) + uid, 1, 1, b"") for uid in (3, 1, 2)],
        )
        falling = {engine: text.replace("ORDER BY uid", "ORDER BY uid DESC") for engine, text in CHANGED.items()}
        return [list(one) for one in columns(driver, falling, 1, 0)]

    assert shared.run(ask) == [[1, 2, 3], [(1 << 62) + uid for uid in (1, 2, 3)], [1, 2, 3]]


_NAMES = "INSERT INTO mailbox_blobs (name, state, since)"


@pytest.mark.parametrize("count", [0, 1, 2, 33, 100, 5000])
def test_rows_are_inserted_many_in_a_statement(shared: SharedStore, count: int) -> None:
    rows = [(number.to_bytes(16, "big"), "intended", number << 40) for number in range(count)]

    def insert(connection: Connection) -> Rows:
        driver = Driver(connection)
        driver.insert(_NAMES, rows)
        found = driver.rows("SELECT name, state, since FROM mailbox_blobs ORDER BY name")
        driver.do("DELETE FROM mailbox_blobs")
        return found

    assert shared.run(insert) == rows
    assert len(inserts(_NAMES, rows)) <= count // 32 + 5


def test_statements_that_are_sent_together_are_each_answered(shared: SharedStore) -> None:
    rows = [(number.to_bytes(16, "big"), "intended", 1) for number in range(3)]

    def ask(connection: Connection) -> list[Rows]:
        return Driver(connection).together(
            [
                *inserts(_NAMES, rows),
                ("UPDATE mailbox_blobs SET since=? WHERE since=?", (1 << 40, 1)),
                ("DELETE FROM mailbox_blobs WHERE name IN (??) RETURNING since", ([rows[0][0], rows[1][0]],)),
                ("SELECT name FROM mailbox_blobs WHERE since=? FOR UPDATE", (1 << 40,)),
                ("DELETE FROM mailbox_blobs", ()),
            ]
        )

    *_, changed, gone, left, cleared = shared.run(ask)
    assert (changed, gone, left, cleared) == ([], [(1 << 40,), (1 << 40,)], [(rows[2][0],)], [])


def test_more_than_a_socket_holds_is_sent_together(shared: SharedStore) -> None:
    """Both ways: who does not read while he writes waits for somebody who does the same."""
    large = b"x" * 1_000_000

    def ask(connection: Connection) -> list[int]:
        driver = Driver(connection)
        echo = "SELECT ?" if driver.is_sqlite else "SELECT ?::bytea"
        return [len(rows[0][0]) for rows in driver.together([(echo, (large,))] * 20)]

    assert shared.run(ask) == [len(large)] * 20
