"""Names as Exchange writes them and as we do."""

from __future__ import annotations

import pytest

from gateway.rules.names import exception_of, snake


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("SubjectContainsWords", "subject_contains_words"),
        ("SenderADAttributeContainsWords", "sender_ad_attribute_contains_words"),
        ("SCLOver", "scl_over"),
        ("ApplyOME", "apply_ome"),
        ("RemoveOMEv2", "remove_ome"),
        ("ApplySMIME", "apply_smime"),
        ("NotInOrganization", "not_in_organization"),
        ("Low", "low"),
        ("Credit Card Number", "credit_card_number"),
        ("subject-contains words", "subject_contains_words"),
        ("BetweenMemberOf1", "between_member_of1"),
    ],
)
def test_a_name_of_theirs_becomes_ours(theirs: str, ours: str) -> None:
    assert snake(theirs) == ours
    assert snake(ours) == ours


def test_an_exception_names_its_condition() -> None:
    assert exception_of("ExceptIfSubjectContainsWords") == "subject_contains_words"
    assert exception_of("except_if_from") == "from"
    assert exception_of("SubjectContainsWords") is None
