"""Several nodes on one queue: each delivery is given out once, and a node that dies loses its leases and no message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.mail.delivery import Delivery, State
from gateway.observe.events import DONE
from gateway.storage.certificates import CertificateStore, KeptCertificate
from gateway.storage.postgres.leases import BEAT, DEAD, FENCE
from gateway.storage.postgres.node import STRAYS
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.postgres.spool import PostgresSpool
from gateway.storage.spooling import Hands
from gateway.storage.writer import StorageBroken
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.spool import delivery_of, event_of, mail_of, message_of, put

NOW = 1_793_700_000.0
LARGE = b"0123456789ABCDE\n" * 10_000


@pytest.fixture
async def of(postgres: str) -> AsyncIterator[PostgresSpoolOf]:
    of = PostgresSpoolOf(postgres)
    yield of
    for spool in of.spools:
        of.join(spool)
    await of.close()


class Heard:
    """A runner that only counts what it is asked for."""

    def __init__(self, spool: PostgresSpool) -> None:
        self.looks = 0
        self.wakes = 0
        self.changes: list[bool] = []
        self.more = asyncio.Event()
        spool.attend(
            Hands(sending=tuple, give_back=self._give_back, look=self._look, wake=self._wake, changed=self._changed)
        )

    async def _give_back(self, ids: object) -> list[str]:
        return []

    def _look(self) -> None:
        self.looks += 1
        self.more.set()

    def _wake(self) -> None:
        self.wakes += 1
        self.more.set()

    def _changed(self, late: bool) -> None:
        self.changes.append(late)
        self.more.set()

    async def wait(self) -> None:
        async with asyncio.timeout(20):
            await self.more.wait()
        self.more.clear()


def ids(deliveries: list[Delivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


async def age(
    of: PostgresSpoolOf, dead: PostgresSpool, living: PostgresSpool, clock: FakeClock, seconds: float
) -> None:
    """Let so much time go by in which one node is silent and the other gives its signs of life."""
    of.rows(f"UPDATE nodes SET seen = seen - {int(seconds * 1000) + 1000} WHERE id = '{dead._node_id}'")
    await living.beat()  # From here on it knows what the other said last.
    for _ in range(int(seconds / BEAT)):
        await clock.advance(BEAT)
        await living.beat()


# -- giving out -------------------------------------------------------------------------------------------------------


async def test_nodes_that_race_for_the_same_rows_get_each_once(of: PostgresSpoolOf) -> None:
    nodes = [await of.open() for _ in range(3)]
    for number in range(60):
        await put(nodes[0], f"Q{number:02}", due=NOW - number)
    await nodes[0].next_due()  # By then it is written down that nobody has them in hand.
    got: list[str] = []
    while len(got) < 60:
        found = await asyncio.gather(*(node.due(NOW, 7, ()) for node in nodes for _ in range(2)))
        assert any(found)
        got += [one for some in found for one in ids(some)]
    assert sorted(got) == [f"Q{number:02}.1" for number in range(60)]
    assert {node for (node,) in of.rows("SELECT DISTINCT node FROM deliveries")} <= {one._node_id for one in nodes}


async def test_what_one_node_has_in_hand_no_other_gets(of: PostgresSpoolOf) -> None:
    first, second = await of.open(), await of.open()
    await put(first, "Q1", lease=True)
    assert await second.due(NOW, 10, ()) == []
    assert await second.next_due() is None


async def test_octets_are_read_by_whichever_node_sends_them(of: PostgresSpoolOf) -> None:
    first, second = await of.open(), await of.open()
    await put(first, "Q1", LARGE)
    await first.next_due()  # By then it is written down that nobody has it in hand.
    (delivery,) = await second.due(NOW, 10, ())
    assert b"".join([block async for block in (await second.content(delivery)).blocks()]) == LARGE
    await second.done(delivery, [])
    assert of.contents == []


async def test_two_nodes_that_settle_a_message_at_once_leave_nothing_of_it(of: PostgresSpoolOf) -> None:
    first, second = await of.open(), await of.open()
    for turn in range(10):
        await put(first, f"Q{turn}", destinations=("a.example", "b.example"))
    for _ in range(10):
        one, other = (await first.due(NOW, 1, ()))[0], (await second.due(NOW, 1, ()))[0]
        await asyncio.gather(first.done(one, []), second.done(other, []))
    assert of.rows("SELECT id FROM messages") == []
    assert of.rows("SELECT id FROM deliveries") == []


# -- waking -----------------------------------------------------------------------------------------------------------


async def test_what_is_given_back_wakes_the_others(of: PostgresSpoolOf) -> None:
    first, second = await of.open(), await of.open()
    heard = Heard(second)
    (delivery,) = await put(first, "Q1", lease=True)
    await put(first, "Q2", lease=True)
    await first.unlease(delivery)
    await heard.wait()
    assert heard.looks == 1, "accepting what one sends oneself wakes nobody"
    assert ids(await second.due(NOW, 10, ())) == ["Q1.1"]


async def test_what_is_due_at_once_again_wakes_the_others(of: PostgresSpoolOf) -> None:
    first, second = await of.open(), await of.open()
    heard = Heard(second)
    (delivery, later) = await put(first, "Q1", destinations=("a.example", "b.example"), lease=True)
    await first.postpone(replace(later, state=State.WAITING, next_attempt=NOW + 600), [])
    await first.postpone(replace(delivery, state=State.WAITING, next_attempt=NOW), [])
    await heard.wait()
    assert heard.looks == 1
    assert ids(await second.due(NOW, 10, ())) == ["Q1.1"]


async def test_an_administrator_wakes_all(of: PostgresSpoolOf) -> None:
    first, second = await of.open(), await of.open()
    own, heard = Heard(first), Heard(second)
    first.woken()
    await heard.wait()
    assert (heard.wakes, own.wakes) == (1, 0)


async def test_a_clean_stop_gives_everything_back_at_once(of: PostgresSpoolOf) -> None:
    first, second = await of.open(), await of.open()
    heard = Heard(second)
    await put(first, "Q1", lease=True)
    of.spools.remove(first)
    await asyncio.to_thread(first.close)
    await heard.wait()
    assert ids(await second.due(NOW, 10, ())) == ["Q1.1"]
    assert of.rows("SELECT id FROM nodes") == [(second._node_id,)]


async def test_a_certificate_is_told_with_its_commit_and_what_was_undone_is_not(of: PostgresSpoolOf) -> None:
    node = await of.open()
    heard = Heard(node)
    shared = PostgresShared(of.database)
    keys = DomainKeys({("certificates", 1): b"c" * 32, ("token", 1): b"k" * 32})
    store = CertificateStore(shared, KeySealer(keys, FakeChance()))
    otto = KeptCertificate(der=b"\x30otto", addresses=("otto@partner.example",), created=5.5)

    def undone(before: KeptCertificate, after: KeptCertificate) -> KeptCertificate:
        raise LookupError("no")

    try:
        for work in (store.put([otto]), store.remove([otto.fingerprint]), store.put([otto])):
            await work
            await heard.wait()
        with pytest.raises(LookupError):
            await store.put([otto], undone)
        await node.beat()  # Whatever was said before this has been heard.
        assert heard.changes == [False] * 3
    finally:
        shared.close()


async def test_a_node_that_was_deaf_knows_that_it_may_have_missed_something(of: PostgresSpoolOf) -> None:
    node = await of.open()
    heard = Heard(node)
    await of.cut_off(node)
    of.join(node)
    await node.beat()
    await heard.wait()
    assert (heard.looks, heard.changes) == (1, [True])


# -- dying ------------------------------------------------------------------------------------------------------------


async def test_a_dead_node_is_inherited_from_after_its_time_and_not_before(of: PostgresSpoolOf) -> None:
    clock = FakeClock()
    first, second = await of.open(), await of.open(clock)
    heard = Heard(second)
    await put(first, "Q1", lease=True)
    await of.cut_off(first)
    await age(of, first, second, clock, DEAD - BEAT)
    assert await second.due(NOW, 10, ()) == []
    await clock.advance(BEAT)
    await second.beat()
    await heard.wait()
    assert ids(await second.due(NOW, 10, ())) == ["Q1.1"]
    assert "node_dead" in of.told.events()
    assert of.rows("SELECT id FROM nodes") == [(second._node_id,)]


async def test_a_node_that_speaks_now_and_then_is_not_dead(of: PostgresSpoolOf) -> None:
    clock = FakeClock()
    first, second = await of.open(), await of.open(clock)
    await put(first, "Q1", lease=True)
    for _ in range(3):
        await age(of, first, second, clock, DEAD - BEAT)
        await first.beat()
    assert await second.due(NOW, 10, ()) == []
    assert first.is_leased("Q1.1")


async def test_nobody_is_dead_because_the_database_was_away_for_all(of: PostgresSpoolOf) -> None:
    clock = FakeClock()
    first, second = await of.open(), await of.open(clock)
    await put(first, "Q1", lease=True)
    await second.beat()
    of.rows(f"UPDATE nodes SET seen = seen - 600000 WHERE id = '{first._node_id}'")
    await second.beat()
    await clock.advance(600)  # In which neither could say anything.
    await second.beat()
    assert "node_dead" not in of.told.events()
    assert await second.due(NOW, 10, ()) == []


async def test_a_node_that_is_cut_off_begins_nothing_after_its_time(of: PostgresSpoolOf) -> None:
    clock = FakeClock()
    node = await of.open(clock)
    (delivery,) = await put(node, "Q1", lease=True)
    await put(node, "Q2")
    await of.cut_off(node)
    await clock.advance(FENCE - 1)
    assert node.may_send(delivery)
    await clock.advance(2)
    assert not node.may_send(delivery)
    of.join(node)
    assert await node.due(NOW + 99, 10, ()) == [], "the fence stands until a sign of life has arrived"
    assert await node.next_due() is not None
    await node.beat()
    assert node.may_send(delivery)


async def test_a_node_taken_for_dead_may_send_nothing_that_it_had(of: PostgresSpoolOf) -> None:
    clock = FakeClock()
    first, second = await of.open(), await of.open(clock)
    mine, theirs = await put(first, "Q1", destinations=("a.example", "b.example"), lease=True)
    await of.cut_off(first)
    await age(of, first, second, clock, DEAD)
    (taken,) = await second.due(NOW, 1, ())
    assert taken.id == "Q1.1"
    of.join(first)
    await first.beat()
    assert "node_was_taken_for_dead" in of.told.events()
    assert not first.may_send(mine)
    assert not first.may_send(theirs)


async def test_settling_what_another_has_by_now_does_nothing_but_tell(of: PostgresSpoolOf) -> None:
    clock = FakeClock()
    first, second = await of.open(), await of.open(clock)
    done, late = await put(first, "Q1", destinations=("a.example", "b.example"), lease=True)
    await of.cut_off(first)
    await age(of, first, second, clock, DEAD)
    assert ids(await second.due(NOW, 10, ())) == ["Q1.1", "Q1.2"]
    of.join(first)
    await first.beat()
    before = of.record_count()
    async with asyncio.timeout(20):
        while True:
            try:
                await first.done(done, [event_of("Q1", DONE)])
                break
            except StorageBroken:  # Until it has a connection again.
                await asyncio.sleep(0.05)
    await first.postpone(replace(late, state=State.HELD), [event_of("Q1")])
    assert of.told.events().count("lease_lost") == 2
    assert of.record_count() == before
    assert of.rows("SELECT state, node FROM deliveries") == [("ready", second._node_id)] * 2


async def test_what_was_sent_and_nobody_took_since_is_settled_all_the_same(of: PostgresSpoolOf) -> None:
    clock = FakeClock()
    first, second = await of.open(), await of.open(clock)
    (delivery,) = await put(first, "Q1", lease=True)
    await of.cut_off(first)
    await age(of, first, second, clock, DEAD)
    assert of.rows("SELECT node FROM deliveries") == [(None,)]
    of.join(first)
    await first.beat()
    async with asyncio.timeout(20):
        while of.rows("SELECT 1 FROM deliveries"):
            try:
                await first.done(delivery, [event_of("Q1", DONE)])
            except StorageBroken:
                await asyncio.sleep(0.05)
    assert "lease_lost" not in of.told.events()
    assert await second.due(NOW, 10, ()) == []


async def test_a_node_taken_for_dead_leases_nothing_before_it_has_signed_in_again(of: PostgresSpoolOf) -> None:
    node = await of.open()
    await put(node, "Q1")
    of.rows("DELETE FROM nodes")
    mail = mail_of("Q2", await message_of(node, "Q2", b"x"))
    with pytest.raises(StorageBroken, match="taken this process for dead"):
        await node.accept(mail, [delivery_of(mail)], [])
    with pytest.raises(StorageBroken):
        await node.due(NOW, 10, ())
    assert of.rows("SELECT id, node FROM deliveries") == [("Q1.1", None)]
    await node.beat()
    await node.accept(mail, [delivery_of(mail)], [])
    assert node.may_send(delivery_of(mail))


async def test_a_lease_that_nobody_here_knows_of_is_given_back(of: PostgresSpoolOf) -> None:
    node = await of.open()
    await put(node, "Q1", lease=True)
    await put(node, "Q2")
    # As after a commit whose answer was lost, or whose caller was cancelled.
    of.rows(f"UPDATE deliveries SET node = '{node._node_id}', epoch = 7 WHERE id = 'Q2.1'")
    for _ in range(2 * STRAYS):
        await node.beat()
    assert of.rows("SELECT id FROM deliveries WHERE node IS NULL") == [("Q2.1",)]
    assert node.is_leased("Q1.1")


async def test_what_could_not_be_given_back_at_the_stop_is_inherited(of: PostgresSpoolOf) -> None:
    clock = FakeClock()
    first, second = await of.open(), await of.open(clock)
    await put(first, "Q1", lease=True)
    of.refuse_updates()
    of.spools.remove(first)
    await asyncio.to_thread(first.close)
    of.take_updates()
    await age(of, first, second, clock, DEAD)
    assert ids(await second.due(NOW, 10, ())) == ["Q1.1"]


async def test_octets_of_a_dead_node_go_unless_they_were_accepted(of: PostgresSpoolOf) -> None:
    clock = FakeClock()
    first, second = await of.open(), await of.open(clock)
    await put(first, "Q1", LARGE, lease=True)
    await message_of(first, "Q2", LARGE)  # Whose commit never came.
    assert of.contents == ["Q1", "Q2"]
    await of.cut_off(first)
    await age(of, first, second, clock, DEAD)
    assert of.contents == ["Q1"]


async def test_what_is_sent_elsewhere_is_told_as_of_the_last_sign_of_life(of: PostgresSpoolOf) -> None:
    first, second = await of.open(), await of.open()
    await put(first, "Q1", destinations=("a.example", "b.example"), lease=True)
    first.attend(Hands(sending=lambda: ["Q1.2"], give_back=Heard(second)._give_back, look=print, wake=print))
    await first.beat()
    assert await second.sending_elsewhere() == {"Q1.2"}
    assert await first.sending_elsewhere() == set()
    assert await second.counts() == ({"ready": 1, "sending": 1}, NOW)
    assert await first.counts() == ({"ready": 1, "sending": 1}, NOW)


async def test_what_was_given_back_since_the_last_sign_of_life_is_not_sent_elsewhere(of: PostgresSpoolOf) -> None:
    first, second = await of.open(), await of.open()
    (delivery,) = await put(first, "Q1", lease=True)
    first.attend(Hands(sending=lambda: ["Q1.1"], give_back=Heard(second)._give_back, look=print, wake=print))
    await first.beat()
    await first.postpone(delivery, [])
    assert await second.sending_elsewhere() == set()
    assert await second.counts() == ({"ready": 1}, NOW)
    assert await first.counts() == ({"ready": 1}, NOW)  # Also where its own runner has not heard yet.
