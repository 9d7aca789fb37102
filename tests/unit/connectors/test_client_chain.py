"""Clients' chains, as an honest and as a hostile client shows them: one clear word for each, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from gateway.connectors import client_chain
from gateway.connectors.client_chain import FRESH, MAX_CERTIFICATES, MAX_OCTETS, Trust
from gateway.connectors.pem import PemFault
from gateway.connectors.tls import CERTIFICATE_EXPIRED, CERTIFICATE_NOT_TRUSTED, TlsFault
from tests.fakes.certificates import Certificate, make_certificate

DAY = 86400.0
SIGN_ONLY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=True,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


class Pki:
    """A root that is trusted, and whatever a test hangs below it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = make_certificate(folder, is_ca=True, common_name="Root", days=(-100, 100))
        self.trust = Trust(self.root.file)

    def make(self, *names: str, issuer: Certificate | None = None, **more: object) -> Certificate:
        return make_certificate(self.folder, *names, issuer=issuer or self.root, **more)  # type: ignore[arg-type]

    def judge(self, *shown: Certificate, now: float | None = None, server_too: bool = False) -> None:
        now = time.time() if now is None else now
        self.trust.judge(tuple(one.der for one in shown), now, server_too=server_too)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def refused(pki: Pki, *shown: Certificate, **more: object) -> str:
    """The word and the sentence, after the same answer came twice."""
    with pytest.raises(TlsFault) as first:
        pki.judge(*shown, **more)  # type: ignore[arg-type]
    with pytest.raises(TlsFault) as second:
        pki.judge(*shown, **more)  # type: ignore[arg-type]
    assert str(first.value) == str(second.value)
    return f"{first.value.reason}: {first.value}"


def test_a_chain_to_a_trusted_root_is_good(pki: Pki) -> None:
    middle = pki.make(is_ca=True, common_name="Middle")
    leaf = pki.make("mx.partner.example", issuer=middle)
    pki.judge(leaf, middle)
    pki.judge(leaf, middle, pki.root)  # The root may come along.
    stranger = make_certificate(pki.folder, is_ca=True, common_name="Stranger")
    pki.judge(leaf, stranger, middle)  # In any order, with what has nothing to do with it.


@pytest.mark.parametrize("purposes", [(), (Purpose.CLIENT_AUTH,), (Purpose.ANY_EXTENDED_KEY_USAGE,)])
def test_a_purpose_that_is_a_clients_or_any_or_not_named_will_do(
    pki: Pki, purposes: tuple[x509.ObjectIdentifier, ...]
) -> None:
    pki.judge(pki.make("a.example", purposes=purposes))


def test_a_certificate_for_servers_alone_needs_a_switch(pki: Pki) -> None:
    leaf = pki.make("a.example", purposes=(Purpose.SERVER_AUTH,))
    assert refused(pki, leaf) == (
        "certificate-not-trusted: a certificate whose purposes are not those of a client "
        "(allow_server_certificate takes it)"
    )
    pki.judge(leaf, server_too=True)
    mail = pki.make("a.example", purposes=(Purpose.EMAIL_PROTECTION,))
    assert "purposes" in refused(pki, mail, server_too=True)


def test_the_purpose_of_an_intermediate_counts_too(pki: Pki) -> None:
    middle = pki.make(is_ca=True, common_name="Signing CA", purposes=(Purpose.CODE_SIGNING,))
    assert "purposes" in refused(pki, pki.make("a.example", issuer=middle), middle)


def expired(pki: Pki) -> list[Certificate]:
    return [pki.make("a.example", days=(-30, -1))]


def early(pki: Pki) -> list[Certificate]:
    return [pki.make("a.example", days=(1, 30))]


def expired_above(pki: Pki) -> list[Certificate]:
    middle = pki.make(is_ca=True, common_name="Old", days=(-30, -1))
    return [pki.make("a.example", issuer=middle), middle]


