"""An administrator's command reaches what another node has in memory, and leaves alone what is on the wire there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import replace

import pytest

from gateway.app.commands import Commands
from gateway.mail.delivery import Delivery, State
from gateway.observe.events import DELETED, HELD
from gateway.storage.postgres.recall import PATIENCE
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.postgres.spool import PostgresSpool
from gateway.storage.postgres.traces import PostgresTraces
from gateway.storage.spooling import Hands
from tests.fakes.clock import FakeClock
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.spool import event_of, put, sealer

NOW = 1_793_700_000.0


@pytest.fixture
async def of(postgres: str) -> AsyncIterator[PostgresSpoolOf]:
    of = PostgresSpoolOf(postgres)
    yield of
    await of.close()


class Memory:
    """A runner's memory: deliveries that wait, and the ids of those on the wire."""

    def __init__(self, spool: PostgresSpool, deliveries: Iterable[Delivery], sending: Collection[str] = ()) -> None:
        self.spool = spool
        self.waiting = {one.id: one for one in deliveries if one.id not in sending}
        self.sending = sending
        self.woken = asyncio.Event()
        spool.attend(Hands(sending=lambda: sending, give_back=self.give_back, look=lambda: None, wake=self.woken.set))

    async def give_back(self, ids: Iterable[str] | None) -> Collection[str]:
        wanted = set(self.waiting if ids is None else ids)
        for id_ in wanted & set(self.waiting):
            await self.spool.unlease(self.waiting.pop(id_))
        return self.sending


def held(delivery: Delivery) -> Delivery:
    return replace(delivery, state=State.HELD)


async def test_what_waits_in_another_node_can_be_held(of: PostgresSpoolOf) -> None:
    theirs, ours = await of.open(), await of.open()
    memory = Memory(theirs, await put(theirs, "Q1", lease=True))
    found = await ours.deliveries(["Q1"])
    async with ours.recalled(found) as busy:
        assert busy == set()
        assert await theirs.due(NOW, 10, ()) == [], "whoever recalls it has it"
        assert await ours.change([held(one) for one in found], lambda d: event_of(d.message, HELD)) == ["Q1.1"]
    assert memory.waiting == {}
    assert of.rows("SELECT state, node, wanted FROM deliveries") == [("held", None, None)]
    assert not ours.is_leased("Q1.1")
    assert not theirs.is_leased("Q1.1")


async def test_what_is_on_the_wire_in_another_node_stays_there(of: PostgresSpoolOf) -> None:
    theirs, ours = await of.open(), await of.open()
    waits, sent = await put(theirs, "Q1", destinations=("a.example", "b.example"), lease=True)
    Memory(theirs, [waits, sent], sending={"Q1.2"})
    found = await ours.deliveries(["Q1"])
    async with ours.recalled(found) as busy:
        assert busy == {"Q1.2"}
        assert await ours.change([held(one) for one in found], lambda d: event_of(d.message, HELD)) == ["Q1.1"]
        assert await ours.drop([sent], lambda d: event_of(d.message, DELETED)) == []
    assert of.rows("SELECT id, node, wanted FROM deliveries ORDER BY id") == [
        ("Q1.1", None, None),
        ("Q1.2", theirs._node_id, None),
    ]
    await theirs.done(sent, [])
    assert "lease_lost" not in of.told.events()
    assert of.rows("SELECT id FROM deliveries") == [("Q1.1",)]


async def test_what_waits_in_another_node_can_be_deleted_with_its_octets(of: PostgresSpoolOf) -> None:
    theirs, ours = await of.open(), await of.open()
    Memory(theirs, await put(theirs, "Q1", b"0123456789ABCDE\n" * 10_000, lease=True))
    found = await ours.deliveries(["Q1"])
    assert await ours.drop(found, lambda d: event_of(d.message, DELETED)) == ["Q1.1"]
    assert of.rows("SELECT id FROM messages") == []
    assert of.contents == []


async def test_what_was_recalled_and_not_changed_is_to_be_had_again(of: PostgresSpoolOf) -> None:
    theirs, ours = await of.open(), await of.open()
    Memory(theirs, await put(theirs, "Q1", lease=True))
    async with ours.recalled(await ours.deliveries(["Q1"])):
        pass
    assert not ours.is_leased("Q1.1")
    assert [one.id for one in await theirs.due(NOW, 10, ())] == ["Q1.1"]


async def test_a_node_that_does_not_answer_keeps_what_it_has(of: PostgresSpoolOf) -> None:
    clock = FakeClock()
    theirs, ours = await of.open(), await of.open(clock)
    (delivery,) = await put(theirs, "Q1", lease=True)
    theirs._ear.hear = lambda verb, who: None  # type: ignore[method-assign]
    theirs._node._hear = lambda verb, who: None
    found = await ours.deliveries(["Q1"])

    async def hold() -> set[str]:
        async with ours.recalled(found) as busy:
            return busy

    asked = asyncio.create_task(hold())
    async with asyncio.timeout(20):
        while not of.rows("SELECT 1 FROM deliveries WHERE wanted IS NOT NULL"):
            await asyncio.sleep(0.01)
    await clock.advance(PATIENCE + 1)
    assert await asked == {"Q1.1"}
    assert of.rows("SELECT node, wanted FROM deliveries") == [(theirs._node_id, None)]
    await theirs.done(delivery, [])
    assert of.rows("SELECT 1 FROM deliveries") == []


async def test_what_is_postponed_while_it_is_asked_for_is_handed_over(of: PostgresSpoolOf) -> None:
    theirs, ours = await of.open(), await of.open()
    (delivery,) = await put(theirs, "Q1", lease=True)
    of.rows(f"UPDATE deliveries SET wanted = '{ours._node_id}'")
    await theirs.postpone(replace(delivery, state=State.WAITING, attempts=3, next_attempt=NOW), [])
    assert of.rows("SELECT node, wanted, epoch, attempts FROM deliveries") == [(ours._node_id, None, 2, 3)]
    assert await theirs.due(NOW, 10, ()) == []


async def test_commands_of_one_node_reach_the_queue_of_all(of: PostgresSpoolOf) -> None:
    theirs, ours = await of.open(), await of.open()
    shared = PostgresShared(of.database)
    waits, sent = await put(theirs, "Q1", destinations=("a.example", "b.example"), lease=True)
    memory = Memory(theirs, [waits, sent], sending={"Q1.2"})
    own = Memory(ours, await put(ours, "Q2", lease=True))
    await theirs.beat()  # Says what it has on the wire.
    commands = Commands(
        [ours],
        PostgresTraces(shared, sealer()),
        of.clock,
        expire=lambda: 1000.0,
        in_hand=set,
        give_back=own.give_back,
        wake=lambda: None,
    )
    rows = await commands.answer("queue.list", {})
    assert {row["id"]: row["state"] for row in rows} == {"Q1.1": "ready", "Q1.2": "sending", "Q2.1": "ready"}
    said = await commands.answer("queue.hold", {"all": True})
    assert said == {"changed": ["Q1.1", "Q2.1"], "missing": [], "sending": ["Q1.2"]}
    async with asyncio.timeout(20):
        await memory.woken.wait()
    said = await commands.answer("queue.delete", {"ids": ["Q1", "Q2", "Q9"]})
    assert said == {"changed": ["Q1.1", "Q2.1"], "missing": ["Q9"], "sending": ["Q1.2"]}
    assert of.rows("SELECT id FROM deliveries") == [("Q1.2",)]
    story = await commands.answer("trace", {"id": "Q2"})
    assert [one["event"] for one in story[0]["events"]] == ["received", HELD, DELETED]
    shared.close()
