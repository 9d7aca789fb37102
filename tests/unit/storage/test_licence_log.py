"""The licence log: sealed lines, in order, and gone from the front when they are old."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import Connection, select, update

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.storage.licence_log import LicenceLog
from gateway.storage.rights_model import LicenceEntry
from gateway.storage.sealer import SealBroken
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import licence_log
from tests.fakes.chance import FakeChance

WORK = UUID("11111111-2222-4333-8444-555555555555")
ENTRY = LicenceEntry(
    time=1_000.25,
    work=WORK,
    principal="zoe@partner.example",
    by="portal",
    purpose="VIEW",
    given=True,
    client="192.0.2.7",
    rights=("REPLY", "VIEW"),
)


@pytest.fixture
def log(shared: SharedStore) -> LicenceLog:
    return LicenceLog(shared, KeySealer(DomainKeys({("portal", 1): b"p" * 32}), FakeChance("log")))


async def test_lines_come_back_in_order_by_message_and_in_all(log: LicenceLog) -> None:
    refused = replace(ENTRY, time=1_001.0, given=False, reason="expired", rights=())
    foreign = replace(ENTRY, time=1_002.0, work=None, given=False, reason="damaged", rights=())
    for one in (ENTRY, refused, foreign):
        await log.add(one)
    assert await log.of(WORK) == [ENTRY, refused]
    assert await log.of(WORK, most=1) == [refused]
    assert await log.latest(10) == [foreign, refused, ENTRY]
    assert await log.latest(1) == [foreign]
    assert await log.of(UUID(int=1, version=4)) == []


async def test_lines_are_sealed_each_for_its_place(log: LicenceLog, shared: SharedStore) -> None:
    await asyncio.gather(*(log.add(ENTRY) for _ in range(5)))
    assert await log.of(WORK) == [ENTRY] * 5  # All of one moment.
    rows = await shared.call(lambda connection: connection.execute(select(licence_log.c.sealed)).scalars().all())
    assert len({bytes(row) for row in rows}) == 5
    assert not any(b"zoe" in bytes(row) or b"192.0.2" in bytes(row) for row in rows)
    other = UUID(int=9, version=4)

    def move(connection: Connection) -> None:
        connection.execute(update(licence_log).values(work=str(other)))

    await shared.call(move)
    with pytest.raises(SealBroken):
        await log.of(other)


async def test_old_lines_are_removed(log: LicenceLog) -> None:
    later = replace(ENTRY, time=2_000.0)
    await log.add(ENTRY)
    await log.add(later)
    assert await log.erase(1_000.0) == 0
    assert await log.erase(1_500.0) == 1
    assert await log.latest(10) == [later]
