"""The command line as a test runs it: with a fake console, a clock that stands still, and any width."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.cli.reach import Reach
from gateway.world.clock import Clock
from tests.fakes.clock import FakeClock
from tests.fakes.console import FakeConsole

SETTINGS = """
accepted_domains = ["corp.example"]

[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"

[[connectors.inbound]]
name = "local"
type = "on_premises"
sender_ip_addresses = ["127.0.0.0/8"]

[[connectors.outbound]]
name = "outbox"
recipient_domains = ["*"]
deliver = "folder"
folder = "outbox"
"""


@dataclass
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def _no_bulk(path: Path) -> Any:
    raise AssertionError("no whole mailbox was to be opened")


class CommandLine:
    """`run("queue", "list", ...)` as a person would type it; `--config` is put behind where `settings` is set."""

    def __init__(self, settings: Path) -> None:
        self.settings: Path | None = settings
        self.clock: Clock = FakeClock(1_793_700_000.0)
        self.terminal = False
        self.bulk: Callable[[Path], Any] = _no_bulk

    def run(
        self, console: FakeConsole | None, *arguments: str, columns: int | None = None, typed: str | None = None
    ) -> Said:
        opened: Callable[[Path], Any] = FakeConsole().open if console is None else console.open
        reach = Reach(open=opened, clock=self.clock, terminal=lambda: self.terminal, bulk=self.bulk)
        named = ["--config", str(self.settings)] if self.settings else []
        with patch("gateway.cli.output.width", lambda: columns):
            result = CliRunner().invoke(app, [*arguments, *named], obj=reach, env={"TERM": "dumb"}, input=typed)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session", autouse=True)
def put_together_once() -> Iterator[None]:
    """All commands as Click has them. Typer's runner makes them anew for each call, which takes a fifth of a second."""
    with patch("typer.testing._get_command", cache(get_command)):
        yield


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    settings = tmp_path / "gateway.toml"
    settings.write_text(SETTINGS)
    return CommandLine(settings)
