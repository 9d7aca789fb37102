"""`gateway serve`: from the settings' path to a running supervisor."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gateway.app.check import check
from gateway.app.child import WorkerFailed
from gateway.app.interpreter import command, environment
from gateway.app.lock import FileLock, InUse
from gateway.app.places import Places
from gateway.app.service import Service
from gateway.app.supervisor import Supervisor
from gateway.observe.log import configure
from gateway.settings.fault import BadSettings, Fault, errors
from gateway.settings.load import Loaded, loaded
from gateway.world.clock import SystemClock
from gateway.world.notify import Notify


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, flush=True)  # noqa: T201 - this is the terminal's face of `serve`


def serve(path: Path) -> int:
    """Serve until told to stop; the exit status. Raises BadSettings with every fault."""
    path = path.absolute()
    faults = check(path, ask=False)  # What the database server has to say comes out when it is migrated.
    if errors(faults):
        raise BadSettings(faults)
    settings = loaded(path)
    places = Places.of(settings)
    places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = FileLock(places.lock)
    except InUse:
        return _refuse(f"a gateway with these settings runs already ({places.lock} is locked)")
    try:
        return _serve(path, settings, faults)
    except KeyboardInterrupt:  # Before the supervisor hears it: nothing runs yet.
        return _refuse("stopped before anything was started")
    finally:
        lock.release()


def _serve(path: Path, settings: Loaded, faults: Sequence[Fault]) -> int:
    # In a process of its own: what migrations need is large, and this process stays. Ctrl-C is ours to hear.
    migration = command("migrate", "--config", str(path))
    quiet = subprocess.DEVNULL
    if subprocess.run(migration, env=environment(), stdout=quiet, check=False, start_new_session=True).returncode:
        return _refuse("the databases are not ready; nothing was started")
    for fault in faults:
        print(f"gateway: {fault}", file=sys.stderr)  # noqa: T201
    clock = SystemClock()
    file = settings.settings.log.file
    log_path = None if file is None else settings.resolve(file)
    log = configure(settings.settings.log.level, log_path, "supervisor", clock, journal=settings.settings.log.journal)
    try:
        service = Service(Notify(os.environ, os.getpid()), clock)
        return asyncio.run(Supervisor(path, settings, faults, clock=clock, log=log, say=say, service=service).run())
    except* (OSError, WorkerFailed) as group:
        for error in _leaves(group):
            _refuse(str(error))
    finally:
        log.close()
    return 1


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _refuse(text: str) -> int:
    print(f"gateway: {text}", file=sys.stderr, flush=True)  # noqa: T201
    return 1
