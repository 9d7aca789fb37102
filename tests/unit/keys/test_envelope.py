"""The form of a wrapped key: what OpenSSL's functions wrap, and everything bound that must not change."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from gateway.keys import envelope
from gateway.keys.envelope import Algorithm
from gateway.keys.vault import Denied, KeyType, VaultBroken, Wrapped
from tests.fakes.chance import FakeChance

ROOT = b"r" * 32
PLAIN = b"p" * 32


def sealed(context: bytes = b"context", root: str = "default", version: int = 1) -> Wrapped:
    octets = envelope.seal(
        root,
        version,
        PLAIN,
        context,
        algorithm=Algorithm.AES_KW,
        wrap_key=lambda key: aes_key_wrap(ROOT, key),
        chance=FakeChance(),
    )
    return Wrapped("main", root, version, octets)


def unwrap(_: Algorithm, wrapped: bytes) -> bytes:
    try:
        return aes_key_unwrap(ROOT, wrapped)
    except Exception as error:
        raise ValueError("it does not open") from error


def opened(wrapped: Wrapped, context: bytes = b"context") -> bytes:
    return envelope.unseal(wrapped, context, unwrap)


def test_its_form_is_the_documented_one() -> None:
    octets = sealed().octets
    assert octets[:4] == b"\x02\x01\x00\x28"  # mark, AES key wrap, 40 octets of it
    key = aes_key_unwrap(ROOT, octets[4:44])
    bound = octets[:44] + b"\x00\x07default\x00\x00\x00\x01context"
    assert AESGCM(key).decrypt(bytes(12), octets[44:], bound) == PLAIN


def test_it_opens_for_its_own_context_root_and_version_alone() -> None:
    assert opened(sealed()) == PLAIN
    for other in (sealed(b"other"), sealed(root="defaul"), sealed(version=2)):
        with pytest.raises(VaultBroken, match="belongs to something else"):
            opened(Wrapped("main", "default", 1, other.octets))


def test_names_and_contexts_can_t_lend_each_other_letters() -> None:
    """A root called "defaultc" with context "ontext" is another one than "default" with "context"."""
    with pytest.raises(VaultBroken):
        opened(Wrapped("main", "defaultc", 1, sealed().octets), b"ontext")


@pytest.mark.parametrize(
    "octets", [b"", b"\x02", b"\x02\x01\x00", b"\x02\x01\x00\x00" + bytes(60), b"\x02\x01\xff\xff"]
)
def test_what_is_cut_off_says_so(octets: bytes) -> None:
    with pytest.raises(VaultBroken, match=r"default.*main.*(cut off|version mark)"):
        opened(Wrapped("main", "default", 1, octets))


def test_unknown_marks_and_algorithms_are_named() -> None:
    octets = sealed().octets
    with pytest.raises(VaultBroken, match="unknown version mark"):
        opened(Wrapped("main", "default", 1, b"\x03" + octets[1:]))
    with pytest.raises(VaultBroken, match="unknown algorithm, 9"):
        opened(Wrapped("main", "default", 1, octets[:1] + b"\x09" + octets[2:]))


def test_the_algorithm_can_t_be_exchanged() -> None:
    octets = sealed().octets
    with pytest.raises(VaultBroken, match="does not open"):
        opened(Wrapped("main", "default", 1, octets[:1] + b"\x02" + octets[2:]))


def test_a_key_encryption_key_of_another_length_is_broken() -> None:
    with pytest.raises(VaultBroken):
        envelope.unseal(sealed(), b"context", lambda *_: b"short")


def test_what_the_vault_says_passes_through() -> None:
    def refuse(*_: object) -> bytes:
        raise Denied("the key is disabled")

    with pytest.raises(Denied, match="disabled"):
        envelope.unseal(sealed(), b"context", refuse)


def test_each_type_has_its_algorithm() -> None:
    assert Algorithm.of(KeyType.AES_256) is Algorithm.AES_KW
    assert Algorithm.of(KeyType.RSA_4096) is Algorithm.RSA_OAEP_SHA256
    for type_ in (KeyType.ED25519, KeyType.EC_P256):
        with pytest.raises(ValueError, match=type_):
            Algorithm.of(type_)
