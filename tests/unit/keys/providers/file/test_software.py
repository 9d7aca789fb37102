"""Private keys in memory; OpenSSL's own command judges what they sign and the public keys that they show."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.keys.envelope import Algorithm
from gateway.keys.providers.file.software import SoftwareKey
from gateway.keys.vault import KeyType
from tests.fakes.chance import FakeChance

DATA = b"what is signed\r\n" * 100
TYPES = [type_ for type_ in KeyType if type_ not in (KeyType.RSA_3072, KeyType.RSA_4096)]  # Slow to draw.


def drawn(type_: KeyType) -> SoftwareKey:
    return SoftwareKey.drawn(type_, FakeChance())


@pytest.mark.parametrize("type_", TYPES)
def test_what_is_kept_is_the_same_key(type_: KeyType) -> None:
    key = drawn(type_)
    again = SoftwareKey.kept(type_, key.octets())
    assert again.type is type_
    assert again.octets() == key.octets()
    if type_.wraps:
        assert again.unwrap_key(key.algorithm, key.wrap_key(b"k" * 32)) == b"k" * 32
    if type_.signs:
        assert again.public() == key.public()


@pytest.mark.parametrize("type_", TYPES)
def test_a_key_of_another_type_or_nonsense_is_refused_without_a_word_of_it(type_: KeyType) -> None:
    for other in TYPES:
        octets = drawn(other).octets()
        if other is not type_:
            with pytest.raises(ValueError, match=f"no private key of type {type_}") as caught:
                SoftwareKey.kept(type_, octets)
            assert caught.value.__cause__ is None
    with pytest.raises(ValueError, match=type_):
        SoftwareKey.kept(type_, b"nonsense")


def test_it_shows_itself_neither_in_text_nor_pickled() -> None:
    key = drawn(KeyType.AES_256)
    assert repr(key) == "SoftwareKey(aes-256)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


def test_it_does_only_what_its_type_can() -> None:
    with pytest.raises(ValueError, match="does not sign"):
        drawn(KeyType.AES_256).sign(b"x")
    with pytest.raises(ValueError, match="no public key"):
        drawn(KeyType.AES_256).public()
    with pytest.raises(ValueError, match="does not wrap"):
        drawn(KeyType.ED25519).wrap_key(b"k" * 32)
    with pytest.raises(ValueError, match="does not wrap"):
        drawn(KeyType.EC_P256).unwrap_key(Algorithm.AES_KW, b"k" * 40)
    with pytest.raises(ValueError, match="does not wrap that way"):
        drawn(KeyType.AES_256).unwrap_key(Algorithm.RSA_OAEP_SHA256, b"k" * 40)
    with pytest.raises(ValueError, match="is no cipher"):
        drawn(KeyType.ED25519).cipher()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
@pytest.mark.parametrize("type_", [type_ for type_ in TYPES if type_.signs])
def test_openssl_verifies_its_signatures_with_its_public_key(type_: KeyType, tmp_path: Path) -> None:
    key = drawn(type_)
    for name, octets in (("public.der", key.public()), ("data", DATA), ("signature", key.sign(DATA))):
        (tmp_path / name).write_bytes(octets)
    pem = run(tmp_path, "pkey", "-pubin", "-inform", "DER", "-in", "public.der", "-out", "public.pem")
    assert pem.returncode == 0
    shown = run(tmp_path, "pkey", "-pubin", "-in", "public.pem", "-text", "-noout").stdout
    assert {"rsa-2048": "2048 bit", "ed25519": "ED25519", "ec-p256": "prime256v1"}[type_] in shown
    verify = ["pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-sigfile", "signature", "-rawin", "-in"]
    digest = [] if type_ is KeyType.ED25519 else ["-digest", "sha256"]
    assert run(tmp_path, *verify, "data", *digest).returncode == 0
    (tmp_path / "other").write_bytes(DATA + b"x")
    assert run(tmp_path, *verify, "other", *digest).returncode != 0


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, timeout=30, check=False)
