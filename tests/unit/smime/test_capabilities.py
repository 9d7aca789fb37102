"""Which cipher a recipient's certificate asks for (RFC 4262)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.smime.capabilities import certified, cipher_for, read_capabilities
from gateway.smime.certificate import Certificate, of
from gateway.smime.cms import der
from gateway.smime.cms.algorithms import AES256_CBC, AES256_GCM
from gateway.smime.cms.attributes import OUR_CAPABILITIES
from tests.fakes.mail_keys import private_key
from tests.fakes.smime_messages import facts

WITH_PARAMETERS = der.sequence(der.algorithm(der.oid_octets("1.2.840.113549.3.2"), der.integer(128)))


def saying(capabilities: bytes) -> Certificate:
    """A certificate with that extension."""
    name = x509.Name([])
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113549.1.9.15"), capabilities)
    today = datetime.now(UTC)
    return of(
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key("p256").public_key())
        .serial_number(1)
        .not_valid_before(today)
        .not_valid_after(today + timedelta(days=1))
        .add_extension(extension, critical=False)
        .sign(private_key("p256"), hashes.SHA256())
    )


def test_ours_are_read_back_in_their_order() -> None:
    found = read_capabilities(OUR_CAPABILITIES)
    assert found is not None
    assert [cipher.name for cipher in found.ciphers] == ["aes256-cbc", "aes256-gcm", "aes128-cbc"]


def test_parameters_are_read_over() -> None:
    found = read_capabilities(WITH_PARAMETERS)
    assert found is not None
    assert [cipher.name for cipher in found.ciphers] == ["rc2-cbc"]


@pytest.mark.parametrize(
    "octets", [b"", b"\x30", b"\x30\x80", b"\x04\x00", b"\x30\x02\x30\x00", b"\x30\x03\x02\x01\x01"]
)
def test_what_are_no_capabilities_are_none(octets: bytes) -> None:
    assert read_capabilities(octets) is None


def test_more_than_anybody_has_are_none() -> None:
    one = der.algorithm(AES256_CBC.oid)
    assert read_capabilities(der.sequence(*[one] * 200)) is not None
    assert read_capabilities(der.sequence(*[one] * 201)) is None


def test_gcm_is_for_those_whose_certificates_all_ask_for_it() -> None:
    gcm = saying(der.sequence(der.algorithm(AES256_GCM.oid)))
    cbc = saying(der.sequence(der.algorithm(AES256_CBC.oid)))
    assert cipher_for([gcm, gcm]) is AES256_GCM
    assert cipher_for([gcm, cbc]) is AES256_CBC
    assert cipher_for([gcm, facts("rsa")]) is AES256_CBC
    assert cipher_for([]) is AES256_CBC
    assert certified(facts("rsa")) is None
