"""Which certificate a message to somebody is encrypted for, and which one signs for a sender."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.mail.address import parse_address
from gateway.smime import selection as module
from gateway.smime.certificate import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_KEY_WEAK,
    CERTIFICATE_NOT_APPROVED,
    CERTIFICATE_NOT_FOR_MAIL,
    CERTIFICATE_NOT_YET_VALID,
    of,
)
from gateway.smime.selection import (
    CERTIFICATES_NOT_READ,
    NO_CERTIFICATE,
    NO_SIGNING_IDENTITY,
    Choice,
    Known,
    Selection,
)
from tests.fakes.certificates import make_certificate

IDA = parse_address("ida@corp.example")
OTTO = parse_address("Otto@Partner.Example")
DAY = 86400.0

Makes = Callable[..., Known]


@pytest.fixture
def known(tmp_path: Path) -> Makes:
    def make(*names: str, domains: tuple[str, ...] = (), has_key: bool = False, **more: Any) -> Known:
        made = make_certificate(tmp_path, *names, **more)
        return Known(of(made.certificate), names, domains, has_key)

    return make


def now_of(one: Known) -> float:
    return one.certificate.not_before + 2 * DAY


def test_somebody_without_a_certificate_has_none(known: Makes) -> None:
    one = known("ida@corp.example")
    choice = Selection([one]).recipient(OTTO, now_of(one))
    assert (choice.known, choice.certificate, choice.reason, choice.passing) == (None, None, NO_CERTIFICATE, False)
    assert Selection().recipient(IDA, 0).reason == NO_CERTIFICATE


def test_an_address_is_found_whatever_its_case(known: Makes) -> None:
    one = known("otto@partner.example")
    choice = Selection([one]).recipient(OTTO, now_of(one))
    assert choice == Choice(one, None, False)
    assert choice.certificate == one.certificate


def test_the_strongest_is_taken_then_the_newest(known: Makes) -> None:
    curve = known("ida@corp.example", days=(-3, 30))
    newer = known("ida@corp.example", days=(-2, 20))
    longer = known("ida@corp.example", key=ec.generate_private_key(ec.SECP384R1()), days=(-9, 10))
    short = known("ida@corp.example", key=rsa.generate_private_key(65537, 2048), days=(-1, 40))
    now = now_of(short) - DAY
    for some, best in (((curve, newer, short), newer), ((curve, longer, newer), longer), ((short,), short)):
        assert Selection(some).recipient(IDA, now).known is best
        assert Selection(reversed(some)).recipient(IDA, now).known is best


def test_what_will_not_do_is_passed_over_and_told_where_nothing_else_is_there(known: Makes) -> None:
    good = known("ida@corp.example")
    expired = known("ida@corp.example", days=(-30, -2))
    server = known("ida@corp.example", purposes=[ExtendedKeyUsageOID.SERVER_AUTH], days=(-1, 10))
    early = known("ida@corp.example", days=(20, 60))
    weak = known("ida@corp.example", key=rsa.generate_private_key(65537, 1024))
    now = now_of(good)
    assert Selection([expired, server, early, weak, good]).recipient(IDA, now).known is good
    for some, reason in (
        ([expired], CERTIFICATE_EXPIRED),
        ([server], CERTIFICATE_NOT_FOR_MAIL),
        ([early], CERTIFICATE_NOT_YET_VALID),
        ([weak], CERTIFICATE_KEY_WEAK),
        ([expired, server], CERTIFICATE_NOT_FOR_MAIL),  # Of the one that lasts longest.
    ):
        choice = Selection(some).recipient(IDA, now)
        assert (choice.certificate, choice.reason, choice.passing) == (None, reason, False)
        assert choice.known is some[-1]


def test_a_certificate_ends_at_its_last_second(known: Makes) -> None:
    one = known("ida@corp.example")
    end = one.certificate.not_after
    assert Selection([one]).recipient(IDA, end).reason is None
    assert Selection([one]).recipient(IDA, end + 1).reason == CERTIFICATE_EXPIRED


def test_what_is_remembered_ends_with_the_date_that_it_hangs_on(known: Makes) -> None:
    one = known("ida@corp.example")
    selection = Selection([one])
    begin, end = one.certificate.not_before, one.certificate.not_after
    for _ in range(2):  # There and back: a clock may be set.
        for now, reason in (
            *((begin - 1, CERTIFICATE_NOT_YET_VALID), (begin, None), (begin + 1, None), (end - 1, None)),
            *((end, None), (end + 0.5, CERTIFICATE_EXPIRED), (end + DAY, CERTIFICATE_EXPIRED), (begin + 1, None)),
        ):
            assert selection.recipient(IDA, now).reason == reason
            assert selection.signer(IDA, now).reason == NO_SIGNING_IDENTITY


def test_choices_are_remembered_up_to_a_limit(known: Makes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    selection = Selection([known("ida@corp.example")])
    for number in range(100):
        selection.recipient(parse_address(f"u{number}@corp.example"), 0)
    assert len(selection._chosen) <= 10


def test_a_whole_domains_comes_after_somebodys_own(known: Makes) -> None:
    whole = known(domains=("partner.example",), key=ec.generate_private_key(ec.SECP521R1()))
    own = known("otto@partner.example")
    expired = known("otto@partner.example", days=(-30, -2))
    now = now_of(own)
    assert Selection([whole, own]).recipient(OTTO, now) == Choice(own, None, False)
    assert Selection([whole, expired]).recipient(OTTO, now) == Choice(whole, None, True)
    assert Selection([whole]).recipient(parse_address("anybody@partner.example"), now) == Choice(whole, None, True)
    for other in ("otto@sub.partner.example", "otto@notpartner.example", "otto@example"):
        assert Selection([whole]).recipient(parse_address(other), now).reason == NO_CERTIFICATE


def test_only_with_a_key_of_ours_is_anything_signed(known: Makes) -> None:
    theirs = known("ida@corp.example", key=ec.generate_private_key(ec.SECP521R1()))
    ours = known("ida@corp.example", has_key=True)
    domain = known(domains=("corp.example",), has_key=True)
    now = now_of(ours)
    assert Selection([theirs]).signer(IDA, now).reason == NO_SIGNING_IDENTITY
    assert Selection([theirs, ours, domain]).signer(IDA, now).known is ours
    assert Selection([theirs, domain]).signer(IDA, now) == Choice(domain, None, True)
    assert not Selection([theirs]).has_keys
    assert Selection([ours]).has_keys


def test_old_identities_open_old_mail(known: Makes, tmp_path: Path) -> None:
    old = known("ida@corp.example", has_key=True, days=(-400, -30))
    theirs = known("ida@corp.example")
    ski = x509.SubjectKeyIdentifier(b"\x01" * 20)
    named = known("otto@corp.example", has_key=True, more=[(ski, False)])
    selection = Selection([old, theirs, named])
    assert selection.openers(old.certificate.serial, None) == (old,)
    assert selection.openers(theirs.certificate.serial, None) == ()
    assert selection.openers(None, b"\x01" * 20) == (old, named)  # The old one names none: it may be meant.
    assert selection.openers(None, b"\x02" * 20) == (old,)


def test_under_fips_only_what_it_approves_is_made_but_old_mail_is_opened(known: Makes) -> None:
    one = known("ida@corp.example", has_key=True)
    from dataclasses import replace

    x = replace(one, certificate=replace(one.certificate, algorithm="x25519"))
    now = now_of(one)
    assert Selection([x]).recipient(IDA, now).reason is None
    assert Selection([x], fips=True).recipient(IDA, now).reason == CERTIFICATE_NOT_APPROVED
    assert Selection([one], fips=True).recipient(IDA, now).known is one
    assert Selection([x], fips=True).openers(x.certificate.serial, None) == (x,)


def test_what_was_not_read_yet_passes() -> None:
    assert Choice(None, CERTIFICATES_NOT_READ).passing


def test_one_is_found_by_its_fingerprint(known: Makes) -> None:
    one = known("ida@corp.example")
    assert Selection([one]).named(one.certificate.fingerprint) is one
    assert Selection([one]).named("00") is None
