"""`gateway migrate`: bring the databases to the form that this version expects.

`serve` starts it by itself in a process of its own, since Alembic is large and needed for a moment only. This file
imports nothing of Typer and Rich, for the same reason.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from pathlib import Path
from typing import Final

from gateway.cli.complaint import told

# For `serve` alone: master keys of vaults that a passphrase opened come on standard input, as JSON. A pipe is in nobody
# else's sight, as an argument or the environment would be.
HANDED: Final = "--masters-stdin"


def run(path: Path, *, handed: bool = False) -> int:
    """Migrate what the settings at `path` name, and print what was done; the exit status."""
    with told() as complaint:
        from gateway.app.migrate import migrate
        from gateway.settings.load import find

        masters = {}
        if handed:
            masters = {name: b64decode(master) for name, master in json.load(sys.stdin).items()}
        for line in migrate(find(path), masters):
            print(line)
    return complaint.status
