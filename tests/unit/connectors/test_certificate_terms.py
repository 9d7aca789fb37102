"""The certificate terms of inbound connectors: which names hold, which connector is meant, what the client is told."""

from __future__ import annotations

import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.connectors.certificate_terms import CertificateTerms
from gateway.connectors.client_chain import Trust
from gateway.connectors.described import described, names_shown, shown
from gateway.connectors.inbound import Inbounds, admit, inbounds, read_inbounds
from gateway.connectors.model import Domains, Inbound
from gateway.connectors.tls import TlsFault
from gateway.mail.address import parse_address
from gateway.mail.envelope import PeerCertificate, Tls
from gateway.mail.reply import (
    ADDRESS_RESTRICTED,
    CERTIFICATE_NAME,
    CERTIFICATE_NEEDED,
    CERTIFICATE_UNTRUSTED,
    TLS_REQUIRED,
    Refused,
    Reply,
)
from gateway.settings.fault import BadSettings, Fault
from tests.fakes.certificates import Certificate, make_certificate
from tests.fakes.settings import settings_in

OURS = Domains(("corp.example",))
CASES = Path(__file__).parent / "cases"


class Pki:
    """A trusted root, and TLS with a certificate of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = make_certificate(folder, is_ca=True, common_name="Partner CA")
        self.trust = Trust(self.root.file)

    def make(self, *names: str, **more: Any) -> Certificate:
        return make_certificate(self.folder, *names, issuer=self.root, **more)

    def tls(self, *names: str, **more: Any) -> Tls:
        return over(self.make(*names, **more))

    def terms(self, name: str, **more: Any) -> CertificateTerms:
        return CertificateTerms(name=name, trust=self.trust, **more)


def over(certificate: Certificate | None) -> Tls:
    fact = None if certificate is None else shown((certificate.der,))
    return Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", fact)


PLAIN = over(None)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def word(terms: CertificateTerms, tls: Tls | None) -> str | None:
    """The word of what is wrong, None where the terms hold."""
    try:
        terms.judge(tls, time.time())
    except TlsFault as fault:
        return fault.reason
    return None


# -- names ------------------------------------------------------------------------------------------------------------

HOLDS = [
    ("mx.partner.example", ["mx.partner.example"]),
    ("mx.partner.example", ["other.example", "MX.Partner.Example"]),
    ("MX.Partner.Example.", ["mx.partner.example"]),
    ("*.partner.example", ["mx.partner.example"]),
    ("*.partner.example", ["*.partner.example"]),
    ("mx.partner.example", ["*.partner.example"]),
    ("mx.bücher.example", ["mx.xn--bcher-kva.example"]),
    ("192.0.2.7", ["192.0.2.7"]),
    ("2001:db8::7", ["2001:db8:0::7"]),
]
FAILS = [
    ("mx.partner.example", ["mx.other.example"]),
    ("mx.partner.example", ["partner.example"]),
    ("*.partner.example", ["a.b.partner.example"]),
    ("*.partner.example", ["partner.example"]),
    ("*.partner.example", ["mx.badpartner.example"]),
    ("a.b.partner.example", ["*.partner.example"]),
    ("mx.partner.example", ["m*.partner.example"]),
    ("mx.partner.example", ["*x.partner.example"]),
    ("mx.partner.example", ["mx.*.example"]),
    ("mx.partner.example", ["*"]),
    ("mx.partner.example", ["*.*.example"]),
    ("partner.example", ["*.example"]),
    ("mx.partner.example", ["mx.partner.example\0.evil.example"]),
    ("192.0.2.7", ["mx.partner.example"]),
]


@pytest.mark.parametrize(("name", "names"), HOLDS)
def test_a_name_that_holds(pki: Pki, name: str, names: list[str]) -> None:
    assert word(pki.terms(name), pki.tls(*names)) is None


@pytest.mark.parametrize(("name", "names"), FAILS)
def test_a_name_that_does_not_hold(pki: Pki, name: str, names: list[str]) -> None:
    assert word(pki.terms(name), pki.tls(*names)) == "certificate-host-mismatch"


def test_an_address_as_a_dns_name_is_no_address(pki: Pki) -> None:
    san = x509.SubjectAlternativeName([x509.DNSName("192.0.2.7")])
    tls = over(pki.make(more=[(san, False)]))
    assert word(pki.terms("192.0.2.7"), tls) == "certificate-host-mismatch"


def test_a_name_in_the_subject_alone_needs_a_switch(pki: Pki) -> None:
    tls = pki.tls(common_name="mx.partner.example")
    assert word(pki.terms("mx.partner.example"), tls) == "certificate-host-mismatch"
    assert word(pki.terms("mx.partner.example", allow_cn=True), tls) is None
    named = pki.tls("other.example", common_name="mx.partner.example")
    assert word(pki.terms("mx.partner.example", allow_cn=True), named) == "certificate-host-mismatch"


def test_subdomains_at_any_depth_need_a_switch(pki: Pki) -> None:
    terms = pki.terms("*.partner.example", allow_subdomains=True)
    assert word(terms, pki.tls("a.b.partner.example")) is None
    assert word(terms, pki.tls("partner.example")) == "certificate-host-mismatch"
    assert word(terms, pki.tls("a.badpartner.example")) == "certificate-host-mismatch"
    exact = pki.terms("mx.partner.example", allow_subdomains=True)
    assert word(exact, pki.tls("a.mx.partner.example")) == "certificate-host-mismatch"


@pytest.mark.parametrize(
    ("case", "name", "expected"),
    [("tls-20", "mx.partner.example", "certificate-host-mismatch"), ("tls-22", "MX.Partner.Example.", None)],
)
def test_cases_of_other_servers(case: str, name: str, expected: str | None) -> None:
    file = CASES / f"{case}.pem"
    der = x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)
    tls = Tls("TLSv1.3", "x", shown((der,)))
    terms = CertificateTerms(name=name, trust=Trust(file))
    try:
        terms.judge(tls, 1_793_700_000.0)
    except TlsFault as fault:
        assert fault.reason == expected
    else:
        assert expected is None


def test_thousands_of_names_are_refused_not_searched(pki: Pki) -> None:
    tls = pki.tls(*[f"n{number}.partner.example" for number in range(3000)])
    began = time.process_time()
    assert word(pki.terms("n1.partner.example"), tls) == "validation-failure"
    assert time.process_time() - began < 1


@pytest.mark.parametrize("octets", [b"", b"\x30\x03\x02\x01\x01", b"x" * 5000])
def test_octets_that_are_no_certificate_are_refused(pki: Pki, octets: bytes) -> None:
    tls = Tls("TLSv1.3", "x", PeerCertificate((octets,), "?", "?"))
    assert word(pki.terms("mx.partner.example"), tls) == "validation-failure"


# -- which connector --------------------------------------------------------------------------------------------------


def inbound(
    name: str, *domains: str, terms: CertificateTerms | None = None, at: tuple[str, ...] = (), **more: Any
) -> Inbound:
    facts: dict[str, Any] = {
        "on_premises": False,
        "restrict_to_networks": False,
        "require_tls": False,
        "minimum_tls": None,
        "accepted_senders": None,
        "recipient_domains": None,
    }
    return Inbound(
        name=name,
        sender_domains=Domains(domains or ("*",)),
        networks=tuple(ip_network(one) for one in at),
        certificate=terms,
        **(facts | more),
    )


def came(
    *connectors: Inbound,
    tls: Tls | None = PLAIN,
    sender: str | None = "x@partner.example",
    at: str = "192.0.2.1",
    now: float | None = None,
) -> str | Reply | None:
    """The connector's name, or the reply; asked twice, since choices are remembered."""
    whole = Inbounds(connectors)

    def asked() -> str | Reply | None:
        address = None if sender is None else parse_address(sender)
        try:
            clock = time.time if now is None else lambda: now
            found = admit(whole, OURS, sender=address, client_address=at, tls=tls, now=clock)
        except Refused as refused:
            return refused.reply
        return None if found is None else found.name

    first = asked()
    assert asked() == first
    return first


