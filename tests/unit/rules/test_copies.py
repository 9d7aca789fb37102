"""Who gets which copy where rules have forked a message: nobody two, and never one with less than another fork asks."""

from __future__ import annotations

import pytest

from gateway.mail.address import parse_address
from gateway.mail.envelope import Recipient
from gateway.mail.terms import Otherwise, Smime, Terms, Wanted
from gateway.rules.actions import apply
from gateway.rules.copies import distinct
from gateway.rules.view import View
from gateway.rules.work import Disposition, Work, merged
from tests.fakes.judging import facts, letter, rule

ARCHIVE = "archive@else.example"
ENCRYPTED = Wanted(rule="Encrypted", smime=Smime.ENCRYPT)
SIGNED = Wanted(rule="Signed", smime=Smime.SIGN, otherwise=Otherwise.DEFER)
RIGHTS = Wanted(rule="Rights", otherwise=Otherwise.RIGHTS, template="encrypt-only")


def fork(
    name: str,
    wanted: Wanted | None = None,
    *,
    tls: bool = False,
    connector: str | None = None,
    held: bool = False,
    added: bool = True,
) -> Work:
    """A fork of one recipient, to which a rule has added the archive."""
    work = Work([Recipient(parse_address(one)) for one in (name, ARCHIVE)])
    work.added = (ARCHIVE,) if added else ()
    work.wanted, work.require_tls, work.connector = wanted, tls, connector
    if held:
        work.quarantined = ("Held",)
        work.disposition = Disposition.QUARANTINE
    return work


def archived(*works: Work) -> Terms:
    """The terms of the one copy that the archive gets; everybody else has his."""
    made = distinct(works)
    names = [one.address.text for work in made for one in work.recipients]
    assert sorted(names) == sorted([ARCHIVE, *(f"{number}@x.example" for number in range(len(works)))])
    (found,) = [work for work in made if any(one.address.text == ARCHIVE for one in work.recipients)]
    return found.terms


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("one", "other", "terms"),
    [
        ({"wanted": SIGNED}, {"wanted": ENCRYPTED}, Terms(wanted=Wanted(rule="Encrypted", smime=Smime.BOTH))),
        ({}, {"wanted": ENCRYPTED}, Terms(wanted=ENCRYPTED)),
        ({}, {"wanted": SIGNED}, Terms(wanted=SIGNED)),
        ({"tls": True}, {"wanted": ENCRYPTED}, Terms(wanted=ENCRYPTED, require_tls=True)),
        ({"wanted": SIGNED}, {"wanted": RIGHTS}, Terms(wanted=RIGHTS)),
        (
            {"wanted": ENCRYPTED},
            {"wanted": RIGHTS},
            Terms(
                wanted=Wanted(
                    rule="Encrypted", smime=Smime.ENCRYPT, otherwise=Otherwise.RIGHTS, template="encrypt-only"
                )
            ),
        ),
        ({"connector": "out"}, {"tls": True}, Terms(connector="out", require_tls=True)),
        ({}, {}, Terms()),
    ],
)
def test_who_was_added_to_several_forks_gets_what_all_of_them_ask_for(
    one: dict[str, object], other: dict[str, object], terms: Terms, turned: bool
) -> None:
    if turned:
        one, other = other, one
    assert archived(fork("0@x.example", **one), fork("1@x.example", **other)) == terms  # type: ignore[arg-type]


def test_mail_that_is_released_for_the_archive_is_protected_by_what_another_fork_asks_for() -> None:
    found = archived(fork("0@x.example", held=True), fork("1@x.example", ENCRYPTED))
    assert found.quarantine is not None
    assert found.wanted == ENCRYPTED


def test_those_who_ask_for_nothing_more_stay_in_one_copy() -> None:
    works = distinct([fork("0@x.example", ENCRYPTED), fork("1@x.example")])
    assert [[one.address.text for one in work.recipients] for work in works] == [
        ["0@x.example", ARCHIVE],
        ["1@x.example"],
    ]


def test_a_recipient_of_the_message_keeps_his_own_copy() -> None:
    works = distinct([fork("0@x.example", added=False), fork("1@x.example", ENCRYPTED)])
    assert [work.terms for work in works if len(work.recipients) == 2] == [Terms()]


def test_one_to_whom_two_rules_redirect_gets_one_copy() -> None:
    """Whom the first one has put in the place of others was taken by the second for a recipient of the message."""
    to = {"redirect_message_to": ARCHIVE}
    forks = [fork(f"{number}@x.example", tls=number == 0) for number in (0, 1)]
    for one in forks:
        apply(rule("again", then=to), one, View(facts(letter()), {}, {}))
    assert [one.added for one in forks] == [(ARCHIVE,), (ARCHIVE,)]
    assert [one.address.text for work in distinct(forks) for one in work.recipients] == [ARCHIVE]


def test_a_recipient_whom_a_rule_adds_for_others_keeps_his_own_copy_when_forks_are_one_again() -> None:
    own = Work([Recipient(parse_address(ARCHIVE))])
    same, other = fork("0@x.example"), fork("1@x.example", tls=True)
    made = distinct(merged([own, same, other]))
    assert [sorted(one.address.text for one in work.recipients) for work in made] == [
        ["0@x.example", ARCHIVE],
        ["1@x.example"],
    ]
