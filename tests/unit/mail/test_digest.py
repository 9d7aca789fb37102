"""SHA-256 in pieces is SHA-256."""

from __future__ import annotations

import hashlib

import pytest

from gateway.mail.digest import sha256
from tests.fakes.chance import FakeChance


@pytest.mark.parametrize("length", [0, 1, 2046, 2047, 2048, 2049, 4094, 4095, 32 * 1024, 32 * 1024 + 1])
def test_octets_that_are_hashed_in_pieces_have_the_hash_of_the_whole(length: int) -> None:
    octets = FakeChance("whole").octets(length)
    assert sha256(octets) == sha256(memoryview(b"x" + octets)[1:]) == hashlib.sha256(octets).digest()
