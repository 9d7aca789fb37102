"""The step of each recipient: S/MIME, else what the rule says, and never anything less."""

from __future__ import annotations

import pytest

from gateway.mail.address import Address, parse_address
from gateway.mail.envelope import Recipient
from gateway.mail.terms import Otherwise, Smime, Wanted
from gateway.protect.ladder import Judged, judge
from gateway.protect.reasons import VAULT_AWAY, Lack
from gateway.smime.certificate import CERTIFICATE_EXPIRED, Certificate
from gateway.smime.selection import NO_CERTIFICATE, NO_SIGNING_IDENTITY
from tests.fakes.protection import identity_of

KNOWN = {one: identity_of(one).certificate for one in ("a@x.example", "b@x.example", "c@x.example")}
NAMED = frozenset({"a@x.example", "b@x.example", "d@x.example"})


def certificate(address: Address) -> Certificate | Lack:
    return KNOWN.get(address.text, Lack(NO_CERTIFICATE))


def step(*recipients: str, smime: Smime | None = Smime.ENCRYPT, otherwise: Otherwise = Otherwise.REJECT) -> Judged:
    wanted = Wanted(rule="r", smime=smime, otherwise=otherwise)
    return judge(wanted, [Recipient(parse_address(one)) for one in recipients], NAMED, certificate, None)


def groups(judged: Judged) -> list[tuple[list[str], list[str]]]:
    return [
        ([one.address.text for one in group.recipients], [one.addresses[0] for one in group.certificates])
        for group in judged.groups
    ]


def test_named_recipients_share_a_copy_and_each_blind_one_has_his_own() -> None:
    judged = step("c@x.example", "a@x.example", "b@x.example")
    assert groups(judged) == [
        (["a@x.example", "b@x.example"], ["a@x.example", "b@x.example"]),
        (["c@x.example"], ["c@x.example"]),
    ]
    assert (judged.waiting, judged.refused) == ((), ())


@pytest.mark.parametrize(
    ("otherwise", "waits", "reason"),
    [
        (Otherwise.REJECT, False, NO_CERTIFICATE),
        (Otherwise.DEFER, True, NO_CERTIFICATE),
    ],
)
def test_who_has_no_certificate_gets_what_the_rule_says(otherwise: Otherwise, waits: bool, reason: str) -> None:
    judged = step("a@x.example", "d@x.example", otherwise=otherwise)
    assert groups(judged) == [(["a@x.example"], ["a@x.example"])]
    found, empty = (judged.waiting, judged.refused) if waits else (judged.refused, judged.waiting)
    assert [(one.recipient.address.text, one.reason) for one in found] == [("d@x.example", reason)]
    assert empty == ()


def test_what_can_be_had_later_waits_even_where_the_rule_says_reject() -> None:
    wanted = Wanted(rule="r", smime=Smime.ENCRYPT, otherwise=Otherwise.REJECT)
    people = [Recipient(parse_address("a@x.example"))]
    judged = judge(wanted, people, NAMED, lambda _: Lack(VAULT_AWAY, passing=True), None)
    assert [one.reason for one in judged.waiting] == [VAULT_AWAY]
    judged = judge(wanted, people, NAMED, lambda _: Lack(CERTIFICATE_EXPIRED), None)
    assert [one.reason for one in judged.refused] == [CERTIFICATE_EXPIRED]


def test_who_has_no_certificate_gets_rights_where_the_rule_says_so() -> None:
    """Semantics a27."""
    judged = step("a@x.example", "d@x.example", otherwise=Otherwise.RIGHTS)
    assert groups(judged) == [(["a@x.example"], ["a@x.example"])]
    assert [(one.recipient.address.text, one.reason) for one in judged.rights] == [("d@x.example", NO_CERTIFICATE)]
    assert (judged.waiting, judged.refused) == ((), ())


def test_what_can_be_had_later_waits_instead_of_the_step_below() -> None:
    wanted = Wanted(rule="r", smime=Smime.ENCRYPT, otherwise=Otherwise.RIGHTS)
    people = [Recipient(parse_address("a@x.example"))]
    judged = judge(wanted, people, NAMED, lambda _: Lack(VAULT_AWAY, passing=True), None)
    assert ([one.reason for one in judged.waiting], judged.rights) == ([VAULT_AWAY], ())


def test_rights_alone_are_for_everybody_certificate_or_not() -> None:
    judged = step("a@x.example", "d@x.example", smime=None)
    assert [one.reason for one in judged.rights] == [None, None]
    assert (judged.groups, judged.waiting, judged.refused) == ((), (), ())


@pytest.mark.parametrize("smime", [Smime.SIGN, Smime.BOTH])
def test_without_a_signer_nobody_gets_it(smime: Smime) -> None:
    wanted = Wanted(rule="r", smime=smime)
    people = [Recipient(parse_address(one)) for one in ("a@x.example", "d@x.example")]
    judged = judge(wanted, people, NAMED, certificate, Lack(NO_SIGNING_IDENTITY))
    assert [one.reason for one in judged.refused] == [NO_SIGNING_IDENTITY] * 2
    judged = judge(wanted, people, NAMED, certificate, Lack(VAULT_AWAY, passing=True))
    assert [one.reason for one in judged.waiting] == [VAULT_AWAY] * 2
    assert judged.groups == ()


def test_what_is_signed_alone_is_one_copy_for_everybody() -> None:
    judged = step("a@x.example", "d@x.example", smime=Smime.SIGN)
    assert groups(judged) == [(["a@x.example", "d@x.example"], [])]
