"""Chance that a test can foresee."""

from __future__ import annotations

import hashlib


class FakeChance:
    """The same octets in each run, never the same twice in one. `between` gives `share` of the way from low to high.

    `stuck` is the way to fail: a generator that repeats itself.
    """

    def __init__(self, seed: str = "seed", share: float = 0.5) -> None:
        self.share = share
        self.stuck = False
        self._seed = seed
        self._drawn = 0

    def octets(self, count: int) -> bytes:
        if not self.stuck:
            self._drawn += 1
        return hashlib.shake_256(f"{self._seed} {self._drawn}".encode()).digest(count)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.share
