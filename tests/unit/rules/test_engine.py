"""The engine: which rules a message meets, in which order, for whom, and what an error does."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.reading import Reading, read
from gateway.rules import actions
from gateway.rules.model import Mode, OnError, Rule
from gateway.rules.verdict import UNJUDGED
from gateway.rules.work import Disposition, merged
from tests.fakes.judging import NOW, engine, facts, judge, letter, rule, work

A, B, C = "a@x.example", "b@y.example", "olga@corp.example"


def forks(judged: object) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The rules that acted, by recipients."""
    return {tuple(str(one.address) for one in each.recipients): each.rules for each in judged.works}  # type: ignore[attr-defined]


def broken() -> Reading:
    raise OSError("the message can't be read")


# -- which rules match ------------------------------------------------------------------------------------------------


def test_any_value_all_conditions_no_exception() -> None:
    words, scope = {"subject_contains_words": ["never", "news"]}, {"sent_to_scope": "not_in_organization"}
    judged = judge(
        rule("any value", words),  # r07
        rule("all conditions", {**words, "from": "nobody@corp.example"}),  # r08
        rule("one exception", words, unless={"from": "nobody@corp.example", **scope}),  # r09
        rule("no condition"),  # r10
        rule("no exception holds", words, unless={"from": "nobody@corp.example"}),
    )
    assert judged.matched == ("any value", "no condition", "no exception holds")


def test_rules_run_by_priority_then_in_their_order() -> None:
    judged = judge(rule("c", priority=2), rule("a", priority=1), rule("d", priority=2), rule("b", priority=1))
    assert judged.matched == ("a", "b", "c", "d")


def test_a_later_rule_sees_what_one_before_has_set() -> None:  # a02
    judged = judge(
        rule("reads too early", {"header_contains": {"name": "X-Mark", "words": "seen"}}),
        rule("sets", then={"set_header": {"name": "X-Mark", "value": "seen"}}),
        rule("reads", {"header_contains": {"name": "X-Mark", "words": "seen"}}),
        rule("removes", then={"remove_header": "X-Mark"}),
        rule("reads too late", {"header_contains": {"name": "X-Mark", "words": "seen"}}),
    )
    assert judged.matched == ("sets", "reads", "removes")


@pytest.mark.parametrize(
    ("then", "when"),
    [
        ({"prepend_subject": "[lantern]"}, {"subject_contains_words": "lantern"}),
        ({"prepend_subject": "[lantern]"}, {"subject_or_body_matches_patterns": "^.lantern"}),
        ({"prepend_subject": "[lantern]"}, {"subject_matches_patterns": "^.lantern.news$"}),
        ({"prepend_subject": "[größe]"}, {"subject_matches_patterns": "^.größe. news$"}),
        ({"set_header": {"name": "From", "value": "boss@else.example"}}, {"sender_domain_is": "else.example"}),
        ({"set_header": {"name": "From", "value": "boss@else.example"}}, {"from_scope": "not_in_organization"}),
        ({"set_header": {"name": "From", "value": "boss@else.example"}}, {"from_address_contains_words": "boss"}),
        ({"set_header": {"name": "Importance", "value": "high"}}, {"with_importance": "high"}),
        ({"copy_to": C}, {"any_of_cc_header": C}),
        ({"copy_to": C}, {"sent_to": C}),
        ({"blind_copy_to": C}, {"recipient_address_matches_patterns": "^olga"}),
        ({"redirect_message_to": C}, {"sent_to_scope": "in_organization"}),
    ],
)
def test_what_an_action_changes_is_what_later_conditions_meet(then: dict[str, object], when: dict[str, object]) -> None:
    assert judge(rule("before", when), rule("acts", then=then), rule("after", when)).matched == ("acts", "after")


def test_a_rule_that_stops_ends_it_for_its_fork_alone() -> None:  # a01
    judged = judge(
        rule("one", {"sent_to": A}, then={"prepend_subject": "[1]"}),
        rule("two", {"sent_to": A}, then={"prepend_subject": "[2]", "stop_rule_processing": True}),
        rule("three", then={"prepend_subject": "[3]"}),
        to=(A, B),
    )
    assert forks(judged) == {(A,): ("one", "two"), (B,): ("three",)}


def test_what_is_rejected_is_not_looked_at_again() -> None:
    judged = judge(rule("no", {"sent_to": A}, then={"reject_message": "no"}), rule("more"), to=(A, B))
    assert forks(judged) == {(A,): ("no",), (B,): ("more",)}


@pytest.mark.parametrize(
    ("properties", "works"),
    [
        ({}, True),
        ({"enabled": False}, False),
        ({"activation": NOW + 1}, False),  # a24
        ({"activation": NOW}, True),
        ({"expiry": NOW}, False),
        ({"expiry": NOW + 1}, True),
    ],
)
def test_a_rule_works_within_its_dates(properties: dict[str, Any], works: bool) -> None:
    assert bool(judge(rule("a", **properties)).matched) is works


