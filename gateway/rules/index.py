"""Which rules a message could concern at all, so that the others are not looked at. Pure.

A rule lies behind the gate by which most messages are told that it does not concern them: a word or pattern that must
be found, a mark that the message must have (a domain, an address), a question that all rules with the same condition
share, or none.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.mail.envelope import Recipient
from gateway.rules.conditions.kind import ConditionKind, Cost, Mark, Place, Text
from gateway.rules.conditions.recipient import marks_of as recipient_marks
from gateway.rules.conditions.sender import marks_of as sender_marks
from gateway.rules.sight import Sight
from gateway.rules.trial import Asked, Trial
from gateway.rules.view import View

# What has to be read for a text.
COSTS: Final = {
    Place.SUBJECT: Cost.HEADER,
    Place.TEXT: Cost.TEXT,
    Place.HEADER: Cost.HEADER,
    Place.SENDER: Cost.HEADER,
    Place.ATTACHMENT_NAME: Cost.STRUCTURE,
}


@dataclass(slots=True)
class _Question:
    """Rules with one condition of the message in common. `guard`: as of a gate."""

    asked: Asked
    places: list[int] = field(default_factory=list)
    guard: set[Mark] | None = field(default_factory=set)


@dataclass(slots=True)
class _Gate:
    """Rules that need a hit in one text, by its number. `guard`: marks of which the message must have one, if every
    rule behind the gate has such a condition: else the text is not even read.
    """

    rules: dict[int, list[int]] = field(default_factory=dict)
    guard: set[Mark] | None = field(default_factory=set)

    def every(self) -> set[int]:
        return {place for places in self.rules.values() for place in places}


class _Thresholds:
    """Questions of one kind that hold where `number` is over the value: those that hold stand in front."""

    def __init__(self, number: Callable[[View], int], questions: Iterable[_Question]) -> None:
        self.number = number
        self._questions = sorted(questions, key=lambda one: _value(one.asked))
        self._values = [_value(one.asked) for one in self._questions]

    def holding(self, view: View) -> Sequence[_Question]:
        """The questions that hold of the message."""
        count = bisect_left(self._values, self.number(view))
        return self._questions[:count] if count else ()


class Index:
    """Made once for a set of rules; rules are told by their places in it."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._always: list[int] = []
        self._by_mark: dict[tuple[str, str], list[int]] = {}
        self._gates: dict[Text, _Gate] = {}
        self._questions: dict[object, _Question] = {}
        for place, one in enumerate(trials):
            if one.texts:
                self._behind_gates(place, one)
            elif one.marks is not None and not (one.question and all(mark.is_common for mark in one.marks)):
                for mark in one.marks:
                    self._by_mark.setdefault(mark, []).append(place)
            elif one.question is not None:
                self._behind_question(place, one, one.question)
            else:
                self._always.append(place)
        by_kind: dict[str, list[_Question]] = {}
        for each in self._questions.values():
            by_kind.setdefault(each.asked.kind.name, []).append(each)
        self._thresholds = tuple(
            [_Thresholds(one[0].asked.kind.over, one) for one in by_kind.values() if one[0].asked.kind.over is not None]
        )
        self._by_kind = tuple(
            [
                (one[0].asked.kind, one, all(question.guard is None for question in one))
                for one in by_kind.values()
                if one[0].asked.kind.over is None
            ]
        )
        guards = [one.guard for one in self._gates.values()] + [one.guard for one in self._questions.values()]
        marks = [*self._by_mark, *(mark for guard in guards for mark in guard or ())]
        kinds = dict.fromkeys(kind for kind, _ in marks)
        self._of_recipients = tuple(kind for kind in kinds if kind.startswith("to"))
        self._of_senders = tuple(kind for kind in kinds if not kind.startswith("to"))

    def _behind_gates(self, place: int, one: Trial) -> None:
        for text, numbers in one.texts:
            gate = self._gates.setdefault(text, _Gate())
            for number in numbers:
                gate.rules.setdefault(number, []).append(place)
            gate.guard = _guarded(gate.guard, one.marks)

    def _behind_question(self, place: int, one: Trial, asked: Asked) -> None:
        question = self._questions.setdefault(asked.key, _Question(asked))
        question.places.append(place)
        question.guard = _guarded(question.guard, one.marks)

    def candidates(self, sight: Sight, recipients: Iterable[Recipient]) -> set[int]:
        """The places of all rules that could hold for any of `recipients`. Never raises: what can't be told could."""
        found = set(self._always)
        marks, unsure = self._marks(sight, recipients)
        for mark in marks:
            if (places := self._by_mark.get(mark)) is not None:
                found.update(places)
        if unsure:
            for (kind_of_mark, _), places in self._by_mark.items():
                if kind_of_mark in unsure:
                    found.update(places)
        for text, gate in self._gates.items():
            if gate.guard is not None and not unsure and gate.guard.isdisjoint(marks):
                continue
            try:
                cost = COSTS.get(text.place)
                if cost is None:  # Each recipient's address.
                    hits = frozenset().union(*(sight.hits_of(one.address) for one in recipients))
                else:
                    hits = sight.hits(text)
                    if sight.leaves_out(cost):  # What was not read may hold it.
                        found |= gate.every()
                        continue
            except Exception:  # noqa: BLE001 - each rule will meet it again, and its on_error decides
                found |= gate.every()
                continue
            for number in hits:
                if (behind := gate.rules.get(number)) is not None:
                    found.update(behind)
        for thresholds in self._thresholds:
            for question in thresholds.holding(sight.view):
                if question.guard is None or unsure or not question.guard.isdisjoint(marks):
                    found.update(question.places)
        for kind, questions, unguarded in self._by_kind:
            some = questions
            if not unguarded and not unsure:
                some = [one for one in questions if one.guard is None or not one.guard.isdisjoint(marks)]
            if some and not _lacks(kind, sight):
                for question in some:
                    if _may_hold(question.asked, sight):
                        found.update(question.places)
        return found

    def _marks(self, sight: Sight, recipients: Iterable[Recipient]) -> tuple[set[tuple[str, str]], Sequence[str]]:
        """What the message has, and the kinds of which that can't be told."""
        view = sight.view
        marks: set[tuple[str, str]] = set()
        unsure: list[str] = []
        for one in recipients if self._of_recipients else ():
            key = (Mark, one.address.text)
            theirs = view.remembered(key)
            if not isinstance(theirs, list):
                theirs = [mark for kind in self._of_recipients for mark in recipient_marks(one.address, view, kind)]
                view.remember(key, theirs)
            marks.update(theirs)
        for kind in self._of_senders:
            try:
                marks.update(sender_marks(view, kind))
            except Exception:  # noqa: BLE001 - likewise
                unsure.append(kind)
        return marks, unsure


def _value(asked: Asked) -> int:
    value = asked.value
    assert isinstance(value, int)  # noqa: S101 - for mypy: conditions that have a number say `over`
    return value


def _lacks(kind: ConditionKind, sight: Sight) -> bool:
    """Whether the message is sure to have nothing that conditions of this kind are about."""
    try:
        return kind.needs is not None and not kind.needs(sight.view) and not sight.leaves_out(kind.cost)
    except Exception:  # noqa: BLE001 - each rule will meet it again
        return False


def _may_hold(asked: Asked, sight: Sight) -> bool:
    try:
        return asked.holds(sight)
    except Exception:  # noqa: BLE001 - likewise
        return True


def _guarded(guard: set[Mark] | None, marks: Iterable[Mark] | None) -> set[Mark] | None:
    """The guard of a gate with one rule more behind it."""
    return None if guard is None or marks is None else guard | set(marks)
