"""Enabling bits: a content key, sealed to the tenant's key and bound to the principal who holds it ([MS-RMPR]
2.2.9.1.13).

KPublic(KeyHeader, KSession) and then KSession(EnablingBitsHeader, KeyHeader, content key, Hash). The text leaves open
how the RSA block is padded and what the inner header looks like; both are our own. Pure but for the unsealing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from hmac import compare_digest
from struct import Struct
from struct import error as BadStruct
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.rights.cipher import BLOCK, KEY_SIZES, Cipher, decrypt, encrypt
from gateway.rights.tenant import Mode
from gateway.world.chance import Chance

MAX_SIZE: Final = 1024  # Octets: a block of RSA-4096, and twice what can follow.

_KEY_HEADER = Struct("<HHHHI")  # Size with the key, mode, bits of the key, block, flags.
_HEADER = Struct("<2sHHH")  # "EB", version, octets of header and key, octets of the hash.
_AES: Final = 1 << 0
_FLAGS: Final = {Cipher.ECB: _AES | 1 << 12}
_CBC_FLAGS: Final = _AES | 1 << 13


class BadBits(ValueError):
    """Enabling bits that don't open, whatever is the matter with them."""


@dataclass(frozen=True, slots=True)
class ContentKey:
    """The key of one message, and the mode that content and rights data are in."""

    cipher: Cipher
    octets: bytes = field(repr=False)

    @property
    def bits(self) -> int:
        return len(self.octets) * 8


def seal_key(key: ContentKey, public: RSAPublicKey, mode: Mode, principal: str, chance: Chance) -> bytes:
    """The enabling bits. `principal`: the text of the element that they are bound to, themselves taken out."""
    session = ContentKey(Cipher.CBC4K, chance.octets(32 if mode is Mode.MODE_2 else 16))
    first = public.encrypt(_header(session) + session.octets, mode.oaep)
    digest = _own_digest(mode, principal)
    framed = _header(key) + key.octets
    inside = _HEADER.pack(b"EB", 1, len(framed), len(digest)) + framed + digest
    return first + encrypt(session.cipher, session.octets, inside)


def open_key(bits: bytes, size: int, mode: Mode, principal: str, unseal: Callable[[bytes], bytes]) -> ContentKey:
    """The content key. `size`: octets of the RSA block. `unseal` opens that block; it raises ValueError for what is
    none, and whatever else says that the key can't be had.

    Raises BadBits: for the block, its padding and the hash alike.
    """
    if not size < len(bits) <= MAX_SIZE or (len(bits) - size) % BLOCK:
        raise BadBits("enabling bits of the wrong length")
    try:
        session, rest = _framed(unseal(bits[:size]))
        if session.cipher is not Cipher.CBC4K or rest:
            raise BadBits("enabling bits under an unknown session key")
        inside = decrypt(session.cipher, session.octets, bits[size:], len(bits) - size)
        mark, version, framed, hashed = _HEADER.unpack_from(inside)
        end = _HEADER.size + framed + hashed
        # What fills up is less than a block, and zero.
        if (mark, version) != (b"EB", 1) or not 0 <= len(inside) - end < BLOCK or any(inside[end:]):
            raise BadBits("enabling bits of an unknown form")
        key, rest = _framed(inside[_HEADER.size : _HEADER.size + framed])
        digest = inside[_HEADER.size + framed : end]
    except BadBits:
        raise
    except (ValueError, BadStruct) as error:
        raise BadBits("enabling bits that don't open") from error
    if rest or not compare_digest(digest, _digest(mode, principal)):
        raise BadBits("enabling bits that belong to another principal")
    return key


def _header(key: ContentKey) -> bytes:
    size = len(key.octets)
    return _KEY_HEADER.pack(_KEY_HEADER.size + size, key.cipher, size * 8, BLOCK, _FLAGS.get(key.cipher, _CBC_FLAGS))


def _framed(octets: bytes) -> tuple[ContentKey, bytes]:
    """A KeyHeader with its key, and what is behind it. The flags are not checked: they say the mode once more."""
    size, mode, bits, block, _ = _KEY_HEADER.unpack_from(octets)
    key = octets[_KEY_HEADER.size : size]
    if size != _KEY_HEADER.size + len(key) or bits != len(key) * 8 or block != BLOCK or len(key) not in KEY_SIZES:
        raise BadBits("a key header that says another key")
    return ContentKey(Cipher(mode), key), octets[size:]


@lru_cache(maxsize=16)
def _own_digest(mode: Mode, principal: str) -> bytes:
    """Of principals that we write, which are the same for every message; those that are read may be anybody's."""
    return _digest(mode, principal)


def _digest(mode: Mode, principal: str) -> bytes:
    # The bits' own binding; what protects them is the licence's signature over all of it.
    return hashlib.new(mode.digest, principal.encode("utf-16-le"), usedforsecurity=False).digest()