# -- forks ------------------------------------------------------------------------------------------------------------


def test_conditions_on_the_header_touch_everyone() -> None:  # r12
    judged = judge(rule("a", {"any_of_to_header": "otto@partner.example"}), to=(A, B))
    assert forks(judged) == {(A, B): ("a",)}


def test_only_the_copies_outside_are_touched() -> None:  # r17
    judged = judge(rule("a", {"sent_to_scope": "not_in_organization"}), to=(A, C, B))
    assert forks(judged) == {(A, B): ("a",), (C,): ()}


def test_an_exception_on_recipients_forks_too() -> None:
    assert forks(judge(rule("a", unless={"sent_to": A}), to=(A, B, C))) == {(B, C): ("a",), (A,): ()}


def test_a_fork_sees_its_own_changes_alone() -> None:
    judged = judge(
        rule("sets", {"sent_to": A}, then={"set_header": {"name": "X-Mark", "value": "seen"}}),
        rule("reads", {"header_contains": {"name": "X-Mark", "words": "seen"}}),
        to=(A, B),
    )
    assert forks(judged) == {(A,): ("sets", "reads"), (B,): ()}


def test_forks_of_one_outcome_are_one_delivery() -> None:  # a32
    rules = [
        rule(f"rule {n}", {"recipient_domain_is": f"d{n % 100}.example"}, then={"prepend_subject": f"[{n % 3}]"})
        for n in range(300)
    ]
    judged = judge(*rules, to=tuple(f"u@d{n}.example" for n in range(100)))
    assert len(judged.matched) == 300
    kinds = {(one.edits, one.rules) for one in judged.works}
    assert len(merged(judged.works)) == len(kinds) == 100

    same = [rule(f"rule {n}", {"sent_to": f"u@d{n}.example"}, then={"stop_rule_processing": True}) for n in range(9)]
    judged = judge(*same, rule("last", then={"prepend_subject": "x"}), to=tuple(f"u@d{n}.example" for n in range(100)))
    assert len(judged.works) == 10


# -- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.AUDIT, Mode.AUDIT_AND_NOTIFY])
def test_an_audited_rule_changes_nothing_and_is_told(mode: Mode) -> None:  # a23
    judged = judge(rule("a", {"sent_to": A}, then={"reject_message": "no"}, mode=mode), rule("b"), to=(A, B))
    assert judged.matched == ("a", "b")
    assert all(one.disposition is Disposition.DELIVER and one.edits == () for one in judged.works)


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_error", "mode", "disposition"),
    [
        (OnError.DEFER, Mode.ENFORCE, Disposition.DEFER),
        (OnError.IGNORE, Mode.ENFORCE, Disposition.DELIVER),
        (OnError.DEFER, Mode.AUDIT, Disposition.DELIVER),
    ],
)
def test_a_rule_that_can_not_be_judged_defers_or_is_passed_over(
    on_error: OnError, mode: Mode, disposition: Disposition
) -> None:  # a25
    judged = judge(rule("a", {"subject_contains_words": "x"}, on_error=on_error, mode=mode), reads=broken)
    (fork,) = judged.works
    assert fork.disposition is disposition
    assert bool(fork.warnings) is (disposition is Disposition.DELIVER)
    assert [name for name, _ in judged.failures] == ["a"] and judged.matched == ()
    ((verdict,),) = [tuple(one.recipients.values()) for one in judged.verdicts]
    assert verdict.row()["error"] == UNJUDGED


def test_an_error_concerns_those_alone_for_whom_nothing_else_says_no() -> None:
    deferring = rule("a", {"sent_to": A, "subject_contains_words": "x"}, on_error=OnError.DEFER)
    judged = judge(deferring, to=(A, B), reads=broken)
    assert {fork.disposition: len(fork.recipients) for fork in judged.works} == {
        Disposition.DEFER: 1,
        Disposition.DELIVER: 1,
    }
    assert judge(deferring, to=(B, C), reads=broken).failures == ()


def test_an_exception_that_can_not_be_judged_is_an_error_too() -> None:
    judged = judge(rule("a", unless={"subject_contains_words": "x"}, on_error=OnError.DEFER), reads=broken)
    assert judged.works[0].disposition is Disposition.DEFER
    held = judge(
        rule("a", unless={"subject_contains_words": "x", "sent_to": A}, on_error=OnError.DEFER), to=(A,), reads=broken
    )
    assert held.failures == () and held.works[0].disposition is Disposition.DELIVER


