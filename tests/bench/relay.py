"""Messages per second end to end: from smtp-source's first connection until the sink holds the last message."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.counter import Counter

PATIENCE = 180.0  # Seconds for one work.


@dataclass(frozen=True)
class Work:
    """So many messages of so many octets over so many sessions at once."""

    messages: int
    sessions: int
    octets: int


WORKS = {
    "4k": Work(3000, 20, 4 << 10),
    "64k": Work(1000, 20, 64 << 10),
    "10m": Work(40, 4, 10 << 20),
    "single": Work(500, 1, 4 << 10),
}


def rate(
    port: int,
    work: Work,
    counter: Counter,
    *,
    sender: str = "ida@corp.example",
    recipient: str = "otto@partner.example",
    file: Path | None = None,
) -> float:
    """Messages per second through the relay at `port` into the sink. `file`: the message, its lines ending in LF."""
    os.sync()
    before = counter.settled()
    began = time.monotonic()
    # Without -d each message has a connection of its own, so accepting and QUIT are part of the figure.
    subprocess.run(
        [
            "smtp-source",
            *("-s", str(work.sessions), "-m", str(work.messages)),
            *(("-l", str(work.octets)) if file is None else ("-F", str(file))),
            *("-f", sender, "-t", recipient, f"127.0.0.1:{port}"),
        ],
        check=True,
    )
    while time.monotonic() - began < PATIENCE:
        if counter.count() - before >= work.messages:
            took = time.monotonic() - began
            if (surplus := counter.settled() - before - work.messages) > 0:
                print(f"  port {port}: {surplus} more than were sent: delivered twice, or left from before", flush=True)
            return work.messages / took
        time.sleep(0.02)
    raise SystemExit(
        f"port {port}: the sink holds {counter.count() - before} of {work.messages} after {PATIENCE:.0f} s"
    )


def beside(ours: int, theirs: int, name: str, counter: Counter, rounds: int) -> float:
    """Measure both in turn; print the medians; the median of the ratios. Who goes first alternates: nobody always
    pays for the other's tail.
    """
    pairs = []
    for turn in range(rounds):
        order = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
        seen = {port: rate(port, WORKS[name], counter) for port in order}
        pairs.append((seen[ours], seen[theirs]))
    mine, other = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(a / b for a, b in pairs)
    low, high = min(a / b for a, b in pairs), max(a / b for a, b in pairs)
    print(
        f"{name:9} gateway {mine:8.1f}/s   postfix {other:8.1f}/s   ratio {ratio:5.2f}   ({low:.2f} to {high:.2f})",
        flush=True,
    )
    return ratio
