"""What `[security] fips = true` refuses, and what it can only warn of."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA384

from gateway.app import fips_check
from gateway.app.fips_check import judge_fips, unapproved
from gateway.keys import fips
from gateway.keys.fips import SPOKEN, STORED, Module
from gateway.keys.providers.file.sheet import Head, Kind, Protector
from gateway.keys.providers.file.vault import Facts
from gateway.keys.vault import Denied
from gateway.settings.fault import Fault, errors
from gateway.settings.load import Loaded, read
from tests.fakes.certificates import make_certificate
from tests.fakes.settings import PLAIN, settings_in

FIPS = PLAIN + "[security]\nfips = true\n"
FORCED = FIPS.replace("use_mx = true", 'use_mx = true\ntls_settings = "certificate_validation"').replace(
    'smart_hosts = ["127.0.0.1:2500"]', 'smart_hosts = ["127.0.0.1:2500"]\ntls_settings = "encryption_only"'
)


def protector(kind: Kind, **terms: object) -> Protector:
    return Protector(kind=kind, name=str(kind), created=0.0, terms=terms, sealed=b"x")


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with nothing to find fault with."""
    monkeypatch.setattr(fips, "modules", lambda: (Module("a", STORED, True), Module("b", SPOKEN, True)))
    sealed(monkeypatch, protector(Kind.SECRET))
    return monkeypatch


def sealed(monkeypatch: pytest.MonkeyPatch, *protectors: Protector) -> None:
    head = Head(id="00" * 16, generation=1, protectors=protectors) if protectors else None
    monkeypatch.setattr(fips_check, "facts", lambda folder: Facts(folder / "root-keys", head))


def found(loaded: Loaded) -> list[tuple[str, str]]:
    return [(fault.key, fault.severity) for fault in judge_fips(loaded)]


def loaded(folder: Path, text: str) -> Loaded:
    (folder / "gateway.toml").write_text(text)
    made = read(folder / "gateway.toml").loaded
    assert made is not None
    return made


def test_without_fips_nothing_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fips, "modules", lambda: pytest.fail("asked"))
    assert found(settings_in(tmp_path)) == []


def test_approved_settings_are_right(tmp_path: Path, good: pytest.MonkeyPatch) -> None:
    assert found(settings_in(tmp_path, FORCED)) == []


def test_a_module_that_is_not_validated_is_said_to_be(tmp_path: Path, good: pytest.MonkeyPatch) -> None:
    good.setattr(
        fips,
        "modules",
        lambda: (Module("cryptography 50", STORED, False), Module("OpenSSL 3", SPOKEN, True)),
    )
    (fault,) = judge_fips(settings_in(tmp_path, FORCED))
    assert (fault.key, fault.severity) == ("security.fips", "warning")
    assert "cryptography 50 (what is stored and signed)" in fault.found and "OpenSSL 3" not in fault.found


def test_argon2id_opens_no_vault(tmp_path: Path, good: pytest.MonkeyPatch) -> None:
    sealed(good, protector(Kind.SECRET), protector(Kind.PASSPHRASE, derived_by="Argon2id, 256 MiB, 3 passes"))
    (fault,) = judge_fips(settings_in(tmp_path, FORCED))
    assert (fault.key, fault.severity) == ("vaults[0].path", "error")
    assert "Argon2id" in fault.found and "PBKDF2" in fault.right
    sealed(good, protector(Kind.PASSPHRASE, derived_by="PBKDF2-HMAC-SHA256, 1000000 rounds"))
    assert found(settings_in(tmp_path, FORCED)) == []


def test_keys_in_clear_are_refused(tmp_path: Path, good: pytest.MonkeyPatch) -> None:
    sealed(good)
    (fault,) = judge_fips(settings_in(tmp_path, FORCED))
    assert fault.severity == "error" and "gateway key protector add main" in fault.right


