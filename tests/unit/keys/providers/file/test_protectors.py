"""Protectors: each opens the master key by what it was made with, for its own vault and name, and by nothing else."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.keys import passphrase
from gateway.keys.providers.file import protectors
from gateway.keys.providers.file.protectors import DoesNotOpen, NeedsPassphrase, opened, opened_by_key
from gateway.keys.providers.file.sheet import Kind, Protector
from gateway.keys.vault import Denied, VaultBroken
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

ID = "0123456789abcdef" * 2
MASTER = bytes(range(32))
NOW = FakeClock().now()
SECRET = b"a secret of at least 32 octets, drawn"
SEED = b"sixteen octets!!"
PHRASE = b"correct horse battery"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase, "PASSES", 1)
    monkeypatch.setattr(passphrase, "ROUNDS", passphrase.FEWEST_ROUNDS)


def secret() -> Protector:
    return protectors.with_secret(ID, "service", SECRET, MASTER, now=NOW, chance=FakeChance())


def phrase(*, fips: bool = False) -> Protector:
    return protectors.with_passphrase(ID, "passphrase", PHRASE, MASTER, fips=fips, now=NOW, chance=FakeChance())


def recovery() -> Protector:
    return protectors.with_seed(Kind.RECOVERY_KEY, ID, "recovery", SEED, MASTER, {}, now=NOW, chance=FakeChance())


def certificate(key: PrivateKey | ed25519.Ed25519PrivateKey, days: int = 365) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Recovery of Corp")])
    begin = datetime.datetime.fromtimestamp(NOW, datetime.UTC) - datetime.timedelta(days=10)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days))
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def by_certificate(octets: bytes) -> Protector:
    return protectors.with_certificate(ID, "certificate", octets, MASTER, now=NOW, chance=FakeChance())


MADE: dict[str, tuple[Callable[[], Protector], bytes]] = {
    "secret": (secret, SECRET),
    "passphrase": (phrase, PHRASE),
    "recovery key": (recovery, SEED),
}
KEYS: dict[str, Callable[[], PrivateKey]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
}


@pytest.mark.parametrize(("make", "given"), MADE.values(), ids=MADE)
def test_it_opens_by_what_it_was_made_with_and_by_nothing_else(make: Callable[[], Protector], given: bytes) -> None:
    made = make()
    assert opened(ID, made, given) == MASTER
    for wrong in (b"", given[:-1], given + b"x", given[::-1]):
        with pytest.raises(DoesNotOpen):
            opened(ID, made, wrong)


@pytest.mark.parametrize(("make", "given"), MADE.values(), ids=MADE)
def test_moved_to_another_vault_name_or_kind_it_does_not_open(make: Callable[[], Protector], given: bytes) -> None:
    made = make()
    with pytest.raises(DoesNotOpen):
        opened("f" * 32, made, given)
    with pytest.raises(DoesNotOpen):
        opened(ID, replace(made, name="another"), given)
    if made.kind is not Kind.PASSPHRASE:
        with pytest.raises(DoesNotOpen):
            opened(ID, replace(made, kind=Kind.SHARES), given)


@pytest.mark.parametrize(("make", "given"), MADE.values(), ids=MADE)
def test_a_flipped_bit_of_what_is_sealed_is_found(make: Callable[[], Protector], given: bytes) -> None:
    made = make()
    for place in range(0, len(made.sealed), 1 if made.kind is not Kind.PASSPHRASE else 7):
        changed = bytearray(made.sealed)
        changed[place] ^= 0x10
        with pytest.raises((DoesNotOpen, VaultBroken, Denied)):
            opened(ID, replace(made, sealed=bytes(changed)), given)


@pytest.mark.parametrize(("make", "given"), MADE.values(), ids=MADE)
def test_nothing_secret_stands_in_it(make: Callable[[], Protector], given: bytes) -> None:
    made = make()
    for octets in (MASTER, given):
        assert octets not in made.sealed
        assert octets.hex() not in repr(made)
        assert repr(octets) not in repr(made)


def test_a_secret_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(Denied, match=r"31 octets; right would be 32 or more .* openssl rand") as caught:
        protectors.with_secret(ID, "x", b"s" * 31, MASTER, now=NOW, chance=FakeChance())
    assert "sss" not in str(caught.value)
    with pytest.raises(Denied, match="is empty"):
        protectors.checked_secret(b"\r\n", "a file")


def test_passphrases_are_derived_by_pbkdf2_where_fips_is_asked_for() -> None:
    made = phrase(fips=True)
    assert made.terms["derived_by"].startswith("PBKDF2-HMAC-SHA256, 600000")
    assert made.sealed.startswith(passphrase.MARK_FIPS)
    assert opened(ID, made, PHRASE, fips=True) == opened(ID, made, PHRASE) == MASTER
    assert phrase().terms["derived_by"].startswith("Argon2id")
    with pytest.raises(Denied, match=r"'passphrase' of vault 0123.* sealed by Argon2id, which FIPS 140 does not"):
        opened(ID, phrase(), PHRASE, fips=True)


# -- certificates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", KEYS.values(), ids=KEYS)
def test_a_certificate_s_private_key_opens_it_and_no_other(make: Callable[[], PrivateKey]) -> None:
    key = make()
    made = by_certificate(certificate(key))
    assert made.terms["subject"] == "CN=Recovery of Corp"
    assert opened_by_key(ID, made, key) == MASTER
    with pytest.raises(DoesNotOpen, match="CN=Recovery of Corp"):
        opened_by_key(ID, made, make())
    with pytest.raises(DoesNotOpen):
        opened_by_key("f" * 32, made, key)
    with pytest.raises(DoesNotOpen):
        opened_by_key(ID, replace(made, name="another"), key)
    for term in ("wrapped", "ephemeral"):
        if term in made.terms:
            cut = {**made.terms, term: "QUJD"}
            with pytest.raises(DoesNotOpen):
                opened_by_key(ID, replace(made, terms=cut), key)
            del cut[term]
            with pytest.raises(VaultBroken, match=f"lacks its {term}"):
                opened_by_key(ID, replace(made, terms=cut), key)


def test_a_key_of_another_curve_does_not_open_it() -> None:
    made = by_certificate(certificate(KEYS["p256"]()))
    with pytest.raises(DoesNotOpen):
        opened_by_key(ID, made, KEYS["rsa"]())


def test_certificates_that_can_t_serve_say_why() -> None:
    for octets, words in (
        (b"no certificate", "it is no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it is no certificate"),
        (certificate(ed25519.Ed25519PrivateKey.generate()), "kind that can't seal"),
        (certificate(rsa.generate_private_key(65537, 1024)), "1024 bits; right would be 2048"),
        (certificate(KEYS["p256"](), days=5), "ended on 2026-"),
    ):
        with pytest.raises(Denied, match=words):
            by_certificate(octets)


def test_private_keys_are_read_in_each_form_and_nothing_of_them_is_told() -> None:
    key = KEYS["p256"]()
    forms = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    clear = key.private_bytes(*forms, serialization.NoEncryption())
    der = key.private_bytes(serialization.Encoding.DER, forms[1], serialization.NoEncryption())
    locked = key.private_bytes(*forms, serialization.BestAvailableEncryption(b"open sesame"))
    for octets, given in ((clear, None), (der, None), (locked, b"open sesame")):
        assert protectors.private_key(octets, given).private_numbers() == key.private_numbers()
    with pytest.raises(NeedsPassphrase):
        protectors.private_key(locked, None)
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(*forms, serialization.NoEncryption())
    cases = ((locked, b"wrong", "another one"), (b"junk", None, "no PEM"), (clear, b"x", "no passphrase"))
    for octets, given, words in (*cases, (other, None, "neither RSA")):
        with pytest.raises(Denied, match=words) as caught:
            protectors.private_key(octets, given)
        assert caught.value.__cause__ is None
