"""Whether a certificate is believed: paths, dates, purposes, strength, and what a message may cost that brings many."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from time import process_time, time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.smime import trust as module
from gateway.smime.certificate import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_KEY_WEAK,
    CERTIFICATE_NOT_FOR_MAIL,
    CERTIFICATE_NOT_FOR_SIGNING,
    CERTIFICATE_NOT_TRUSTED,
    CERTIFICATE_NOT_YET_VALID,
    CERTIFICATE_SIGNATURE_WEAK,
    Certificate,
    Purpose,
    of,
)
from gateway.smime.certificate_file import read
from gateway.smime.trust import FRESH, MAX_BROUGHT, MAX_PATH, Trust, Trusted, Untrusted
from tests.fakes.certificates import Certificate as Made
from tests.fakes.certificates import make_certificate

DAY = 86400.0


class House:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = make_certificate(folder, is_ca=True, common_name="Root", days=(-100, 1000))
        self.above = self.made(issuer=self.root, is_ca=True, common_name="Above", days=(-90, 900))
        self.ida = self.made("ida@corp.example", issuer=self.above, common_name="Ida")
        self.now = facts(self.ida).not_before + DAY

    def made(self, *names: str, **more: Any) -> Made:
        return make_certificate(self.folder, *names, **more)

    def trust(self, *anchors: Made, **more: Any) -> Trust:
        return Trust([facts(one) for one in anchors or (self.root,)], **more)

    def judge(self, one: Made, *brought: Made, trust: Trust | None = None, **more: Any) -> Trusted:
        asked: dict[str, Any] = {"now": self.now, "purpose": Purpose.SIGN, **more}
        return (trust or self.trust()).judge(facts(one), [facts(other) for other in brought], **asked)

    def refused(self, one: Made, *brought: Made, **more: Any) -> str:
        with pytest.raises(Untrusted) as caught:
            self.judge(one, *brought, **more)
        self.words = str(caught.value)
        assert caught.value.is_weak is caught.value.reason.endswith("-weak")
        return caught.value.reason


def usage_of(**allowed: bool) -> x509.KeyUsage:
    words = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{word: allowed.get(word, False) for word in words.split()})


def facts(one: Made) -> Certificate:
    return of(one.certificate)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_path_leads_to_an_anchor_by_what_was_brought_or_is_known(house: House) -> None:
    trusted = house.judge(house.ida, house.above)
    assert [one.subject for one in trusted.path] == ["CN=Ida", "CN=Above", "CN=Root"]
    assert trusted.anchor == facts(house.root)
    assert trusted.until == facts(house.ida).not_after
    assert house.judge(house.ida, trust=house.trust(intermediates=[facts(house.above)])) == trusted
    assert house.refused(house.ida) == CERTIFICATE_NOT_TRUSTED
    assert "local issuer" in house.words


def test_whoever_names_an_intermediate_means_that_one(house: House) -> None:
    trusted = house.judge(house.ida, trust=house.trust(house.above))
    assert [one.subject for one in trusted.path] == ["CN=Ida", "CN=Above"]
    beside = house.made("ida@corp.example", issuer=house.root)
    assert house.refused(beside, trust=house.trust(house.above)) == CERTIFICATE_NOT_TRUSTED


def test_without_anchors_nobody_is_believed(house: House) -> None:
    assert house.refused(house.ida, house.above, house.root, trust=Trust()) == CERTIFICATE_NOT_TRUSTED


def test_what_a_message_brings_is_believed_in_nothing(house: House) -> None:
    false_root = house.made(is_ca=True, common_name="Root")
    forged = house.made("ida@corp.example", issuer=false_root)
    assert house.refused(forged, false_root) == CERTIFICATE_NOT_TRUSTED
    false_above = house.made(is_ca=True, common_name="Above", issuer=false_root)
    forged = house.made("ida@corp.example", issuer=false_above)
    assert house.refused(forged, false_above, house.above, false_root) == CERTIFICATE_NOT_TRUSTED


def test_an_imported_certificate_is_believed_as_it_stands_but_for_dates_and_usage(house: House) -> None:
    alone = house.made("otto@partner.example")
    trust = house.trust(imported=[facts(alone)])
    assert house.refused(alone) == CERTIFICATE_NOT_TRUSTED
    trusted = house.judge(alone, trust=trust)
    assert trusted.path == (facts(alone),)
    later = facts(alone).not_after + 1
    assert house.refused(alone, trust=trust, now=later) == CERTIFICATE_EXPIRED
    server = house.made("otto@partner.example", purposes=[ExtendedKeyUsageOID.SERVER_AUTH])
    assert house.refused(server, trust=house.trust(imported=[facts(server)])) == CERTIFICATE_NOT_FOR_MAIL


def test_dates_count_on_the_whole_path(house: House) -> None:
    one = facts(house.ida)
    trust = house.trust()
    assert house.refused(house.ida, house.above, now=one.not_before - 1, trust=trust) == CERTIFICATE_NOT_YET_VALID
    assert house.refused(house.ida, house.above, now=one.not_after + 1, trust=trust) == CERTIFICATE_EXPIRED
    old = house.made(issuer=house.root, is_ca=True, common_name="Above", key=house.above.key, days=(-9, -2))
    ida = house.made("ida@corp.example", issuer=old)
    assert house.refused(ida, old) == CERTIFICATE_EXPIRED
    assert "certificate 1 above it" in house.words
    assert house.judge(ida, house.above).path[1] == facts(house.above)  # The same key, another certificate.


@pytest.mark.parametrize(
    ("purposes", "reason"),
    [
        ([], None),
        ([ExtendedKeyUsageOID.EMAIL_PROTECTION], None),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], None),
        ([ExtendedKeyUsageOID.SERVER_AUTH], CERTIFICATE_NOT_FOR_MAIL),
    ],
)
def test_purposes_count_in_the_certificate_and_above_it(
    house: House, purposes: list[x509.ObjectIdentifier], reason: str | None
) -> None:
    ida = house.made("ida@corp.example", issuer=house.above, purposes=purposes)
    above = house.made(is_ca=True, issuer=house.root, common_name="Other", purposes=purposes)
    below = house.made("ida@corp.example", issuer=above)
    for one, brought in ((ida, house.above), (below, above)):
        if reason is None:
            house.judge(one, brought)
        else:
            assert house.refused(one, brought) == reason


def test_an_issuer_must_be_an_authority(house: House) -> None:
    person = house.made("mallory@partner.example", issuer=house.above)
    forged = house.made("ida@corp.example", issuer=person)
    assert house.refused(forged, person, house.above) == CERTIFICATE_NOT_TRUSTED
    usage = usage_of(digital_signature=True)
    above = house.made(is_ca=True, issuer=house.root, common_name="No issuer", more=[(usage, True)])
    assert house.refused(house.made("ida@corp.example", issuer=above), above) == CERTIFICATE_NOT_TRUSTED


def test_a_path_is_no_longer_than_its_authority_allows(house: House) -> None:
    short = house.made(is_ca=True, issuer=house.root, common_name="Short", path_length=0)
    below = house.made(is_ca=True, issuer=short, common_name="Below")
    ida = house.made("ida@corp.example", issuer=below)
    assert house.refused(ida, below, short) == CERTIFICATE_NOT_TRUSTED
    assert "path length" in house.words
    house.judge(house.made("ida@corp.example", issuer=short), short)


def test_a_path_has_an_end(house: House) -> None:
    chain = [house.root]
    for number in range(MAX_PATH - 1):
        chain.append(house.made(is_ca=True, issuer=chain[-1], common_name=f"C{number}"))
    good, bad = (house.made("ida@corp.example", issuer=chain[place]) for place in (MAX_PATH - 2, MAX_PATH - 1))
    assert len(house.judge(good, *chain).path) == MAX_PATH
    assert house.refused(bad, *chain) == CERTIFICATE_NOT_TRUSTED
    assert f"{MAX_PATH} are the most" in house.words


def test_an_authority_for_some_addresses_speaks_for_no_others(house: House) -> None:
    limits = x509.NameConstraints(permitted_subtrees=[x509.RFC822Name("partner.example")], excluded_subtrees=None)
    above = house.made(is_ca=True, issuer=house.root, common_name="Partner's", more=[(limits, True)])
    house.judge(house.made("otto@partner.example", issuer=above), above)
    assert house.refused(house.made("ida@corp.example", issuer=above), above) == CERTIFICATE_NOT_TRUSTED
    assert "permitted subtree" in house.words


def test_algorithms_of_all_kinds_are_verified(house: House) -> None:
    for key in (
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
    ):
        root = house.made(is_ca=True, common_name="Own", key=key)
        house.judge(house.made("ida@corp.example", issuer=root), trust=house.trust(root))


def test_a_weakness_is_told_only_where_all_else_is_well(house: House) -> None:
    weak = house.made("ida@corp.example", issuer=house.above, key=rsa.generate_private_key(65537, 1024))
    assert house.refused(weak, house.above) == CERTIFICATE_KEY_WEAK
    assert house.refused(weak) == CERTIFICATE_NOT_TRUSTED
    above = house.made(is_ca=True, issuer=house.root, common_name="Weak", key=rsa.generate_private_key(65537, 1024))
    assert house.refused(house.made("ida@corp.example", issuer=above), above) == CERTIFICATE_KEY_WEAK


def test_sha_1_proves_nothing_any_more_but_nobody_asks_how_an_anchor_was_signed(house: House) -> None:
    root = signed_by_openssl(house, house.root, "-sha1", is_ca=True)
    ida = signed_by_openssl(house, house.above, "-sha1")
    trust = Trust([of(root)])
    trusted = trust.judge(facts(house.ida), [facts(house.above)], now=time(), purpose=Purpose.SIGN)
    assert trusted.anchor.signed_with == "sha1 ecdsa"
    for brought, reason in (([facts(house.above)], CERTIFICATE_SIGNATURE_WEAK), ([], CERTIFICATE_NOT_TRUSTED)):
        with pytest.raises(Untrusted) as caught:
            house.trust().judge(of(ida), brought, now=time(), purpose=Purpose.SIGN)
        assert (caught.value.reason, caught.value.is_weak) == (reason, reason == CERTIFICATE_SIGNATURE_WEAK)


def signed_by_openssl(house: House, issuer: Made, digest: str, *, is_ca: bool = False) -> x509.Certificate:
    """By an algorithm that `cryptography` refuses to sign with. For `is_ca` the issuer's own certificate anew."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl here")
    out = house.folder / "signed.pem"
    with_key = (
        ["-key", str(issuer.key_file)]
        if is_ca
        else ["-newkey", "rsa:2048", "-nodes", "-keyout", str(house.folder / "new.key")]
    )
    by = [] if is_ca else ["-CA", str(issuer.file), "-CAkey", str(issuer.key_file)]
    subject = issuer.certificate.subject.rfc4514_string() if is_ca else "CN=Ida"
    extension = "basicConstraints=critical,CA:TRUE" if is_ca else "subjectAltName=email:ida@corp.example"
    settings = house.folder / "openssl.cnf"
    settings.write_text("[req]\ndistinguished_name = name\n[name]\n")
    words = [
        openssl,
        "req",
        "-x509",
        "-config",
        str(settings),
        digest,
        *with_key,
        *by,
        "-subj",
        f"/{subject}",
        "-addext",
        extension,
    ]
    subprocess.run([*words, "-out", str(out)], check=True, capture_output=True)
    return x509.load_pem_x509_certificate(out.read_bytes())


