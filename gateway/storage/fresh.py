"""Which messages and records stand in the journal alone, and which of its segments count for their sake. Pure."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator

from gateway.storage.segments import Place


class Fresh:
    """A message that was taken and is not in the database.

    `live` are its deliveries that are not done; `ending` those of them whose end is being written.
    `carried` is there while somebody carries it into the database; its result is whether that came to pass.
    `damaged`: its entry can't be read. It keeps no segment from being written over, and is known only until it ends.
    """

    __slots__ = ("carried", "created", "damaged", "ending", "has_file", "live", "message", "place")

    def __init__(self, message: str, place: Place, live: Iterable[str], created: int, *, has_file: bool) -> None:
        self.message = message
        self.place = place
        self.live = set(live)
        self.ending: set[str] = set()
        self.created = created
        self.has_file = has_file
        self.carried: asyncio.Future[bool] | None = None
        self.damaged = False


class Freshness:
    """All of them, of one spool."""

    def __init__(self) -> None:
        self._messages: dict[str, Fresh] = {}
        self._records: dict[int, Place] = {}
        self._held: Counter[int] = Counter()  # Of each segment: how many count in it.

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Fresh]:
        return iter(list(self._messages.values()))

    def get(self, message: str) -> Fresh | None:
        """The message, if it stands in the journal alone."""
        return self._messages.get(message)

    def add(self, fresh: Fresh) -> None:
        """One more; it takes the place of another with its name."""
        if (other := self._messages.get(fresh.message)) is not None:
            self.drop(other)
        self._messages[fresh.message] = fresh
        self._held[fresh.place.segment] += 1

    def drop(self, fresh: Fresh) -> None:
        """It is done, or carried."""
        del self._messages[fresh.message]
        if not fresh.damaged:
            self._release(fresh.place.segment)

    def give_up(self, fresh: Fresh) -> None:
        """Its entry can't be read."""
        if not fresh.damaged:
            fresh.damaged = True
            self._release(fresh.place.segment)

    def add_records(self, uids: Iterable[int], place: Place) -> None:
        """Records that stand in the entry at `place`."""
        for uid in uids:
            if (other := self._records.get(uid)) is not None:
                self._release(other.segment)
            self._records[uid] = place
            self._held[place.segment] += 1

    def drop_records(self, uids: Iterable[int]) -> list[int]:
        """They are elsewhere now; those of them that were never here."""
        others = []
        for uid in uids:
            place = self._records.pop(uid, None)
            if place is None:
                others.append(uid)
            else:
                self._release(place.segment)
        return others

    def records(self, segment: int | None = None) -> dict[int, Place]:
        """The records that stand in `segment`, or all, by uid."""
        return {uid: place for uid, place in self._records.items() if segment is None or place.segment == segment}

    def oldest(self) -> int | None:
        """The first segment in which something counts, or None where none does."""
        return min(self._held, default=None)

    def _release(self, segment: int) -> None:
        self._held[segment] -= 1
        if not self._held[segment]:
            del self._held[segment]
