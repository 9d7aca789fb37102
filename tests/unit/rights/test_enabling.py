"""Enabling bits: the content key comes back to the key it was sealed to, beside the principal it is bound to."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from struct import pack

import pytest

from gateway.rights.cipher import Cipher, encrypt
from gateway.rights.enabling import BadBits, ContentKey, open_key, seal_key
from gateway.rights.tenant import Mode, TenantAway
from tests.fakes.chance import FakeChance
from tests.fakes.rights import private_key

BOUND = "<ISSUEDPRINCIPALS>tenant</ISSUEDPRINCIPALS>"
KEY = ContentKey(Cipher.CBC4K, bytes(range(32)))


def unseal(bits: int = 2048, mode: Mode = Mode.MODE_2) -> Callable[[bytes], bytes]:
    return lambda octets: private_key(bits).decrypt(octets, mode.oaep)


def sealed(key: ContentKey = KEY) -> bytes:
    return seal_key(key, private_key().public_key(), Mode.MODE_2, BOUND, FakeChance())


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("cipher", [Cipher.ECB, Cipher.CBC4K, Cipher.CBC4K_PADDED])
def test_the_content_key_comes_back_with_its_mode(size: int, cipher: Cipher) -> None:
    key = ContentKey(cipher, bytes(range(size)))
    assert open_key(sealed(key), 256, Mode.MODE_2, BOUND, unseal()) == key


def test_they_are_as_long_as_the_specification_of_ours_says() -> None:
    assert len(sealed()) == 256 + 96


def test_mode_1_is_shorter_and_opens() -> None:
    key = ContentKey(Cipher.ECB, bytes(16))
    bits = seal_key(key, private_key(1024).public_key(), Mode.MODE_1, BOUND, FakeChance())
    assert open_key(bits, 128, Mode.MODE_1, BOUND, unseal(1024, Mode.MODE_1)) == key


def test_of_another_principal_they_stay_shut() -> None:
    with pytest.raises(BadBits):
        open_key(sealed(), 256, Mode.MODE_2, BOUND.replace("tenant", "another"), unseal())


@pytest.mark.parametrize("at", [0, 255, 256, 270, 300, 351])
def test_a_changed_octet_anywhere_is_the_same_fault(at: int) -> None:
    bits = bytearray(sealed())
    bits[at] ^= 1
    with pytest.raises(BadBits):
        open_key(bytes(bits), 256, Mode.MODE_2, BOUND, unseal())


@pytest.mark.parametrize("cut", [0, 16, 255, 256, 272, 336, 351])
def test_what_is_too_short_is_refused(cut: int) -> None:
    with pytest.raises(BadBits):
        open_key(sealed()[:cut], 256, Mode.MODE_2, BOUND, unseal())


def test_what_is_too_long_is_refused_before_it_is_unsealed() -> None:
    def fail(octets: bytes) -> bytes:
        raise AssertionError

    with pytest.raises(BadBits):
        open_key(bytes(2048), 256, Mode.MODE_2, BOUND, fail)


@pytest.mark.parametrize(
    "header",
    [
        pack("<HHHHI", 44, 0xFFFE, 128, 16, 0),  # Bits that are not the key's.
        pack("<HHHHI", 28, 0xFFFE, 256, 16, 0),
        pack("<HHHHI", 44, 0xFFFB, 256, 16, 0),  # A mode that is none.
        pack("<HHHHI", 44, 0xFFFE, 256, 8, 0),
    ],
)
def test_a_key_header_that_says_another_key_is_refused(header: bytes) -> None:
    session = bytes(32)
    first = private_key().public_key().encrypt(pack("<HHHHI", 44, 0xFFFE, 256, 16, 0) + session, Mode.MODE_2.oaep)
    inside = pack("<2sHHH", b"EB", 1, 44, 32) + header + KEY.octets + bytes(32)
    with pytest.raises(BadBits):
        open_key(first + encrypt(Cipher.CBC4K, session, inside), 256, Mode.MODE_2, BOUND, unseal())


@pytest.mark.parametrize("fill", [bytes(12), bytes(11) + b"x", bytes(28), b""])
def test_what_fills_up_is_less_than_a_block_of_zeros(fill: bytes) -> None:
    session = bytes(32)
    header = pack("<HHHHI", 44, 0xFFFE, 256, 16, 0)
    first = private_key().public_key().encrypt(header + session, Mode.MODE_2.oaep)
    digest = sha256(BOUND.encode("utf-16-le")).digest()
    inside = pack("<2sHHH", b"EB", 1, 44, 32) + header + KEY.octets + digest + fill
    bits = first + encrypt(Cipher.CBC4K, session, inside)
    if fill in (b"", bytes(12)):
        assert open_key(bits, 256, Mode.MODE_2, BOUND, unseal()) == KEY
    else:
        with pytest.raises(BadBits):
            open_key(bits, 256, Mode.MODE_2, BOUND, unseal())


def test_a_key_that_is_away_is_not_a_fault_of_the_bits() -> None:
    def away(octets: bytes) -> bytes:
        raise TenantAway("away")

    with pytest.raises(TenantAway):
        open_key(sealed(), 256, Mode.MODE_2, BOUND, away)


def test_no_key_is_shown() -> None:
    assert KEY.octets.hex() not in repr(KEY)
    assert str(KEY.octets) not in repr(KEY)
