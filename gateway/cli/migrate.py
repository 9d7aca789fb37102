"""`gateway migrate`: bring the databases to the form that this version expects.

`serve` does it by itself in a process of its own, since Alembic is large and needed for a moment only. This file
imports nothing of Typer and Rich, for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.cli.complaint import told


def run(path: Path, *, masters: Mapping[str, bytes] | None = None, say: Callable[[str], None] = print) -> int:
    """Migrate what the settings at `path` name, and say what was done; the exit status.

    `masters`: master keys of vaults that a passphrase opened, by the vaults' names.
    """
    with told() as complaint:
        from gateway.app.migrate import migrate
        from gateway.settings.load import find

        for line in migrate(find(path), masters):
            say(line)
    return complaint.status
