"""The gateway as a service of systemd."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.interpreter import environment
from gateway.app.service import Service
from gateway.world.notify import Notify
from tests.fakes.clock import FakeClock


class Manager:
    """Keeps what it was told."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._door.bind(self.name)
        self._door.setblocking(False)

    def close(self) -> None:
        self._door.close()

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self._door.recv(2000).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def service_of(manager: Manager, clock: FakeClock, **more: str) -> Service:
    return Service(Notify({"NOTIFY_SOCKET": manager.name, **more}, 7), clock)


def test_the_whole_life_is_told(manager: Manager) -> None:
    service = service_of(manager, FakeClock())
    service.ready("2 of 2 workers")
    service.status("2 of 2 workers")  # Nothing new.
    service.status("1 of 2 workers")
    service.reloading()
    service.ready("2 of 2 workers")
    service.stopping()
    assert manager.heard() == [
        "READY=1\nSTATUS=2 of 2 workers",
        "STATUS=1 of 2 workers",
        "RELOADING=1\nMONOTONIC_USEC=1000000000",
        "READY=1\nSTATUS=2 of 2 workers",
        "STOPPING=1\nSTATUS=stopping; what is in hand is finished first",
    ]


async def test_the_watchdog_hears_twice_in_its_time(manager: Manager) -> None:
    clock = FakeClock()
    watching = asyncio.ensure_future(service_of(manager, clock, WATCHDOG_USEC="30000000").watch())
    await clock.advance(0)
    assert manager.heard() == ["WATCHDOG=1"]
    await clock.advance(14)
    assert manager.heard() == []
    await clock.advance(31)
    assert manager.heard() == ["WATCHDOG=1"] * 3
    watching.cancel()


async def test_without_a_watchdog_nothing_is_watched(manager: Manager) -> None:
    await service_of(manager, FakeClock()).watch()
    assert manager.heard() == []


def test_workers_do_not_speak_to_the_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    inherited = environment()
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(inherited)
    assert inherited["JOURNAL_STREAM"] == "8:1"
