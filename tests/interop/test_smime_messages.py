"""OpenSSL opens and verifies each message of the corpus that we seal, and finds the octets that we were given."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gateway.smime.entity import clear_signed, entity_of, split
from gateway.smime.structure import is_whole
from tests.fakes import mail_keys
from tests.fakes.smime_messages import AES256_CBC, AES256_GCM, encrypted, opened, signed, told

LEAST = 190  # Of the 196 messages.
WHOLE = 180  # So many at least are shown by us after CBC, their structure being without a fault.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("rsa", "p256"):
        (folder / f"{kind}.pem").write_bytes(mail_keys.pem(mail_keys.certificate(kind)) + mail_keys.pkcs8(kind))
    (folder / "ca.pem").write_bytes(mail_keys.pem(mail_keys.authority()))
    return folder


def cms(folder: Path, message: bytes, *arguments: str) -> bytes:
    done = subprocess.run(
        ["openssl", "cms", *arguments, "-inform", "SMIME"], input=message, capture_output=True, cwd=folder, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def entity(message: bytes) -> bytes:
    parts = split(message)
    kind = b"" if b"content-type:" in parts.inner.lower().replace(b" ", b"") else b"Content-Type: text/plain\r\n"
    return kind + parts.inner + b"\r\n" + message[parts.body :]


def test_openssl_finds_what_was_encrypted_and_signed(folder: Path, mime_messages: dict[str, bytes]) -> None:
    """Signed by P-256 and encrypted for RSA and P-256, by turns under CBC and GCM."""
    assert len(mime_messages) >= LEAST
    for place, (name, message) in enumerate(mime_messages.items()):
        clear = signed(message, "p256")
        parts = clear_signed(entity_of(clear))
        assert parts is not None, name
        assert parts.is_whole, name
        if message.isascii():
            assert parts.signed == entity(message), name
        sealed = encrypted(clear, "rsa", "p256", cipher=AES256_GCM if place % 2 else AES256_CBC)
        assert max(map(len, sealed[split(sealed).body :].split(b"\r\n"))) <= 76
        inside = cms(folder, sealed, "-decrypt", "-recip", ("rsa.pem", "p256.pem")[place % 4 // 2])
        assert inside == entity(clear), name
        assert cms(folder, inside, "-verify", "-CAfile", "ca.pem", "-purpose", "any") == parts.signed, name


def test_openssl_finds_the_octets_of_messages_with_eight_bits(folder: Path, mime_messages: dict[str, bytes]) -> None:
    """Which are converted before they are signed, and stay as they are where they are encrypted alone."""
    odd = {name: message for name, message in mime_messages.items() if not message.isascii()}
    assert len(odd) > 10
    for name, message in odd.items():
        assert cms(folder, encrypted(message), "-decrypt", "-recip", "rsa.pem") == entity(message), name


def test_we_show_what_we_sealed_wherever_its_structure_is_whole(mime_messages: dict[str, bytes]) -> None:
    whole = 0
    for name, message in mime_messages.items():
        for cipher in (AES256_CBC, AES256_GCM):
            found = opened(encrypted(message, cipher=cipher))
            layers = told(found)
            if cipher is AES256_GCM or is_whole(entity(message)):
                whole += cipher is AES256_CBC
                assert layers[0] == "enveloped", name
                if len(layers) == 1:  # Some are S/MIME in themselves.
                    assert found.octets is not None
                    assert found.octets.endswith(message[split(message).body :]), name
            else:
                assert layers == ["closed content-broken"], name
    assert whole >= WHOLE
