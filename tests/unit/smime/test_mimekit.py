"""MimeKit's certificates and message: keys of other makers seal and open, and a real signature is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.smime.certificate import Identity
from gateway.smime.certificate_file import read
from gateway.smime.cms.algorithms import AES256_CBC
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, recipient
from gateway.smime.cms.signing import Signer
from gateway.smime.entity import canonical
from gateway.smime.opening import open_message
from gateway.smime.sealing import encrypt, sign
from gateway.smime.trust import Trust
from tests.fakes.chance import FakeChance
from tests.fakes.smime_messages import MESSAGE, told

PASSWORD = "no.secret"
IN_2013 = 1_383_500_000.0


@pytest.fixture(scope="module")
def folder(corpus: Path) -> Path:
    found = corpus / "smime/mimekit"
    if not found.is_dir():
        pytest.skip(f"{found} is not there")
    return found


def identity(folder: Path, name: str) -> Identity:
    return read((folder / name / "smime.pfx").read_bytes(), PASSWORD).identities[0]


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("rsa", "good rsa@mimekit.net"),
        # It spells its curve out, which RFC 5480 2.1.1 forbids; OpenSSL believes no such certificate.
        ("ec", "bad ec@mimekit.net certificate-not-trusted"),
    ],
)
def test_its_keys_open_and_verify_what_was_sealed_for_them(folder: Path, name: str, verdict: str) -> None:
    mine = identity(folder, name)
    within = mine.certificate.not_before + 86_400
    message = MESSAGE.replace(b"rsa@corp.example", mine.certificate.addresses[0].encode())
    signer = Signer.of(mine.certificate.x509, mine.key, chain=[one.x509 for one in mine.chain])
    sealed = sign(message, [signer], within)
    sealed = encrypt(sealed, [recipient(mine.certificate.x509)], AES256_CBC, FakeChance())
    keys = DecryptionKeys([DecryptionKey.of(mine.certificate.x509, mine.key)])
    anchors = read((folder / "certificate-authority.pfx").read_bytes(), PASSWORD).all
    found = open_message(sealed, keys, Trust(anchors), within, FakeChance())
    assert told(found) == ["enveloped", verdict]
    assert found.octets == message


def test_a_real_signature_of_200_kb_holds_by_sha_1(folder: Path) -> None:
    message = canonical((folder / "thunderbird-signed.txt").read_bytes())
    anchors = read((folder / "StartComCertificationAuthority.crt").read_bytes()).all
    found = open_message(message, DecryptionKeys(), Trust(anchors), IN_2013, FakeChance())
    assert told(found) == ["weak fejj@gnome.org weak-algorithm"]
    changed = message.replace(b"Hopefully", b"hopefully")
    assert told(open_message(changed, DecryptionKeys(), Trust(anchors), IN_2013, FakeChance())) == [
        "bad fejj@gnome.org digest-mismatch"
    ]
