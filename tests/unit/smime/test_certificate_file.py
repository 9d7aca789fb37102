"""What a file holds: every form in which certificates and private keys come, and every way in which one is broken."""

from __future__ import annotations

import base64
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from asn1crypto import cms, pkcs12
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from gateway.smime import certificate_file
from gateway.smime.certificate import Unreadable
from gateway.smime.certificate_file import MAX_FILE, read
from tests.fakes.certificates import Certificate, make_certificate

PASSWORD = "geheim"
OPENSSL = shutil.which("openssl")


@dataclass
class House:
    root: Certificate
    above: Certificate
    ida: Certificate
    otto: Certificate

    def pem(self, *some: Certificate) -> bytes:
        return b"".join(one.file.read_bytes() for one in some)

    @property
    def key(self) -> bytes:
        return self.ida.key_file.read_bytes()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("certificates")
    root = make_certificate(folder, is_ca=True, common_name="Root")
    above = make_certificate(folder, is_ca=True, common_name="Above", issuer=root)
    key = rsa.generate_private_key(65537, 2048)
    ida = make_certificate(folder, "ida@corp.example", common_name="Ida", issuer=above, key=key)
    otto = make_certificate(folder, "otto@partner.example", common_name="Otto", issuer=above)
    return House(root, above, ida, otto)


def addresses(octets: bytes, password: str | None = None) -> list[tuple[str, ...]]:
    holding = read(octets, password)
    return [one.addresses for one in holding.all]


