"""What the processes that serve load: they run for months, and each of them pays for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOOK = """
import sys
import gateway.__main__ as main
try:
    main._run({arguments!r})
except SystemExit:
    pass
print(" ".join(name for name in ("typer", "rich", "pygments") if sys.modules.get(name) is not None))
"""


@pytest.mark.parametrize("arguments", [["fork-server"], ["serve", "--config", "no-such-file.toml"]])
def test_no_process_that_serves_loads_what_only_the_command_line_draws_with(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOOK.format(arguments=arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout.splitlines()[-1] == "", done.stdout
