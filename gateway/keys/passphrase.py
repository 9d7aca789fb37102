"""Secrets sealed under a passphrase: Argon2id (RFC 9106) and AES-256-GCM (NIST SP 800-38D).

Where FIPS 140 is asked for, PBKDF2 with HMAC-SHA256 (RFC 8018 5.2, SP 800-132) stands in for Argon2id, which it does
not approve. For root keys in a backup, which nobody may read who only has the backup, and for the master key of a file
vault. Leaves out: changing a passphrase.
"""

from __future__ import annotations

import struct
from typing import Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from gateway.keys.vault import Denied, KeyFault, Unavailable, VaultBroken
from gateway.world.chance import Chance

MARK: Final = b"gateway-passphrase 1\n"  # by Argon2id
MARK_FIPS: Final = b"gateway-passphrase 2\n"  # by PBKDF2
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
ROUNDS: Final = 1_000_000  # Of PBKDF2-HMAC-SHA256; OWASP's number is 600,000. Some 0.3 s.
FEWEST_ROUNDS: Final = 600_000
MOST_ROUNDS: Final = 20_000_000

_SALT: Final = 16
_NONCE: Final = 12
_HEAD: Final = struct.Struct(f">{len(MARK)}sIII{_SALT}s{_NONCE}s")  # memory, passes, lanes; or rounds, 0, 0


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


def derivation(*, fips: bool) -> str:
    """How a key comes from a passphrase, as an auditor reads it."""
    return f"PBKDF2-HMAC-SHA256, {ROUNDS} rounds" if fips else f"Argon2id, {MEMORY_KIB >> 10} MiB, {PASSES} passes"


def seal(passphrase: bytes, context: str, plain: bytes, chance: Chance, *, fips: bool = False) -> bytes:
    """`plain` sealed; `context` must be the same at `unseal`. Blocks for about a second. Raises Unavailable."""
    terms = (MARK_FIPS, ROUNDS, 0, 0) if fips else (MARK, MEMORY_KIB, PASSES, LANES)
    head = _HEAD.pack(*terms, chance.octets(_SALT), chance.octets(_NONCE))
    return head + _cipher(passphrase, head).encrypt(head[-_NONCE:], plain, head + context.encode("utf-8"))


def unseal(passphrase: bytes, context: str, sealed: bytes, *, fips: bool = False) -> bytes:
    """The plain octets. Blocks for about a second. Raises WrongPassphrase, VaultBroken, Denied, Unavailable.

    With `fips` what was sealed by Argon2id is Denied.
    """
    if not sealed.startswith((MARK, MARK_FIPS)) or len(sealed) < _HEAD.size + 16:
        if sealed.startswith(b"gateway-passphrase "):
            raise VaultBroken(f"{context} was sealed by a newer gateway; use that one")
        raise VaultBroken(f"{context} is not sealed under a passphrase, or is cut off")
    if fips and sealed.startswith(MARK):
        raise Denied(
            f"{context} is sealed by Argon2id, which FIPS 140 does not approve; right would be to seal it anew"
        )
    head = sealed[: _HEAD.size]
    try:
        return _cipher(passphrase, head).decrypt(head[-_NONCE:], sealed[_HEAD.size :], head + context.encode("utf-8"))
    except InvalidTag:
        raise WrongPassphrase(f"{context} does not open: the passphrase is another one, or it is damaged") from None


def _cipher(passphrase: bytes, head: bytes) -> AESGCM:
    mark, memory, passes, lanes, salt, _ = _HEAD.unpack(head)
    if mark == MARK_FIPS:
        if not FEWEST_ROUNDS <= memory <= MOST_ROUNDS:
            raise Denied("what is sealed asks for less or more work than any passphrase of ours is worth")
        return AESGCM(PBKDF2HMAC(SHA256(), 32, salt, memory).derive(passphrase))
    if not (8 * lanes <= memory <= MOST_MEMORY_KIB and 0 < passes <= MOST_PASSES and 0 < lanes <= MOST_LANES):
        raise Denied("what is sealed asks for more work than any passphrase of ours is worth")
    try:
        derive = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
        return AESGCM(derive.derive(passphrase))
    except (UnsupportedAlgorithm, MemoryError) as error:
        raise Unavailable(f"a passphrase can't be used here: {type(error).__name__}") from error