def test_shares_are_no_mechanism_of_fips(tmp_path: Path, good: pytest.MonkeyPatch) -> None:
    sealed(good, protector(Kind.SHARES))
    (fault,) = judge_fips(settings_in(tmp_path, FORCED))
    assert fault.severity == "warning" and "splitting is no mechanism of FIPS 140" in fault.right


def test_opportunistic_tls_is_warned_of(tmp_path: Path, good: pytest.MonkeyPatch) -> None:
    assert found(settings_in(tmp_path, FIPS)) == [
        ("connectors.outbound[0].tls_settings", "warning"),
        ("connectors.outbound[1].tls_settings", "warning"),
    ]


def test_certificates_of_ours_are_judged(tmp_path: Path, good: pytest.MonkeyPatch) -> None:
    weak = make_certificate(tmp_path, "mx.corp.example", key=ed25519.Ed25519PrivateKey.generate())
    fine = make_certificate(tmp_path, "mx.corp.example")
    listener = 'listen = "127.0.0.1:2525"\ntls = "starttls"\ncertificate = "{0}"\nkey = "{1}"\n'
    text = FORCED.replace('listen = "127.0.0.1:2525"\ntls = "none"\n', listener.format(weak.file, weak.key_file))
    assert found(loaded(tmp_path, text)) == [("listeners[0].certificate", "error")]
    text = FORCED.replace('listen = "127.0.0.1:2525"\ntls = "none"\n', listener.format(fine.file, fine.key_file))
    assert found(loaded(tmp_path, text)) == []
    client = f'use_mx = true\nclient_certificate = "{weak.file}"\nclient_key = "{weak.key_file}"'
    assert found(loaded(tmp_path, FORCED.replace("use_mx = true", client))) == [
        ("connectors.outbound[0].client_certificate", "error")
    ]


def test_keys_and_signatures_of_certificates(tmp_path: Path) -> None:
    def why(key: object, digest: object = None) -> str | None:
        made = make_certificate(tmp_path, key=key, digest=digest)  # type: ignore[arg-type]
        return unapproved(made.certificate)

    assert why(rsa.generate_private_key(65537, 2048)) is None
    assert why(ec.generate_private_key(ec.SECP384R1()), SHA384()) is None
    assert why(rsa.generate_private_key(65537, 1024)) == "an RSA key of 1024 bits"
    assert why(ec.generate_private_key(ec.BrainpoolP256R1())) == "a key on the curve brainpoolP256r1"
    assert why(ec.generate_private_key(ec.SECP256K1())) == "a key on the curve secp256k1"
    assert why(ed25519.Ed25519PrivateKey.generate()) == "a key of a kind that SP 800-52r2 does not have (Ed25519)"
    signed = make_certificate(tmp_path).certificate

    class OldSignature:
        signature_hash_algorithm = SHA1()

        def public_key(self) -> object:
            return signed.public_key()

    assert unapproved(OldSignature()) == "a signature by sha1"  # type: ignore[arg-type]


def test_what_other_libraries_compute_is_warned_of(tmp_path: Path, good: pytest.MonkeyPatch) -> None:
    text = FORCED + (
        '[storage]\nurl = "postgresql://gw@db.corp.example/mail"\nblobs = "s3://mail/a"\n'
        '[[recipient_sources]]\nname = "people"\nby = "ldap"\nurl = "ldaps://ldap.corp.example"\nbase = "dc=x"\n'
    )
    told: list[Fault] = list(judge_fips(loaded(tmp_path, text)))
    assert [fault.key for fault in told] == ["storage.url", "storage.blobs", "recipient_sources"]
    assert errors(told) == ()


def test_a_vault_or_certificate_that_cannot_be_read_is_told_elsewhere(tmp_path: Path, good: pytest.MonkeyPatch) -> None:
    def missing(folder: Path) -> Facts:
        raise Denied("root-keys is missing")

    good.setattr(fips_check, "facts", missing)
    text = FORCED.replace('tls = "none"', 'tls = "starttls"\ncertificate = "nothing.pem"')
    assert found(loaded(tmp_path, text)) == []
