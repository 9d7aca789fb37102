"""AES in the modes of a KeyHeader; OpenSSL's command is the judge of a segment."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher as AesCipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from gateway.rights.cipher import SEGMENT, BadCipher, Cipher, decrypt, decrypt_text, encrypt, encrypt_all

KEY = bytes(range(32))
MODES = [Cipher.ECB, Cipher.CBC4K, Cipher.CBC4K_PADDED]
LENGTHS = [0, 1, 15, 16, 17, 512, 4080, 4095, 4096, 4097, 4111, 4112, 8192, 12_289]


def plain(length: int) -> bytes:
    return bytes(n * 7 % 251 + 1 for n in range(length))


@pytest.mark.parametrize("cipher", MODES)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("key", [KEY[:16], KEY[:24], KEY])
def test_what_is_encrypted_comes_back(cipher: Cipher, length: int, key: bytes) -> None:
    octets = encrypt(cipher, key, plain(length))
    assert len(octets) % 16 == 0
    assert length <= len(octets) <= length + 16
    assert decrypt(cipher, key, octets, length) == plain(length)


@pytest.mark.parametrize("cipher", MODES)
def test_several_texts_are_encrypted_as_each_is_alone(cipher: Cipher) -> None:
    texts = [plain(length) for length in LENGTHS]
    assert encrypt_all(cipher, KEY, *texts) == [encrypt(cipher, KEY, one) for one in texts]


@pytest.mark.parametrize("cipher", MODES)
def test_equal_segments_look_alike_in_ecb_alone(cipher: Cipher) -> None:
    octets = encrypt(cipher, KEY, bytes(2 * SEGMENT))
    assert (octets[:SEGMENT] == octets[SEGMENT : 2 * SEGMENT]) == (cipher is Cipher.ECB)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to judge")
@pytest.mark.parametrize("number", [0, 1, 2])
def test_openssl_decrypts_each_segment_under_its_number(number: int) -> None:
    text = plain(3 * SEGMENT)
    octets = encrypt(Cipher.CBC4K, KEY, text)[number * SEGMENT : (number + 1) * SEGMENT]
    iv = openssl("-aes-256-ecb", "-K", KEY.hex(), octets=bytes([number]) + bytes(15))
    got = openssl("-d", "-aes-256-cbc", "-K", KEY.hex(), "-iv", iv.hex(), octets=octets)
    assert got == text[number * SEGMENT : (number + 1) * SEGMENT]


@pytest.mark.parametrize("segments", [1, 2])
def test_the_padding_of_a_full_segment_is_chained_to_it(segments: int) -> None:
    octets = encrypt(Cipher.CBC4K_PADDED, KEY, plain(segments * SEGMENT))
    assert octets[:-16] == encrypt(Cipher.CBC4K, KEY, plain(segments * SEGMENT))
    last = AesCipher(AES(KEY), CBC(octets[-32:-16])).decryptor()
    assert last.update(octets[-16:]) + last.finalize() == bytes([16]) * 16


def openssl(*options: str, octets: bytes) -> bytes:
    command = ["openssl", "enc", "-nopad", *options]
    return subprocess.run(command, input=octets, capture_output=True, check=True, timeout=20).stdout


@pytest.mark.parametrize("cipher", MODES)
@pytest.mark.parametrize("more", [-16, 32, 1])
def test_a_length_that_does_not_fit_is_refused(cipher: Cipher, more: int) -> None:
    octets = encrypt(Cipher.ECB, KEY, plain(64 + more))
    with pytest.raises(BadCipher):
        decrypt(cipher, KEY, octets[: 64 + more], 64)


def test_a_wrong_padding_is_refused() -> None:
    octets = encrypt(Cipher.CBC4K, KEY, plain(100) + bytes(12))  # Zeros where numbers of octets belong.
    with pytest.raises(BadCipher):
        decrypt(Cipher.CBC4K_PADDED, KEY, octets, 100)
    with pytest.raises(BadCipher):
        decrypt_text(Cipher.CBC4K_PADDED, KEY, octets)


def test_a_padding_of_none_is_no_padding() -> None:
    octets = encrypt(Cipher.CBC4K, KEY, plain(64))
    with pytest.raises(BadCipher):
        decrypt(Cipher.CBC4K_PADDED, KEY, octets, 64)


def test_segments_of_512_are_refused() -> None:
    with pytest.raises(BadCipher):
        encrypt(Cipher.CBC512, KEY, plain(64))
    with pytest.raises(BadCipher):
        decrypt(Cipher.CBC512, KEY, bytes(64), 64)


@pytest.mark.parametrize("cipher", MODES)
@pytest.mark.parametrize("letters", [1, 7, 8, 2047, 2048, 2050, 2056, 4096])
def test_a_text_comes_back_without_its_length(cipher: Cipher, letters: int) -> None:
    text = "<" + "ä\u0101" * (letters // 2) + ">"
    octets = encrypt(cipher, KEY, text.encode("utf-16-le"))
    assert decrypt_text(cipher, KEY, octets).decode("utf-16-le") == text


@pytest.mark.parametrize("octets", [b"", bytes(15), bytes(17)])
def test_a_text_that_is_no_ciphertext_is_refused(octets: bytes) -> None:
    with pytest.raises(BadCipher):
        decrypt_text(Cipher.CBC4K, KEY, octets)
