"""Whether a key made a signature: `cryptography`'s own `verify` is the judge, over signatures of every odd form."""

from __future__ import annotations

import hashlib
import sys
import threading

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from gateway.authenticate.dkim.record import read_record
from tests.fakes.dkim import record, rsa_key

TEXT = b"from:ida@corp.example\r\n" * 400  # Longer than what hashlib takes at once.
INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017 9.2, note 1
DIGEST = hashlib.sha256(TEXT).digest()
OCTETS = 256  # Of a modulus with 2,048 bits.


def opened_as(block: bytes) -> bytes:
    """The octets that the public key opens as `block`, whatever that holds."""
    numbers = rsa_key(2048).private_numbers()
    modulus = numbers.public_numbers.n
    return pow(int.from_bytes(block), numbers.d, modulus).to_bytes(OCTETS)


def filled(behind: bytes, filling: bytes = b"\xff", kind: bytes = b"\x01") -> bytes:
    """A block of PKCS #1 v1.5 that ends with `behind`."""
    return b"\x00" + kind + filling * (OCTETS - 3 - len(behind)) + b"\x00" + behind


GOOD = opened_as(filled(INFO + DIGEST))
MODULUS = rsa_key(2048).private_numbers().public_numbers.n

SIGNATURES = {
    "right": GOOD,
    "another text": opened_as(filled(INFO + hashlib.sha256(TEXT[1:]).digest())),
    "one bit": GOOD[:-1] + bytes((GOOD[-1] ^ 1,)),
    "no octets": b"",
    "cut": GOOD[:-1],
    "longer": GOOD + b"\x00",
    "zeros before": b"\x00" + GOOD,
    "nothing but zeros": bytes(OCTETS),
    "not below the modulus": (MODULUS + 1).to_bytes(OCTETS),
    "the modulus": MODULUS.to_bytes(OCTETS),
    "without what names the digest": opened_as(filled(DIGEST)),
    "octets behind the digest": opened_as(filled(INFO + DIGEST + b"\x00" * 8)),
    "filled with other octets": opened_as(filled(INFO + DIGEST, b"\xfe")),
    "of the encryption's kind": opened_as(filled(INFO + DIGEST, b"\xaa", b"\x02")),
    "filled with little, and much behind": opened_as(
        b"\x00\x01" + b"\xff" * 8 + b"\x00" + INFO + DIGEST + b"\xaa" * (OCTETS - 11 - len(INFO + DIGEST))
    ),
    "without parameters": opened_as(filled(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + DIGEST)),
    "by SHA-1": opened_as(
        filled(bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.sha1(TEXT, usedforsecurity=False).digest())
    ),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_key_has_made_what_the_library_says_that_it_has(name: str) -> None:
    signature = SIGNATURES[name]
    try:
        rsa_key(2048).public_key().verify(signature, TEXT, padding.PKCS1v15(), hashes.SHA256())
        is_good = True
    except InvalidSignature:
        is_good = False
    assert is_good == (name == "right")
    assert read_record(record()).made(signature, TEXT) == is_good


def test_every_single_bit_of_a_signature_counts() -> None:
    made = read_record(record()).made
    number = int.from_bytes(GOOD)
    assert not any(made((number ^ (1 << bit)).to_bytes(OCTETS), TEXT) for bit in range(8 * OCTETS))
    assert made(GOOD, TEXT)


def test_others_do_not_run_while_a_signature_is_judged() -> None:
    """Whoever gives the interpreter away in each message waits for a busy thread in each message."""
    made, turn, ran = read_record(record()).made, threading.Event(), threading.Event()

    def other() -> None:
        turn.wait()
        ran.set()

    thread = threading.Thread(target=other)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # Nobody is made to give it away.
    try:
        thread.start()
        turn.set()
        passed = all(made(GOOD, TEXT) for _ in range(500))  # Long enough for the other to want its turn.
        has_run = ran.is_set()
    finally:
        sys.setswitchinterval(before)
    thread.join()
    assert passed
    assert not has_run
