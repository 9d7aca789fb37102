"""Statements without SQLAlchemy between: how UIDs become conditions, and how faults come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from gateway.storage.mailboxes.driver import MOST_VALUES, Driver, chunks, spans
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

    def many(connection: Connection) -> None:
        Driver(connection).many("INSERT INTO mailbox_blobs (name) VALUES (?)", [(b"secret",), (b"secret",)])

    with pytest.raises(StorageBroken):
        shared.run(many)


def test_columns_rise_even_where_an_engine_gives_them_otherwise(shared: SharedStore) -> None:
    def ask(connection: Connection) -> list[list[int]]:
        driver = Driver(connection)
        driver.many(
            "INSERT INTO mailbox_messages (folder, uid, modseq, flags, date, size, content) VALUES (1,?,?,?,1,1,?)",
            [(uid, uid, (1 << 62) + uid, b"") for uid in (3, 1, 2)],
        )
        falling = {engine: text.replace("ORDER BY uid", "ORDER BY uid DESC") for engine, text in CHANGED.items()}
        return [list(one) for one in columns(driver, falling, 1, 0)]

    assert shared.run(ask) == [[1, 2, 3], [(1 << 62) + uid for uid in (1, 2, 3)], [1, 2, 3]]
