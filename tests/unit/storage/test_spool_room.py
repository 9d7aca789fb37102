"""Whether there is room for a message is judged before it is taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.storage.spool import LEAST_FREE
from gateway.storage.writer import StorageFull
from tests.fakes.clock import FakeClock
from tests.fakes.spool import SpoolOf


@pytest.fixture
async def of(tmp_path: Path) -> AsyncIterator[SpoolOf]:
    of = SpoolOf(tmp_path / "0")
    yield of
    await of.close()


async def test_room_is_judged_by_what_is_free_on_the_disk(of: SpoolOf, monkeypatch: pytest.MonkeyPatch) -> None:
    of.min_free = 100_000
    spool = await of.open()
    free = 104_000

    class Disk:
        f_frsize = 1

        @property
        def f_bavail(self) -> int:
            return free

    monkeypatch.setattr("gateway.storage.spool.os.statvfs", lambda folder: Disk())
    spool.check_room(4000)
    with pytest.raises(StorageFull):
        spool.check_room(4001)
    free = 99_999
    spool.check_room(0)  # Asked at most once a second.
    clock = of.clock
    assert isinstance(clock, FakeClock)
    await clock.advance(1.1)
    with pytest.raises(StorageFull, match="100000 octets"):
        spool.check_room(0)


async def test_a_disk_without_room_to_carry_it_takes_nothing_whatever_the_settings_say(
    of: SpoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await of.open()

    class Disk:
        f_frsize = 1
        f_bavail = LEAST_FREE - 1

    monkeypatch.setattr("gateway.storage.spool.os.statvfs", lambda folder: Disk())
    with pytest.raises(StorageFull):
        spool.check_room(0)
