"""Letters that a pattern can't match without, by which it is found among thousands. Pure.

Reads RE2's syntax, and as little of it as it has to: where anything stands that it does not know for certain, the
answer is that nothing is known, and the pattern is run over every text. A wrong answer would be a hit that is missed.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

SHORTEST: Final = 3  # Letters; what is shorter stands in most texts.
MOST_CHOICES: Final = 16  # Of alternatives, each of which has its own letters.
DEEPEST: Final = 20  # Groups in each other.

_LETTERS: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_GAPS: Final = frozenset(chr(code) for code in range(128) if not chr(code).isalnum())  # Blanks, to the scan.
_GAP_CLASSES: Final = frozenset("sWbAz")  # Escapes next to which there is no letter.
_CLASSES: Final = frozenset("dDSwB")
_CONTROLS: Final = frozenset("afnrtv")


class _Unknown(Exception):
    """Something stands here that this module does not read."""


def required(pattern: str) -> frozenset[str] | None:
    """Runs of ASCII letters and digits, in small letters, one of which is in every text that `pattern` matches (in any
    case); with a blank in front or behind where no letter or digit of ASCII can stand, and neither one
    beyond ASCII. None where there is none, or none is known.
    """
    reader = _Reader(pattern)
    try:
        found = reader.choices(0)
    except _Unknown:
        return None
    return None if reader.at < len(pattern) else found


class _Item(Enum):
    """What one item of a pattern is to the letters beside it."""

    LETTER = auto()
    GAP = auto()  # A sign or a place next to which there is no letter.
    OTHER = auto()


class _Run:
    """Letters that follow each other, and the best that was found so far in one alternative."""

    def __init__(self) -> None:
        self.best: frozenset[str] | None = None
        self._letters = ""
        self._ended = False  # Something that may be missing stands behind them, and it would be a gap.
        self._gap = False  # What stands in front of the next letter is one.

    def add(self, letter: str) -> None:
        """A letter that is always there."""
        if self._ended:
            self.end(gap=False)
        if not self._letters:
            self._letters = " " if self._gap else ""
        self._letters += letter

    def pass_gap(self, *, always: bool) -> None:
        """A gap, which may be missing unless `always` is true: then what was in front of it is beside the next."""
        if always:
            self.end(gap=True)
            self._gap = True
        elif self._letters:
            self._ended = True

    def end(self, *, gap: bool) -> None:
        """The letters end. What follows next is no gap, but where the caller says so."""
        if len(self._letters.strip()) >= SHORTEST:
            self.offer(frozenset((f"{self._letters.lower()} " if gap else self._letters.lower(),)))
        self._letters = ""
        self._ended = self._gap = False

    def offer(self, found: frozenset[str] | None) -> None:
        """Whichever is rarer: the one whose shortest run is longer."""
        if found is not None and (self.best is None or _rarity(found) > _rarity(self.best)):
            self.best = found


def _rarity(found: frozenset[str]) -> tuple[int, int]:
    return min(map(len, found)), -len(found)


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def choices(self, depth: int) -> frozenset[str] | None:
        """Alternatives up to a closing bracket or the end."""
        if depth > DEEPEST:
            raise _Unknown
        every: frozenset[str] | None = frozenset()
        while True:
            one = self._sequence(depth)
            every = None if one is None or every is None else every | one
            if self._peek() != "|":
                break
            self.at += 1
        return None if every is None or len(every) > MOST_CHOICES else every

    def _sequence(self, depth: int) -> frozenset[str] | None:
        run = _Run()
        while (sign := self._peek()) not in ("", "|", ")"):
            self.at += 1
            item, inner = self._item(sign, depth)
            least, repeated = self._repeat()
            if item is _Item.GAP:
                run.pass_gap(always=least > 0)
                continue
            if item is _Item.LETTER and least:
                run.add(sign)
            if item is not _Item.LETTER or repeated:
                run.end(gap=False)
            if least:
                run.offer(inner)
        run.end(gap=False)
        return run.best

    def _item(self, sign: str, depth: int) -> tuple[_Item, frozenset[str] | None]:
        """What begins with `sign`, read to its end; of a group, what one of its alternatives needs."""
        match sign:
            case "(":
                return _Item.OTHER, self._group(depth)
            case "[":
                self._class()
                return _Item.OTHER, None
            case "\\":
                return self._escape(), None
            case "*" | "+" | "?" | "{":
                raise _Unknown  # They repeat nothing; the last is a literal one to RE2, where no numbers follow.
            case ".":
                return _Item.OTHER, None
            case "^" | "$":
                return _Item.GAP, None
        if sign in _LETTERS:
            return _Item.LETTER, None
        return _Item.GAP if sign in _GAPS else _Item.OTHER, None

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _group(self, depth: int) -> frozenset[str] | None:
        """The rest of a group. Of those that begin with `(?` the plain one and the named one alone are known."""
        if self._peek() == "?":
            if self.pattern.startswith("?:", self.at):
                self.at += 2
            elif (
                self.pattern.startswith(("?P<", "?<"), self.at) and self.pattern[self.at + 2 : self.at + 3] not in "=!"
            ):
                end = self.pattern.find(">", self.at)
                if end < 0:
                    raise _Unknown
                self.at = end + 1
            else:
                raise _Unknown  # Flags change what letters mean.
        found = self.choices(depth + 1)
        if self._peek() != ")":
            raise _Unknown
        self.at += 1
        return found

    def _class(self) -> None:
        """The rest of a class of letters."""
        if self._peek() == "^":
            self.at += 1
        first = True
        while (sign := self._peek()) != "]" or first:
            first = False
            if not sign:
                raise _Unknown
            if self.pattern.startswith("[:", self.at):
                end = self.pattern.find(":]", self.at + 2)
                if end < 0:
                    raise _Unknown
                self.at = end + 2
            elif sign == "\\":
                self.at += 1
                self._escape()
            else:
                self.at += 1
        self.at += 1

    def _escape(self) -> _Item:
        """What follows a backslash; it never counts as a letter of a run."""
        sign = self._peek()
        self.at += 1
        if sign in _CLASSES and sign:
            return _Item.OTHER
        if sign in _GAP_CLASSES or sign in _CONTROLS or sign in _GAPS:
            return _Item.GAP
        raise _Unknown  # \Q, \p{..}, \x41, \012, \C, or the end: rare, and not worth a fault.

    def _repeat(self) -> tuple[int, bool]:
        """How often the item before stands there at least (0 or 1 and more), and whether it is repeated at all."""
        least, repeated = 1, False
        while (sign := self._peek()) in ("*", "+", "?", "{") and sign:
            if sign == "{":
                end = self.pattern.find("}", self.at)
                low, _, high = self.pattern[self.at + 1 : max(end, 0)].partition(",")
                if end < 0 or not low.isdecimal() or not low.isascii() or not (high + "0").isdecimal():
                    raise _Unknown
                least = min(least, int(low))
                self.at = end + 1
            else:
                least = least if sign == "+" else 0
                self.at += 1
            if repeated and sign == "?":
                pass  # The lazy form of the sign before: as often, but counted as never, which is safe.
            repeated = True
        return least, repeated
