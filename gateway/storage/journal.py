"""The journal: where what a 250 rests on is made durable, by one write; most messages never come further.

It stands before the spool's database: a message that leaves within seconds costs two entries here and nothing there.
What stays is carried into the database, and segments in which nothing counts any more are written over.
Why not the database alone: a commit of SQLite writes seven to fourteen pages for a message and syncs them in twice the
time; its rows come and go within a second. Leaves out: what the entries say, which `gateway.storage.entries` knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.storage.fresh import Freshness
from gateway.storage.group import Group, StorageBroken, StorageFull, Work
from gateway.storage.replay import replayed
from gateway.storage.segment_file import SIZE
from gateway.storage.segments import Place, Segments

MAX_ENTRY: Final = 1 << 20  # Octets; what is longer goes into the database at once.
_CHUNK: Final = SIZE - MAX_ENTRY - (64 << 10)  # Octets of entries in one write, with room for one that is long.


@dataclass(frozen=True, slots=True)
class _Entry:
    octets: bytes
    account: Callable[[Place | None], object] | None


class Journal(Group[_Entry]):
    """One for each spool. `recover` first, then `start`."""

    def __init__(
        self, folder: Path, *, name: str, monotonic: Callable[[], float], observe: Callable[[int, float], None]
    ) -> None:
        """`observe` is told entries and seconds of each commit; it is called in the loop's thread."""
        super().__init__(name=name, monotonic=monotonic, observe=observe)
        self._segments = Segments(folder)
        self._settled = 0  # The newest segment of which the loop knows; what is under way stands there or later.

    def recover(self) -> tuple[Freshness, list[str]]:
        """What of a former process stands here alone, and what is damaged. Blocks. Raises StorageBroken, OSError."""
        faults = self._segments.recover()
        fresh = replayed(self._segments.batches(faults), faults)
        self._settled = self._segments.number
        return fresh, faults

    async def append(
        self, entry: bytes, *, account: Callable[[Place | None], object] | None = None, haste: bool = True
    ) -> None:
        """On disk when this returns. Raises StorageFull, StorageBroken.

        `account` is told where it stands before anything that was written later is, or None where it could not be
        written, also where whoever waits was cancelled: whoever lets segments be written over has to know of it. An
        empty entry writes nothing; it returns when all that was asked for with haste before is settled. Without `haste`
        it shares the commit of the next one that has some.
        """
        await self._ask(_Entry(entry, account), haste)

    def read(self, place: Place) -> bytes:
        """An entry that counts, from any thread. Raises OSError, BadEntry."""
        return self._segments.read(place)

    def forget(self, before: int | None) -> None:
        """Of what is accounted for, nothing before that segment counts any more; None: nothing at all."""
        before = self._settled if before is None else min(before, self._settled)
        if before > self._segments.oldest:
            self._segments.oldest = before

    def span(self, oldest: int | None) -> int:
        """How many segments are kept because something in `oldest` still counts."""
        return 0 if oldest is None else self._settled - oldest + 1

    def _nothing(self) -> Work[_Entry]:
        return Work(_Entry(b"", None), None)

    def _settle(self, works: list[Work[_Entry]], seconds: float) -> None:
        for work in works:
            place = work.result
            if place is not None:
                self._settled = place.segment
            if work.what.account is not None:
                work.what.account(place)
        super()._settle(works, seconds)

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        pass

    def _shut(self) -> None:
        self._segments.close()

    def _commit(self, works: list[Work[_Entry]]) -> None:
        some: list[Work[_Entry]] = []
        octets = 0
        for work in works:
            if not work.what.octets:
                continue
            if octets > _CHUNK:
                self._append(some)
                some, octets = [], 0
            some.append(work)
            octets += len(work.what.octets)
        if some:
            self._append(some)

    def _append(self, works: list[Work[_Entry]]) -> None:
        try:
            places = self._segments.append([work.what.octets for work in works])
        except (StorageFull, StorageBroken) as error:
            for work in works:
                work.error = error
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the thread for which others wait
            for work in works:
                work.error = StorageBroken(f"a fault in the journal: {type(error).__name__}")
        else:
            for work, place in zip(works, places, strict=True):
                work.result = place