def test_the_certificate_opens_its_connector(pki: Pki) -> None:
    partner = inbound("partner", "partner.example", terms=pki.terms("mx.partner.example", restrict=True))
    assert came(partner, tls=pki.tls("mx.partner.example")) == "partner"


def test_what_is_wrong_with_it_is_answered_in_words(pki: Pki) -> None:
    partner = inbound("partner", "partner.example", terms=pki.terms("mx.partner.example", restrict=True))
    public = inbound("public")
    assert came(partner, public, tls=PLAIN) == CERTIFICATE_NEEDED
    assert came(partner, public, tls=pki.tls("mx.other.example")) == CERTIFICATE_NAME
    stranger = over(make_certificate(pki.folder, "mx.partner.example"))
    assert came(partner, public, tls=stranger) == CERTIFICATE_UNTRUSTED
    assert came(partner, public, tls=pki.tls("mx.partner.example", days=(-9, -1))) == CERTIFICATE_UNTRUSTED
    assert {reply.code for reply in (CERTIFICATE_NEEDED, CERTIFICATE_NAME, CERTIFICATE_UNTRUSTED)} == {550}


def test_the_reason_stays_the_cause_for_the_log(pki: Pki) -> None:
    partner = Inbounds([inbound("partner", "partner.example", terms=pki.terms("mx.partner.example"))])
    sender = parse_address("x@partner.example")
    for tls in (PLAIN, pki.tls("mx.other.example")):
        with pytest.raises(Refused) as caught:
            admit(partner, OURS, sender=sender, client_address="192.0.2.1", tls=tls, now=time.time)
        assert isinstance(caught.value.__cause__, TlsFault)


