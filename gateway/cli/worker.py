"""`gateway worker`: a process that the supervisor starts. Nobody types it, so no help names it.

This file imports nothing of Typer and Rich, so that workers start fast and stay small.
"""

from __future__ import annotations


def run(argv: list[str]) -> int:
    """Be the worker that `argv` describes until told to stop; the exit status."""
    from gateway.app import worker_process

    return worker_process.main(argv)
