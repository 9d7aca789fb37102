"""What this process has in hand of a queue that others share, and until when it may act on it.

A lease is a delivery's id and its epoch: a number in the row that grows whenever somebody takes the delivery. So a row
whose epoch is still ours was taken by nobody since, whatever happened to us meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

BEAT: Final = 5.0  # Seconds between two signs of life.
# Seconds after our last sign of life in which attempts may still begin. The rest until DEAD is for those under way: an
# attempt that takes longer while the database is away may be repeated by another node.
FENCE: Final = 20.0
DEAD: Final = 30.0  # Seconds of silence after which another node takes over what a node has.


class Leases:
    """Safe in any thread: each method is one step on a dict, or reads numbers that only grow."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._held: dict[str, int] = {}
        self._alone: set[str] = set()
        self._lost: dict[str, int] = {}  # What we had when we were taken for dead, and have not settled yet.
        self._until = float("-inf")
        self.generation = 0  # Grows when all leases are lost at once.

    def refresh(self, began: float) -> None:
        """A sign of life, sent at `began` on the monotonic clock, has arrived."""
        self._until = began + FENCE

    def are_safe(self) -> bool:
        """Whether nobody else can hold what we hold, for long enough to begin an attempt."""
        return self._monotonic() < self._until

    def take(self, held: Iterable[tuple[str, int]], generation: int) -> None:
        """These are ours, by a transaction that began in that generation."""
        if generation == self.generation:
            self._held.update(held)

    def take_alone(self, id_: str, generation: int) -> None:
        """As `take`, of the only delivery of a message that was just accepted."""
        if generation == self.generation:
            self._held[id_] = 1
            self._alone.add(id_)

    def is_alone(self, id_: str) -> bool:
        """Whether it is known to be the only delivery of its message; that stays so, whoever has it."""
        return id_ in self._alone

    def drop(self, ids: Iterable[str]) -> None:
        """These are not ours any more."""
        for id_ in ids:
            self._held.pop(id_, None)
            self._lost.pop(id_, None)
            self._alone.discard(id_)

    def lose_all(self) -> int:
        """We were taken for dead; how many leases that cost. What was being taken meanwhile does not count either."""
        self.generation += 1
        lost, self._held = self._held, {}
        self._alone = set()
        self._lost = {**self._lost, **lost}
        return len(lost)

    def epoch(self, id_: str) -> int | None:
        """The epoch of our lease, also of one that we lost: whoever settles by it finds out whether it still counts."""
        return self._held.get(id_, self._lost.get(id_))

    def all(self) -> dict[str, int]:
        """A copy: id and epoch of each."""
        return dict(self._held)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._held
