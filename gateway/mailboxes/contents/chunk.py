"""A chunk: at most 1 MiB of a content, sealed under a key that seals nothing else.

    version mark 0x01 | ciphertext | tag (16)

AES-256-GCM (NIST SP 800-38D). The key is drawn for this one chunk, so the deterministic nonce of 8.2.1 stays at its
first value. Associated data: the content, the chunk's number, how many there are, and the octets of the content; so a
chunk that was moved, repeated or taken from another content does not open, nor does the rest of one that was cut.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK: Final = 1 << 20
KEY_OCTETS: Final = 32
MARK: Final = b"\x01"
OVERHEAD: Final = 17  # Mark and tag.

_NONCE: Final = bytes(12)
_LABEL: Final = b"gateway mailbox chunk 1\0"


def chunk_count(size: int) -> int:
    """The chunks of a content of `size` octets; an empty one has one."""
    return max(1, -(-size // CHUNK))


def plain_size(number: int, size: int) -> int:
    """The octets of chunk `number`, counted from 0, of a content of `size` octets."""
    return max(0, min(CHUNK, size - number * CHUNK))


def seal_chunk(key: bytes, content: bytes, number: int, size: int, plain: bytes | memoryview) -> bytes:
    """The octets of the blob. `content` is the content's id, `size` that of the whole content."""
    return MARK + AESGCM(key).encrypt(_NONCE, plain, _bound(content, number, size))


def open_chunk(key: bytes, content: bytes, number: int, size: int, sealed: bytes) -> bytes:
    """The plain octets. Raises InvalidTag; the mark in front is the caller's to look at."""
    return AESGCM(key).decrypt(_NONCE, memoryview(sealed)[1:], _bound(content, number, size))


def _bound(content: bytes, number: int, size: int) -> bytes:
    return _LABEL + content + number.to_bytes(4, "big") + chunk_count(size).to_bytes(4, "big") + size.to_bytes(8, "big")
