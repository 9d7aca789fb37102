"""S/MIME joined for one worker: for whom mail is delivered decrypted, and whose senders are told of what they lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.app.protection import Protection
from gateway.app.terms import Policy, policy
from gateway.mail.address import parse_address
from gateway.mail.authentication import Authentication, DkimResult, Verdict
from gateway.mail.envelope import Client
from gateway.mail.plan import Plan
from gateway.mail.terms import Otherwise
from gateway.observe.metrics import Metrics
from gateway.smime.selection import Selection
from gateway.smime.terms import SmimeTerms
from gateway.world.chance import SystemChance
from tests.fakes.clock import FakeClock
from tests.fakes.log import fake_log
from tests.fakes.protection import LETTER, FakeCertificates, identity_of, letter
from tests.fakes.settings import settings_in

OTTO = "otto@partner.example"
TOML = """
accepted_domains = ["corp.example"]
[server]
hostname = "gw.corp.example"
[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"
[[connectors.outbound]]
name = "all"
recipient_domains = ["*"]
use_mx = true
[[connectors.outbound]]
name = "open"
recipient_domains = ["open.example"]
use_mx = true
deliver_decrypted = true
[[connectors.outbound]]
name = "closed"
recipient_domains = ["closed.corp.example"]
use_mx = true
deliver_decrypted = false
"""
PARTNER = Client(address="192.0.2.7", port=1, helo="x", esmtp=True, listener="l", tls=None)


class House:
    """The stages on these settings, with a certificate for Otto and the key of `ida@corp.example`."""

    def __init__(self, folder: Path) -> None:
        self.policy: Policy = policy(settings_in(folder, TOML))
        self.terms = SmimeTerms()
        clock = FakeClock()
        identities = [identity_of(one) for one in (OTTO, "ida@corp.example")]
        certificates = self.certificates = FakeCertificates(
            clock, *identities, ours=(parse_address("ida@corp.example"),)
        )
        log, _ = fake_log()
        self.protection = Protection(
            certificates,
            policy=lambda: self.policy,
            terms=lambda: self.terms,
            is_ours=lambda client, connector: client is None or client.user is not None,
            is_inside=lambda domain: domain == "corp.example",
            ids=lambda: "N1",
            clock=clock,
            chance=SystemChance(),
            log=log,
            metrics=Metrics(),
        )


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.protection.close()


@pytest.mark.parametrize(
    ("recipient", "connector", "setting", "decrypted"),
    [
        ("ida@corp.example", None, True, True),
        ("ida@corp.example", None, False, False),
        (OTTO, None, True, False),  # By a connector for everything, but no domain of ours.
        ("x@open.example", None, False, False),  # He may have got hold of it, and sent it to himself.
        ("x@closed.corp.example", None, True, False),
        ("ida@corp.example", "open", False, True),
        ("ida@corp.example", "closed", True, False),
        ("ida@corp.example", "gone", False, False),
    ],
)
async def test_mail_is_delivered_decrypted_as_the_way_says_else_as_the_section_says_for_domains_of_ours(
    house: House, recipient: str, connector: str | None, setting: bool, decrypted: bool
) -> None:
    house.terms = SmimeTerms(deliver_decrypted=setting)
    octets = letter("ida@corp.example", wanted=True)
    sealed = (await house.protection.protecting(Plan(copies=(octets,)))).copies[0]
    came = replace(letter(recipient, wanted=False, client=PARTNER), message=sealed.message)
    mail = await house.protection.opening(came)
    assert mail.opened is not None
    mail = replace(mail, terms=replace(mail.terms, connector=connector))
    plan = await house.protection.protecting(Plan(copies=(mail,), touched=False))
    head = plan.copies[0].message.head
    assert head.startswith(b"X-Gateway-SMIME: decrypted; cipher=aes256-cbc\r\n") is decrypted
    assert (b"the plain words" in head) is decrypted


async def test_what_is_for_a_whole_domain_is_decrypted_where_the_settings_trust_its_people(house: House) -> None:
    (known,) = [one for one in house.certificates.selection.all if one.has_key]
    whole = replace(known, addresses=(), domains=("corp.example",))
    house.certificates.selection = Selection([whole])
    sealed = (await house.protection.protecting(Plan(copies=(letter("ida@corp.example"),)))).copies[0]
    came = replace(letter("x@corp.example", wanted=False, client=PARTNER), message=sealed.message)
    heads = []
    for trusting in (False, True):
        house.terms = SmimeTerms(deliver_decrypted=True, deliver_decrypted_by_domain=trusting)
        plan = await house.protection.protecting(Plan(copies=(await house.protection.opening(came),), touched=False))
        heads.append(plan.copies[0].message.head)
    assert [b"the plain words" in head for head in heads] == [False, True]


async def test_a_sender_of_ours_is_told_by_a_notice_with_our_name(house: House) -> None:
    plan = await house.protection.protecting(Plan(copies=(letter(OTTO, "x@else.example"),)))
    assert b"MAILER-DAEMON@gw.corp.example" in plan.notices[0].message.head


@pytest.mark.parametrize(("domain", "verdict", "told"), [
    ("corp.example", Verdict.PASS, True),
    ("corp.example", Verdict.FAIL, False),
    ("other.example", Verdict.PASS, False),
    (None, None, False),
])  # fmt: skip
async def test_a_sender_from_elsewhere_is_told_where_his_domain_has_signed(
    house: House, domain: str | None, verdict: Verdict | None, told: bool
) -> None:
    mail = letter(OTTO, "x@else.example", client=PARTNER)
    if domain is not None and verdict is not None:
        result = DkimResult(verdict=verdict, domain=domain)
        mail = replace(mail, authentication=Authentication(dkim=(result,)))
    plan = await house.protection.protecting(Plan(copies=(mail,)))
    assert bool(plan.notices) is told


async def test_what_waits_is_asked_for_again_without_an_exception(house: House) -> None:
    plan = await house.protection.again(Plan(copies=(letter("x@else.example", otherwise=Otherwise.DEFER),)))
    assert plan.copies[0].terms.reason == "no-certificate"
    assert plan.copies[0].message.head == LETTER


def test_terms_of_wrapping_are_made_once_and_anew_for_other_settings(house: House) -> None:
    assert house.protection._wrap_terms() is None
    house.policy = replace(house.policy, portal="https://portal.corp.example")
    first = house.protection._wrap_terms()
    assert first is not None and first.url == "https://portal.corp.example"
    assert first.hostnames[0] == "gw.corp.example"
    assert house.protection._wrap_terms() is first
    house.policy = replace(house.policy, portal="https://elsewhere.corp.example")
    after = house.protection._wrap_terms()
    assert after is not None and after.url == "https://elsewhere.corp.example"
