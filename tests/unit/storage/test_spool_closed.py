"""A spool whose keys are not at hand: everything that has to seal or open says so, and leaves all as it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import Denied, KeyFault, Unavailable
from gateway.mail.delivery import State
from gateway.storage.record import Prepared
from gateway.storage.sealer import KeysClosed
from gateway.storage.spooling import Spooling
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.spool import KEYS, SpoolOf, delivery_of, event_of, mail_of, message_of, put

LARGE = b"x" * 300_000
LATER = 2_000_000_000.0


class Locked:
    """A spool of either engine, and its sealer's key."""

    def __init__(self, of: SpoolOf | PostgresSpoolOf) -> None:
        self.of = of
        assert isinstance(of.sealer, KeySealer)
        self.sealer = of.sealer

    async def open(self) -> Spooling:
        spool = await self.of.open()
        spool._keeper._sealer = self.sealer  # type: ignore[attr-defined]
        return spool

    def close(self, fault: KeyFault | None = None) -> None:
        self.sealer.take(DomainKeys({}), otherwise=fault or Unavailable("the vault does not answer"))

    def reopen(self) -> None:
        self.sealer.take(DomainKeys(KEYS))


@pytest.fixture
async def locked(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Locked]:
    of = SpoolOf(tmp_path / "0") if engine == "sqlite" else PostgresSpoolOf(request.getfixturevalue("postgres"))
    yield Locked(of)
    await of.close()


async def due(spool: Spooling) -> list[str]:
    return [one.id for one in await spool.due(LATER, 10, ())]


async def test_nothing_is_accepted_and_nothing_stays(locked: Locked) -> None:
    spool = await locked.open()
    mail = mail_of("Q1", await message_of(spool, "Q1", b"Subject: x\r\n\r\nx\r\n"))
    record = spool.new_record("Q1", [event_of("Q1")])
    locked.close(Denied("the key is disabled"))
    with pytest.raises(KeysClosed, match="the domain key 'spool' is not at hand: the key is disabled"):
        await spool.accept(mail, [delivery_of(mail)], [record])
    assert not spool.is_leased("Q1.1")
    locked.reopen()
    assert await spool.deliveries() == []
    await spool.accept(mail, [delivery_of(mail)], [record])
    assert spool.is_leased("Q1.1")


async def test_keys_that_close_on_the_way_to_the_disk_spoil_no_other_message(locked: Locked) -> None:
    """Search tokens are made late, where several messages share a commit."""
    spool = await locked.open()

    def closed() -> bytes:
        raise KeysClosed("the domain key 'token' is not at hand")

    async def accept(id_: str, tokens: bytes | Callable[[], bytes]) -> None:
        mail = mail_of(id_, await message_of(spool, id_, b"Subject: x\r\n\r\nx\r\n"))
        whole = spool.new_record(id_, [event_of(id_)])
        await spool.accept(mail, [delivery_of(mail)], [Prepared(id_, whole.uid, whole.time, tokens, whole.sealed)])

    late, *others = await asyncio.gather(
        accept("Q1", closed), *(accept(f"Q{number}", b"") for number in range(2, 6)), return_exceptions=True
    )
    assert others == [None] * 4
    stored = sorted(one.id for one in await spool.deliveries())
    if spool.is_shared:  # Message and trace are one transaction there, so there is neither.
        assert isinstance(late, KeysClosed)
        assert stored == ["Q2.1", "Q3.1", "Q4.1", "Q5.1"]
        assert not spool.is_leased("Q1.1")
    else:
        assert late is None
        assert len(stored) == 5


async def test_a_large_content_leaves_no_file_behind(locked: Locked) -> None:
    spool = await locked.open()
    incoming = spool.begin("Q1")
    incoming.write(LARGE)
    locked.close()
    with pytest.raises(KeysClosed):
        await incoming.finish()
    await incoming.abandon()
    assert locked.of.contents == []


