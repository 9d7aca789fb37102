"""The process of a worker: what is handed over to it, its log, and its event loop."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvloop

from gateway.app import face
from gateway.app.handover import taken_over
from gateway.app.lock import InUse
from gateway.app.selftest import tested
from gateway.app.worker import Worker
from gateway.keys.vault import KeyFault
from gateway.observe.log import configure
from gateway.storage.writer import StorageBroken
from gateway.world.clock import SystemClock
from gateway.world.sockets import Socket

SWITCH = 0.001  # Seconds until a thread that waits for the interpreter gets it: the writer waits with each client.


def main(config: Path, arguments: dict[str, Any], sockets: list[Socket]) -> int:
    """The process, forked with its number, the name of the face that it serves or None, and two sockets: to answer the
    supervisor, and to be handed settings and listening sockets. Its exit status tells nothing but that it ended.
    """
    number, faced = int(arguments["number"]), arguments["face"]
    control, handover = sockets
    handover.setblocking(True)
    try:
        taken = taken_over(handover, config)
    except EOFError:  # The supervisor ended meanwhile.
        return 1
    settings = taken.settings
    file = settings.settings.log.file
    path = None if file is None else settings.resolve(file)
    terms = settings.settings.log
    name = faced or f"worker-{number}"
    log = configure(terms.level, path, name, SystemClock(), journal=terms.journal)
    sys.setswitchinterval(SWITCH)
    try:
        tested(settings)
        served = None if faced is None else face.named(faced)
        uvloop.run(Worker(taken, number, log, handover, face=served).run(control))
    except (KeyFault, StorageBroken, InUse, OSError) as error:
        log.tell("error", "worker_failed", error=str(error))
        return 1
    finally:
        log.close()
    return 0
