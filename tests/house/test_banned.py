"""Each house rule that Ruff holds for us fires where it should, and is silent in `world`."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from tests.house.tree import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
BANNED: dict[str, dict[str, str]] = SETTINGS["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]

# Every rule, with a line of code that breaks it.
BREAKS = {
    "socket": "import socket",
    "asyncio.open_connection": "import asyncio\nasyncio.open_connection('a', 1)",
    "asyncio.start_server": "import asyncio\nasyncio.start_server(print, 'a', 1)",
    "asyncio.sleep": "import asyncio\nasyncio.sleep(1)",
    "asyncio.timeout": "import asyncio\nasyncio.timeout(1)",
    "time.time": "from time import time\ntime()",
    "datetime.datetime.now": "import datetime\ndatetime.datetime.now(datetime.UTC)",
    "random": "from random import uniform",
    "tempfile": "import tempfile",
    "email.message_from_bytes": "import email\nemail.message_from_bytes(b'')",
}


def ruff(code: str, path: str) -> str:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise"]
    command += ["--select", "TID251", "--stdin-filename", path, "-"]
    return subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False, timeout=30).stdout


def test_every_rule_has_a_line_that_breaks_it() -> None:
    assert set(BREAKS) == set(BANNED)


@pytest.mark.parametrize("rule", BREAKS)
def test_the_rule_fires(rule: str) -> None:
    found = ruff(BREAKS[rule], "gateway/smtp/session.py")
    assert f"TID251 `{rule}` is banned: {BANNED[rule]['msg']}" in found


def test_world_may_do_what_nothing_else_may() -> None:
    assert "TID251" not in ruff("\n".join(BREAKS.values()), "gateway/world/clock.py")


def test_a_task_that_nobody_holds_is_found() -> None:
    # The prototype lost two messages in tasks that the garbage collector took.
    code = "import asyncio\n\n\nasync def lose() -> None:\n    asyncio.create_task(lose())\n"
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise"]
    command += ["--stdin-filename", "gateway/smtp/session.py", "-"]
    found = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False, timeout=30)
    assert "RUF006" in found.stdout
