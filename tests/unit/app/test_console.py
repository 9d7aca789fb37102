"""The command line's way to a gateway, where neither a gateway answers nor its files may be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.console import Console, ConsoleFault
from gateway.app.init import init
from gateway.app.lock import FileLock
from gateway.app.migrate import migrate
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock


def test_a_gateway_whose_control_socket_was_removed_is_told_of(tmp_path: Path) -> None:
    init(tmp_path / "var", hostname="mail", clock=FakeClock(), chance=FakeChance())
    path = tmp_path / "var" / "gateway.toml"
    migrate(path)
    lock = FileLock(tmp_path / "var" / "data" / "lock")
    try:
        with pytest.raises(ConsoleFault, match=r"another process.*control\.sock was removed.*has to be restarted"):
            Console.open(path).ask("queue.list")
    finally:
        lock.release()
    assert Console.open(path).ask("queue.list") == []
