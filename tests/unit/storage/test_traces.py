"""The trace: kept once, found by whom and what, erased in time, not readable without keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.observe.events import ATTEMPT, DONE, RECEIVED, Event, Found
from gateway.storage import trace_index
from gateway.storage.migrate import migrate_shared
from gateway.storage.record import Record
from gateway.storage.sealer import SealBroken
from gateway.storage.shared import Shared
from gateway.storage.traces import TraceStore
from tests.fakes.chance import FakeChance

KEYS = {("trace", 1): b"t" * 32, ("token", 1): b"k" * 32}
START = 1_793_700_000.0


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    migrate_shared(tmp_path / "shared.db")
    shared = Shared(tmp_path / "shared.db")
    yield shared
    shared.close()


@pytest.fixture(params=["pending", "carried"])
def traces(shared: Shared, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TraceStore:
    """Once with an index that is all pending, once with one that is carried over with each put."""
    if request.param == "carried":
        monkeypatch.setattr(trace_index, "CARRY_AT", 1)
    return TraceStore(shared, KeySealer(DomainKeys(KEYS), FakeChance()))


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


async def put(traces: TraceStore, records: list[Record]) -> None:
    await traces.put([traces.prepare(record) for record in records])


async def ids(traces: TraceStore, **asked: object) -> list[str]:
    return [message for message, _ in await traces.find(**asked)]  # type: ignore[arg-type]


def rows(shared: Shared, table: str) -> object:
    return shared.run(lambda connection: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar())


async def test_a_story_is_told_in_order_of_time_whatever_the_order_of_its_records(traces: TraceStore) -> None:
    await put(traces, [later("Q1", 9, ATTEMPT, DONE, uid=3)])
    await put(traces, [received("Q1"), later("Q2", 1, DONE)])
    [(message, events)] = await traces.find(id="Q1")
    assert message == "Q1"
    assert [event.event for event in events] == [RECEIVED, ATTEMPT, DONE]
    assert events[0] == Event(message="Q1", time=START, event=RECEIVED, facts={"size": 42})


async def test_a_record_that_the_mover_brings_twice_is_stored_once(traces: TraceStore, shared: Shared) -> None:
    await put(traces, [received("Q1"), later("Q1", 1, DONE)])
    await put(traces, [received("Q1"), later("Q1", 1, DONE), later("Q1", 2, DONE, uid=3)])
    await shared.write(trace_index.carry)
    assert (rows(shared, "trace_events"), rows(shared, "trace_tokens"), rows(shared, "trace_pending")) == (3, 4, 0)
    [(_, events)] = await traces.find(id="Q1")
    assert [event.event for event in events] == [RECEIVED, DONE, DONE]


async def test_a_batch_is_stored_whole_or_not_at_all(traces: TraceStore, shared: Shared) -> None:
    odd = Record(message="Q2", uid=2, events=[Event(message="Q2", time=START, event=DONE, facts={"x": object()})])
    with pytest.raises(TypeError):
        await put(traces, [received("Q1"), odd])
    assert (rows(shared, "trace_events"), rows(shared, "trace_pending")) == (0, 0)


async def test_the_index_is_carried_by_the_thousand_and_found_in_both_places(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_index, "CARRY_AT", 4)
    traces = TraceStore(shared, KeySealer(DomainKeys(KEYS), FakeChance()))
    pending = []
    for place in range(6):
        await put(traces, [received(f"Q{place}", place), later(f"Q{place}", place, DONE)])
        pending.append(rows(shared, "trace_pending"))
    assert pending == [1, 2, 3, 0, 1, 2]
    assert await ids(traces, sender="corp.example") == ["Q5", "Q4", "Q3", "Q2", "Q1", "Q0"]
    assert await ids(traces, sender="corp.example", recipient="partner.example", limit=3) == ["Q5", "Q4", "Q3"]
    assert await ids(traces, id="Q0", sender="corp.example") == ["Q0"]
    assert await ids(traces, id="Q5", sender="corp.example") == ["Q5"]


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
async def test_messages_are_found_newest_first(
    traces: TraceStore, asked: dict[str, object], expected: list[str]
) -> None:
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


async def test_two_records_of_the_same_moment_are_one_message(traces: TraceStore) -> None:
    await put(traces, [received("Q1"), later("Q1", 0, DONE)])
    assert await ids(traces) == ["Q1"]


async def test_nothing_in_the_file_can_be_read(traces: TraceStore, shared: Shared, tmp_path: Path) -> None:
    await put(traces, [received("Q1", message_id="<secret@corp.example>")])
    shared.close()
    octets = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    for text in (b"alice", b"corp.example", b"bob", b"partner", b"secret", b"size", b"42}", RECEIVED.encode()):
        assert text not in octets
    assert b"Q1" in octets


async def test_a_row_that_was_moved_to_another_message_does_not_open(traces: TraceStore, tmp_path: Path) -> None:
    await put(traces, [received("Q1"), received("Q2")])
    database = sqlite3.connect(tmp_path / "shared.db")
    database.execute(
        "UPDATE trace_events SET sealed=(SELECT sealed FROM trace_events WHERE message='Q1') WHERE message='Q2'"
    )
    database.commit()
    database.close()
    with pytest.raises(SealBroken, match="Q2/1"):
        await traces.find(id="Q2")


async def test_erasing_takes_old_records_with_all_their_tokens_and_no_others(
    traces: TraceStore, shared: Shared
) -> None:
    await put(traces, [received(f"Q{place}", place, message_id=f"<{place}>") for place in range(10)])
    await put(traces, [later("Q0", 50, DONE)])
    assert await traces.erase(START + 5, 3) == 3
    assert await traces.erase(START + 5, 3) == 2
    assert await traces.erase(START + 5, 3) == 0
    assert (rows(shared, "trace_events"), rows(shared, "trace_tokens")) == (6, 25)
    assert await ids(traces, sender="corp.example") == ["Q9", "Q8", "Q7", "Q6", "Q5"]
    assert await traces.erase(START + 100) == 6
    assert (rows(shared, "trace_events"), rows(shared, "trace_tokens")) == (0, 0)


async def test_putting_nothing_asks_nothing_of_the_database(tmp_path: Path) -> None:
    shared = Shared(tmp_path / "missing.db")
    await TraceStore(shared, KeySealer(DomainKeys(KEYS), FakeChance())).put([])
    shared.close()
