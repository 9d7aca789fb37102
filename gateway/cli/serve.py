"""`gateway serve`: the supervisor. This file imports nothing of Typer and Rich, so that the supervisor stays small."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gateway.cli.complaint import told


def settings_option(argv: list[str]) -> Path | None:
    """The settings' path where `argv` is `--config PATH` and nothing else, else None: Typer reads all other forms."""
    if len(argv) == 2 and argv[0] == "--config":
        return Path(argv[1])
    if len(argv) == 1 and argv[0].startswith("--config="):
        return Path(argv[0].removeprefix("--config="))
    return None


def run(path: Path) -> int:
    """Serve until told to stop; the exit status. Settings with faults are told on standard error and give 1."""
    with told() as complaint:
        from gateway.app.serve import serve
        from gateway.settings.load import find

        complaint.status = serve(find(path))
    return complaint.status


def run_named(path: Path) -> None:
    """Start over as `gateway serve --config PATH`.

    Every process of the gateway has the settings' path in its command line, so that people and scripts can tell two
    gateways of one machine apart; where the path was found elsewhere, it is put there. The new start also leaves the
    command line's libraries behind. Returns only if the system refuses.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    started = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv[1:])]
    arguments = [*started, "serve", "--config", str(path)]
    os.execv(sys.executable, arguments)  # noqa: S606 - our own interpreter and arguments, no shell
