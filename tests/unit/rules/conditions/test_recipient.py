"""Who receives: these conditions look at the envelope, and fork."""

from __future__ import annotations

import pytest

from tests.fakes.judging import judge, matching, rule

INSIDE, OUTSIDE, PARTNER = "olga@corp.example", "x@else.example", "otto@partner.example"
ALL = (INSIDE, OUTSIDE, PARTNER)


@pytest.mark.parametrize(
    ("name", "value", "to", "hits"),
    [
        ("sent_to", PARTNER, ALL, (PARTNER,)),
        ("sent_to", [PARTNER.upper(), INSIDE], ALL, (INSIDE, PARTNER)),
        ("sent_to", "nobody@partner.example", ALL, ()),
        ("sent_to_scope", "in_organization", ALL, (INSIDE,)),
        ("sent_to_scope", "not_in_organization", ALL, (OUTSIDE, PARTNER)),
        ("sent_to_scope", "external_partner", ALL, (PARTNER,)),
        ("sent_to_scope", "external_non_partner", ALL, (OUTSIDE,)),
        ("sent_to_scope", "not_in_organization", (INSIDE,), ()),
        ("sent_to_scope", "in_organization", ("u@sub.corp.example",), ()),
        ("recipient_domain_is", "partner.example", ALL, (PARTNER,)),
        ("recipient_domain_is", ["partner.example", "else.example"], ALL, (OUTSIDE, PARTNER)),
        ("recipient_domain_is", "x.example", ("u@sub.x.example", "u@notx.example"), ("u@sub.x.example",)),
        ("recipient_address_matches_patterns", "^o", ALL, (INSIDE, PARTNER)),
        ("recipient_address_matches_patterns", ["^y", "ELSE"], ALL, (OUTSIDE,)),
        ("recipient_address_matches_patterns", "^lse", ALL, ()),
        # One mailbox, written so that a rule about it might not know it again.
        ("sent_to", PARTNER, ('"otto"@partner.example',), ('"otto"@partner.example',)),
        ("sent_to", PARTNER, ('"o\\tto"@Partner.Example.',), ('"o\\tto"@Partner.Example.',)),
        ("sent_to", '"otto"@partner.example', (PARTNER,), (PARTNER,)),
        (
            "sent_to",
            "j\u00fcrgen@partner.example",
            ("Ju\u0308rgen@partner.example",),
            ("Ju\u0308rgen@partner.example",),
        ),
        ("sent_to", '"a b"@partner.example', ('"a\\ B"@partner.example',), ('"a\\ B"@partner.example',)),
        ("sent_to", PARTNER, ('"otto "@partner.example', "otto+x@partner.example"), ()),
        (
            "recipient_address_matches_patterns",
            "^otto@.*example$",
            ('"otto"@partner.example',),
            ('"otto"@partner.example',),
        ),
        ("recipient_address_matches_patterns", "example$", ("x@else.example.",), ("x@else.example.",)),
        ("recipient_address_matches_patterns", '^"otto"', ('"otto"@partner.example',), ('"otto"@partner.example',)),
    ],
)
def test_it_matches_for_these(name: str, value: object, to: tuple[str, ...], hits: tuple[str, ...]) -> None:
    assert matching(name, value, to=to) == hits


def test_the_actions_touch_the_copy_of_those_alone() -> None:
    judged = judge(rule("a", {"sent_to": PARTNER}, then={"prepend_subject": "[P]"}), to=ALL)
    changed = {tuple(str(one.address) for one in work.recipients): work.changed for work in judged.works}
    assert changed == {(PARTNER,): {"subject": ("[P]news",)}, (INSIDE, OUTSIDE): {}}


def test_all_conditions_on_recipients_must_hold_of_the_same_one() -> None:
    when = {"recipient_domain_is": "partner.example", "sent_to": OUTSIDE}
    assert judge(rule("a", when), to=ALL).matched == ()


def test_postmaster_without_a_domain_is_inside() -> None:
    assert matching("sent_to_scope", "in_organization", to=("postmaster",)) == ("postmaster",)
