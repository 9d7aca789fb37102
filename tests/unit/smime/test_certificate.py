"""A certificate as facts: whose it is, until when, and what it may do."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto.core import UTF8String
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.smime.certificate import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_KEY_WEAK,
    CERTIFICATE_NOT_FOR_ENCRYPTION,
    CERTIFICATE_NOT_FOR_MAIL,
    CERTIFICATE_NOT_FOR_SIGNING,
    CERTIFICATE_NOT_YET_VALID,
    MAX_NAMES,
    MAX_OCTETS,
    Certificate,
    Identity,
    Purpose,
    Unreadable,
    certificate,
    of,
    plain_address,
    same_key,
)
from tests.fakes.certificates import Key, make_certificate

UTF8_MAILBOX = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")
RSA = rsa.generate_private_key(65537, 2048)
ISSUER = ec.generate_private_key(ec.SECP256R1())


def made(
    names: Sequence[x509.GeneralName] = (),
    *,
    subject: Sequence[tuple[x509.ObjectIdentifier, str]] = ((NameOID.COMMON_NAME, "x"),),
    key: Key | x25519.X25519PrivateKey = RSA,
    more: Sequence[x509.ExtensionType] = (),
) -> Certificate:
    """As an authority of the test's own issues it, valid in 2026."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, text) for oid, text in subject]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2026, 12, 31, tzinfo=UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    return of(builder.sign(ISSUER, hashes.SHA256()))


def usage(**allowed: bool) -> x509.KeyUsage:
    words = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{word: allowed.get(word, False) for word in words.split()})


def test_the_addresses_are_those_of_the_alternative_names() -> None:
    one = made(
        [
            x509.RFC822Name("Ida.Muster@Corp.Example"),
            x509.DNSName("corp.example"),
            x509.RFC822Name("ida@corp.example"),
            x509.RFC822Name("IDA@corp.example"),
        ],
        subject=[(NameOID.COMMON_NAME, "Ida"), (NameOID.EMAIL_ADDRESS, "old@corp.example")],
    )
    assert one.addresses == ("ida.muster@corp.example", "ida@corp.example")
    assert one.domains == ("corp.example",)


def test_an_address_in_the_subject_counts_where_there_is_no_other() -> None:
    one = made([x509.DNSName("corp.example")], subject=[(NameOID.EMAIL_ADDRESS, "Ida@Corp.Example")])
    assert one.addresses == ("ida@corp.example",)


def test_an_internationalised_address_is_read_as_rfc_8398_has_it() -> None:
    octets = UTF8String("Jürgen@münchen.example").dump()
    one = made([x509.OtherName(UTF8_MAILBOX, octets)], subject=[(NameOID.EMAIL_ADDRESS, "ida@corp.example")])
    assert one.addresses == ("jürgen@xn--mnchen-3ya.example",)


@pytest.mark.parametrize("octets", [b"\x0c\x05ab", b"\x04\x02ab", b"\x0c\x02\xff\xff"])
def test_a_broken_internationalised_address_makes_it_unreadable(octets: bytes) -> None:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
        .public_key(RSA.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2026, 12, 31, tzinfo=UTC))
        .add_extension(x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, _san(octets)), critical=False)
    )
    with pytest.raises(Unreadable):
        certificate(builder.sign(ISSUER, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


def _san(octets: bytes) -> bytes:
    """SubjectAltName with one SmtpUTF8Mailbox whose value is whatever `octets` are."""
    oid = bytes.fromhex("06082b06010505070809")
    value = oid + b"\xa0" + bytes([len(octets)]) + octets
    name = b"\xa0" + bytes([len(value)]) + value
    return b"\x30" + bytes([len(name)]) + name


def test_a_domain_authority_speaks_for_its_domain() -> None:
    one = made([x509.RFC822Name("domain-confidentiality-authority@partner.example")])  # RFC 3183 2
    assert one.domains == ("partner.example",)


def test_what_is_no_address_is_passed_over() -> None:
    one = made([x509.RFC822Name("root"), x509.RFC822Name("ida@corp.example")])
    assert one.addresses == ("ida@corp.example",)


def test_more_names_than_the_limit_make_it_unreadable() -> None:
    names = [x509.RFC822Name(f"a{n}@x.example") for n in range(MAX_NAMES)]
    assert len(made(names).addresses) == MAX_NAMES
    with pytest.raises(Unreadable, match="1001 names"):
        made([*names, x509.RFC822Name("more@x.example")])


@pytest.mark.parametrize(
    ("key", "more", "encryption", "signing"),
    [
        (RSA, (), None, None),
        (RSA, (usage(digital_signature=True),), CERTIFICATE_NOT_FOR_ENCRYPTION, None),
        (RSA, (usage(content_commitment=True),), CERTIFICATE_NOT_FOR_ENCRYPTION, None),
        (RSA, (usage(key_encipherment=True),), None, CERTIFICATE_NOT_FOR_SIGNING),
        (RSA, (usage(key_cert_sign=True),), CERTIFICATE_NOT_FOR_ENCRYPTION, CERTIFICATE_NOT_FOR_SIGNING),
        (ISSUER, (usage(key_agreement=True),), None, CERTIFICATE_NOT_FOR_SIGNING),
        (ISSUER, (usage(key_encipherment=True, digital_signature=True),), CERTIFICATE_NOT_FOR_ENCRYPTION, None),
        (ec.generate_private_key(ec.SECP384R1()), (), None, None),
        (ec.generate_private_key(ec.SECP521R1()), (), None, None),
        (ec.generate_private_key(ec.SECP256K1()), (), CERTIFICATE_NOT_FOR_ENCRYPTION, None),
        (ed25519.Ed25519PrivateKey.generate(), (), CERTIFICATE_NOT_FOR_ENCRYPTION, None),
        (x25519.X25519PrivateKey.generate(), (), None, CERTIFICATE_NOT_FOR_SIGNING),
        (rsa.generate_private_key(65537, 1024), (), CERTIFICATE_KEY_WEAK, CERTIFICATE_KEY_WEAK),
        (
            rsa.generate_private_key(65537, 1024),
            (usage(digital_signature=True),),
            CERTIFICATE_NOT_FOR_ENCRYPTION,
            CERTIFICATE_KEY_WEAK,
        ),
        (RSA, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),), None, None),
        (RSA, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),), None, None),
        (
            RSA,
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),),
            CERTIFICATE_NOT_FOR_MAIL,
            CERTIFICATE_NOT_FOR_MAIL,
        ),
    ],
)
def test_key_and_usage_say_what_it_may_do(
    key: Key, more: tuple[x509.ExtensionType, ...], encryption: str | None, signing: str | None
) -> None:
    one = made([x509.RFC822Name("ida@corp.example")], key=key, more=more)
    assert (one.encryption, one.signing) == (encryption, signing)
    assert (one.may_encrypt, one.may_sign) == (encryption is None, signing is None)
    assert one.is_weak is (CERTIFICATE_KEY_WEAK in (encryption, signing))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA, "rsa-2048"),
        (ISSUER, "ec-p256"),
        (ec.generate_private_key(ec.BrainpoolP256R1()), "ec-brainpoolP256r1"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
        (x25519.X25519PrivateKey.generate(), "x25519"),
    ],
)
def test_the_key_has_a_word(key: Key, algorithm: str) -> None:
    assert made(key=key).algorithm == algorithm
    assert made(key=key).signed_with == "sha256 ecdsa"


