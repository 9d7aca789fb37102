"""What was answered lately: bounded, and forgotten after its time. Pure but for the time that is handed in."""

from __future__ import annotations

from collections import OrderedDict

from gateway.directory.model import Answer

MAX_KNOWN = 50_000  # Some 200 octets each.
MAX_OTHERS = 10_000  # Kept apart: a dictionary attack must not push out whom we know.


class Memory:
    """Answers by folded address; the oldest goes first where there are too many."""

    def __init__(self, max_known: int = MAX_KNOWN, max_others: int = MAX_OTHERS) -> None:
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()  # Fresh until, usable until.
        self._others: OrderedDict[str, tuple[float, Answer]] = OrderedDict()
        self._max_known = max_known
        self._max_others = max_others

    def __len__(self) -> int:
        return len(self._known) + len(self._others)

    def fresh(self, who: str, now: float) -> Answer | None:
        """What was answered so lately that nobody needs to be asked again."""
        if (times := self._known.get(who)) is not None:
            return Answer.KNOWN if now < times[0] else None
        if (other := self._others.get(who)) is not None:
            if now < other[0]:
                return other[1]
            del self._others[who]
        return None

    def was_known(self, who: str, now: float) -> bool:
        """Whether it was known the last time, and that may still count while nobody can be asked."""
        times = self._known.get(who)
        return times is not None and now < times[1]

    def keep_known(self, who: str, fresh_until: float, usable_until: float) -> None:
        """Somebody said yes."""
        self._others.pop(who, None)
        self._known[who] = (fresh_until, usable_until)
        self._known.move_to_end(who)
        if len(self._known) > self._max_known:
            self._known.popitem(last=False)

    def keep_other(self, who: str, answer: Answer, until: float) -> None:
        """Somebody said no, or did not want to say. A no ends what was known; doubt does not."""
        if answer is Answer.UNKNOWN:
            self._known.pop(who, None)
        self._others[who] = (until, answer)
        self._others.move_to_end(who)
        if len(self._others) > self._max_others:
            self._others.popitem(last=False)

    def forget(self) -> None:
        """Everything."""
        self._known.clear()
        self._others.clear()