def test_in_clear_it_is_told_to_say_starttls(pki: Pki) -> None:
    partner = inbound("partner", "partner.example", terms=pki.terms("mx.partner.example", restrict=True))
    assert came(partner, tls=None) == TLS_REQUIRED


@pytest.mark.parametrize("restrict", [False, True])
def test_a_less_close_connector_never_takes_its_mail(pki: Pki, restrict: bool) -> None:
    partner = inbound("partner", "partner.example", terms=pki.terms("mx.partner.example", restrict=restrict))
    wide = inbound("wide", "*.example", at=("192.0.2.0/24",), on_premises=True)
    assert came(partner, wide, inbound("public")) == CERTIFICATE_NEEDED
    assert came(partner, wide, inbound("public"), sender="x@other.example") == "wide"


def test_the_most_specific_domain_wins_with_its_own_terms(pki: Pki) -> None:
    wide = inbound("wide", "*.example", terms=pki.terms("mx.wide.example", restrict=True))
    close = inbound("close", "partner.example", terms=pki.terms("mx.partner.example", restrict=True))
    assert came(wide, close, tls=pki.tls("mx.partner.example")) == "close"
    assert came(wide, close, tls=pki.tls("mx.wide.example")) == CERTIFICATE_NAME
    assert came(wide, close, tls=pki.tls("mx.wide.example"), sender="x@other.example") == "wide"
    plain = inbound("plain", "partner.example")
    assert came(wide, plain, tls=PLAIN) == "plain"  # The closer one demands nothing.


def test_of_equals_the_one_whose_certificate_it_is_wins(pki: Pki) -> None:
    first = inbound("first", "partner.example", terms=pki.terms("a.partner.example", restrict=True))
    second = inbound("second", "partner.example", terms=pki.terms("b.partner.example", restrict=True))
    assert came(first, second, tls=pki.tls("b.partner.example")) == "second"
    assert came(first, second, tls=pki.tls("a.partner.example")) == "first"
    assert came(first, second, tls=pki.tls("c.partner.example")) == CERTIFICATE_NAME


