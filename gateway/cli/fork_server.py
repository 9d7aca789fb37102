"""`gateway fork-server`: where one dies, the supervisor starts another so. Nobody types it, so no help names it.

This file imports nothing of Typer and Rich, so that what serves starts fast and stays small.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gateway.app import worker_process
from gateway.app.fork_server import Program, adopt_standard_input, serve_forks
from gateway.app.handover import taken_masters
from gateway.cli import migrate
from gateway.world.sockets import Socket


def _migrate(config: Path, arguments: dict[str, Any], sockets: list[Socket]) -> int:
    """For `serve`, which alone sees what a passphrase opened; nobody reads the lines."""
    (channel,) = sockets
    return migrate.run(config, masters=taken_masters(channel), say=lambda line: None)


PROGRAMS: dict[str, Program] = {"worker": worker_process.main, "migrate": _migrate}


def run(arguments: list[str]) -> int:
    """Be the fork server whose channel is standard input; the exit status where that can't be."""
    if len(arguments) != 2 or arguments[0] != "--config":
        sys.stderr.write("gateway: fork-server is for the supervisor; right would be: gateway serve --config FILE\n")
        return 2
    serve_forks(adopt_standard_input(), Path(arguments[1]), PROGRAMS)
