"""Locks on files: they end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gateway.world.clock import Clock


class InUse(Exception):
    """Another process holds it."""


class FileLock:
    """An exclusive lock, held from construction to `release`. Raises InUse, OSError."""

    def __init__(self, path: Path) -> None:
        # Not inherited: a child that outlived us would hold it on.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise InUse(f"{path} is in use by another process") from error

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)


async def lock_soon(path: Path, clock: Clock, seconds: float) -> FileLock:
    """The lock, waiting at most so long for a process that is about to end. Raises InUse."""
    until = clock.monotonic() + seconds
    while True:
        try:
            return FileLock(path)
        except InUse:
            if clock.monotonic() >= until:
                raise
            await clock.sleep(0.05)
