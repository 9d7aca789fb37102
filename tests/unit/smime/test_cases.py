"""Messages that made other gateways and readers stumble; the password of the key is `test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.mail.opened import Opened
from gateway.smime.certificate import Certificate
from gateway.smime.certificate_file import read
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys
from gateway.smime.entity import canonical
from gateway.smime.opening import open_message
from gateway.smime.trust import Trust
from tests.fakes.chance import FakeChance
from tests.fakes.smime_messages import told

CASES = Path(__file__).parent / "cases"
WITHIN = 1_800_000_000.0  # In 2027, when the certificates of the cases are valid.


def opened(name: str, *anchors: Certificate) -> Opened:
    (olga,) = read((CASES / "olga.p12").read_bytes(), "test").identities
    keys = DecryptionKeys([DecryptionKey.of(olga.certificate.x509, olga.key)])
    message = canonical((CASES / f"{name}.eml").read_bytes())
    return open_message(message, keys, Trust(anchors), WITHIN, FakeChance())


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("smime-20", "aes256-gcm"),  # The type says enveloped-data, it is AuthEnvelopedData.
        ("smime-22", "aes256-cbc"),  # OAEP with SHA-256, its mask with SHA-1.
        ("smime-24", "aes256-cbc"),  # Of indefinite length, in many strings.
    ],
)
def test_what_others_failed_to_open_is_opened(name: str, algorithm: str) -> None:
    found = opened(name)
    assert [layer.row() for layer in found.layers] == [
        {"layer": "enveloped", "ok": True, "recipient": "olga@partner.example", "algorithm": algorithm}
    ]
    assert (found.octets or b"").endswith(b"\r\n\r\nthe amber lantern\r\n")


def test_a_signer_without_certificate_is_good_once_his_is_known() -> None:
    """smime-26: named by key identifier, nothing inside; and olga signed what says to be from ida."""
    assert told(opened("smime-26")) == ["bad certificate-missing"]
    olga = read((CASES / "olga.pem").read_bytes()).all[0]
    assert told(opened("smime-26", olga)) == ["good olga@partner.example signer-mismatch"]
