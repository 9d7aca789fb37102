"""Randomness, as it is handed in."""

from __future__ import annotations

import os
import random
import threading
from typing import Final, Protocol

SMALL: Final = 64  # Octets of a wish that is taken out of a store.
STORE: Final = 1024  # Octets drawn at once for those.

_forks = 0  # A child must not draw what its parent draws.


class Chance(Protocol):
    """Handed to whoever draws."""

    def octets(self, count: int) -> bytes:
        """`count` octets fit for keys and nonces."""

    def between(self, low: float, high: float) -> float:
        """A number from `low` to `high`, for jitter; not for secrets."""


class SystemChance:
    """The kernel's generator. May be shared by threads.

    Small wishes come out of a store: each question to the kernel lets go of the interpreter, which a busy process has
    to wait for again. No octet is given twice.
    """

    __slots__ = ("_drawn", "_forks", "_lock", "_store")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store = b""
        self._drawn = 0  # Of the store.
        self._forks = _forks

    def octets(self, count: int) -> bytes:
        if count > SMALL:
            return os.urandom(count)
        with self._lock:
            end = self._drawn + count
            if end > len(self._store) or self._forks != _forks:
                self._store, self._forks = os.urandom(STORE), _forks
                end = count
            self._drawn = end
            return self._store[end - count : end]

    def between(self, low: float, high: float) -> float:
        return random.uniform(low, high)


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)
