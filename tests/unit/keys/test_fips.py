"""Known answers at the start, and what is said of the cryptographic modules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from gateway.keys import fips
from gateway.keys import known_answers as known
from gateway.keys.fips import SPOKEN, STORED, Module, SelfTestFailed, modules, self_test
from gateway.keys.vault import KeyFault


def test_every_known_answer_comes_out() -> None:
    self_test()


@pytest.mark.parametrize(
    ("name", "constant"),
    [
        ("SHA-256", "SHA256_DIGEST"),
        ("HMAC with SHA-256", "HMAC_DIGEST"),
        ("AES-256-GCM", "GCM_SEALED"),
        ("AES-256 key wrap", "KW_WRAPPED"),
        ("RSA-OAEP with SHA-256", "OAEP_WRAPPED"),
        ("RSA signatures with SHA-256", "RSA_SIGNATURE"),
        ("ECDSA with P-256", "ECDSA_MESSAGE"),
        ("Ed25519", "ED25519_SIGNATURE"),
        ("PBKDF2 with HMAC-SHA-512", "PBKDF2_KEY"),
        ("the counter-mode KDF of SP 800-108", "KDF_DERIVED"),
    ],
)
def test_a_wrong_answer_ends_the_start_with_the_tests_name(
    name: str, constant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right: bytes = getattr(known, constant)
    for at in (0, len(right) - 1):
        wrong = bytearray(right)
        wrong[at] ^= 0x40
        monkeypatch.setattr(known, constant, bytes(wrong))
        with pytest.raises(SelfTestFailed, match=f"the self-test of {name} failed"):
            self_test()
    monkeypatch.setattr(known, constant, right)
    self_test()


def test_every_test_is_among_those_whose_failure_is_tested() -> None:
    marks = test_a_wrong_answer_ends_the_start_with_the_tests_name.pytestmark  # type: ignore[attr-defined]
    assert [name for name, _ in fips.TESTS] == [name for name, _ in marks[0].args[1]]


def test_a_module_that_does_not_know_an_algorithm_fails_by_its_name() -> None:
    def missing() -> bool:
        raise UnsupportedAlgorithm("no such thing")

    tests: list[tuple[str, Callable[[], bool]]] = [("good", lambda: True), ("Ed25519", missing)]
    with pytest.raises(KeyFault, match="the self-test of Ed25519 failed") as raised:
        self_test(tests)
    assert "nothing was started" in str(raised.value)
    assert "[security] fips = false" in str(raised.value)


def test_the_examples_are_those_that_were_published() -> None:
    """Against the files themselves, where they are at hand; what each stands for is named beside it."""
    folder = Path(cryptography_vectors.__file__).parent
    for file, constants in (
        ("hashes/SHA2/SHA256ShortMsg.rsp", ("SHA256_MESSAGE", "SHA256_DIGEST")),
        ("HMAC/rfc-4231-sha256.txt", ("HMAC_DIGEST",)),
        ("ciphers/AES/GCM/gcmEncryptExtIV256.rsp", ("GCM_KEY", "GCM_NONCE", "GCM_PLAIN", "GCM_BOUND")),
        ("keywrap/kwtestvectors/KW_AE_256.txt", ("KW_KEY", "KW_PLAIN", "KW_WRAPPED")),
        ("asymmetric/RSA/oaep-custom/oaep-sha256-sha256.txt", ("OAEP_PLAIN", "OAEP_WRAPPED")),
        ("asymmetric/RSA/FIPS_186-2/SigVer15_186-3.rsp", ("RSA_MESSAGE", "RSA_SIGNATURE")),
        ("asymmetric/ECDSA/FIPS_186-3/SigGen.txt", ("ECDSA_MESSAGE",)),
        ("asymmetric/Ed25519/sign.input", ("ED25519_SECRET", "ED25519_SIGNATURE")),
        ("KDF/nist-800-108-KBKDF-CTR.txt", ("KDF_KEY", "KDF_FIXED", "KDF_DERIVED")),
    ):
        text = (folder / file).read_text().lower()
        for constant in constants:
            assert getattr(known, constant).hex() in text, constant


def test_modules_are_named_with_what_they_do() -> None:
    stored, spoken = modules()
    assert (stored.does, spoken.does) == (STORED, SPOKEN)
    assert stored.name.startswith("cryptography ") and "OpenSSL" in stored.name
    assert spoken.name.startswith("OpenSSL ")


def test_a_module_without_a_provider_is_said_to_be_not_validated() -> None:
    module = Module("OpenSSL 3.0.19", SPOKEN, fips=False)
    assert module.words == "OpenSSL 3.0.19 (TLS) is not validated: it has no active FIPS provider"
    assert module.validation == "OpenSSL 3.0.19, not validated"


def test_a_module_in_fips_mode_is_not_called_validated_either() -> None:
    module = Module("OpenSSL 3.0.19", SPOKEN, fips=True)
    assert "is in FIPS mode" in module.words and "certificate at NIST's CMVP says" in module.words


def test_the_mode_of_the_systems_openssl_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answers:
        @staticmethod
        def get_fips_mode() -> int:
            return 1

    monkeypatch.setattr(hashlib, "_hashlib", Answers, raising=False)
    assert modules()[1].fips
    monkeypatch.setattr(hashlib, "_hashlib", None, raising=False)
    assert not modules()[1].fips
