"""What is no fault of a set of rules, but hardly meant: warnings for `gateway check`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from gateway.rules.actions import ACTIONS
from gateway.rules.fault import Fault
from gateway.rules.model import Mode, OnError, Rule, RuleSet

_STOPS: Final = "stop_rule_processing"
# Of these the last one that stands in a rule is done, and the others are not, whatever their order there.
_ENDS: Final = ("redirect_message_to", "quarantine", "delete_message", "reject_message")
_HELD: Final = ("redirect_message_to", "quarantine")  # Both are done: it is held for whoever gets it instead.
_CURLY: Final = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f"


def review(found: RuleSet, now: float) -> tuple[Fault, ...]:
    """The warnings, in the order in which the rules run. `now`: seconds since 1970."""
    return tuple([warning for warnings in (_each(found, now), _shadowed(found)) for warning in warnings])


def _each(found: RuleSet, now: float) -> Iterator[Fault]:
    for rule in found:
        if not rule.enabled:
            continue
        if not rule.when and not rule.unless:  # r10
            yield _warning(rule, "when", "no condition: it applies to every message", "conditions, or to know that")
        if rule.expiry is not None and rule.expiry <= now:
            ended = datetime.fromtimestamp(rule.expiry, UTC).strftime("%Y-%m-%d")
            yield _warning(rule, "expiry_date", f"an end that is over since {ended}", "a later date, or no such rule")
        protects = [action.name for action in rule.then if ACTIONS[action.name].protects]
        if protects and rule.on_error is OnError.IGNORE:
            words = f"ignore, in a rule with {protects[0]}: where it can't be judged, mail goes on without"
            yield _warning(rule, "rule_error_action", words, "defer")
        yield from _at_odds(rule)
        for section, conditions in (("when", rule.when), ("unless", rule.unless)):
            for condition in conditions:
                if (curly := _curly(condition.value)) is not None:
                    words = f"{curly}, whose quotes are curly ones: they are part of what is sought"
                    yield _warning(rule, f"{section}.{condition.name}", words, "straight quotes", condition.line)


def _at_odds(rule: Rule) -> Iterator[Fault]:
    """Two actions that say what becomes of a message, of which one alone can be done."""
    ends = sorted({action.name for action in rule.then} & set(_ENDS), key=_ENDS.index)
    if len(ends) > 1 and tuple(ends) != _HELD:
        *idle, done = ends
        yield _warning(rule, "then", f"{done} beside {' and '.join(idle)}: the first alone is done", "one of them")


def _curly(value: object) -> str | None:
    """The first of several words or patterns that stands in the quotes which a word processor makes."""
    if not isinstance(value, tuple):
        return None
    return next((one for one in value if isinstance(one, str) and one[0] in _CURLY and one[-1] in _CURLY), None)


def _shadowed(found: RuleSet) -> Iterator[Fault]:
    """Rules that no message reaches, since a rule for every message, at all times, stops before them."""
    by: Rule | None = None
    for rule in found:
        if by is not None and rule.enabled:
            found_ = f"a rule that no message reaches: {by.name!r} ({by.file}, line {by.line}) stops at every one"
            yield _warning(rule, "", found_, "a lower priority than that one, or conditions in it")
        if by is None and _ends_all(rule):
            by = rule


def _ends_all(rule: Rule) -> bool:
    always = rule.enabled and rule.activation is None and rule.expiry is None and rule.mode is Mode.ENFORCE
    return always and not rule.when and not rule.unless and any(action.name == _STOPS for action in rule.then)


def _warning(rule: Rule, key: str, found: str, right: str, line: int = 0) -> Fault:
    return Fault(
        file=rule.file, line=line or rule.line, rule=rule.name, key=key, found=found, right=right, severity="warning"
    )
