"""What a service tells the manager that started it: sd_notify(3), one datagram for each thing, nothing awaited.

Without NOTIFY_SOCKET nobody wants to hear it, and nothing is sent. Leaves out: handing over file descriptors.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

NAMES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # In the environment of the service's first process alone.


class Notify:
    """The way to the manager. `watchdog`: seconds within which it wants to hear that we live; None: it does not."""

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        """`pid` is our own process: the watchdog may be meant for another."""
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(environment, pid) if self._address is not None else None

    def send(self, **facts: str | int) -> bool:
        """Send e.g. READY=1. False where nobody listens: what is told this way is never worth a failure."""
        if self._address is None:
            return False
        lines = "\n".join(f"{name}={_line(value)}" for name, value in facts.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as door:
                door.connect(self._address)
                return door.send(lines.encode("utf-8", "replace")) > 0
        except OSError:
            return False


def _address(text: str) -> str | bytes | None:
    """A path, or with `@` in front an abstract name. Other kinds (vsock) are for machines, not services."""
    if text.startswith("@") and len(text) > 1:
        return b"\0" + os.fsencode(text[1:])
    return text if text.startswith("/") else None


def _watchdog(environment: Mapping[str, str], pid: int) -> float | None:
    whose = environment.get("WATCHDOG_PID", "")
    if whose and whose != str(pid):
        return None
    text = environment.get("WATCHDOG_USEC", "")
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 63):
        return None
    return int(text) / 1_000_000


def _line(value: str | int) -> str:
    return str(value).replace("\n", " ")
