"""What the service manager hears."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.world.notify import Notify


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The manager's socket, and how NOTIFY_SOCKET names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        name = str(tmp_path / "notify") if request.param == "path" else f"@gateway-test-{os.getpid()}"
        door.bind(name.replace("@", "\0", 1))
        door.settimeout(5)
        yield name, door


def test_facts_arrive_as_lines(manager: tuple[str, socket.socket]) -> None:
    name, door = manager
    assert Notify({"NOTIFY_SOCKET": name}, 1).send(READY=1, STATUS="2 of 2 workers")
    assert door.recv(1000) == b"READY=1\nSTATUS=2 of 2 workers"


def test_a_status_cannot_smuggle_another_fact(manager: tuple[str, socket.socket]) -> None:
    name, door = manager
    Notify({"NOTIFY_SOCKET": name}, 1).send(STATUS="x\nMAINPID=1")
    assert door.recv(1000) == b"STATUS=x MAINPID=1"


@pytest.mark.parametrize("name", [None, "", "relative", "@", "vsock:2:1234", "/no/such/socket"])
def test_without_a_manager_nothing_happens(name: str | None) -> None:
    assert not Notify({} if name is None else {"NOTIFY_SOCKET": name}, 1).send(READY=1)


def test_a_manager_that_does_not_read_holds_nobody_up(manager: tuple[str, socket.socket]) -> None:
    name, _ = manager
    notify = Notify({"NOTIFY_SOCKET": name}, 1)
    assert not all(notify.send(STATUS="x" * 1000) for _ in range(5000))


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({"WATCHDOG_USEC": "9" * 30}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_or_none(environment: dict[str, str], seconds: float | None) -> None:
    assert Notify({"NOTIFY_SOCKET": "/run/notify", **environment}, 7).watchdog == seconds
    assert Notify(environment, 7).watchdog is None
