"""What words and patterns of all rules are in a message, found in one pass over each of its texts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.mail.address import Address
from gateway.mail.reading import Flaw
from gateway.rules.conditions.kind import Cost, Hit, Hits, Place, Sought, Text
from gateway.rules.matching.finder import Finder
from gateway.rules.matching.scan import Scan
from gateway.rules.model import SenderLocation
from gateway.rules.view import View
from gateway.rules.work import Finding

NOTHING: frozenset[int] = frozenset()

_UNREAD_PARTS = frozenset((Flaw.DEEP, Flaw.MANY))
_UNREAD_TEXT = frozenset((Flaw.DEEP, Flaw.MANY, Flaw.CUT))


class Unread(Exception):
    """There is more of the message than is read, and what was read does not decide: the rule could not be judged."""


class Finders:
    """One finder for each text that any rule asks about. Collects with `add`, then `compile` once."""

    def __init__(self) -> None:
        self._words: dict[Text, dict[str, int]] = {}
        self._patterns: dict[Text, dict[str, int]] = {}
        self.by_text: Mapping[Text, Finder] = {}

    def add(self, sought: Sought) -> None:
        """Words and patterns that have to be found."""
        words = self._words.setdefault(sought.text, {})
        for word in sought.words:
            words.setdefault(word, len(words))
        patterns = self._patterns.setdefault(sought.text, {})
        for pattern in sought.patterns:
            patterns.setdefault(pattern, len(patterns))

    def compile(self) -> None:
        """Make the finders. Raises re2.error."""
        scan = Scan()
        self.by_text = {text: Finder([*words], [*self._patterns[text]], scan) for text, words in self._words.items()}
        scan.compile()

    def numbers(self, sought: Sought) -> frozenset[int]:
        """Under which numbers its finder tells these."""
        words, patterns = self._words[sought.text], self._patterns[sought.text]
        found = [words[word] for word in sought.words]
        return frozenset(found + [len(words) + patterns[pattern] for pattern in sought.patterns])


class Sight:
    """A view with all that was found in it so far. `reasons`: why conditions of the message hold, by their identity."""

    __slots__ = ("_finders", "_hits", "reasons", "view")

    def __init__(self, view: View, finders: Mapping[Text, Finder]) -> None:
        self.view = view
        self._finders = finders
        self._hits: dict[Text, frozenset[int]] = {}
        self.reasons: dict[int, tuple[Finding, ...]] = {}

    def after(self, changed: Mapping[str, tuple[str, ...]]) -> Sight:
        """The same message with these header fields changed."""
        return Sight(self.view.after(changed), self._finders)

    def hits(self, text: Text) -> frozenset[int]:
        """What was found in that text, by the numbers of its finder."""
        found = self._hits.get(text)
        if found is None:
            found = self._hits[text] = self._found(text)
        return found

    def leaves_out(self, cost: Cost) -> bool:
        """Whether what a condition of that cost looks at was not read to its end."""
        if cost is Cost.ENVELOPE:
            return False
        reading = self.view.reading
        if cost is Cost.HEADER:
            return reading.is_head_long
        flaws = reading.flaws
        return bool(flaws) and not (_UNREAD_PARTS if cost is Cost.STRUCTURE else _UNREAD_TEXT).isdisjoint(flaws)

    def hits_of(self, recipient: Address) -> frozenset[int]:
        """The same of one recipient's address."""
        key = (Place.RECIPIENT, recipient.text)
        found = self.view.remembered(key)
        if not isinstance(found, frozenset):
            finder = self._finders[_RECIPIENT]
            found = _joined(finder, _forms(recipient))
            self.view.remember(key, found)
        return found

    def shown(self, text: Text, numbers: frozenset[int], recipient: Address | None = None) -> Hits:
        """Where these were found, and what was."""
        finder = self._finders[text]
        texts = [("recipient", one) for one in _forms(recipient)] if recipient is not None else self._texts(text)
        found: dict[str, dict[str, None]] = {}
        for where, one in texts:
            for number in sorted(finder.hits(one) & numbers):
                found.setdefault(where, {}).update(dict.fromkeys(finder.shown(number, one)))
        return tuple(Hit(tuple(every), where) for where, every in found.items())

    def _found(self, text: Text) -> frozenset[int]:
        finder = self._finders[text]
        view, place = self.view, text.place
        if place is Place.SUBJECT:
            return _joined(finder, view.subjects)
        if place is Place.HEADER:
            return _joined(finder, view.readings(text.name))
        if place is not Place.TEXT:
            return _joined(finder, [one for _, one in self._texts(text)])
        below = view.remembered(text)  # No rule changes what the parts say.
        if not isinstance(below, frozenset):
            below = _joined(finder, [one.text for one in view.texts()])
            view.remember(text, below)
        return _joined(finder, view.subjects, below)

    def _texts(self, text: Text) -> Iterable[tuple[str, str]]:
        """The texts that stand for one, each with where it stands."""
        view = self.view
        match text.place:
            case Place.SUBJECT:
                return [("subject", one) for one in view.subjects]
            case Place.TEXT:
                parts = [(f"{one.where}, hidden" if one.hidden else one.where, one.text) for one in view.texts()]
                return [*(("subject", one) for one in view.subjects), *parts]
            case Place.HEADER:
                return [(text.name, one) for one in view.readings(text.name)]
            case Place.SENDER:
                senders = view.senders(SenderLocation(text.name))
                return [("sender", form) for one in senders for form in _forms(one)]
            case Place.ATTACHMENT_NAME:
                return [("attachment name", name) for one in view.attachments() for name in one.names]
            case Place.RECIPIENT:
                raise AssertionError("each recipient is asked by himself: hits_of")


_RECIPIENT = Text(Place.RECIPIENT)


def _forms(address: Address) -> tuple[str, ...]:
    """An address as it was written, and, where that differs, as it is compared: without quotes that need not be there,
    without the dot that may end a domain.
    """
    plain = address.who
    return (address.text,) if plain == address.text.lower() else (address.text, plain)


def _joined(finder: Finder, texts: Iterable[str], found: frozenset[int] = NOTHING) -> frozenset[int]:
    """What is found in any of `texts`, and `found` besides."""
    for text in texts:
        hits = finder.hits(text)
        if hits:
            found = found | hits if found else hits
    return found