def test_usage_counts_by_purpose(house: House) -> None:
    usage = usage_of(key_encipherment=True)
    key = rsa.generate_private_key(65537, 2048)
    ida = house.made("ida@corp.example", issuer=house.above, key=key, more=[(usage, True)])
    house.judge(ida, house.above, purpose=Purpose.ENCRYPT)
    assert house.refused(ida, house.above) == CERTIFICATE_NOT_FOR_SIGNING


def test_a_verdict_is_remembered_for_a_while(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    trust = house.trust()
    house.judge(house.ida, house.above, trust=trust)
    looked: list[object] = []

    def judged(*asked: object) -> Trusted:
        looked.append(asked)
        return Trusted((facts(house.ida),), 9e12)

    monkeypatch.setattr(trust, "_judge", judged)
    house.judge(house.ida, house.above, trust=trust, now=house.now + FRESH - 1)
    assert looked == []
    house.judge(house.ida, house.above, trust=trust, now=house.now + FRESH)
    house.judge(house.ida, trust=trust)  # Another question: nothing was brought.
    house.judge(house.ida, house.above, trust=trust, purpose=Purpose.ENCRYPT)
    assert len(looked) == 3


def test_a_verdict_ends_with_the_certificate(house: House) -> None:
    trust = house.trust()
    end = facts(house.ida).not_after
    house.judge(house.ida, house.above, trust=trust, now=end - 1)
    assert house.refused(house.ida, house.above, trust=trust, now=end + 1) == CERTIFICATE_EXPIRED


def test_only_so_many_verdicts_are_remembered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    trust = house.trust()
    for _ in range(5):
        house.refused(house.made("ida@corp.example"), trust=trust)
    assert len(trust._verdicts) <= 2


def test_a_heap_of_certificates_that_issue_each_other_is_bounded_in_time(house: House) -> None:
    """A message may bring as many as it likes; those of one name with many keys make paths without end."""
    heap = []
    last = house.made(is_ca=True, common_name="Loop")
    for _ in range(300):
        last = house.made(is_ca=True, common_name="Loop", issuer=last)
        heap.append(last)
    leaf = house.made("ida@corp.example", issuer=last)
    trust, brought = house.trust(), [facts(one) for one in heap]
    assert len(trust._above(facts(leaf), brought)) == MAX_BROUGHT
    began = process_time()
    with pytest.raises(Untrusted):
        trust.judge(facts(leaf), brought, now=house.now, purpose=Purpose.SIGN)
    assert process_time() - began < 1


def test_a_huge_key_is_refused_before_it_costs_anything(house: House) -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << 20000) + 1)
    one = facts(house.ida)
    from dataclasses import replace

    huge = replace(one, algorithm=f"rsa-{numbers.n.bit_length()}")
    with pytest.raises(Untrusted, match="20001 bits"):
        house.trust().judge(huge, [facts(house.above)], now=house.now, purpose=Purpose.SIGN)


