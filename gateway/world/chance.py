"""Randomness, as it is handed in."""

from __future__ import annotations

import os
import random
from typing import Protocol


class Chance(Protocol):
    """Handed to whoever draws."""

    def octets(self, count: int) -> bytes:
        """`count` octets fit for keys and nonces."""

    def between(self, low: float, high: float) -> float:
        """A number from `low` to `high`, for jitter; not for secrets."""


class SystemChance:
    """The kernel's generator."""

    def octets(self, count: int) -> bytes:
        return os.urandom(count)

    def between(self, low: float, high: float) -> float:
        return random.uniform(low, high)