def test_a_message_that_can_not_be_read_is_read_once() -> None:
    asked = itertools.count()

    def reads() -> Reading:
        next(asked)
        raise OSError

    judge(*(rule(f"{n}", {"subject_contains_words": f"w{n}"}) for n in range(9)), reads=reads)
    assert next(asked) == 1


@pytest.mark.parametrize("on_error", list(OnError))
def test_an_action_that_fails_leaves_nothing_half_done(on_error: OnError, monkeypatch: pytest.MonkeyPatch) -> None:
    real = actions.apply

    def fails(one: Rule, *more: object) -> object:
        made = real(one, *more)  # type: ignore[arg-type]
        if one.name == "a":
            raise ValueError("half way")
        return made

    monkeypatch.setattr("gateway.rules.engine.apply", fails)
    judged = judge(rule("a", then={"prepend_subject": "[x]"}, on_error=on_error), rule("b"))
    (fork,) = judged.works
    assert fork.edits == () and [name for name, _ in judged.failures] == ["a"]
    assert (fork.disposition is Disposition.DEFER) is (on_error is OnError.DEFER)


# -- what is looked at ------------------------------------------------------------------------------------------------


def test_rules_about_the_envelope_read_no_message() -> None:
    only = [
        rule("a", {"recipient_domain_is": "x.example", "sent_to_scope": "not_in_organization"}),
        rule("b", {"sender_ip_ranges": "10.0.0.0/8", "message_size_over": "1KB"}, unless={"sent_to": B}),
        rule("c", {"authentication_results": {"dkim": "pass"}}),
    ]
    assert not engine(*only).reads
    assert judge(*only, to=(A,), reads=broken).matched == ("a",)
    assert engine(*only, rule("d", {"with_importance": "high"})).reads


def test_the_text_is_not_read_where_the_envelope_says_no() -> None:
    words = {"subject_or_body_contains_words": "x"}
    inside = rule("a", {"sent_to_scope": "not_in_organization", **words}, on_error=OnError.DEFER)
    partner = rule("b", {"recipient_domain_is": "y.example", **words}, on_error=OnError.DEFER)
    assert judge(inside, partner, to=(C,), reads=broken).failures == ()
    assert judge(inside, partner, to=(A,), reads=broken).failures != ()


def test_sizes_of_many_rules_are_compared_with_the_message() -> None:
    message = letter()
    limits = [len(message) + more for more in (1, -1, 0, -2, 1000, -2)]
    to_a, to_c = {"sent_to": A}, {"sent_to": C}
    rules = [rule(f"{place}", {"message_size_over": limit}) for place, limit in enumerate(limits)]
    rules += [rule("to", {"message_size_over": 1, **to_a}), rule("other", {"message_size_over": 1, **to_c})]
    rules.append(rule("off", {"message_size_over": 1}, enabled=False))
    rules.append(rule("except", {"message_size_over": 1}, unless={"message_size_over": len(message) - 1}))
    assert judge(*rules, to=(A,), message=message).matched == ("1", "3", "5", "to")


# -- what is told -----------------------------------------------------------------------------------------------------


def test_real_mail_is_told_of_matches_alone_and_a_test_of_all() -> None:
    rules = [
        rule("yes", {"subject_contains_words": "news", "sent_to": A}),
        rule("no", {"subject_contains_words": "news"}, unless={"sent_to": [A, B]}),
        rule("off", enabled=False),
    ]
    told = judge(*rules, to=(A, B)).rows()
    subject = {"condition": "subject_contains_words", "found": ["news"], "where": "subject"}
    to_a = {"condition": "sent_to", "found": [A], "where": "recipient"}
    yes = {"matched": True, "because": [subject, to_a], "unless": []}
    assert told == [{"name": "yes", "mode": "enforce", "recipients": {A: yes}}]
    explained = judge(*rules, to=(A, B), explain=True).rows()
    nothing = {"matched": False, "because": [], "unless": []}
    assert explained == [
        {"name": "yes", "mode": "enforce", "recipients": {A: yes, B: {**nothing, "because": [subject]}}},
        {
            "name": "no",
            "mode": "enforce",
            "recipients": {
                one: {
                    "matched": False,
                    "because": [subject],
                    "unless": [{"condition": "sent_to", "found": [one], "where": "recipient"}],
                }
                for one in (A, B)
            },
        },
        {"name": "off", "mode": "enforce", "recipients": {A: nothing, B: nothing}},
    ]
    json.dumps(explained)


def test_found_words_are_in_no_repr() -> None:
    judged = judge(rule("a", {"subject_contains_words": "news"}), message=letter(subject="news of the day"))
    assert "news" not in repr(judged)


