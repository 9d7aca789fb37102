"""What commands reach: the gateway's console, the clock and the person at the terminal. Tests hand in their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import typer

from gateway.cli.complaint import told
from gateway.world.clock import Clock, SystemClock


class Console(Protocol):
    """The gateway, serving or not. `gateway.app.console.Console` fulfils it."""

    @property
    def serving(self) -> bool:
        """Whether the gateway runs; where not, the data are read as they lie."""

    def ask(self, command: str, **arguments: Any) -> Any:
        """The answer, a JSON value. Raises ConsoleFault, whose text is for people."""


def _open(path: Path) -> Console:
    from gateway.app.console import Console as Real

    return Real.open(path)


@dataclass(frozen=True, slots=True)
class Reach:
    """The outside of a command, as it is handed in by Typer's context."""

    open: Callable[[Path], Console]
    clock: Clock
    terminal: Callable[[], bool]


def reach(context: typer.Context) -> Reach:
    """What was handed in, or the real things."""
    if isinstance(context.obj, Reach):
        return context.obj
    return Reach(open=_open, clock=SystemClock(), terminal=sys.stdin.isatty)


@contextmanager
def speaking() -> Iterator[None]:
    """Tell faults for people on standard error and exit with status 1."""
    with told() as complaint:
        yield
    if complaint.status:
        raise typer.Exit(complaint.status)


def settings_path(option: Path | None) -> Path:
    """The settings that `--config`, the folder or GATEWAY_CONFIG name. Raises BadSettings."""
    from gateway.settings.load import find

    return find(option)


def console(context: typer.Context, option: Path | None) -> Console:
    """The console of the gateway whose settings `option` names. Raises BadSettings or ConsoleFault."""
    return reach(context).open(settings_path(option))
