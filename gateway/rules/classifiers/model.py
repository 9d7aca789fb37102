"""What a classifier is, and what it finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

MOST_VALUES: Final = 10_000  # Distinct values of one type in one message; a rule that counts needs no more.


@dataclass(frozen=True, slots=True)
class Sensitive:
    """One distinct value: as it is compared (without blanks and hyphens), how sure it is (1 to 100), and where the text
    stands in which it was found first. The confidence is the highest of all places where it stands.
    """

    value: str = field(repr=False)
    confidence: int
    where: str


class Classifier(Protocol):
    """Made once for a set of rules; it keeps nothing of a message."""

    def find(self, places: Iterable[tuple[str, str]]) -> tuple[Sensitive, ...]:
        """The distinct values in texts, each given with where it stands. Takes time in proportion to the texts."""


class Gathered:
    """Distinct values while texts are looked through."""

    def __init__(self) -> None:
        self._found: dict[str, Sensitive] = {}

    def add(self, value: str, confidence: int, where: str) -> None:
        """One more hit."""
        known = self._found.get(value)
        if known is None:
            if len(self._found) < MOST_VALUES:
                self._found[value] = Sensitive(value, confidence, where)
        elif known.confidence < confidence:
            self._found[value] = Sensitive(value, confidence, known.where)

    @property
    def is_full(self) -> bool:
        """Whether no more values are kept."""
        return len(self._found) >= MOST_VALUES

    def all(self) -> tuple[Sensitive, ...]:
        """In the order in which they were found."""
        return tuple(self._found.values())
