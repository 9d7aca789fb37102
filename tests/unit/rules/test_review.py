"""What is hardly meant is warned of, and what is meant is not."""

from __future__ import annotations

import pytest

from gateway.rules.model import Action, Condition, Mode, OnError, Rule, RuleSet
from gateway.rules.review import review

NOW = 1_796_000_000.0
MATCH = (Condition("from_scope", "not_in_organization", 3),)
HOLD = (Action("quarantine", True, 4),)
STOP = (Action("stop_rule_processing", True, 4),)


def warned(*rules: Rule) -> list[tuple[str, str]]:
    found = review(RuleSet(rules=rules), NOW)
    assert all(one.severity == "warning" for one in found)
    return [(one.rule, one.key) for one in found]


def test_a_rule_with_a_condition_and_one_end_is_fine() -> None:
    assert warned(Rule(name="A", when=MATCH, then=HOLD, on_error=OnError.DEFER, expiry=NOW + 1)) == []


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (Rule(name="A", then=HOLD, on_error=OnError.DEFER), "when"),
        (Rule(name="A", when=MATCH, then=HOLD, on_error=OnError.DEFER, expiry=NOW), "expiry_date"),
        (Rule(name="A", when=MATCH, then=HOLD), "rule_error_action"),
    ],
)
def test_what_is_hardly_meant_is_warned_of_while_the_rule_is_enabled(rule: Rule, key: str) -> None:
    assert warned(rule) == [("A", key)]
    off = Rule(
        name=rule.name, enabled=False, when=rule.when, then=rule.then, on_error=rule.on_error, expiry=rule.expiry
    )
    assert warned(off) == []


def test_a_rule_with_exceptions_alone_is_none_for_every_message() -> None:
    assert warned(Rule(name="A", unless=MATCH, then=HOLD, on_error=OnError.DEFER)) == []


def test_rules_behind_one_that_stops_at_every_message_are_named() -> None:
    stop = Rule(name="Stop", then=STOP, file="a.yaml", line=7)
    behind = Rule(name="Behind", priority=1, when=MATCH, then=HOLD, on_error=OnError.DEFER)
    assert warned(stop, behind) == [("Stop", "when"), ("Behind", "")]
    (last,) = review(RuleSet(rules=(stop, behind)), NOW)[1:]
    assert "a.yaml, line 7" in last.found


@pytest.mark.parametrize(
    "stop",
    [
        Rule(name="Stop", when=MATCH, then=STOP),
        Rule(name="Stop", then=STOP, mode=Mode.AUDIT),
        Rule(name="Stop", then=STOP, expiry=NOW + 1),
        Rule(name="Stop", then=STOP, enabled=False),
    ],
)
def test_a_rule_that_stops_at_some_messages_or_for_some_time_hides_none(stop: Rule) -> None:
    behind = Rule(name="Behind", priority=1, when=MATCH, then=HOLD, on_error=OnError.DEFER)
    assert ("Behind", "") not in warned(stop, behind)