CONDITIONS = st.sampled_from(
    [
        ("sent_to", A),
        ("sent_to_scope", "in_organization"),
        ("sent_to_scope", "not_in_organization"),
        ("recipient_domain_is", "y.example"),
        ("recipient_address_matches_patterns", "^[ab]@"),
        ("from", "ida@corp.example"),
        ("sender_domain_is", "else.example"),
        ("from_scope", "in_organization"),
        ("subject_contains_words", "news"),
        ("subject_contains_words", "[x]"),
        ("subject_or_body_matches_patterns", "mor"),
        ("subject_or_body_contains_words", "evening"),
        ("header_contains", {"name": "X-A", "words": "1"}),
        ("message_size_over", 10),
        ("message_size_over", 10_000),
        ("with_importance", "high"),
        ("attachment_extension_matches_words", "exe"),
    ]
)
ACTIONS = st.sampled_from(
    [
        {"prepend_subject": "[x]"},
        {"set_header": {"name": "X-A", "value": "1"}},
        {"remove_header": "X-A"},
        {"set_header": {"name": "From", "value": "u@else.example"}},
        {"copy_to": C},
        {"redirect_message_to": B},
        {"reject_message": "no"},
        {"stop_rule_processing": True},
        {"set_audit_severity": "low"},
    ]
)
RULES = st.lists(
    st.tuples(st.lists(CONDITIONS, max_size=2), st.lists(CONDITIONS, max_size=1), ACTIONS),
    min_size=1,
    max_size=7,
)


@given(RULES, st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=3, unique=True))
def test_what_is_not_looked_at_could_not_have_matched(
    written: list[tuple[list[tuple[str, object]], list[tuple[str, object]], dict[str, object]]], to: list[str]
) -> None:
    """`explain` looks at every rule; what real mail gets must be the same."""
    rules = [
        rule(f"rule {n}", dict(when), unless=dict(unless), then=then) for n, (when, unless, then) in enumerate(written)
    ]
    compiled = engine(*rules)
    quick, slow = (compiled.judge(facts(), work(*to), explain=explain) for explain in (False, True))
    assert quick.matched == slow.matched
    assert [(one.recipients, one.outcome()) for one in quick.works] == [
        (one.recipients, one.outcome()) for one in slow.works
    ]


# -- what was not read ------------------------------------------------------------------------------------------------


def padded() -> Reading:
    """Of its text the first 40 octets are read."""
    return read(letter("padding " * 10 + "secret\r\n"), text_limit=40)


@pytest.mark.parametrize(
    "when",
    [
        {"subject_or_body_contains_words": "secret"},
        {"subject_or_body_matches_patterns": "sec?ret"},
        {"message_contains_data_classifications": [{"name": "credit_card"}]},
    ],
)
def test_a_word_behind_padding_that_is_not_read_is_a_rule_that_could_not_be_judged(when: dict[str, Any]) -> None:
    judged = judge(rule("a", when, on_error=OnError.DEFER), reads=padded)
    (fork,) = judged.works
    assert (fork.disposition, [name for name, _ in judged.failures]) == (Disposition.DEFER, ["a"])
    judged = judge(rule("a", when, on_error=OnError.IGNORE), reads=padded)
    assert judged.works[0].disposition is Disposition.DELIVER and UNJUDGED in judged.works[0].warnings[0]


def test_what_was_read_may_decide_all_the_same() -> None:
    hit = judge(rule("a", {"subject_or_body_contains_words": "padding"}, on_error=OnError.DEFER), reads=padded)
    assert hit.matched == ("a",) and hit.failures == ()
    both = {"subject_or_body_contains_words": "secret", "sent_to": A}
    assert judge(rule("a", both, on_error=OnError.DEFER), to=(B,), reads=padded).failures == ()
    subject = judge(rule("a", {"subject_contains_words": "secret"}, on_error=OnError.DEFER), reads=padded)
    assert subject.failures == () and subject.matched == ()
    verdicts = judge(rule("a", both), to=(A,), reads=padded, explain=True).verdicts
    assert [one.unsure for each in verdicts for one in each.recipients.values()] == [True]


def test_a_field_behind_ten_thousand_is_one_that_was_not_read() -> None:
    many = "".join(f"X-Pad: {number}\r\n" for number in range(10_001)) + "X-Tag: secret\r\n"
    seeks = rule("a", {"header_contains": {"name": "X-Tag", "words": "secret"}}, on_error=OnError.DEFER)
    judged = judge(seeks, message=letter(headers=many))
    assert judged.works[0].disposition is Disposition.DEFER


def test_an_executable_behind_ten_thousand_parts_is_one_that_was_not_seen() -> None:
    part = b"--x\r\n\r\na\r\n"
    octets = letter(part * 10_100 + b"--x--\r\n", headers="Content-Type: multipart/mixed; boundary=x\r\n")
    seeks = rule("a", {"attachment_has_executable_content": True}, on_error=OnError.DEFER)
    assert judge(seeks, message=octets).works[0].disposition is Disposition.DEFER
