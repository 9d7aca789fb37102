"""Free loopback ports, and waiting for what another process does."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

FIRST = 10_000
CHANCE = random.SystemRandom()  # Other processes of the same run look for ports too.
GIVEN: set[int] = set()
PATIENCE = 45.0  # Seconds; a process that starts in one takes twenty where everything runs at once.
SHORTEST, LONGEST = 0.005, 0.05  # Seconds between two looks; most of what is waited for is there in a moment.


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nothing listens now.

    By chance, and below those that the kernel gives to whoever connects: such a one might be gone before it is listened
    on, or while a gateway is started again.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    own = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = CHANCE.randrange(FIRST, own) if own > FIRST + 1000 else 0
        with socket.socket(family) as one, contextlib.suppress(OSError):
            one.bind((host, port))
            found: int = one.getsockname()[1]
            if found not in GIVEN:
                GIVEN.add(found)
                return found


def until(look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """What `look` gives as soon as it is true. Raises AssertionError that says what was waited for in vain."""
    end = time.monotonic() + seconds
    pause = SHORTEST
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}; seen last: {seen!r}")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST)


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def greets(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody there says 220."""
    try:
        with socket.create_connection((host, port), timeout=2) as one:
            return one.recv(3) == b"220"
    except OSError:
        return False
