"""Data types of the administrator's own: patterns, a checksum, words near."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import re2

from gateway.rules.classifiers.checksum import CHECKSUMS
from gateway.rules.classifiers.model import Gathered, Sensitive
from gateway.rules.classifiers.near import Near
from gateway.rules.matching.fold import caseless, plain
from gateway.rules.model import DataType
from gateway.rules.shapes.pattern import options

MOST_HITS: Final = 50_000  # In one text; a pattern that fits everything must not take the day.
LONGEST_VALUE: Final = 500  # Letters; what is longer is no value, but text that a pattern ran over.

_NOT_COMPARED = re.compile(r"[\W_]+")


def _any(_: str) -> bool:
    return True


class Own:
    """Finds values of one DataType: `find` of Classifier. Raises LookupError where it names no checksum of ours."""

    def __init__(self, kind: DataType) -> None:
        self._kind = kind
        self._patterns = [re2.compile(pattern, options()) for pattern in kind.patterns]
        self._near = Near(kind.words, kind.distance)
        self._checksum = _any if kind.checksum is None else CHECKSUMS[kind.checksum]

    def find(self, places: Iterable[tuple[str, str]]) -> tuple[Sensitive, ...]:
        """Each distinct value once; letters and digits count, in any case, what stands between them does not."""
        gathered = Gathered()
        for where, raw in places:
            text = plain(raw)
            words: tuple[list[int], list[int]] | None = None
            for pattern in self._patterns:
                for number, match in enumerate(pattern.finditer(text)):
                    if number >= MOST_HITS or gathered.is_full:
                        break
                    value = _NOT_COMPARED.sub("", match[0]).upper()
                    if not 0 < len(value) <= LONGEST_VALUE or not self._checksum(value):
                        continue
                    if words is None:
                        words = self._near.places(caseless(text))  # Folding may move a place by a few letters.
                    near = self._near.holds(words, match.start(), match.end())
                    gathered.add(value, self._confidence(near=near), where)
        return gathered.all()

    def _confidence(self, *, near: bool) -> int:
        return self._kind.confidence_near if near else self._kind.confidence
