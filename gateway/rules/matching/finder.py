"""All words and patterns of one text's conditions, compiled once, sought in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.rules.matching.fold import has_twins, plain, scanned, scanned_as_written
from gateway.rules.matching.literal import required
from gateway.rules.matching.run import Patterns
from gateway.rules.matching.scan import Scan
from gateway.rules.text import Form, literal, normalise, wanted

LONGEST_KEY: Final = 1024  # Octets of what is scanned for, of which the beginning is enough.
MOST_SHOWN: Final = 5  # Hits of one pattern that are told.
LONGEST_SHOWN: Final = 200  # Letters of each.


class Finder:
    """Numbers its values: words from 0 on, patterns behind them, in the order in which they were given.

    `words` are whole words and phrases, `patterns` RE2's. `scan` is one that several share, and that whoever made it
    compiles when all have been made; without one it has its own. Raises re2.error for a pattern that RE2 can't run.
    """

    def __init__(self, words: Sequence[str], patterns: Sequence[str], scan: Scan | None = None) -> None:
        self.words = tuple(words)
        self.patterns = tuple(patterns)
        keys: dict[bytes, list[int]] = {}
        self._final: set[int] = set()  # Of which a hit of the scan is a hit.
        self._forms: dict[int, Form] = {}  # Of words that have to be looked for again.
        self._always: list[int] = []  # What the scan can't point at.
        runs: list[str] = []
        for number, word in enumerate(self.words):
            want = wanted(word)
            runs.append(want.pattern)
            key = _key_of(normalise(word), want.pattern if want.form is Form.WORDS else "")
            if key is None:
                self._always.append(number)
            else:
                keys.setdefault(key, []).append(number)
            if want.form is Form.WORDS and key is not None and key == want.pattern.encode():
                self._final.add(number)
            else:
                self._forms[number] = want.form
        for number, pattern in enumerate(self.patterns, len(self.words)):
            runs.append(pattern)
            every = required(pattern)
            if every is None:
                self._always.append(number)
            for one in every or ():
                keys.setdefault(one.encode()[:LONGEST_KEY], []).append(number)
        self._runs = Patterns(runs)
        self._scan = Scan() if scan is None else scan
        self._keys = {self._scan.add(key): tuple(numbers) for key, numbers in keys.items()}
        if scan is None:
            self._scan.compile()
        # A word's own key would be found in the text as written where a letter beyond ASCII is beside it.
        pointed = {
            key: tuple([number for number in numbers if number >= len(self.words)])
            for key, numbers in self._keys.items()
        }
        self._pattern_keys = {key: numbers for key, numbers in pointed.items() if numbers}
        for number in self._always:
            self._runs.one(number)

    def hits(self, text: str) -> frozenset[int]:
        """The numbers of all values that are found in `text`."""
        may: set[int] = set(self._always)
        if self._keys:
            self._point(scanned(text), self._keys, may)
            if self._pattern_keys and not text.isascii():
                self._point_as_written(text, may)
        if not may:
            return _NONE
        found = may & self._final
        rest = may - found
        return frozenset(found | self._again(text, rest)) if rest else frozenset(found)

    def shown(self, number: int, text: str) -> tuple[str, ...]:
        """What of `text` the value of that number fits: the word itself, or what the pattern found, shortened."""
        if number < len(self.words):
            return (self.words[number],)
        pattern = self._runs.one(number)
        found: dict[str, None] = {}
        for form in dict.fromkeys((text, plain(text))):
            for match in pattern.finditer(form):
                found.setdefault(match[0][:LONGEST_SHOWN])
                if len(found) >= MOST_SHOWN:
                    return tuple(found)
            if found:
                break
        return tuple(found)

    def _point(self, octets: bytes, keys: Mapping[int, tuple[int, ...]], may: set[int]) -> None:
        """Add whatever the scan points at by `keys`."""
        for key in self._scan.points(octets):
            if (numbers := keys.get(key)) is not None:
                may.update(numbers)

    def _point_as_written(self, text: str, may: set[int]) -> None:
        """The same for patterns, to which letters beyond ASCII end a word."""
        if has_twins(text):
            may.update(range(len(self.words), len(self.words) + len(self.patterns)))
            return
        for form in dict.fromkeys((text, plain(text))):
            self._point(scanned_as_written(form), self._pattern_keys, may)

    def _again(self, text: str, numbers: Iterable[int]) -> set[int]:
        """Those of `numbers` that are there in earnest."""
        words: dict[Form, list[int]] = {}
        patterns: list[int] = []
        for number in numbers:
            if (form := self._forms.get(number)) is not None:
                words.setdefault(form, []).append(number)
            else:
                patterns.append(number)
        found: set[int] = set()
        for form, some in words.items():
            found.update(self._runs.which(some, _octets(normalise(text) if form is Form.WORDS else literal(text))))
        if patterns:
            found.update(self._runs.which(patterns, _octets(text)))
            if (shown := plain(text)) != text:
                found.update(self._runs.which(patterns, _octets(shown)))
        return found


_NONE: Final[frozenset[int]] = frozenset()


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _key_of(words: str, pattern: str) -> bytes | None:
    """What the scan looks for so that it misses no text with the value whose words these are: the longest of them,
    with the blanks that stand around it; None where there is none. `pattern`: the value's own, where it has the form of
    words.
    """
    inside = words.split()
    if len(inside) <= 1 and pattern:
        return pattern.encode()
    if not inside:
        return None
    best = max(inside, key=len)
    if not best.isascii():  # Blanks may be missing around letters of scripts that write none.
        return best.encode()
    return f" {best} ".encode()
