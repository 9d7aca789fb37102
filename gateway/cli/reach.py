"""What commands reach: the gateway's console, the clock and the person at the terminal. Tests hand in their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import typer

from gateway.cli.complaint import complain, told
from gateway.world.clock import Clock, SystemClock


class Console(Protocol):
    """The gateway, serving or not. `gateway.app.console.Console` fulfils it."""

    @property
    def serving(self) -> bool:
        """Whether the gateway runs; where not, the data are read as they lie."""

    @property
    def otherness(self) -> str | None:
        """How the gateway that gave the last answer differs from this command's version, for people; else None."""

    def ask(self, command: str, **arguments: Any) -> Any:
        """The answer, a JSON value. Raises ConsoleFault, whose text is for people."""


# Whom the command under way has asked.
_asked: ContextVar[Console | None] = ContextVar("_asked", default=None)


def _open(path: Path) -> Console:
    from gateway.app.console import Console as Real

    return Real.open(path)


class Bulk(Protocol):
    """Whole mailboxes, read and written in this process. `gateway.app.mailbox_bulk.MailboxBulk` fulfils it.

    `watch` is told how far it is: done, and of how many. Answers are JSON values. All raise ConsoleFault.
    """

    def verify(self, address: str, watch: Watch) -> dict[str, Any]:
        """Look whether every message opens."""

    def export(self, address: str, to: Path, watch: Watch) -> dict[str, Any]:
        """Write everything into a folder, in clear."""

    def bring(self, address: str, path: Path, folder: str, form: str, again: bool, watch: Watch) -> dict[str, Any]:
        """Import what lies at `path`. `again`: also what an earlier import has brought."""

    def roll(self, address: str, watch: Watch) -> dict[str, Any]:
        """Go on with a key roll that was begun, to its end."""


Watch = Callable[[int, int], None]


def _open_bulk(path: Path) -> Bulk:
    from gateway.app.mailbox_bulk import MailboxBulk

    return MailboxBulk.open(path)


@dataclass(frozen=True, slots=True)
class Reach:
    """The outside of a command, as it is handed in by Typer's context."""

    open: Callable[[Path], Console]
    clock: Clock
    terminal: Callable[[], bool]
    bulk: Callable[[Path], Bulk] = _open_bulk


def reach(context: typer.Context) -> Reach:
    """What was handed in, or the real things."""
    if isinstance(context.obj, Reach):
        return context.obj
    return Reach(open=_open, clock=SystemClock(), terminal=sys.stdin.isatty)


@contextmanager
def speaking() -> Iterator[None]:
    """Tell faults for people on standard error and exit with status 1."""
    with told() as complaint:
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # An answer of another version may have another form than the one that is read here.
            if (otherness := _otherness()) is None:
                raise
            complain(f"the gateway's answer can't be read: {otherness}")
            raise typer.Exit(1) from error
    if complaint.status:
        raise typer.Exit(complaint.status)


def _otherness() -> str | None:
    there = _asked.get()
    return None if there is None else there.otherness


def settings_path(option: Path | None) -> Path:
    """The settings that `--config`, the folder or GATEWAY_CONFIG name. Raises BadSettings."""
    from gateway.settings.load import find

    return find(option)


def console(context: typer.Context, option: Path | None) -> Console:
    """The console of the gateway whose settings `option` names. Raises BadSettings or ConsoleFault."""
    there = reach(context).open(settings_path(option))
    _asked.set(there)
    return there
