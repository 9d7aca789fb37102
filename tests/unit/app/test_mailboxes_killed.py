"""A process that is ended in the middle of a delivery, a roll, a refresh, an assignment, a purge, a removal.

Nothing is half then, and whoever does the same again does it to its end. See `tests/fakes/dying.py`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.app import init as maker
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.timeout(240)
def test_whatever_is_ended_anywhere_is_resumed_or_was_never_begun(tmp_path: Path) -> None:
    made = maker.init(
        tmp_path / "gw",
        imap="127.0.0.1:9993",
        hostname="mail",
        clock=SystemClock(),
        chance=SystemChance(),
        recovery_key=False,
    )
    command = [sys.executable, "-m", "tests.fakes.dying", str(made.settings)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=230)
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(re.findall(r"(\w+): ended at (\d+) of", done.stdout))
    assert list(found) == ["deliver", "roll", "refresh", "assign", "purge", "remove"]
    assert min(map(int, found.values())) >= 3, "too few of them were ended: what runs beside took another order"
