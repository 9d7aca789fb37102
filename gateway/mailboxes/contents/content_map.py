"""The map of a content: its size and its keys, sealed under the mailbox key. And the head, under a key of the map.

    map sealed:    version mark 0x01 | nonce (12) | ciphertext | tag (16)
    map in clear:  size (8) | head key (32) | key of each chunk (32 each)
    head sealed:   version mark 0x01 | nonce (12) | ciphertext | tag (16)

The maps of a mailbox are sealed under one key, which comes from the mailbox key by the counter-mode KDF of NIST SP
800-108 4.1 with HMAC-SHA256. Their nonces are random, so one key seals at most 2**32 maps (SP 800-38D 8.3): a mailbox
that takes a message each second gets there in 136 years. Associated data of a map: mailbox, version of its key,
content. A map that was put into another row, or left behind by a key roll, does not open (row k12). A key roll seals
maps anew, and touches neither head nor chunk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.mailboxes.contents.chunk import KEY_OCTETS, chunk_count
from gateway.mailboxes.contents.damage import HEAD, Damage, Damaged
from gateway.world.chance import Chance

MARK: Final = b"\x01"

_NONCE: Final = 12
_TAG: Final = 16
_SIZE: Final = 8
_KDF: Final = b"\x00\x00\x00\x01gateway mailbox maps\x00"  # SP 800-108: the counter [1], the label, 0x00.
_BITS: Final = b"\x00\x00\x01\x00"
_MAP: Final = b"gateway mailbox map 1\0"
_HEAD: Final = b"gateway mailbox head 1\0"


class Key(Protocol):
    """A mailbox key, unwrapped: `MailboxKey` of `gateway.mailboxes.policies`."""

    @property
    def mailbox(self) -> int:
        """The mailbox whose it is."""

    @property
    def version(self) -> int:
        """Counts its key rolls."""

    @property
    def secret(self) -> bytes:
        """32 octets."""

    def at(self, version: int) -> Key:
        """Itself, or the key before it where that is still in use. Raises KeyBroken for any other version."""


@dataclass(frozen=True, slots=True)
class ContentMap:
    """The keys of one content. Its repr shows none."""

    size: int
    head_key: bytes = field(repr=False)
    keys: bytes = field(repr=False)  # Of the chunks, one behind the other.

    @classmethod
    def new(cls, size: int, chance: Chance) -> ContentMap:
        """Fresh keys for a content of `size` octets."""
        drawn = chance.octets(KEY_OCTETS * (1 + chunk_count(size)))
        return cls(size, drawn[:KEY_OCTETS], drawn[KEY_OCTETS:])

    def key(self, number: int) -> bytes:
        """That of a chunk, counted from 0."""
        return self.keys[number * KEY_OCTETS : (number + 1) * KEY_OCTETS]

    @property
    def octets(self) -> bytes:
        return self.size.to_bytes(_SIZE, "big") + self.head_key + self.keys

    def __reduce__(self) -> str:
        raise TypeError("content keys are not pickled: they must not leave the process")


class MapCipher:
    """Seals and opens maps under one mailbox key. Made for one piece of work and dropped with it: it holds the key."""

    __slots__ = ("_bound", "_cipher", "mailbox", "version")

    def __init__(self, key: Key) -> None:
        self.mailbox = key.mailbox
        self.version = key.version
        mac = HMAC(key.secret, SHA256())
        mac.update(_KDF + key.mailbox.to_bytes(8, "big") + _BITS)
        # Kept: to make a cipher costs more than to open a map.
        self._cipher = AESGCM(mac.finalize())
        self._bound = _MAP + key.mailbox.to_bytes(8, "big") + key.version.to_bytes(4, "big")

    def __reduce__(self) -> str:
        raise TypeError("mailbox keys are not pickled: they must not leave the process")

    def seal(self, content: bytes, map_: ContentMap, chance: Chance) -> bytes:
        """For the row of that content."""
        nonce = chance.octets(_NONCE)
        return MARK + nonce + self._cipher.encrypt(nonce, map_.octets, self._bound + content)

    def open(self, content: bytes, sealed: bytes, size: int) -> ContentMap:
        """What the row of a content of `size` octets holds. Raises Damaged."""
        _judge(content, sealed, "map", _SIZE + KEY_OCTETS)
        nonce, sealed = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            plain = self._cipher.decrypt(nonce, sealed, self._bound + content)
        except InvalidTag:
            raise _flipped(content, "map", "message, mailbox or version of its key") from None
        map_ = ContentMap(int.from_bytes(plain[:_SIZE], "big"), plain[_SIZE:][:KEY_OCTETS], plain[_SIZE + KEY_OCTETS :])
        if map_.size != size:
            raise Damaged(content, Damage.FLIPPED, "size", f"is {map_.size} octets, and its row says {size}")
        return map_


def seal_head(content: bytes, map_: ContentMap, head: bytes | None, chance: Chance) -> bytes:
    """For the row of that content; no head is no octets."""
    if head is None:
        return b""
    nonce = chance.octets(_NONCE)
    return MARK + nonce + AESGCM(map_.head_key).encrypt(nonce, head, _HEAD + content)


def open_head(content: bytes, map_: ContentMap, sealed: bytes) -> bytes | None:
    """What `seal_head` was given. Raises Damaged."""
    if not sealed:
        return None
    _judge(content, sealed, HEAD, 0)
    try:
        return AESGCM(map_.head_key).decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], _HEAD + content)
    except InvalidTag:
        raise _flipped(content, HEAD, "message") from None


def _judge(content: bytes, sealed: bytes, part: str, least: int) -> None:
    if not sealed:
        raise Damaged(content, Damage.MISSING, part, "is missing")
    if sealed[:1] != MARK:
        raise Damaged(content, Damage.UNKNOWN, part, f"has the version mark {sealed[0]}, which a newer gateway wrote")
    if len(sealed) < 1 + _NONCE + least + _TAG:
        raise Damaged(content, Damage.TRUNCATED, part, "is cut off")


def _flipped(content: bytes, part: str, whose: str) -> Damaged:
    return Damaged(content, Damage.FLIPPED, part, f"does not open: octets were changed, or it is another {whose}'s")
