"""Sensitive information in what a message says: distinct values, with the confidence that a rule asks for."""

from __future__ import annotations

import pytest

from gateway.rules.model import DataType
from tests.fakes.judging import findings, judge, letter, matching, rule

VISA, OTHER = "4111 1111 1111 1111", "5500-0000-0000-0004"
NAME = "message_contains_data_classifications"


@pytest.mark.parametrize(
    ("value", "body", "hits"),
    [
        ("credit_card", f"Card {VISA}", True),
        ({"name": "credit_card", "min_count": 2}, f"{VISA} and 4111111111111111", False),  # r36
        ({"name": "credit_card", "min_count": 2}, f"{VISA} and {OTHER}", True),
        ({"name": "credit_card", "max_count": 1}, f"{VISA} and {OTHER}", False),
        ("credit_card", "4111 1111 1111 1112", False),  # r37
        ("credit_card", f"number {VISA}", True),
        ({"name": "credit_card", "min_confidence": 75}, f"number {VISA}", False),
        ({"name": "credit_card", "min_confidence": 75}, f"my visa is {VISA}", True),
        ({"name": "credit_card", "max_confidence": 75}, f"my visa is {VISA}", False),
        ({"name": "credit_card", "min_count": 2, "min_confidence": 75}, f"visa {VISA} {'x ' * 400} {OTHER}", False),
        (["iban", "credit_card"], f"number {VISA}", True),
        ("iban", "to DE89 3704 0044 0532 0130 00 please", True),
        ("iban", "to DE89 3704 0044 0532 0130 01 please", False),
    ],
)
def test_it_holds_so_many(value: object, body: str, hits: bool) -> None:
    assert bool(matching(NAME, value, message=letter(body))) is hits


def test_the_subject_counts_too() -> None:
    assert findings(NAME, "credit_card", message=letter(subject=VISA)) == [
        (("credit_card 4111111111111111",), "subject")
    ]


def test_a_later_rule_sees_a_subject_that_was_changed() -> None:
    judged = judge(
        rule("a", then={"prepend_subject": f"{VISA} "}),
        rule("b", {NAME: "credit_card"}),
        message=letter(subject="news"),
    )
    assert judged.matched == ("a", "b")


def test_a_type_of_ones_own() -> None:
    kind = DataType(name="staff_number", patterns=(r"\bE-\d{6}\b",), words=("employee",), distance=20)
    judged = judge(
        rule("any", {NAME: "staff_number"}),
        rule("sure", {NAME: {"name": "staff_number", "min_confidence": 80}}),
        types=(kind,),
        message=letter("number e-123456"),
    )
    assert judged.matched == ("any",)
