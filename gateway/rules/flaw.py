"""What is wrong with a value of a rule file, in words for whoever writes rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Flaw:
    """What was found and what would be right. `line` 0: the place is not known. `place`: below which key of the value
    it stands, such as `words[2]`, "" for the value itself.
    """

    found: str
    right: str
    line: int = 0
    place: str = ""

    def below(self, place: str, line: int) -> Flaw:
        """The same, seen from one level further up; `line` where it has none of its own."""
        joined = place + (self.place if self.place.startswith("[") or not self.place else f".{self.place}")
        return replace(self, place=joined, line=self.line or line)


class BadValue(ValueError):
    """A value can't be taken: `found` and `right` say why. `flaws` are all of them, where a value has several.

    What to do: tell them all, with the file, the rule and the key.
    """

    def __init__(self, found: str, right: str, line: int = 0, place: str = "") -> None:
        self.flaws: tuple[Flaw, ...] = (Flaw(found, right, line, place),)
        super().__init__(f"found {found}; right would be {right}")

    @classmethod
    def of(cls, flaws: Iterable[Flaw]) -> BadValue:
        """One error for several flaws, of which there must be one at least."""
        every = tuple(flaws)
        made = cls(every[0].found, every[0].right)
        made.flaws = every
        return made

    @property
    def found(self) -> str:
        """What was found, of the first flaw."""
        return self.flaws[0].found

    @property
    def right(self) -> str:
        """What would be right, of the first flaw."""
        return self.flaws[0].right
