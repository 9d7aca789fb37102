"""What the key-access log costs, as a share of what a relayed message costs: both in seconds of CPU."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.keys.access_writer import AccessLog
from gateway.keys.uses import Operation, Outcome, Use
from gateway.storage.key_log import KeyLogStore
from gateway.storage.migrate import migrate_shared
from gateway.storage.shared import Shared
from gateway.world.clock import SystemClock
from tests.bench import relay
from tests.bench.counter import Counter

USES = 50_000
A_SECOND = 1_000  # Uses that come in a second, and are written together: a worker that signs 1,000 messages.
_TICKS = os.sysconf("SC_CLK_TCK")


def of_a_use() -> float:
    """Seconds of CPU for one use, from the recording to the disk, threads and all."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-log-") as folder:
        path = Path(folder) / "shared.db"
        migrate_shared(path)
        shared = Shared(path)
        log = AccessLog(KeyLogStore(shared), who="worker-0", clock=clock, tell=lambda *_, **__: None)
        log.record(_use(0, clock.now()))
        log.flush()
        began = time.process_time()
        for number in range(USES):
            log.record(_use(number, clock.now()))
            if number % A_SECOND == A_SECOND - 1:
                log.flush()
        log.flush()
        took = time.process_time() - began
        shared.close()
    return took / USES


def _use(number: int, now: float) -> Use:
    about = f"message 4XYZ{number * 7919 % 1_000_003:08X}"  # Ids are drawn at random, and do not pack.
    return Use(now, "worker-0", "main", "dkim.corp.example.s1", 1, Operation.SIGN, about, Outcome.DONE)


def of_a_message(port: int, pids: Sequence[int], counter: Counter) -> float:
    """Seconds of CPU that the gateway spends on a message of 4 KiB."""
    before = _spent(pids)
    relay.rate(port, relay.WORKS["4k"], counter)
    return (_spent(pids) - before) / relay.WORKS["4k"].messages


def _spent(pids: Sequence[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS
