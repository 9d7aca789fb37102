"""Contexts, and the judgement of names in certificates (RFC 9525)."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.connectors.model import TlsLevel
from gateway.connectors.tls import TlsFault, judge, outbound_context, reason_of, server_context
from tests.fakes.certificates import make_certificate

CASES = Path(__file__).parent / "cases"


def case(name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert((CASES / f"{name}.pem").read_text())


def reason(der: bytes | None, expected: str, *, allow_cn: bool = False) -> str | None:
    try:
        judge(der, expected, allow_cn=allow_cn)
    except TlsFault as fault:
        return fault.reason
    return None


def test_tls_20_a_name_in_the_subject_alone_is_no_name() -> None:
    assert reason(case("tls-20"), "mx.partner.example") == "certificate-host-mismatch"
    assert reason(case("tls-20"), "mx.partner.example", allow_cn=True) is None
    assert reason(case("tls-20"), "other.partner.example", allow_cn=True) == "certificate-host-mismatch"


def test_tls_22_case_and_a_trailing_dot_do_not_matter() -> None:
    assert reason(case("tls-22"), "MX.Partner.Example.") is None


MISMATCH = "certificate-host-mismatch"


@pytest.mark.parametrize(
    ("name", "expected", "verdict"),
    [
        ("mx.x.example", "mx.x.example", None),
        ("mx.x.example", "x.example", MISMATCH),
        ("mx.x.example", "amx.x.example", MISMATCH),
        # A wildcard in the certificate: one whole first label.
        ("*.x.example", "mx.x.example", None),
        ("*.x.example", "a.b.x.example", MISMATCH),
        ("*.x.example", "x.example", MISMATCH),
        ("*.example", "x.example", MISMATCH),
        ("*", "example", MISMATCH),
        ("mx*.x.example", "mx1.x.example", MISMATCH),
        ("*x.x.example", "mx.x.example", MISMATCH),
        ("a.*.example", "a.x.example", MISMATCH),
        # A wildcard expected (t07): likewise.
        ("mx.x.example", "*.x.example", None),
        ("*.x.example", "*.x.example", None),
        ("a.b.x.example", "*.x.example", MISMATCH),
        ("x.example", "*.x.example", MISMATCH),
        ("*.b.x.example", "*.x.example", MISMATCH),
        # Internationalised names as A-labels.
        ("xn--bcher-kva.example", "b\u00fccher.example", None),
        ("xn--bcher-kva.example", "XN--BCHER-KVA.example.", None),
        ("mx.xn--bcher-kva.example", "*.b\u00fccher.example", None),
        # Addresses need an iPAddress.
        ("192.0.2.1", "192.0.2.1", None),
        ("192.0.2.1", "[192.0.2.1]", None),
        ("192.0.2.1", "192.0.2.2", MISMATCH),
        ("2001:db8::1", "[IPv6:2001:0db8:0::1]", None),
        ("mx.x.example", "", MISMATCH),
        ("mx.x.example", "*", MISMATCH),
        ("mx.x.example", "..", MISMATCH),
    ],
)
def test_names_are_judged_as_connectors_want_them(
    tmp_path: Path, name: str, expected: str, verdict: str | None
) -> None:
    assert reason(make_certificate(tmp_path, name).der, expected) == verdict


def test_an_address_written_as_a_dns_name_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fakes.certificates._name", x509.DNSName)
    assert reason(make_certificate(tmp_path, "192.0.2.1").der, "192.0.2.1") == MISMATCH


def test_the_cn_counts_only_where_there_is_no_dns_name(tmp_path: Path) -> None:
    der = make_certificate(tmp_path, "other.example", common_name="mx.x.example").der
    assert reason(der, "mx.x.example", allow_cn=True) == MISMATCH


def test_any_of_the_names_will_do(tmp_path: Path) -> None:
    der = make_certificate(tmp_path, "a.example", "192.0.2.1", "b.example").der
    assert [reason(der, name) for name in ("a.example", "b.example", "192.0.2.1", "c.example")] == [
        None,
        None,
        None,
        MISMATCH,
    ]


@pytest.mark.parametrize("der", [None, b"", b"\x30\x03\x02\x01\x01"])
def test_a_certificate_that_is_none_is_a_validation_failure(der: bytes | None) -> None:
    assert reason(der, "mx.x.example") == "validation-failure"


def test_words_of_rfc_8460_for_what_a_handshake_says() -> None:
    expired = ssl.SSLCertVerificationError(1, "x")
    for code, word in ((10, "certificate-expired"), (62, MISMATCH), (18, "certificate-not-trusted"), (20, None)):
        expired.verify_code = code
        assert reason_of(expired) == (word or "certificate-not-trusted")
    assert reason_of(ssl.SSLError(1, "WRONG_VERSION_NUMBER")) == "validation-failure"
    assert reason_of(ConnectionResetError()) == "validation-failure"
    assert reason_of(TlsFault("starttls-not-supported")) == "starttls-not-supported"


# Contexts


def made(level: TlsLevel, ca: Path | None = None) -> ssl.SSLContext:
    return outbound_context(level, trusted_ca=ca, minimum_tls="1.2", client_certificate=None, client_key=None)


def test_names_are_never_left_to_openssl() -> None:
    for level in TlsLevel:
        context = made(level)
        assert not context.check_hostname
        assert not context.hostname_checks_common_name


@pytest.mark.parametrize(
    ("level", "mode"),
    [
        (TlsLevel.OPPORTUNISTIC, ssl.CERT_NONE),
        (TlsLevel.ENCRYPTION_ONLY, ssl.CERT_NONE),
        (TlsLevel.CERTIFICATE_VALIDATION, ssl.CERT_REQUIRED),
        (TlsLevel.DOMAIN_VALIDATION, ssl.CERT_REQUIRED),
    ],
)
def test_chains_are_verified_from_certificate_validation_on(level: TlsLevel, mode: ssl.VerifyMode) -> None:
    assert made(level).verify_mode is mode


def test_with_a_ca_of_its_own_a_connector_trusts_no_other(tmp_path: Path) -> None:
    ca = make_certificate(tmp_path, is_ca=True)
    assert made(TlsLevel.CERTIFICATE_VALIDATION, ca.file).cert_store_stats()["x509"] == 1


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    good, other = make_certificate(tmp_path), make_certificate(tmp_path)
    junk = tmp_path / "junk.pem"
    junk.write_text("nothing")
    missing = tmp_path / "missing.pem"
    with pytest.raises(OSError, match=r"junk\.pem holds no CA certificate"):
        made(TlsLevel.CERTIFICATE_VALIDATION, junk)
    with pytest.raises(OSError, match=r"missing\.pem can't be read: No such file"):
        made(TlsLevel.CERTIFICATE_VALIDATION, missing)
    with pytest.raises(OSError, match=r"junk\.pem.*no certificate and private key"):
        server_context(junk, good.key_file, "1.2")
    with pytest.raises(OSError, match=r"missing\.pem can't be read"):
        server_context(good.file, missing, "1.2")
    with pytest.raises(OSError, match="does not belong to the certificate"):
        server_context(good.file, other.key_file, "1.2")


def test_a_key_with_a_pass_phrase_is_refused_instead_of_asked_for(tmp_path: Path) -> None:
    good = make_certificate(tmp_path)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        good.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(OSError, match="has a pass phrase"):
        server_context(good.file, locked, "1.2")


def test_servers_take_no_version_below_their_minimum(tmp_path: Path) -> None:
    good = make_certificate(tmp_path)
    assert server_context(good.file, good.key_file, "1.3").minimum_version is ssl.TLSVersion.TLSv1_3
    assert server_context(good.file, good.key_file, "1.2").minimum_version is ssl.TLSVersion.TLSv1_2