def test_a_key_for_pss_alone_encrypts_nothing() -> None:
    """RFC 4055 1.2: its SubjectPublicKeyInfo says so, and no extension needs to. Made by openssl."""
    file = Path(__file__).parent / "cases" / "pss.pem"
    one = of(x509.load_pem_x509_certificate(file.read_bytes()))
    assert (one.algorithm, one.signed_with) == ("rsa-pss-2048", "sha256 rsa-pss")
    assert (one.encryption, one.signing) == (CERTIFICATE_NOT_FOR_ENCRYPTION, None)


def test_dates_come_before_usage() -> None:
    one = made(more=(usage(digital_signature=True),))
    assert one.reason(Purpose.ENCRYPT, one.not_before - 1) == CERTIFICATE_NOT_YET_VALID
    assert one.reason(Purpose.ENCRYPT, one.not_before) == CERTIFICATE_NOT_FOR_ENCRYPTION
    assert one.reason(Purpose.SIGN, one.not_after) is None
    assert one.reason(Purpose.SIGN, one.not_after + 1) == CERTIFICATE_EXPIRED


def test_two_are_equal_where_their_octets_are() -> None:
    one = made()
    assert certificate(one.der) == one
    assert {one, certificate(one.der), made(subject=[(NameOID.COMMON_NAME, "y")])} != {one}
    assert len({one, certificate(one.der)}) == 1


def test_a_key_is_known_as_its_certificates(tmp_path: Path) -> None:
    mine, other = make_certificate(tmp_path, "a@x.example"), make_certificate(tmp_path, "b@x.example")
    one = certificate(mine.der)
    assert same_key(one, mine.key)
    assert not same_key(one, other.key)
    identity = Identity(one, mine.key)
    assert "key" not in repr(identity).lower().replace(one.fingerprint, "")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(identity)


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"\x30\x82\xff\xff", b"x" * 100, b"\x30\x80\x00\x00"])
def test_octets_that_are_no_certificate_are_refused(octets: bytes) -> None:
    with pytest.raises(Unreadable, match="damaged certificate"):
        certificate(octets)


def test_one_octet_more_than_the_limit_is_refused_unread() -> None:
    with pytest.raises(Unreadable, match="damaged"):
        certificate(b"\x30" * MAX_OCTETS)
    with pytest.raises(Unreadable, match=f"{MAX_OCTETS + 1} octets"):
        certificate(b"\x30" * (MAX_OCTETS + 1))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Ida@Corp.Example", "ida@corp.example"),
        (" ida@corp.example ", "ida@corp.example"),
        ("ida@münchen.example", "ida@xn--mnchen-3ya.example"),
        ("postmaster", None),
        ("corp.example", None),
        ("", None),
        ("ida@", None),
    ],
)
def test_an_address_has_one_form(text: str, plain: str | None) -> None:
    assert plain_address(text) == plain