def test_beside_an_equal_without_terms_a_certificate_only_tells_who_it_is(pki: Pki) -> None:
    ours = inbound("ours", on_premises=True, terms=pki.terms("mx.corp.example"))
    public = inbound("public")
    assert came(ours, public, tls=pki.tls("mx.corp.example")) == "ours"
    assert came(ours, public, tls=PLAIN) == "public"
    assert came(ours, public, tls=None) == "public"
    assert came(ours, public, tls=over(make_certificate(pki.folder, "self.example"))) == "public"


def test_beside_an_equal_without_terms_a_restriction_holds(pki: Pki) -> None:
    strict = inbound("strict", "partner.example", terms=pki.terms("mx.partner.example", restrict=True))
    near = inbound("near", "partner.example", at=("192.0.2.0/24",))
    assert came(strict, near, tls=PLAIN) == CERTIFICATE_NEEDED
    assert came(strict, near, tls=pki.tls("mx.partner.example")) == "strict"


def test_a_restriction_holds_for_addresses_that_the_connector_is_not_for(pki: Pki) -> None:
    strict = inbound(
        "strict", "partner.example", at=("198.51.100.0/24",), terms=pki.terms("mx.partner.example", restrict=True)
    )
    public = inbound("public")
    assert came(strict, public, at="192.0.2.1") == CERTIFICATE_NEEDED
    assert came(strict, public, at="192.0.2.1", tls=pki.tls("mx.partner.example")) == "public"
    assert came(strict, public, at="198.51.100.1", tls=pki.tls("mx.partner.example")) == "strict"
    loose = inbound("loose", "partner.example", at=("198.51.100.0/24",), terms=pki.terms("mx.partner.example"))
    assert came(loose, public, at="192.0.2.1") == "public"


def test_addresses_and_certificate_are_both_demanded(pki: Pki) -> None:
    both = inbound(
        "both",
        "partner.example",
        at=("198.51.100.0/24",),
        restrict_to_networks=True,
        terms=pki.terms("mx.partner.example", restrict=True),
    )
    good = pki.tls("mx.partner.example")
    assert came(both, at="198.51.100.1", tls=good) == "both"
    assert came(both, at="192.0.2.1", tls=good) == ADDRESS_RESTRICTED
    assert came(both, at="198.51.100.1", tls=PLAIN) == CERTIFICATE_NEEDED


def test_a_null_sender_is_known_by_its_certificate(pki: Pki) -> None:
    ours = inbound("ours", on_premises=True, terms=pki.terms("mx.corp.example"))
    near = inbound("near", at=("192.0.2.0/24",))
    assert came(ours, near, sender=None, tls=pki.tls("mx.corp.example")) == "ours"
    assert came(ours, near, sender=None, tls=PLAIN) == "near"
    assert came(ours, sender=None, tls=PLAIN) is None
    assert came(ours, sender=None, tls=None) is None


def test_a_choice_by_certificate_ends_with_its_dates(pki: Pki) -> None:
    partner = Inbounds([inbound("partner", "partner.example", terms=pki.terms("mx.partner.example"))])
    tls = pki.tls("mx.partner.example", days=(-1, 1))
    sender = parse_address("x@partner.example")
    now = time.time()
    assert admit(partner, OURS, sender=sender, client_address="192.0.2.1", tls=tls, now=lambda: now)
    with pytest.raises(Refused):
        admit(partner, OURS, sender=sender, client_address="192.0.2.1", tls=tls, now=lambda: now + 2 * 86400)


