"""Queue ids for one process."""

from __future__ import annotations

from typing import Final

from gateway.mail.queue_id import CHANCE, queue_id
from gateway.world.chance import Chance
from gateway.world.clock import Clock

_AT_ONCE: Final = 200  # An id is no secret; the kernel is asked once for so many.


class Ids:
    """Each call gives a new one."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self._clock = clock
        self._chance = chance
        self._drawn = b""

    def __call__(self) -> str:
        if len(self._drawn) < CHANCE:
            self._drawn = self._chance.octets(CHANCE * _AT_ONCE)
        drawn, self._drawn = self._drawn[:CHANCE], self._drawn[CHANCE:]
        return queue_id(self._clock.now(), drawn)
