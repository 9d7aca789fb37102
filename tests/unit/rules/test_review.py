"""What is hardly meant is warned of, and what is meant is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.rules.model import Action, Condition, Mode, OnError, Rule, RuleSet
from gateway.rules.review import review

NOW = 1_796_000_000.0
MATCH = (Condition("from_scope", "not_in_organization", 3),)
HOLD = (Action("quarantine", True, 4),)
REJECT, DELETE = Action("reject_message", None, 4), Action("delete_message", True, 4)
REDIRECT = Action("redirect_message_to", (), 4)
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
        (Rule(name="A", when=MATCH, then=(*HOLD, REJECT), on_error=OnError.DEFER), "then"),
        (Rule(name="A", when=MATCH, then=(REDIRECT, DELETE), on_error=OnError.DEFER), "then"),
        (
            Rule(name="A", when=(Condition("subject_contains_words", ("x", "\u201ey\u201c"), 3),), then=STOP),
            "when.subject_contains_words",
        ),
        (
            Rule(
                name="A", when=MATCH, unless=(Condition("subject_matches_patterns", ("\u2019x\u2019",), 3),), then=STOP
            ),
            "unless.subject_matches_patterns",
        ),
    ],
)
def test_what_is_hardly_meant_is_warned_of_while_the_rule_is_enabled(rule: Rule, key: str) -> None:
    assert warned(rule) == [("A", key)]
    off = replace(rule, enabled=False)
    assert warned(off) == []


def test_which_of_two_ends_is_done_is_told() -> None:
    (one,) = review(RuleSet(rules=(Rule(name="A", when=MATCH, then=(DELETE, *HOLD), on_error=OnError.DEFER),)), NOW)
    assert one.found == "delete_message beside quarantine: the first alone is done"


def test_a_message_may_be_held_for_somebody_else() -> None:
    assert warned(Rule(name="A", when=MATCH, then=(*HOLD, REDIRECT), on_error=OnError.DEFER)) == []


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
