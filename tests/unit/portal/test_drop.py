"""A message.rpmsg that somebody puts on the portal: kept for whom it names, and nobody learns who that is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest

from gateway.mail.message import Held
from gateway.portal import drop
from gateway.portal.desk import NotSent
from gateway.portal.drop import MINUTES, Drops
from gateway.portal.security import spelled
from gateway.rights.reason import NotOpened, Reason
from gateway.rights.sealing import seal
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.portal_room import FakeRoom
from tests.fakes.rights import NOW, OWNER, READER, FakeTenant, damaged, job, private_key

ORIGINAL = b"Subject: secret\r\n\r\nthe plain words\r\n"


class Table:
    """Drops, and what they were told and have asked for."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.room = FakeRoom()
        self.clock = FakeClock(NOW + 60)
        self.tenant = FakeTenant()
        self.told: list[tuple[str, dict[str, object]]] = []
        self.drops = Drops(
            self.room,
            self.tenant,
            executor=executor,
            clock=self.clock,
            chance=FakeChance("drop"),
            tell=lambda level, event, **facts: self.told.append((event, facts)),
        )

    async def put(self, octets: bytes, address: str = READER) -> str:
        content = Held(octets)
        self.room.lying.append(content)
        return await self.drops.take(content, address, "192.0.2.1")

    async def refused(self, octets: bytes, address: str = READER) -> str:
        with pytest.raises(NotSent) as caught:
            await self.put(octets, address)
        assert self.room.is_empty, "what is not taken has to go"
        return caught.value.reason


@pytest.fixture
async def table() -> AsyncIterator[Table]:
    with ThreadPoolExecutor(2) as executor:
        yield Table(executor)


def sealed(*readers: str, **changed: Any) -> bytes:
    return seal(ORIGINAL, job(*readers, **changed), FakeTenant(), FakeChance("seal")).rpmsg


@cache
def usual() -> bytes:
    return sealed()


async def test_a_file_is_kept_for_the_reader_whom_it_names(table: Table) -> None:
    token = await table.put(usual(), f"  {READER.upper()} ")
    found = table.drops.find(token)
    assert found is not None
    assert await table.drops.reader(found) == READER
    assert await table.drops.octets(found) == usual()
    assert len(token) == 43


async def test_the_owner_is_one_of_its_readers(table: Table) -> None:
    found = table.drops.find(await table.put(usual(), OWNER))
    assert found is not None
    assert await table.drops.reader(found) == OWNER


async def test_a_stranger_gets_a_handle_as_anybody_and_no_code(table: Table) -> None:
    """Attack: to find out who the readers of a file are by naming one address after the other."""
    before = table.tenant.unsealed
    await table.put(usual())
    once = table.tenant.unsealed - before
    found = table.drops.find(await table.put(usual(), "eve@evil.example"))
    assert found is not None
    assert await table.drops.reader(found) is None
    assert table.tenant.unsealed - before == 2 * once, "the same is asked of the vault for both"
    assert {frozenset(facts) for _, facts in table.told} == {frozenset(("work", "size", "client"))}


async def test_a_reader_hears_only_behind_the_code_that_it_is_too_late(table: Table) -> None:
    late = sealed(expires=NOW + 30)
    for address, reader in ((READER, READER), ("eve@evil.example", None)):
        found = table.drops.find(await table.put(late, address))
        assert found is not None
        assert await table.drops.reader(found) == reader


async def test_what_is_damaged_forged_or_of_others_is_refused_in_one_word(table: Table) -> None:
    others = seal(ORIGINAL, job(), FakeTenant(private_key(number=2)), FakeChance("x")).rpmsg
    assert [await table.refused(one) for one in (b"", b"x" * 1000, damaged(usual()), others)] == ["damaged"] * 4
    assert [facts["reason"] for event, facts in table.told if event == "rpmsg_refused"][-2:] == ["damaged", "not_ours"]


@pytest.mark.parametrize("address", ["", "ben", "ben@", "@x", "postmaster", "a b@x.example", "x" * 300 + "@x.example"])
async def test_what_is_no_address_is_refused(table: Table, address: str) -> None:
    assert await table.refused(usual(), address) == "address"


@pytest.mark.parametrize("switch", ["away", "denied"])
async def test_while_the_key_is_away_nothing_is_kept(table: Table, switch: str) -> None:
    setattr(table.tenant, switch, True)
    with pytest.raises(NotOpened) as caught:
        await table.put(usual())
    assert caught.value.reason is (Reason.KEY_AWAY if switch == "away" else Reason.KEY_DENIED)
    assert table.room.is_empty


async def test_a_file_goes_when_its_time_has_ended(table: Table) -> None:
    token = await table.put(usual())
    await table.clock.advance(MINUTES * 60 - 1)
    assert table.drops.find(token) is not None
    assert await table.drops.sweep() == 0
    await table.clock.advance(1)
    assert table.drops.find(token) is None
    assert await table.drops.sweep() == 1
    assert table.room.is_empty


async def test_whoever_has_typed_the_code_reads_on(table: Table) -> None:
    token = await table.put(usual())
    found = table.drops.find(token)
    assert found is not None
    table.drops.keep(found, table.clock.now() + 7200)
    table.drops.keep(found, table.clock.now() + 60)  # Another browser's session ends sooner.
    await table.clock.advance(7199)
    assert await table.drops.sweep() == 0
    await table.clock.advance(1)
    assert await table.drops.sweep() == 1


async def test_sweeping_goes_on_for_ever(table: Table) -> None:
    await table.put(usual())
    task = asyncio.ensure_future(table.drops.run())
    await table.clock.advance(MINUTES * 60 + drop.SWEEP)
    assert table.room.is_empty
    task.cancel()


async def test_an_unknown_handle_finds_nothing(table: Table) -> None:
    await table.put(usual())
    assert [table.drops.find(one) for one in (spelled(bytes(32)), "", "x", "ü" * 43)] == [None] * 4


async def test_only_so_many_files_lie_here(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drop, "MOST_FILES", 2)
    await table.put(usual())
    token = await table.put(usual())
    with pytest.raises(NotSent) as caught:
        await table.put(usual())
    assert caught.value.reason == "slowed"
    assert len(table.room.lying) == 2
    found = table.drops.find(token)
    assert found is not None, "those that lie there stay"
    await table.drops.close()
    assert table.room.is_empty


async def test_only_so_many_octets_lie_here(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drop, "MOST_OCTETS", 2 * len(usual()) - 1)
    await table.put(usual())
    with pytest.raises(NotSent):
        await table.put(usual())


async def test_neither_handle_nor_address_is_ever_shown(table: Table) -> None:
    token = await table.put(usual())
    found = table.drops.find(token)
    shown = f"{table.drops!r} {found!r} {table.told}"
    assert token not in shown
    assert READER not in shown
