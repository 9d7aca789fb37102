"""The trace: kept once, found by whom and what, erased in time, not readable without keys."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.observe.events import ATTEMPT, DONE, RECEIVED, Event, Found
from gateway.storage import trace_index
from gateway.storage.migrate import migrate_shared
from gateway.storage.postgres.connection import Connection, Database
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.postgres.traces import PostgresTraces
from gateway.storage.record import Record
from gateway.storage.sealer import SealBroken
from gateway.storage.shared import Shared
from gateway.storage.traces import TraceStore
from gateway.storage.tracing import Traces
from tests.fakes.chance import FakeChance

KEYS = {("trace", 1): b"t" * 32, ("token", 1): b"k" * 32}
START = 1_793_700_000.0


Either = Shared | PostgresShared


@pytest.fixture(params=["sqlite", "sqlite carried", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """SQLite once with an index that is all pending, and once with one that is carried over with each put."""
    return str(request.param)


@pytest.fixture
def traces(shared: Either, engine: str, monkeypatch: pytest.MonkeyPatch) -> Traces:
    if engine == "sqlite carried":
        monkeypatch.setattr(trace_index, "CARRY_AT", 1)
    return traces_of(shared)


def traces_of(shared: Either) -> Traces:
    sealer = KeySealer(DomainKeys(KEYS), FakeChance())
    return PostgresTraces(shared, sealer) if isinstance(shared, PostgresShared) else TraceStore(shared, sealer)


def received(
    message: str,
    seconds: float = 0,
    *,
    uid: int = 1,
    sender: str = "alice@corp.example",
    recipients: tuple[str, ...] = ("bob@partner.example",),
    message_id: str = "",
) -> Record:
    event = Event(message=message, time=START + seconds, event=RECEIVED, facts={"size": 42})
    found = Found(sender=sender, recipients=recipients, message_id=message_id)
    return Record(message=message, uid=uid, events=[event], found=found)


def later(message: str, seconds: float, *events: str, uid: int = 2) -> Record:
    return Record(
        message=message, uid=uid, events=[Event(message=message, time=START + seconds, event=one) for one in events]
    )


async def put(traces: Traces, records: list[Record]) -> None:
    await traces.put([traces.prepare(record) for record in records])


async def ids(traces: Traces, **asked: object) -> list[str]:
    return [message for message, _ in await traces.find(**asked)]  # type: ignore[arg-type]


def rows(shared: Either, table: str) -> object:
    return shared.run(lambda connection: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar())


async def indexed(shared: Either) -> tuple[object, object]:
    """How many records there are, and how many rows in the index of their tokens."""
    if isinstance(shared, Shared):
        await shared.write(trace_index.carry)
    return rows(shared, "trace_events"), rows(shared, "trace_tokens")


def octets(shared: Either, folder: Path) -> bytes:
    """All that lies in the files of the database, or in its tables."""
    if isinstance(shared, Shared):
        shared.close()
        return b"".join(one.read_bytes() for one in folder.iterdir())

    def copied(db: Connection) -> bytes:
        found = b""
        for table in ("meta", "domain_keys", "trace_events", "trace_tokens"):
            with db.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)".encode()) as copy:
                found += b"".join(bytes(block) for block in copy)
        return found

    return shared.run(lambda bound: copied(cast(Connection, bound.connection.driver_connection)), read=True)


async def test_a_story_is_told_in_order_of_time_whatever_the_order_of_its_records(traces: Traces) -> None:
    await put(traces, [later("Q1", 9, ATTEMPT, DONE, uid=3)])
    await put(traces, [received("Q1"), later("Q2", 1, DONE)])
    [(message, events)] = await traces.find(id="Q1")
    assert message == "Q1"
    assert [event.event for event in events] == [RECEIVED, ATTEMPT, DONE]
    assert events[0] == Event(message="Q1", time=START, event=RECEIVED, facts={"size": 42})


async def test_a_record_that_the_mover_brings_twice_is_stored_once(traces: Traces, shared: Either) -> None:
    await put(traces, [received("Q1"), later("Q1", 1, DONE)])
    await put(traces, [received("Q1"), later("Q1", 1, DONE), later("Q1", 2, DONE, uid=3)])
    assert await indexed(shared) == (3, 4)
    [(_, events)] = await traces.find(id="Q1")
    assert [event.event for event in events] == [RECEIVED, DONE, DONE]


async def test_a_batch_is_stored_whole_or_not_at_all(traces: Traces, shared: Either) -> None:
    odd = Record(message="Q2", uid=2, events=[Event(message="Q2", time=START, event=DONE, facts={"x": object()})])
    with pytest.raises(TypeError):
        await put(traces, [received("Q1"), odd])
    assert await indexed(shared) == (0, 0)


async def test_the_index_is_carried_by_the_thousand_and_found_in_both_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_index, "CARRY_AT", 4)
    migrate_shared(tmp_path / "shared.db")
    shared = Shared(tmp_path / "shared.db")
    traces = traces_of(shared)
    pending = []
    for place in range(6):
        await put(traces, [received(f"Q{place}", place), later(f"Q{place}", place, DONE)])
        pending.append(rows(shared, "trace_pending"))
    assert pending == [1, 2, 3, 0, 1, 2]
    assert await ids(traces, sender="corp.example") == ["Q5", "Q4", "Q3", "Q2", "Q1", "Q0"]
    assert await ids(traces, sender="corp.example", recipient="partner.example", limit=3) == ["Q5", "Q4", "Q3"]
    assert await ids(traces, id="Q0", sender="corp.example") == ["Q0"]
    assert await ids(traces, id="Q5", sender="corp.example") == ["Q5"]
    shared.close()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"sender": "alice@corp.example"}, ["Q3", "Q1"]),
        ({"sender": "ALICE@Corp.Example"}, ["Q3", "Q1"]),
        ({"sender": "corp.example"}, ["Q3", "Q1"]),
        ({"sender": "@CORP.example"}, ["Q3", "Q1"]),
        ({"sender": "example"}, []),
        ({"sender": "bob@partner.example"}, []),
        ({"sender": "<>"}, ["Q2"]),
        ({"recipient": "bob@partner.example"}, ["Q2", "Q1"]),
        ({"recipient": "partner.example"}, ["Q3", "Q2", "Q1"]),
        ({"recipient": "partner.example", "limit": 2}, ["Q3", "Q2"]),
        ({"recipient": "@xn--mnchen-3ya.example"}, ["Q3"]),
        ({"recipient": "münchen.example"}, ["Q3"]),
        ({"recipient": "postmaster"}, ["Q2"]),
        ({"message_id": "<a@corp.example>"}, ["Q1"]),
        ({"message_id": "<A@corp.example>"}, []),
        ({"sender": "corp.example", "recipient": "bob@partner.example"}, ["Q1"]),
        ({"sender": "corp.example", "recipient": "partner.example", "message_id": "<a@corp.example>"}, ["Q1"]),
        ({"since": START + 10}, ["Q3", "Q2"]),
        ({"since": START + 20, "recipient": "partner.example"}, ["Q3"]),
        ({"id": "Q1"}, ["Q1"]),
        ({"id": "Q1.2"}, ["Q1"]),
        ({"id": "Q9"}, []),
        ({"id": "Q1", "since": START + 10}, []),
        ({"id": "Q1", "sender": "corp.example"}, ["Q1"]),
        ({"id": "Q2", "sender": "corp.example"}, []),
        ({}, ["Q3", "Q2", "Q1"]),
        ({"limit": 1}, ["Q3"]),
    ],
)
async def test_messages_are_found_newest_first(traces: Traces, asked: dict[str, object], expected: list[str]) -> None:
    await put(
        traces,
        [
            received("Q1", 0, message_id="<a@corp.example>"),
            received("Q2", 10, sender="", recipients=("bob@partner.example", "postmaster")),
            received("Q3", 20, recipients=("carol@partner.example", "dora@münchen.example")),
            # What happens later does not make a message newer.
            later("Q1", 30, DONE),
        ],
    )
    assert await ids(traces, **asked) == expected


async def test_two_records_of_the_same_moment_are_one_message(traces: Traces) -> None:
    await put(traces, [received("Q1"), later("Q1", 0, DONE)])
    assert await ids(traces) == ["Q1"]


async def test_nothing_in_the_database_can_be_read(traces: Traces, shared: Either, tmp_path: Path) -> None:
    await put(traces, [received("Q1", message_id="<secret@corp.example>")])
    found = octets(shared, tmp_path)
    for text in (b"alice", b"corp.example", b"bob", b"partner", b"secret", b'size":', b"42}", RECEIVED.encode()):
        assert text not in found
    assert b"Q1" in found


async def test_a_row_that_was_moved_to_another_message_does_not_open(traces: Traces, shared: Either) -> None:
    await put(traces, [received("Q1"), received("Q2")])
    swap = "UPDATE trace_events SET sealed=(SELECT sealed FROM trace_events WHERE message='Q1') WHERE message='Q2'"
    shared.run(lambda connection: connection.exec_driver_sql(swap))
    with pytest.raises(SealBroken, match="Q2/1"):
        await traces.find(id="Q2")


async def test_erasing_takes_old_records_with_all_their_tokens_and_no_others(traces: Traces, shared: Either) -> None:
    await put(traces, [received(f"Q{place}", place, message_id=f"<{place}>") for place in range(10)])
    await put(traces, [later("Q0", 50, DONE)])
    assert await traces.erase(START + 5, 3) == 3
    assert await traces.erase(START + 5, 3) == 2
    assert await traces.erase(START + 5, 3) == 0
    assert await indexed(shared) == (6, 25)
    assert await ids(traces, sender="corp.example") == ["Q9", "Q8", "Q7", "Q6", "Q5"]
    assert await traces.erase(START + 100) == 6
    assert await indexed(shared) == (0, 0)


async def test_an_id_that_is_none_finds_nothing(traces: Traces) -> None:
    await put(traces, [received("Q1")])
    assert [await ids(traces, id=id_) for id_ in ("Q1\0", "\udcffQ1", "Q\u00e4", "", "Q1' OR '1'='1", "%")] == [[]] * 6


async def test_putting_nothing_asks_nothing_of_the_database(tmp_path: Path) -> None:
    shared = Shared(tmp_path / "missing.db")
    await traces_of(shared).put([])
    shared.close()
    away = PostgresShared(Database.at("postgresql://127.0.0.1:1/nothing"))
    await traces_of(away).put([])
    away.close()
