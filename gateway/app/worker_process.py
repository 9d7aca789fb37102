"""The process of a worker: what is handed over to it, its log, and its event loop."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

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
from gateway.world.sockets import adopt

SWITCH = 0.001  # Seconds until a thread that waits for the interpreter gets it: the writer waits with each client.


def main(argv: list[str]) -> int:
    """The process. Its exit status tells the supervisor nothing but that it ended."""
    parser = argparse.ArgumentParser(prog="gateway worker")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--sockets", type=int, required=True)
    parser.add_argument("--face", choices=[one.name for one in face.ALL])
    options = parser.parse_args(argv)
    handover = adopt(options.sockets)
    handover.setblocking(True)
    taken = taken_over(handover, options.config)
    settings = taken.settings
    file = settings.settings.log.file
    path = None if file is None else settings.resolve(file)
    terms = settings.settings.log
    name = options.face or f"worker-{options.number}"
    log = configure(terms.level, path, name, SystemClock(), journal=terms.journal)
    sys.setswitchinterval(SWITCH)
    try:
        tested(settings)
        faced = None if options.face is None else face.named(options.face)
        uvloop.run(Worker(taken, options.number, log, handover, face=faced).run(options.control))
    except (KeyFault, StorageBroken, InUse, OSError) as error:
        log.tell("error", "worker_failed", error=str(error))
        return 1
    finally:
        log.close()
    return 0
