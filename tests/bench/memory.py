"""Memory (PSS: a process' own pages and its share of common ones): idle, and at its peak while 10 MiB go through."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.counter import Counter


def pss(pids: list[int]) -> int:
    """KiB of all these processes together."""
    total = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total


def peak(pids: list[int], work: Callable[[], object]) -> int:
    """The highest KiB seen while `work` runs, looked at every 5 ms."""
    seen = [pss(pids)]
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(pss(pids))
            time.sleep(0.005)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        work()
    finally:
        over.set()
        watch.join()
    return max(seen)


def one_large(port: int, counter: Counter, pids: list[int], octets: int = 10 << 20) -> float:
    """By how many times its size one message raises the memory of all processes."""

    def send() -> None:
        before = counter.settled()
        subprocess.run(
            [
                "smtp-source",
                *("-s", "1", "-m", "1", "-l", str(octets), "-f", "ida@corp.example", "-t", "otto@partner.example"),
                f"127.0.0.1:{port}",
            ],
            check=True,
        )
        while counter.count() == before:
            time.sleep(0.01)

    send()  # The first one also loads what stays loaded.
    time.sleep(1.0)
    before = pss(pids)
    return (peak(pids, send) - before) * 1024 / octets