async def test_a_large_content_that_was_begun_before_leaves_none_either(locked: Locked) -> None:
    spool = await locked.open()
    incoming = spool.begin("Q1")
    incoming.write(LARGE * 5)
    await incoming.flush()
    locked.close()
    mail = mail_of("Q1", await incoming.finish())  # By the content key that it has.
    with pytest.raises(KeysClosed):
        await spool.accept(mail, [delivery_of(mail)], [])
    await incoming.abandon()
    assert locked.of.contents == []


async def test_what_is_due_is_given_out_when_the_keys_are_back(locked: Locked) -> None:
    spool = await locked.open()
    await put(spool, "Q1")
    await put(spool, "Q2")
    locked.close()
    for _ in range(2):
        with pytest.raises(KeysClosed):
            await due(spool)
    locked.reopen()
    assert sorted(await due(spool)) == ["Q1.1", "Q2.1"]  # None of them is leased to nobody, or held for broken.


async def test_what_came_of_an_attempt_can_be_written_later(locked: Locked) -> None:
    spool = await locked.open()
    (one,) = await put(spool, "Q1", lease=True)
    (two,) = await put(spool, "Q2", lease=True)
    waiting = replace(two, state=State.WAITING, attempts=1)
    locked.close()
    with pytest.raises(KeysClosed):
        await spool.done(one, [event_of("Q1")])
    with pytest.raises(KeysClosed):
        await spool.postpone(waiting, [event_of("Q2")])
    assert spool.is_leased("Q1.1")
    assert spool.is_leased("Q2.1")
    locked.reopen()
    await spool.done(one, [event_of("Q1")])
    await spool.postpone(waiting, [event_of("Q2")])
    (left,) = await spool.deliveries()
    assert (left.id, left.attempts) == ("Q2.1", 1)


async def test_administration_says_why_and_keeps_nothing_in_hand(locked: Locked) -> None:
    spool = await locked.open()
    (delivery,) = await put(spool, "Q1")
    held = replace(delivery, state=State.HELD)
    locked.close(Denied("the key is disabled"))
    with pytest.raises(KeysClosed, match="the key is disabled"):
        await spool.deliveries()
    with pytest.raises(KeysClosed):
        await spool.change([held], lambda one: event_of(one.message))
    with pytest.raises(KeysClosed):
        await spool.drop([delivery], lambda one: event_of(one.message))
    states, _ = await spool.counts()  # How many there are can be told all the same.
    assert sum(states.values()) == 1
    locked.reopen()
    assert not spool.is_leased("Q1.1")
    assert await due(spool) == ["Q1.1"]


@pytest.mark.parametrize("octets", [b"Subject: x\r\n\r\nx\r\n", LARGE], ids=["small", "large"])
async def test_content_is_not_broken_but_closed(locked: Locked, octets: bytes) -> None:
    spool = await locked.open()
    (delivery,) = await put(spool, "Q1", octets, lease=True)
    locked.close()
    with pytest.raises(KeysClosed):
        async for _ in (await spool.content(delivery)).blocks():
            pass
    with pytest.raises(KeysClosed):
        await spool.head("Q1")
    locked.reopen()
    assert b"".join([one async for one in (await spool.content(delivery)).blocks()]) == octets


async def test_a_process_can_start_with_closed_keys(locked: Locked) -> None:
    spool = await locked.open()
    await put(spool, "Q1")
    await put(spool, "Q2", LARGE)
    locked.close()
    await locked.of.close()
    spool = await locked.open()
    with pytest.raises(KeysClosed):
        await due(spool)
    locked.reopen()
    assert sorted(await due(spool)) == ["Q1.1", "Q2.1"]


async def test_records_wait_in_the_spool_for_the_keys(locked: Locked) -> None:
    spool = await locked.open()
    await put(spool, "Q1")
    locked.close()
    await locked.of.close()
    spool = await locked.open()
    if not spool.is_shared:  # There they are in the trace as soon as they are stored.
        with pytest.raises(KeysClosed):
            await spool.records()
        locked.reopen()
        assert [record.message for record in await spool.records()] == ["Q1"]
