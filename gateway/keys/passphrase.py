"""Secrets that leave the house, sealed under a passphrase: Argon2id (RFC 9106) and AES-256-GCM (NIST SP 800-38D).

For root keys in a backup, which nobody may read who only has the backup. Leaves out: changing a passphrase.
"""

from __future__ import annotations

import struct
from typing import Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.keys.vault import Denied, KeyFault, Unavailable, VaultBroken
from gateway.world.chance import Chance

MARK: Final = b"gateway-passphrase 1\n"
SHORTEST: Final = 12  # Letters. Whoever holds the backup may guess for years.
LONGEST: Final = 1024  # Octets.

# RFC 9106 4 would have 2 GiB and one pass, or 64 MiB and three. Once for each backup: a second of one CPU.
MEMORY_KIB: Final = 256 << 10
PASSES: Final = 3
LANES: Final = 4
# What a backup from elsewhere may ask of us before it is known whether it is ours.
MOST_MEMORY_KIB: Final = 2 << 20
MOST_PASSES: Final = 10
MOST_LANES: Final = 16

_SALT: Final = 16
_NONCE: Final = 12
_HEAD: Final = struct.Struct(f">{len(MARK)}sIII{_SALT}s{_NONCE}s")


class WrongPassphrase(KeyFault):
    """What was sealed does not open with this passphrase, or is damaged: the two can't be told apart."""


class BadPassphrase(ValueError):
    """It is too short, too long or not text. The text never shows it."""


def checked(octets: bytes) -> bytes:
    """A passphrase as a file or a pipe holds it, its line end taken off. Raises BadPassphrase."""
    phrase = octets.removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = phrase.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPassphrase("the passphrase is not UTF-8") from None
    if "\n" in text or "\0" in text:
        raise BadPassphrase("the passphrase has more than one line")
    if len(text) < SHORTEST:
        raise BadPassphrase(f"the passphrase is too short; right would be {SHORTEST} letters or more")
    if len(phrase) > LONGEST:
        raise BadPassphrase(f"the passphrase is longer than {LONGEST} octets")
    return phrase


def seal(passphrase: bytes, context: str, plain: bytes, chance: Chance) -> bytes:
    """`plain` sealed; `context` must be the same at `unseal`. Blocks for about a second. Raises Unavailable."""
    head = _HEAD.pack(MARK, MEMORY_KIB, PASSES, LANES, chance.octets(_SALT), chance.octets(_NONCE))
    return head + _cipher(passphrase, head).encrypt(head[-_NONCE:], plain, head + context.encode("utf-8"))


def unseal(passphrase: bytes, context: str, sealed: bytes) -> bytes:
    """The plain octets. Blocks for about a second. Raises WrongPassphrase, VaultBroken, Denied, Unavailable."""
    if not sealed.startswith(MARK) or len(sealed) < _HEAD.size + 16:
        if sealed.startswith(b"gateway-passphrase "):
            raise VaultBroken(f"{context} was sealed by a newer gateway; use that one")
        raise VaultBroken(f"{context} is not sealed under a passphrase, or is cut off")
    head = sealed[: _HEAD.size]
    try:
        return _cipher(passphrase, head).decrypt(head[-_NONCE:], sealed[_HEAD.size :], head + context.encode("utf-8"))
    except InvalidTag:
        raise WrongPassphrase(f"{context} does not open: the passphrase is another one, or it is damaged") from None


def _cipher(passphrase: bytes, head: bytes) -> AESGCM:
    _, memory, passes, lanes, salt, _ = _HEAD.unpack(head)
    if not (8 * lanes <= memory <= MOST_MEMORY_KIB and 0 < passes <= MOST_PASSES and 0 < lanes <= MOST_LANES):
        raise Denied("what is sealed asks for more work than any passphrase of ours is worth")
    try:
        derive = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
        return AESGCM(derive.derive(passphrase))
    except (UnsupportedAlgorithm, MemoryError) as error:
        raise Unavailable(f"a passphrase can't be used here: {type(error).__name__}") from error
