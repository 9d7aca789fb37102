"""Free loopback ports, and waiting for what another process does."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0  # Seconds; on a busy machine a whole process starts in three.


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nothing listens now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as one:
        one.bind((host, 0))
        port: int = one.getsockname()[1]
        return port


def until(look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """What `look` gives as soon as it is true. Raises AssertionError that says what was waited for in vain."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}; seen last: {seen!r}")
        time.sleep(0.05)


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
