"""Words that stand near a value and say what it is."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

from gateway.rules.matching.fold import caseless, plain


class Near:
    """Whether one of `words` (whole words or phrases, whatever their case) stands within `distance` letters of a place.

    Made once for a classifier; `places` is asked once for a text, and only for one in which a value was found.
    """

    def __init__(self, words: Iterable[str], distance: int) -> None:
        known = sorted({caseless(plain(word)) for word in words if word}, key=len, reverse=True)
        # White space of any kind is one; sorted, so that of two words at one place the longer is found.
        every = "|".join(r"\s+".join(re.escape(piece) for piece in word.split()) for word in known)
        self._words = re.compile(rf"(?<!\w)(?:{every})(?!\w)") if every else None
        self._distance = distance

    def places(self, text: str) -> tuple[list[int], list[int]]:
        """Where words begin, and where they end, in order. `text` as `caseless` gives it."""
        begins, ends = [], []
        if self._words is not None:
            for match in self._words.finditer(text):
                begins.append(match.start())
                ends.append(match.end())
        return begins, ends

    def holds(self, places: tuple[list[int], list[int]], start: int, end: int) -> bool:
        """Whether any of `places` is near the value from `start` to `end`."""
        begins, ends = places
        at = bisect_left(ends, start - self._distance)
        return at < len(begins) and begins[at] <= end + self._distance