def test_nothing_is_left_in_openssls_list_of_errors(house: House) -> None:
    """The next connection's read would take it for an error of its own."""
    from cryptography.hazmat.bindings.openssl.binding import Binding

    lib: Any = Binding().lib
    house.refused(house.ida)
    assert lib.ERR_peek_error() == 0


def test_thunderbirds_certificates_lead_to_its_authority(corpus: Path) -> None:
    folder = corpus / "smime" / "thunderbird"
    trust = Trust(read((folder / "TestCA.pem").read_bytes()).certificates)
    when = 1_790_000_000.0  # In 2026, after they were made.
    for name, known in (("Alice", True), ("Bob", True), ("Dave", True), ("Eve", True), ("Fran", False)):
        (identity,) = read((folder / f"{name}.p12").read_bytes(), "nss").identities
        if known:
            assert len(trust.judge(identity.certificate, now=when, purpose=Purpose.SIGN).path) == 2
        else:
            with pytest.raises(Untrusted) as caught:
                trust.judge(identity.certificate, now=when, purpose=Purpose.SIGN)
            assert caught.value.reason == CERTIFICATE_NOT_TRUSTED


def test_mimekits_chains_lead_to_its_authority(corpus: Path) -> None:
    folder = corpus / "smime" / "mimekit"
    (root,) = read((folder / "certificate-authority.pfx").read_bytes(), "no.secret").identities
    trust = Trust([root.certificate, *read((folder / "smroot.pem").read_bytes()).all])
    for name, length, reason in (
        ("rsa", 4, None),
        ("dnsnames", 4, None),
        ("revoked", 4, None),  # Revocation is not asked yet.
        ("revokedsubca", 3, None),
        ("nochain", 0, CERTIFICATE_NOT_TRUSTED),
        ("ec", 0, CERTIFICATE_NOT_TRUSTED),  # Its curve is spelt out, which RFC 5480 2.1.1 forbids.
    ):
        (identity,) = read((folder / name / "smime.pfx").read_bytes(), "no.secret").identities
        try:
            trusted = trust.judge(identity.certificate, identity.chain, now=1_790_000_000.0, purpose=Purpose.SIGN)
            assert (len(trusted.path), None) == (length, reason)
        except Untrusted as fault:
            assert (0, fault.reason) == (length, reason)
    for name in ("smrsa1", "smec1"):  # OpenSSL's own, signed with SHA-1.
        one = read((folder / f"{name}.pem").read_bytes()).all[0]
        with pytest.raises(Untrusted) as caught:
            trust.judge(one, now=1_500_000_000.0, purpose=Purpose.SIGN)
        assert (caught.value.reason, caught.value.is_weak) == (CERTIFICATE_SIGNATURE_WEAK, True)