def refused(octets: bytes, password: str | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        read(octets, password)
    return str(caught.value)


def test_every_form_of_a_certificate_is_read(house: House) -> None:
    pem = house.pem(house.ida)
    bare = pem.partition(b"\n")[2].partition(b"-----END")[0]
    for octets in (
        pem,
        house.ida.der,
        b"Ida's certificate:\r\n" + pem.replace(b"\n", b"\r\n"),
        bare,
        pem.replace(b"BEGIN CERT", b"BEGIN X509 CERT").replace(b"END CERT", b"END X509 CERT"),
        pkcs7.serialize_certificates([house.ida.certificate], Encoding.DER),
        pkcs7.serialize_certificates([house.ida.certificate], Encoding.PEM),
        serialize_key_and_certificates(None, None, None, [house.ida.certificate], NoEncryption()),
    ):
        assert addresses(octets) == [("ida@corp.example",)]
        assert read(octets).identities == ()


def test_several_are_read_each_once_in_the_files_order(house: House) -> None:
    found = read(house.pem(house.otto, house.ida, house.otto, house.root))
    assert [one.addresses for one in found.certificates] == [("otto@partner.example",), ("ida@corp.example",), ()]


def test_a_key_finds_its_certificate_and_the_chain_stops_below_the_anchor(house: House) -> None:
    found = read(house.pem(house.root, house.above, house.otto, house.ida) + house.key)
    (identity,) = found.identities
    assert identity.certificate.addresses == ("ida@corp.example",)
    assert [one.subject for one in identity.chain] == ["CN=Above"]
    assert [one.addresses for one in found.certificates] == [("otto@partner.example",)]


def test_a_key_that_has_two_certificates_makes_two_identities(house: House, tmp_path: Path) -> None:
    renewed = make_certificate(tmp_path, "ida@corp.example", key=house.ida.key, common_name="Ida again")
    found = read(house.pem(house.ida, renewed) + house.key)
    assert {one.certificate.subject for one in found.identities} == {"CN=Ida", "CN=Ida again"}


@pytest.mark.parametrize("password", [PASSWORD, ""])
def test_a_pkcs12_file_opens_with_its_password(house: House, password: str) -> None:
    how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    octets = serialize_key_and_certificates(
        b"ida", house.ida.key, house.ida.certificate, [house.above.certificate, house.root.certificate], how
    )
    (identity,) = read(octets, password or None).identities
    assert identity.certificate.addresses == ("ida@corp.example",)
    assert [one.subject for one in identity.chain] == ["CN=Above"]
    framed = b"-----BEGIN PKCS12-----\n" + base64.encodebytes(octets) + b"-----END PKCS12-----\n"
    assert addresses(framed, password or None) == [("ida@corp.example",)]
    if password:
        assert "and no password" in refused(octets)
        for wrong in ("falsch", ""):
            assert "that this password does not open" in refused(octets, wrong)
            assert wrong == "" or wrong not in refused(octets, wrong)


def test_a_pkcs12_file_may_hold_a_key_to_sign_and_one_to_decrypt(house: House) -> None:
    secret = BestAvailableEncryption(PASSWORD.encode())
    files = [
        pkcs12.Pfx.load(serialize_key_and_certificates(b"x", one.key, one.certificate, None, secret))
        for one in (house.ida, house.otto)
    ]
    safe = pkcs12.AuthenticatedSafe([info for file in files for info in file.authenticated_safe])
    content = {"content_type": "data", "content": cms.OctetString(safe.dump())}
    octets = pkcs12.Pfx({"version": "v3", "auth_safe": content}).dump()
    found = read(octets, PASSWORD)
    assert [one.certificate.addresses for one in found.identities] == [("ida@corp.example",), ("otto@partner.example",)]
    assert found.certificates == ()
    assert "this password does not open" in refused(octets, "falsch")


OLD = {
    "RC2 of 40 bits": ["-legacy"],
    "RC2 of 128 bits": ["-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-128"],
    "RC4": ["-legacy", "-certpbe", "PBE-SHA1-RC4-128", "-keypbe", "PBE-SHA1-RC4-128"],
    "3DES": ["-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
    "no MAC": ["-nomac"],
}


@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl here")
@pytest.mark.parametrize("ciphers", OLD.values(), ids=OLD)
def test_old_pkcs12_files_open(house: House, tmp_path: Path, ciphers: list[str]) -> None:
    assert OPENSSL is not None
    file = tmp_path / "old.p12"
    where = ["-in", str(house.ida.file), "-inkey", str(house.ida.key_file), "-out", str(file)]
    ran = subprocess.run(
        [OPENSSL, "pkcs12", "-export", *where, "-passout", f"pass:{PASSWORD}", *ciphers],
        capture_output=True,
        check=False,
    )
    if ran.returncode:
        pytest.skip("this openssl has no legacy provider")
    (identity,) = read(file.read_bytes(), PASSWORD).identities
    assert identity.certificate.addresses == ("ida@corp.example",)


def test_every_form_of_a_private_key_is_read(house: House) -> None:
    key, secret = house.ida.key, BestAvailableEncryption(PASSWORD.encode())
    for octets, password in (
        (key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), None),
        (key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()), None),
        (key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret), PASSWORD),
        (key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, secret), PASSWORD),
    ):
        (identity,) = read(octets + house.pem(house.ida), password).identities
        assert identity.certificate.addresses == ("ida@corp.example",)
        if password is not None:
            assert "an encrypted private key and no password" in refused(octets + house.pem(house.ida))
            assert "that this password does not open" in refused(octets + house.pem(house.ida), "falsch")
    for octets in (
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, secret),
        house.key,
    ):
        assert "a private key without its certificate" in refused(octets, PASSWORD)


