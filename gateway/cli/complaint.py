"""How a command says no: one sentence on standard error for each fault, and the exit status.

0: done. 1: the answer is no. 2: wrong use (Typer's own, and `typer.BadParameter`). This file imports nothing of Typer,
since the supervisor uses it too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.cli.words import plain
from gateway.settings.fault import BadSettings
from gateway.world import os_error


class Complaint:
    """What came of a block under `told`: `status` is the exit status, 1 once a fault was told."""

    status = 0


def complain(text: str) -> None:
    """One fault on standard error, without control characters that could reach a terminal."""
    for line in text.splitlines() or [""]:
        print(f"gateway: {plain(line)}", file=sys.stderr)


@contextmanager
def told() -> Iterator[Complaint]:
    """Tell the faults that a person can mend (settings, console, migration), and end the block with status 1.

    Anything else is a fault of ours and passes, with its traceback.
    """
    complaint = Complaint()
    try:
        yield complaint
    except BadSettings as bad:
        complaint.status = 1
        for fault in bad.faults:
            complain(str(fault))
    except Exception as error:
        if not is_for_people(error):
            raise
        complaint.status = 1
        complain(os_error.words(error) if isinstance(error, OSError) else str(error))


def is_for_people(error: Exception) -> bool:
    """Whether the text of `error` speaks to who has to act.

    The classes are imported only once something failed: each brings half of the gateway with it.
    """
    from gateway.app.backup import BackupFault
    from gateway.app.console import ConsoleFault
    from gateway.app.restore import RestoreFault
    from gateway.keys.vault import KeyFault
    from gateway.storage.migrate import MigrationFault
    from gateway.storage.writer import StorageBroken

    if isinstance(error, OSError):
        return os_error.is_mendable(error)
    return isinstance(error, BackupFault | ConsoleFault | KeyFault | MigrationFault | RestoreFault | StorageBroken)
