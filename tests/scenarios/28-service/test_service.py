"""What the service manager hears, and what it hands over."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.swaks import swaks


class Manager:
    """systemd's side of NOTIFY_SOCKET, with an abstract name as systemd has in containers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._door.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._door.bind(name.replace("@", "\0", 1))
        self._door.setblocking(False)
        self.heard: list[tuple[int, dict[str, str]]] = []

    def close(self) -> None:
        self._door.close()

    def facts(self, name: str) -> list[str]:
        """Every value of a fact, as it came."""
        while True:
            try:
                octets, extra, _, _ = self._door.recvmsg(4096, 64)
            except BlockingIOError:
                break
            pid = int.from_bytes(extra[0][2][:4], "little")
            self.heard.append((pid, dict(line.split("=", 1) for line in octets.decode().splitlines())))
        return [facts[name] for _, facts in self.heard if name in facts]


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    manager = Manager(f"@gateway-scenario-{os.getpid()}")
    monkeypatch.setenv("NOTIFY_SOCKET", manager.name)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield manager
    manager.close()


def test_the_manager_hears_of_each_step(
    make_gateway: Callable[..., Gateway], manager: Manager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gateway = make_gateway(RECIPIENTS=10)
    shutil.move(gateway.folder / "vault", tmp_path / "credentials")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    gateway.start()
    until(lambda: manager.facts("READY"), "READY=1")
    assert manager.facts("STATUS")[0].startswith("2 of 2 workers, listening on 127.0.0.1:")
    assert swaks(gateway.port).code == 0, "it serves with the keys that it was handed"

    before = len(manager.facts("WATCHDOG"))
    until(lambda: len(manager.facts("WATCHDOG")) >= before + 4, "four signs of life", 10)

    gateway.configure(RECIPIENTS=20)
    assert gateway.run("reload").returncode == 0
    assert manager.facts("RELOADING") == ["1"]
    assert abs(int(manager.facts("MONOTONIC_USEC")[0]) / 1_000_000 - time.monotonic()) < 60
    until(lambda: manager.facts("READY") == ["1", "1"], "ready again")

    assert gateway.process is not None
    gateway.config.write_text("nonsense")
    os.kill(gateway.process.pid, signal.SIGHUP)
    until(lambda: manager.facts("READY") == ["1", "1", "1"], "ready again, since a bad file changes nothing")
    gateway.configure()

    gateway.process.send_signal(signal.SIGTERM)
    until(lambda: manager.facts("STOPPING") == ["1"], "STOPPING=1")
    supervisor = gateway.process.pid
    assert gateway.process.wait(30) == 0  # No second signal: it may come when nobody handles it any more.
    assert {pid for pid, _ in manager.heard} == {supervisor}
