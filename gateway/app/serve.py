"""`gateway serve`: from the settings' path to a running supervisor."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gateway.app.check import checked
from gateway.app.child import WorkerFailed
from gateway.app.file_vaults import AtTerminal, unlocked
from gateway.app.forks import Forks
from gateway.app.handover import hand_masters
from gateway.app.lock import FileLock, InUse
from gateway.app.places import Places
from gateway.app.selftest import tested
from gateway.app.service import Service
from gateway.app.supervisor import Supervisor
from gateway.keys import fips
from gateway.keys.vault import KeyFault
from gateway.observe.log import configure
from gateway.settings.fault import BadSettings, Fault, errors
from gateway.settings.load import Loaded
from gateway.world import os_error
from gateway.world.clock import SystemClock
from gateway.world.notify import Notify
from gateway.world.sockets import pair


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, flush=True)  # noqa: T201 - this is the terminal's face of `serve`


def serve(path: Path, forks: Forks) -> int:
    """Serve until told to stop, with the programs `worker` and `migrate` of `forks`; the exit status.

    Raises BadSettings with every fault.
    """
    faults, found = checked(path, ask=False)  # What the database server has to say comes out when it is migrated.
    if found is None or errors(faults):
        raise BadSettings(faults)
    try:
        settings = tested(found)
    except KeyFault as error:
        return _refuse(str(error))
    places = Places.of(settings)
    places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = FileLock(places.lock)
    except InUse:
        return _refuse(f"a gateway with these settings runs already ({places.lock} is locked)")
    try:
        return _serve(path, settings, faults, forks)
    except KeyboardInterrupt:  # Before the supervisor hears it: nothing runs yet.
        return _refuse("stopped before anything was started")
    finally:
        lock.release()


def _serve(path: Path, settings: Loaded, faults: Sequence[Fault], forks: Forks) -> int:
    try:
        masters = unlocked(settings, AtTerminal() if sys.stdin.isatty() else None)
    except KeyFault as closed:
        return _refuse(str(closed))
    # In a process of its own: what migrations need is large, and this process stays.
    ours, theirs = pair()
    try:
        migration = forks.fork("migrate", {}, [theirs], f"gateway migrate --config {path}")
        theirs.close()
        hand_masters(ours, masters)
        status = migration.wait()
    except OSError as refused:
        return _refuse(f"the databases could not be made ready: {os_error.words(refused)}")
    finally:
        ours.close()
    if status != 0:
        return _refuse("the databases are not ready; nothing was started")
    for fault in faults:
        print(f"gateway: {fault}", file=sys.stderr)  # noqa: T201
    clock = SystemClock()
    file = settings.settings.log.file
    log_path = None if file is None else settings.resolve(file)
    log = configure(settings.settings.log.level, log_path, "supervisor", clock, journal=settings.settings.log.journal)
    for module in fips.modules():
        log.tell("info", "cryptographic_module", module=module.name, does=module.does, fips=module.fips)
    try:
        service = Service(Notify(os.environ, os.getpid()), clock)
        supervisor = Supervisor(
            path, settings, faults, clock=clock, log=log, say=say, service=service, forks=forks, masters=masters
        )
        return asyncio.run(supervisor.run())
    except* (OSError, WorkerFailed) as group:
        for error in _leaves(group):
            _refuse(os_error.words(error) if isinstance(error, OSError) else str(error))
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