def self_signed(pki: Pki) -> list[Certificate]:
    return [make_certificate(pki.folder, "a.example")]


def of_nobody(pki: Pki) -> list[Certificate]:
    ca = make_certificate(pki.folder, is_ca=True, common_name="Nobody")
    return [make_certificate(pki.folder, "a.example", issuer=ca), ca]


def of_an_impostor(pki: Pki) -> list[Certificate]:
    """Another key under the name of the root."""
    ca = make_certificate(pki.folder, is_ca=True, common_name="Root")
    return [make_certificate(pki.folder, "a.example", issuer=ca), ca]


def no_authority(pki: Pki) -> list[Certificate]:
    """A partner's own certificate, used as if it could sign others."""
    middle = pki.make("partner.example", common_name="Partner")
    return [pki.make("a.example", issuer=middle), middle]


def too_long_a_path(pki: Pki) -> list[Certificate]:
    first = pki.make(is_ca=True, common_name="First", path_length=0)
    second = pki.make(is_ca=True, common_name="Second", issuer=first)
    return [pki.make("a.example", issuer=second), second, first]


def unknown_critical(pki: Pki) -> list[Certificate]:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    return [pki.make("a.example", more=[(odd, True)])]


def outside_the_constraints(pki: Pki) -> list[Certificate]:
    only = x509.NameConstraints(permitted_subtrees=[x509.DNSName("partner.example")], excluded_subtrees=None)
    middle = pki.make(is_ca=True, common_name="Constrained", more=[(only, True)])
    return [pki.make("mx.bank.example", issuer=middle), middle]


def sha1(pki: Pki) -> list[Certificate]:
    return [pki.make("a.example", digest=hashes.SHA224())]


def small_rsa(pki: Pki) -> list[Certificate]:
    return [pki.make("a.example", key=rsa.generate_private_key(65537, 1024))]


def small_curve(pki: Pki) -> list[Certificate]:
    return [pki.make("a.example", key=ec.generate_private_key(ec.SECP224R1()))]


def weak_authority(pki: Pki) -> list[Certificate]:
    middle = pki.make(is_ca=True, common_name="Weak", key=rsa.generate_private_key(65537, 1024))
    return [pki.make("a.example", issuer=middle), middle]


def may_not_sign(pki: Pki) -> list[Certificate]:
    return [pki.make("a.example", more=[(SIGN_ONLY, True)])]


def deep(pki: Pki) -> list[Certificate]:
    chain = [pki.root]
    for number in range(MAX_CERTIFICATES):
        chain.insert(0, pki.make(is_ca=True, common_name=f"Level {number}", issuer=chain[0]))
    return [pki.make("a.example", issuer=chain[0]), *chain]


