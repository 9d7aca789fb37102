"""The machine's hosts file (hosts(5)), because smart hosts are often named there.

Leaves out: nsswitch.conf; the file always comes before DNS.
"""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

from gateway.world.clock import Clock

MAX_FILE = 1 << 20  # Longer files are block lists; what stands behind is not read.
_FRESH = 10.0  # Seconds between two looks at the file.


class HostsFile:
    """Names and addresses of one hosts file, read again when it changed."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._known: dict[str, tuple[str, ...]] = {}
        self._seen: tuple[int, int] | None = None
        self._next_look = float("-inf")

    async def addresses(self, host: str) -> tuple[str, ...]:
        """What the file says of `host` (lower case, no trailing dot), in its order; empty where it says nothing."""
        if self._clock.monotonic() >= self._next_look:
            self._next_look = self._clock.monotonic() + _FRESH
            await asyncio.to_thread(self._look)
        return self._known.get(host, ())

    def _look(self) -> None:
        try:
            state = self._path.stat()
            mark = (state.st_mtime_ns, state.st_size)
            if mark == self._seen:
                return
            with self._path.open("rb") as file:
                self._known = parse_hosts(file.read(MAX_FILE).decode("utf-8", "replace"))
            self._seen = mark
        except OSError:  # No such file, or not for us: then it says nothing.
            self._known, self._seen = {}, None


def parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """Names in lower case with their addresses, in the order of the lines. Lines that make no sense are passed over."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) < 2:
            continue
        try:
            address = str(ipaddress.ip_address(words[0]))
        except ValueError:
            continue
        for name in words[1:]:
            known = found.setdefault(name.lower().removesuffix("."), [])
            if address not in known:
                known.append(address)
    return {name: tuple(addresses) for name, addresses in found.items()}
