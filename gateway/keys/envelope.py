"""A key wrapped by a root key, in the one form that all providers share.

    version mark 0x02 | algorithm (1 octet) | length (2) | wrapped key-encryption key | sealed key

The 32 octets of the key-encryption key are drawn for this one wrapping, and wrapped by the root: by AES key wrap
(RFC 3394) or RSA-OAEP with SHA-256 (RFC 8017 7.1). Under it the plain key is sealed by AES-256-GCM (NIST SP 800-38D),
with everything in front, the root's name and version and the caller's context as associated data. So the context is
bound whatever a token can do, and what it sees is never more than a key-encryption key.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.keys.vault import KeyType, VaultBroken, Wrapped
from gateway.world.chance import Chance

MARK: Final = b"\x02"
KEY_OCTETS: Final = 32  # Of a key-encryption key.

_TAG: Final = 16
_HEAD: Final = 4
# A key-encryption key seals once, so the deterministic nonce of SP 800-38D 8.2.1 stays at its first value.
_NONCE: Final = bytes(12)


class Algorithm(IntEnum):
    """How the root wraps the key-encryption key."""

    AES_KW = 1  # RFC 3394
    RSA_OAEP_SHA256 = 2  # RFC 8017 7.1, SHA-256 for the hash and the mask, empty label

    @classmethod
    def of(cls, type_: KeyType) -> Algorithm:
        """The one for root keys of that type. Raises ValueError for a type that does not wrap."""
        if not type_.wraps:
            raise ValueError(f"a key of type {type_} does not wrap")
        return cls.AES_KW if type_ is KeyType.AES_256 else cls.RSA_OAEP_SHA256


def seal(
    root: str,
    version: int,
    plain: bytes,
    context: bytes,
    *,
    algorithm: Algorithm,
    wrap_key: Callable[[bytes], bytes],
    chance: Chance,
) -> bytes:
    """The wrapped octets. `wrap_key` has the root wrap the 32 octets that it is given, in the way of `algorithm`."""
    key = chance.octets(KEY_OCTETS)
    wrapped = wrap_key(key)
    head = MARK + bytes([algorithm]) + len(wrapped).to_bytes(2, "big") + wrapped
    return head + AESGCM(key).encrypt(_NONCE, plain, _bound(head, root, version, context))


def unseal(wrapped: Wrapped, context: bytes, unwrap_key: Callable[[Algorithm, bytes], bytes]) -> bytes:
    """The plain key. Raises VaultBroken where it is damaged or belongs elsewhere.

    `unwrap_key` has the root open a wrapped key-encryption key. It raises ValueError where that does not open; any
    other exception passes through.
    """
    octets = wrapped.octets
    if octets[:1] != MARK:
        raise broken(wrapped, "has an unknown version mark")
    start = _HEAD + int.from_bytes(octets[2:_HEAD], "big")
    if len(octets) < start + _TAG or start == _HEAD:
        raise broken(wrapped, "is cut off")
    try:
        algorithm = Algorithm(octets[1])
    except ValueError:
        raise broken(wrapped, f"names an unknown algorithm, {octets[1]}") from None
    head = octets[:start]
    try:
        key = unwrap_key(algorithm, octets[_HEAD:start])
        if len(key) != KEY_OCTETS:
            raise ValueError("not the length of a key-encryption key")
        return AESGCM(key).decrypt(_NONCE, octets[start:], _bound(head, wrapped.root, wrapped.root_version, context))
    except (InvalidTag, ValueError):
        # Not chained: what a library says about a key it could not read may hold some of it.
        raise broken(
            wrapped, "does not open: it is damaged, belongs to something else, or was wrapped by another vault"
        ) from None


def broken(wrapped: Wrapped, why: str) -> VaultBroken:
    """The exception that names root, version and vault of what does not open."""
    return VaultBroken(f"a key wrapped by {wrapped.root!r} of vault {wrapped.vault!r} {why}")


def _bound(head: bytes, root: str, version: int, context: bytes) -> bytes:
    name = root.encode("utf-8")
    return head + len(name).to_bytes(2, "big") + name + version.to_bytes(4, "big") + context