def huge(pki: Pki) -> list[Certificate]:
    names = [f"n{number}.partner.example" for number in range(MAX_OCTETS // 20)]
    return [pki.make(*names)]


HOSTILE: dict[Callable[[Pki], list[Certificate]], str] = {
    expired: "certificate-expired: the certificate: certificate has expired",
    expired_above: "certificate-expired: certificate 1 above it: certificate has expired",
    early: "certificate-not-trusted: the certificate: certificate is not yet valid",
    self_signed: "certificate-not-trusted: the certificate: self-signed certificate",
    of_nobody: "certificate-not-trusted: certificate 1 above it: self-signed certificate in certificate chain",
    of_an_impostor: "certificate-not-trusted: ",
    no_authority: "certificate-not-trusted: certificate 1 above it: invalid CA certificate",
    too_long_a_path: "certificate-not-trusted: certificate 2 above it: path length constraint exceeded",
    unknown_critical: "certificate-not-trusted: the certificate: unhandled critical extension",
    outside_the_constraints: "certificate-not-trusted: the certificate: permitted subtree violation",
    sha1: "certificate-not-trusted: a signature made with sha224",
    small_rsa: "certificate-not-trusted: an RSA key of 1024 bits; 2048 to 8192 are taken",
    small_curve: "certificate-not-trusted: an elliptic curve key of 224 bits; 256 are the least",
    weak_authority: "certificate-not-trusted: an RSA key of 1024 bits; 2048 to 8192 are taken",
    may_not_sign: "certificate-not-trusted: a certificate whose key may not sign (keyUsage)",
    deep: "certificate-not-trusted: the chain has 12 certificates, more than 10",
    huge: "certificate-not-trusted: the chain has ",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_what_is_wrong_with_a_chain_is_told(pki: Pki, make: Callable[[Pki], list[Certificate]]) -> None:
    assert refused(pki, *make(pki)).startswith(HOSTILE[make])


def test_certificates_that_issue_each_other_cost_no_more_than_their_number(pki: Pki) -> None:
    """A builder of paths that turns back would try 9 ** 9 ways through these: all have one name and one key."""
    key = ec.generate_private_key(ec.SECP256R1())
    loop = make_certificate(pki.folder, is_ca=True, common_name="Loop", key=key)
    again = [make_certificate(pki.folder, is_ca=True, common_name="Loop", key=key, issuer=loop) for _ in range(9)]
    leaf = make_certificate(pki.folder, "a.example", issuer=loop)
    began = time.process_time()
    with pytest.raises(TlsFault):
        pki.judge(leaf, *again)
    assert time.process_time() - began < 1


def test_two_authorities_that_vouch_for_each_other_are_trusted_by_nobody(pki: Pki) -> None:
    one_key, other_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    one = make_certificate(pki.folder, is_ca=True, common_name="One", key=one_key)
    other = make_certificate(pki.folder, is_ca=True, common_name="Other", key=other_key, issuer=one)
    back = make_certificate(pki.folder, is_ca=True, common_name="One", key=one_key, issuer=other)
    leaf = make_certificate(pki.folder, "a.example", issuer=one)
    assert refused(pki, leaf, back, other).startswith(CERTIFICATE_NOT_TRUSTED)


@pytest.mark.parametrize("octets", [b"", b"\x30", b"no certificate", b"\x30\x80" * 200, bytes(5000)])
def test_octets_that_are_no_certificate(pki: Pki, octets: bytes) -> None:
    with pytest.raises(TlsFault, match="can't be read") as caught:
        pki.trust.judge((octets,), 0.0)
    assert caught.value.reason == CERTIFICATE_NOT_TRUSTED
    good = pki.make("a.example")
    with pytest.raises(TlsFault, match="can't be read"):
        pki.trust.judge((good.der, octets), time.time())


def test_no_certificate_at_all(pki: Pki) -> None:
    with pytest.raises(TlsFault, match="no certificate"):
        pki.trust.judge((), 0.0)


def test_the_clock_decides_and_a_judgement_ends_with_the_dates(pki: Pki) -> None:
    leaf = pki.make("a.example", days=(-1, 2))
    end = leaf.certificate.not_valid_after_utc.timestamp()
    pki.judge(leaf, now=end - 10)
    assert refused(pki, leaf, now=end + 10).startswith(CERTIFICATE_EXPIRED)
    assert "not yet valid" in refused(pki, leaf, now=end - 5 * DAY)
    pki.judge(leaf, now=end - 10)


def test_a_chain_is_judged_once_and_again_after_a_while(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = pki.make("a.example")
    judged: list[float] = []
    real = Trust._judge

    def counted(self: Trust, chain: tuple[bytes, ...], now: float, server_too: bool) -> float:
        judged.append(now)
        return real(self, chain, now, server_too)

    monkeypatch.setattr(Trust, "_judge", counted)
    now = time.time()
    for _ in range(5):
        pki.judge(leaf, now=now)
    assert len(judged) == 1
    pki.judge(leaf, now=now + FRESH + 1)
    assert len(judged) == 2
    pki.judge(leaf, now=now - 10)  # The clock was set back: what was judged later says nothing of then.
    assert len(judged) == 3


def test_what_is_remembered_has_a_bound(pki: Pki) -> None:
    for number in range(client_chain._REMEMBERED * 2):
        with pytest.raises(TlsFault):
            pki.trust.judge((b"%d" % number,), 0.0)
    assert len(pki.trust._verdicts) <= client_chain._REMEMBERED


def test_a_pinned_certificate_is_its_own_anchor(tmp_path: Path) -> None:
    own = make_certificate(tmp_path, "mx.partner.example")
    Trust(own.file).judge((own.der,), time.time())
    root = make_certificate(tmp_path, is_ca=True, common_name="Root")
    middle = make_certificate(tmp_path, is_ca=True, common_name="Middle", issuer=root)
    leaf = make_certificate(tmp_path, "mx.partner.example", issuer=middle)
    Trust(middle.file).judge((leaf.der,), time.time())  # The root is not needed, nor the intermediate sent.


def test_without_a_file_the_systems_authorities_count(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = pki.make("mx.partner.example")
    with pytest.raises(TlsFault):
        Trust(None).judge((leaf.der,), time.time())
    monkeypatch.setenv("SSL_CERT_FILE", str(pki.root.file))
    Trust(None).judge((leaf.der,), time.time())


def test_edwards_curves_are_taken(pki: Pki) -> None:
    pki.judge(pki.make("a.example", key=ed25519.Ed25519PrivateKey.generate()))


def test_no_trusted_certificate_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing\n")
    with pytest.raises(PemFault, match="no certificate"):
        Trust(tmp_path / "ca.pem")
    with pytest.raises(PemFault, match="no file"):
        Trust(tmp_path / "none.pem")


def test_a_refusal_leaves_no_error_for_the_next_connection(pki: Pki) -> None:
    """OpenSSL keeps errors in a list for each thread; a read that has to wait takes one left there for its own."""
    from OpenSSL._util import lib

    for make in HOSTILE:
        with pytest.raises(TlsFault):
            pki.judge(*make(pki))
        assert lib.ERR_peek_error() == 0


def test_the_dates_are_those_of_the_clock_handed_in_not_of_the_machine(pki: Pki) -> None:
    leaf = pki.make("a.example", days=(200, 300))
    root = make_certificate(pki.folder, is_ca=True, common_name="Later", days=(100, 400))
    later = make_certificate(pki.folder, "a.example", issuer=root, days=(200, 300))
    trust = Trust(root.file)
    trust.judge((later.der,), time.time() + 250 * DAY)
    with pytest.raises(TlsFault):
        trust.judge((later.der,), time.time())
    with pytest.raises(TlsFault):
        pki.judge(leaf)
    assert datetime.fromtimestamp(time.time(), UTC) < later.certificate.not_valid_before_utc


def test_an_intermediate_of_the_systems_file_leads_to_a_root_in_it(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    middle = pki.make(is_ca=True, common_name="Middle")
    leaf = pki.make("mx.partner.example", issuer=middle)
    bundle = pki.folder / "bundle.pem"
    bundle.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + middle.file.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(pki.folder / "none"))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with pytest.raises(TlsFault):
        Trust(None).judge((leaf.der,), time.time())  # An intermediate alone is no anchor, unless it is pinned.
    bundle.write_bytes(middle.file.read_bytes() + pki.root.file.read_bytes())
    Trust(None).judge((leaf.der,), time.time())


def test_of_an_old_and_a_new_authority_the_valid_one_counts(pki: Pki) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    old = make_certificate(pki.folder, is_ca=True, common_name="CA", key=key, days=(-100, -1))
    new = make_certificate(pki.folder, is_ca=True, common_name="CA", key=key, days=(-1, 100))
    leaf = make_certificate(pki.folder, "a.example", issuer=new)
    both = pki.folder / "both.pem"
    both.write_bytes(old.file.read_bytes() + new.file.read_bytes())
    Trust(both).judge((leaf.der,), time.time())
