"""Patterns that RE2 runs: a few of many one by one, many at once as a set (google-re2).

What RE2's set can't do, for want of memory, looks to its caller like a text in which nothing was found. So each set
has one pattern more, which fits every text: where even that is not found the set has failed, and its patterns are run
one by one, which can't fail.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import re2

from gateway.rules.shapes.pattern import options

MOST_IN_SET: Final = 500  # Patterns; a set of more takes long to warm up, and fails as one.
SET_MEMORY: Final = 32 << 20  # Octets that one set may take while it runs.
FEW: Final = 24  # As many patterns are quicker one by one than the sets of all.


class Patterns:
    """Patterns by number. Thread-safe: RE2's objects are, and what is made here is made twice at worst."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns
        self._single: dict[int, re2._Regexp] = {}
        self._sets: list[tuple[re2.Set, tuple[int, ...]]] | None = None

    def __len__(self) -> int:
        return len(self._patterns)

    def warm(self) -> None:
        """Compile what `which` needs for all of them, so that no message waits for it."""
        if len(self._patterns) > FEW:
            self._all_sets()
        else:
            for number in range(len(self._patterns)):
                self.one(number)

    def one(self, number: int) -> re2._Regexp:
        """The pattern of that number, compiled. Raises re2.error where RE2 can't run it."""
        made = self._single.get(number)
        if made is None:
            made = self._single[number] = re2.compile(self._patterns[number], options())
        return made

    def which(self, numbers: Collection[int], octets: bytes) -> list[int]:
        """Those of `numbers` whose patterns match somewhere in the text, given in UTF-8."""
        if len(numbers) <= FEW:
            return [number for number in numbers if self.one(number).search(octets) is not None]
        found: list[int] = []
        for one, inside in self._all_sets():
            hits = one.Match(octets)
            if hits and hits[0] == 0:
                found += [inside[hit - 1] for hit in hits[1:]]
            else:  # Not even the first, which fits everything: it has failed.
                found += [number for number in inside if self.one(number).search(octets) is not None]
        wanted = numbers if isinstance(numbers, (set, frozenset, range)) else set(numbers)
        return [number for number in found if number in wanted]

    def _all_sets(self) -> list[tuple[re2.Set, tuple[int, ...]]]:
        if self._sets is None:
            every = range(len(self._patterns))
            made = [self._set(every[start : start + MOST_IN_SET]) for start in range(0, len(every), MOST_IN_SET)]
            self._sets = [one for ones in made for one in ones]
        return self._sets

    def _set(self, numbers: Sequence[int]) -> list[tuple[re2.Set, tuple[int, ...]]]:
        """One set of these, or several where they are too large for one."""
        how = options()
        how.max_mem = SET_MEMORY
        made = re2.Set.SearchSet(how)
        made.Add("")
        for number in numbers:
            made.Add(self._patterns[number])
        try:
            made.Compile()
            works = bool(made.Match(b"a"))
        except re2.error:
            works = False
        if works or len(numbers) == 1:
            return [(made, tuple(numbers))]
        half = len(numbers) // 2
        return [*self._set(numbers[:half]), *self._set(numbers[half:])]
