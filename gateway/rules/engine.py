"""The engine: judges a message by a set of rules, and has their actions change what becomes of it. Pure.

Rules run by ascending priority, each on the message as the rules before left it. A condition on recipients forks the
message: actions touch the copy of those who match. What a rule that protects wanted is never lost to an error: such a
rule defers by default (DESIGN 12).
Leaves out: making the edits, storing and telling, which the stage does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.mail.envelope import Recipient
from gateway.rules.actions import apply
from gateway.rules.classifiers import Classifier, classifiers
from gateway.rules.conditions import CONDITIONS
from gateway.rules.conditions.kind import Cost
from gateway.rules.facts import Facts
from gateway.rules.index import Index
from gateway.rules.model import Mode, OnError, Rule, RuleSet
from gateway.rules.sight import Sight
from gateway.rules.trial import Trial, seek, trial
from gateway.rules.verdict import UNJUDGED, Judged, RuleVerdict, Verdict
from gateway.rules.view import View
from gateway.rules.work import Finding, Work


@dataclass(slots=True)
class _Fork:
    """Some of the recipients, and the message as it stands for them."""

    work: Work
    sight: Sight


class Engine:
    """A set of rules, compiled. Keeps nothing of a message: it may judge several at once, on threads too.

    Raises LookupError where a rule names a condition that there is not, re2.error where RE2 can't run a pattern; rules
    that `gateway.rules.load` has read give no cause for either.
    """

    def __init__(self, rules: RuleSet) -> None:
        ordered = sorted(rules.rules, key=lambda rule: rule.priority)
        finders = seek(ordered, CONDITIONS)
        self._finders = finders.by_text
        self._trials = tuple(trial(rule, CONDITIONS, finders) for rule in ordered)
        self._index = Index(self._trials)
        self._sensors: Mapping[str, Classifier] = classifiers(rules.types)
        self._enabled = frozenset(place for place, one in enumerate(self._trials) if one.rule.enabled)
        self.reads = any(one.kind.cost > Cost.ENVELOPE for each in self._trials for one in each.asked)

    def __len__(self) -> int:
        return len(self._trials)

    def judge(self, facts: Facts, work: Work, *, explain: bool = False) -> Judged:
        """What becomes of the message. `work` has all recipients and is changed. `explain`: the verdicts of all rules
        on all recipients, not only of those that match; that costs something for each.
        """
        return _Case(self._trials, self._index, self._enabled, explain=explain).run(
            Sight(View(facts, dict(work.changed), self._sensors), self._finders), work
        )


class _Case:
    """One message on its way through the rules."""

    def __init__(self, trials: Sequence[Trial], index: Index, enabled: frozenset[int], *, explain: bool) -> None:
        self._trials = trials
        self._index = index
        self._enabled = enabled
        self._explain = explain
        self._verdicts: dict[int, RuleVerdict] = {}
        self._failures: list[tuple[str, Exception]] = []
        self._sights: dict[tuple[tuple[str, tuple[str, ...]], ...], Sight] = {}

    def run(self, sight: Sight, work: Work) -> Judged:
        self._sights[_key(work.changed)] = sight
        forks = [_Fork(work, sight)]
        now = sight.view.facts.now
        pending = self._pending(forks, -1)
        while pending:
            place = pending.pop()
            rule = self._trials[place].rule
            if not rule.works_at(now):
                if self._explain:
                    self._pass_over(place, forks)
                continue
            after: list[_Fork] = []
            changed = acted = False
            for fork in forks:
                if fork.work.is_over:
                    after.append(fork)
                    if self._explain:
                        self._pass_over(place, [fork])
                    continue
                made, differs = self._judge(place, fork)
                after += made
                changed = changed or differs
                acted = acted or made[0] is not fork or fork.work.is_over
            forks = after
            if acted and not self._explain and all(fork.work.is_over for fork in forks):
                break
            if changed and not self._explain:
                pending = self._pending(forks, place)
        verdicts = tuple(self._verdicts[place] for place in sorted(self._verdicts))
        return Judged(tuple(fork.work for fork in forks), verdicts, sight.view, tuple(self._failures))

    def _pending(self, forks: Sequence[_Fork], behind: int) -> list[int]:
        """The places of the rules behind one that have to be looked at, the next one last."""
        if self._explain:
            return list(range(len(self._trials) - 1, behind, -1))
        if len(forks) == 1:
            found = () if forks[0].work.is_over else self._concerned(forks[0].sight, forks[0].work.recipients)
        else:
            found = self._of_forks(forks)
        return sorted([place for place in found if place > behind], reverse=True) if found else []

    def _of_forks(self, forks: Sequence[_Fork]) -> set[int]:
        """The rules that could hold for any fork; those that see the same message are asked for together."""
        found: set[int] = set()
        recipients: dict[int, tuple[Sight, list[Recipient]]] = {}
        for fork in forks:
            if not fork.work.is_over:
                recipients.setdefault(id(fork.sight), (fork.sight, []))[1].extend(fork.work.recipients)
        for sight, every in recipients.values():
            found |= self._concerned(sight, every)
        return found

    def _concerned(self, sight: Sight, recipients: Sequence[Recipient]) -> set[int]:
        return self._index.candidates(sight, recipients) & self._enabled

    # -- one rule on one fork -----------------------------------------------------------------------------------------

    def _judge(self, place: int, fork: _Fork) -> tuple[list[_Fork], bool]:
        """The forks that `fork` becomes, and whether they are other than it was for the rules behind this one."""
        one = self._trials[place]
        if self._explain:
            for each in fork.work.recipients:
                self._note(place, each, one.explained(fork.sight, each.address))
        outcome = one.outcome(fork.sight, fork.work.recipients)
        concerned = outcome.recipients
        if not concerned:
            return [fork], False
        if outcome.failure is not None:
            return self._fail(place, fork, concerned, outcome.failure), False
        reasons: dict[tuple[Finding, ...], list[Recipient]] = {}
        for each in concerned:
            because = one.because(fork.sight, each.address)
            reasons.setdefault(because, []).append(each)
            if not self._explain:
                self._note(place, each, Verdict(matched=True, because=because))
        rest = _without(fork.work.recipients, concerned)
        mine = fork.work if not rest else fork.work.fork(concerned)
        findings = tuple(dict.fromkeys(finding for because in reasons for finding in because))
        forks, changed = self._act(one.rule, _Fork(mine, fork.sight), findings)
        if rest:
            fork.work.recipients = rest
            forks.append(fork)
        return forks, changed

    def _act(self, rule: Rule, fork: _Fork, findings: tuple[Finding, ...]) -> tuple[list[_Fork], bool]:
        """Carry out what the rule wants. Where that fails nothing of it is done."""
        work, recipients = fork.work, fork.work.recipients
        before = work.state()
        try:
            made = apply(rule, work, fork.sight.view, findings)
        except Exception as failure:  # noqa: BLE001 - whatever it is: on_error decides
            self._failures.append((rule.name, failure))
            work.restore(before)
            self._settle(rule, work)
            return [fork], False
        changed = len(made) != 1 or made[0].recipients != recipients
        forks = []
        for work in made:
            sight = fork.sight
            if work.changed != sight.view.changed:
                sight = self._seen(sight, work)
                changed = True
            forks.append(_Fork(work, sight))
        return forks, changed

    def _seen(self, sight: Sight, work: Work) -> Sight:
        """The message with what has been changed for this fork; forks with the same changes share it."""
        key = _key(work.changed)
        if (made := self._sights.get(key)) is None:
            made = self._sights[key] = sight.after(dict(work.changed))
        return made

    # -- what fails ---------------------------------------------------------------------------------------------------

    def _fail(self, place: int, fork: _Fork, concerned: Sequence[Recipient], failure: Exception) -> list[_Fork]:
        """The rule could not be judged for these."""
        rule = self._trials[place].rule
        self._failures.append((rule.name, failure))
        if not self._explain:
            for each in concerned:
                self._note(place, each, Verdict(matched=False, unsure=True))
        rest = _without(fork.work.recipients, concerned)
        if not rest:
            self._settle(rule, fork.work)
            return [fork]
        mine = fork.work.fork(concerned)
        self._settle(rule, mine)
        fork.work.recipients = rest
        return [_Fork(mine, fork.sight), fork]

    @staticmethod
    def _settle(rule: Rule, work: Work) -> None:
        """By `on_error`: the client keeps the mail, or it goes on and the trace has a warning (a25)."""
        if rule.on_error is OnError.DEFER and rule.mode is Mode.ENFORCE:
            work.defer(rule.name)
        else:
            work.warnings += (f"{rule.name}: {UNJUDGED}",)

    # -- what is told -------------------------------------------------------------------------------------------------

    def _note(self, place: int, recipient: Recipient, verdict: Verdict) -> None:
        rule = self._trials[place].rule
        told = self._verdicts.get(place)
        if told is None:
            told = self._verdicts[place] = RuleVerdict(rule.name, rule.mode)
        known = told.recipients.get(recipient.address.text)
        if known is None or not known.matched:  # One who is in several forks.
            told.recipients[recipient.address.text] = verdict

    def _pass_over(self, place: int, forks: Sequence[_Fork]) -> None:
        """The rule is disabled, out of its time, or behind one that has ended the matter: it matches for nobody."""
        for fork in forks:
            for each in fork.work.recipients:
                self._note(place, each, Verdict(matched=False))


def _key(changed: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(sorted(changed.items())) if changed else ()


def _without(every: Sequence[Recipient], some: Sequence[Recipient]) -> tuple[Recipient, ...]:
    if len(some) == len(every):
        return ()
    gone = {id(one) for one in some}
    return tuple([one for one in every if id(one) not in gone])
