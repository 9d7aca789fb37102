"""`gateway serve`: the supervisor. This file imports nothing of Typer and Rich, so that the supervisor stays small."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gateway.app.interpreter import command, environment
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
    if not sys.flags.safe_path:
        _start_over(path)
    with told() as complaint:
        from gateway.app.forks import Forks
        from gateway.app.serve import serve
        from gateway.cli.fork_server import PROGRAMS
        from gateway.settings.load import find
        from gateway.world.clock import SystemClock

        path = find(path).absolute()
        forks = Forks.start(path, PROGRAMS, SystemClock())
        try:
            complaint.status = serve(path, forks)
        finally:
            forks.close()
    return complaint.status


def _start_over(path: Path) -> None:
    """As all processes of ours are started: what lies in the folder in which somebody typed this is not imported.

    The process stays the same, for whoever manages the service. Returns only if the system refuses.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = command("serve", "--config", str(path))
    os.execve(sys.executable, arguments, {**os.environ, **environment()})  # noqa: S606 - ours, no shell


def run_named(path: Path) -> None:
    """Start over as `gateway serve --config PATH`.

    Every process of the gateway has the settings' path in its command line, so that people and scripts can tell two
    gateways of one machine apart; where the path was found elsewhere, it is put there. The new start also leaves the
    command line's libraries behind. Returns only if the system refuses.
    """
    _start_over(path)
