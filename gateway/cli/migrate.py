"""`gateway migrate`: bring the databases to the form that this version expects.

`serve` starts it by itself in a process of its own, since Alembic is large and needed for a moment only. This file
imports nothing of Typer and Rich, for the same reason.
"""

from __future__ import annotations

from pathlib import Path

from gateway.cli.complaint import told


def run(path: Path) -> int:
    """Migrate what the settings at `path` name, and print what was done; the exit status."""
    with told() as complaint:
        from gateway.app.migrate import migrate
        from gateway.settings.load import find

        for line in migrate(find(path)):
            print(line)
    return complaint.status