def test_keys_of_other_kinds_and_of_other_certificates_are_refused(house: House, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import dsa

    other = dsa.generate_private_key(1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert "a private key that S/MIME does not use" in refused(other + house.pem(house.ida))
    assert "without its certificate" in refused(house.pem(house.otto) + house.key)


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", "an empty file"),
        (b" \r\n", "an empty file"),
        (b"Dear Ida, here it is", "neither PEM nor DER"),
        (b"\x00" * 10, "neither PEM nor DER"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB", "a PEM block without its end"),
        (b"-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n", "damaged base64"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "the file's number 1"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n", "no certificate"),
        (b"-----BEGIN TRUSTED CERTIFICATE-----\nMIIB\n-----END TRUSTED CERTIFICATE-----\n", "TRUSTED CERTIFICATE"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "a private key that is damaged"),
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n", "damaged encrypted"),
        (b"-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n", "a damaged PKCS#7 file"),
        (b"\x30\x82\x01\x00\x02\x01\x03\x30", "a damaged PKCS#12 file"),
        (bytes.fromhex("3080060a2a864886f70d010702"), "damaged"),
        (bytes.fromhex("300b06092a864886f70d010702"), "a damaged PKCS#7 file"),
        (b"\x30\x03\x02\x01\x00", "a private key that is damaged"),
        (b"\x30\x80\x00\x00", "a damaged certificate"),
    ],
)
def test_what_is_broken_is_named(octets: bytes, words: str) -> None:
    assert words in refused(octets)


def test_the_second_certificate_is_named_by_its_place(house: House) -> None:
    broken = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert "the file's number 2" in refused(house.pem(house.ida) + broken)


def test_limits_are_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "neither PEM nor DER" in refused(b"x!" * (MAX_FILE // 2))
    assert f"{MAX_FILE + 1} octets" in refused(b"x" * (MAX_FILE + 1))
    monkeypatch.setattr(certificate_file, "MAX_CERTIFICATES", 1)
    assert addresses(house.pem(house.ida, house.ida)) == [("ida@corp.example",)]
    assert "more than 1 certificates" in refused(house.pem(house.ida, house.otto))
    both = pkcs7.serialize_certificates([house.ida.certificate, house.otto.certificate], Encoding.DER)
    assert "more than 1 certificates" in refused(both)
    monkeypatch.setattr(certificate_file, "MAX_KEYS", 1)
    assert "more than 1 private keys" in refused(house.key + house.key + house.pem(house.ida))


def test_a_derivation_that_would_take_minutes_is_refused_before_it_begins(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = BestAvailableEncryption(PASSWORD.encode())
    bag = serialize_key_and_certificates(b"ida", house.ida.key, house.ida.certificate, None, secret)
    key = house.ida.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret) + house.pem(house.ida)
    monkeypatch.setattr(certificate_file, "MAX_ROUNDS", 2047)
    for octets in (bag, key):
        assert "rounds; right would be at most 2047" in refused(octets, PASSWORD)


def test_scrypt_is_read_and_its_memory_bounded(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if OPENSSL is None:
        pytest.skip("there is no openssl here")
    file = tmp_path / "scrypt.pem"
    where = ["-in", str(house.ida.key_file), "-out", str(file)]
    subprocess.run([OPENSSL, "pkcs8", "-topk8", "-scrypt", "-passout", f"pass:{PASSWORD}", *where], check=True)
    octets = file.read_bytes() + house.pem(house.ida)
    assert addresses(octets, PASSWORD) == [("ida@corp.example",)]
    monkeypatch.setattr(certificate_file, "MAX_SCRYPT", (16 << 20) - 1)
    assert "too much memory" in refused(octets, PASSWORD)


def test_thunderbirds_and_mimekits_files_are_read(corpus: Path) -> None:
    smime = corpus / "smime"
    for name in ("Alice", "Bob", "Dave", "Eve", "Fran", "Alice-ec", "Fran-ec"):  # NSS writes BER.
        (identity,) = read((smime / "thunderbird" / f"{name}.p12").read_bytes(), "nss").identities
        assert identity.certificate.subject.startswith(f"CN={name.partition('-')[0]},")
    for name, chain in (("rsa", 2), ("ec", 2), ("dnsnames", 2), ("nochain", 0), ("revokedsubca", 1)):
        (identity,) = read((smime / "mimekit" / name / "smime.pfx").read_bytes(), "no.secret").identities
        assert len(identity.chain) == chain
    assert "S/MIME does not use" in refused((smime / "mimekit/dsa/smime.pfx").read_bytes(), "no.secret")
