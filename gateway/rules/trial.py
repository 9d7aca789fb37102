"""One rule made ready to be judged: its conditions in the order of what they cost. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.mail.address import Address
from gateway.mail.envelope import Recipient
from gateway.rules.conditions.kind import NO, ConditionKind, Cost, Hits, Mark, Text
from gateway.rules.model import Condition, Rule
from gateway.rules.sight import Finders, Sight, Unread
from gateway.rules.verdict import Verdict
from gateway.rules.work import Finding


@dataclass(frozen=True, slots=True)
class Asked:
    """A condition of one rule. `excepts`: it stands under `unless`. `each`: it is asked of each recipient.

    `seeks`: the texts that words and patterns of it are sought in, with the numbers of these.
    """

    kind: ConditionKind
    value: object
    rule: Rule
    excepts: bool
    each: bool
    seeks: tuple[tuple[Text, frozenset[int]], ...] = ()

    @property
    def key(self) -> object:
        """Equal for conditions that hold of the same messages."""
        return (self.kind.name, self.value, self.rule.sender_location)

    def holds(self, sight: Sight, recipient: Address | None = None) -> bool:
        """Whether it holds; of a recipient, where it is asked of each. Raises what its judge raises."""
        if not self.seeks:
            return bool(self._judged(sight, recipient))
        if recipient is not None:
            return any(not numbers.isdisjoint(sight.hits_of(recipient)) for _, numbers in self.seeks)
        found = any(not numbers.isdisjoint(sight.hits(text)) for text, numbers in self.seeks)
        return found or self._none(sight)

    def _none(self, sight: Sight) -> bool:
        """That it does not hold. Raises Unread where that can't be said: padding carries nothing past a rule."""
        if sight.leaves_out(self.kind.cost):
            raise Unread("not all of the message was read")
        return False

    def findings(self, sight: Sight, recipient: Address | None = None) -> tuple[Finding, ...]:
        """Why it holds; nothing where it does not. Of the message it is found out once, whatever forks there are."""
        if recipient is not None:
            return self._findings(sight, recipient)
        found = sight.reasons.get(id(self))
        if found is None:
            found = sight.reasons[id(self)] = self._findings(sight, None)
        return found

    def _findings(self, sight: Sight, recipient: Address | None) -> tuple[Finding, ...]:
        hits: Hits = NO
        if self.seeks:
            for text, numbers in self.seeks:
                found = sight.hits(text) if recipient is None else sight.hits_of(recipient)
                if not numbers.isdisjoint(found):
                    hits += sight.shown(text, numbers, recipient)
            if not hits and recipient is None:
                self._none(sight)
        else:
            hits = self._judged(sight, recipient)
        name = self.kind.name
        return tuple([Finding(name, hit.found, hit.where) for hit in hits])

    def _judged(self, sight: Sight, recipient: Address | None) -> Hits:
        if recipient is not None and self.kind.recipient is not None:
            return self.kind.recipient(self.value, sight.view, recipient)
        if self.kind.judge is not None:
            hits = self.kind.judge(self.value, sight.view, self.rule)
            if not hits and self.kind.cost > Cost.ENVELOPE:
                self._none(sight)
            return hits
        return NO  # Words or patterns, of which there are none.


@dataclass(slots=True)
class Outcome:
    """For whom a rule holds. `failure`: it could not be judged, and for `recipients` nothing else says that it does not
    hold.
    """

    recipients: Sequence[Recipient] = ()
    failure: Exception | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule, ready. `written`: conditions and exceptions as they stand in it; `asked`: cheap ones first.

    `texts`: where one of the values with these numbers has to be found, if the rule is to hold; `marks`: of which the
    message has to have one; `question`: the cheapest condition of the message that needs none of both.
    """

    rule: Rule
    written: tuple[Asked, ...]
    asked: tuple[Asked, ...]
    texts: tuple[tuple[Text, frozenset[int]], ...] = ()
    marks: tuple[Mark, ...] | None = None
    question: Asked | None = None

    def outcome(self, sight: Sight, recipients: Sequence[Recipient]) -> Outcome:
        """For whom it holds. What fails counts only where no other condition says that the rule does not hold."""
        failure: Exception | None = None
        for one in self.asked:
            try:
                if not one.each:
                    if one.holds(sight) == one.excepts:
                        return Outcome()
                    continue
                recipients = [each for each in recipients if one.holds(sight, each.address) != one.excepts]
            except Exception as error:  # noqa: BLE001 - whatever it is: on_error decides
                failure = error
            if not recipients:
                return Outcome()
        return Outcome(recipients, failure)

    def because(self, sight: Sight, recipient: Address) -> tuple[Finding, ...]:
        """Why it holds for a recipient of whom `outcome` says that it does."""
        because: tuple[Finding, ...] = ()
        for one in self.written:
            if not one.excepts:
                because += one.findings(sight, recipient if one.each else None)
        return because

    def explained(self, sight: Sight, recipient: Address) -> Verdict:
        """All that can be said of it for one recipient: what holds of conditions and exceptions, and what follows."""
        because: list[Finding] = []
        unless: list[Finding] = []
        missing = cancelled = unsure = False
        for one in self.written:
            try:
                found = one.findings(sight, recipient if one.each else None)
            except Exception:  # noqa: BLE001 - whatever it is: on_error decides
                unsure = True
                continue
            if one.excepts:
                unless += found
                cancelled = cancelled or bool(found)
            else:
                because += found
                missing = missing or not found
        no = missing or cancelled
        return Verdict(not no and not unsure, tuple(because), tuple(unless), unsure and not no)


def trial(rule: Rule, kinds: Mapping[str, ConditionKind], finders: Finders) -> Trial:
    """`rule`, ready. `finders` are compiled already. Raises LookupError for a condition that there is not."""
    made = [_asked(one, rule, kinds, finders, excepts=False) for one in rule.when]
    made += [_asked(one, rule, kinds, finders, excepts=True) for one in rule.unless]
    asked = sorted(made, key=lambda one: one.kind.cost)
    conditions = [one for one in asked if not one.excepts]
    texts = next((one.seeks for one in conditions if one.seeks), ())
    question = next((one for one in conditions if not one.each and one.kind.marks is None), None)
    return Trial(rule, tuple(made), tuple(asked), texts, _marks(conditions), question)


def seek(rules: Iterable[Rule], kinds: Mapping[str, ConditionKind]) -> Finders:
    """Everything that any rule wants to be sought, compiled. Raises LookupError and re2.error."""
    finders = Finders()
    for rule in rules:
        for one in (*rule.when, *rule.unless):
            kind = kinds[one.name]
            for sought in () if kind.sought is None else kind.sought(one.value, rule):
                finders.add(sought)
    finders.compile()
    return finders


def _asked(
    condition: Condition, rule: Rule, kinds: Mapping[str, ConditionKind], finders: Finders, *, excepts: bool
) -> Asked:
    kind = kinds[condition.name]
    seeks: dict[Text, frozenset[int]] = {}
    for sought in () if kind.sought is None else kind.sought(condition.value, rule):
        seeks[sought.text] = seeks.get(sought.text, frozenset()) | finders.numbers(sought)
    return Asked(kind, condition.value, rule, excepts, kind.forks, tuple(seeks.items()))


def _marks(conditions: Iterable[Asked]) -> tuple[Mark, ...] | None:
    """Marks of which a message must have one; scopes, which half of all mail has, only where there are no others."""
    every = [one.kind.marks(one.value, one.rule) for one in conditions if one.kind.marks is not None]
    every.sort(key=lambda marks: any(mark.is_common for mark in marks))
    return every[0] if every else None