def test_clients_whom_no_terms_concern_are_not_judged(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trust, "judge", lambda *_, **__: pytest.fail("judged"))
    partner = inbound("partner", "partner.example", terms=pki.terms("mx.partner.example", restrict=True))
    public = inbound("public")
    tls = over(make_certificate(pki.folder, "self.example", days=(-9, -1)))
    assert came(partner, public, sender="x@other.example", tls=tls) == "public"


# -- settings ---------------------------------------------------------------------------------------------------------

SETTINGS = """
accepted_domains = ["corp.example"]
[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"
[[connectors.inbound]]
name = "partner-in"
sender_domains = ["partner.example"]
"""


def read(folder: Path, text: str) -> tuple[Inbounds, list[Fault]]:
    faults: list[Fault] = []
    return read_inbounds(settings_in(folder, SETTINGS + text), OURS, faults), faults


def test_the_terms_as_settings_have_them(pki: Pki) -> None:
    text = f"""
type = "partner"
tls_sender_certificate_name = "*.Partner.Example"
restrict_domains_to_certificate = true
trusted_ca = "{pki.root.file.name}"
allow_certificate_cn = true
"""
    made, faults = read(pki.folder, text)
    assert faults == []
    terms = made[0].certificate
    assert terms is not None
    assert (terms.name, terms.restrict, terms.allow_cn, terms.allow_server) == ("*.partner.example", True, True, False)
    assert made.asking
    assert terms.trust.anchors == (pki.root.der,)


def test_without_terms_nobody_is_asked(tmp_path: Path) -> None:
    made, _ = read(tmp_path, 'type = "partner"')
    assert not made.asking


def test_our_own_servers_may_be_known_by_certificate_instead_of_address(tmp_path: Path) -> None:
    made, faults = read(tmp_path, 'type = "on_premises"\ntls_sender_certificate_name = "mx.corp.example"')
    assert faults == []
    assert made[0].networks == ()


WRONG = {
    "restricted to nothing": ("restrict_domains_to_certificate = true", "tls_sender_certificate_name: found nothing"),
    "no name": ('tls_sender_certificate_name = "*"', 'tls_sender_certificate_name: found "*"'),
    "a star inside": ('tls_sender_certificate_name = "mx.*.example"', 'certificate_name: found "mx.*.example"'),
    "no file": (
        'tls_sender_certificate_name = "mx.partner.example"\ntrusted_ca = "none.pem"',
        "trusted_ca: found no file",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_the_settings(tmp_path: Path, name: str) -> None:
    text, expected = WRONG[name]
    _, faults = read(tmp_path, 'type = "partner"\n' + text)
    assert [fault.severity for fault in faults] == ["error"]
    assert expected in str(faults[0])
    with pytest.raises(BadSettings):
        inbounds(settings_in(tmp_path, SETTINGS + 'type = "partner"\n' + text))


def test_authorities_without_a_name_are_doubtful(pki: Pki) -> None:
    _, faults = read(pki.folder, f'type = "partner"\ntrusted_ca = "{pki.root.file.name}"')
    assert [fault.severity for fault in faults] == ["warning"]


# -- words ------------------------------------------------------------------------------------------------------------


def test_a_certificate_in_words(pki: Pki) -> None:
    facts = described((pki.make("mx.partner.example", "b.example", "192.0.2.7").der,))
    assert (facts.name, facts.issuer) == ("mx.partner.example and 1 more", "Partner CA")
    assert facts.until is not None
    assert described((pki.make(common_name="only a CN").der,)).name == "only a CN"
    assert names_shown(pki.make("a.example", "192.0.2.7").der) == ("a.example", "192.0.2.7")


def test_words_can_end_neither_a_comment_nor_a_line(pki: Pki) -> None:
    facts = described((make_certificate(pki.folder, common_name='a")\r\n\tX: y (\\é' + "z" * 40).der,))
    assert facts.name == "a?????X: y ???" + "z" * 40
    assert described((b"no certificate",)).name == "unreadable"
    assert described(()).name == "unreadable"
    assert names_shown(b"no certificate") == ()
