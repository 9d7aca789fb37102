"""The values of a policy: whose copies of its key there are, what it is bound to, and the key itself once unwrapped.

A key that a policy key wraps is `version mark 0x01 | nonce (12 octets) | sealed key`, AES-256-GCM (NIST SP 800-38D)
with a random nonce: fewer than 2^32 are made under one policy key, as its section 8.3 asks. Associated data is the
context.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.mailboxes.faults import KeyBroken
from gateway.storage.mailboxes.model import CopyKind, PolicyRow, WrappedCopy
from gateway.world.chance import Chance

KEY_OCTETS: Final = 32
MARK: Final = b"\x01"
ORGANISATION: Final = "default"
_NONCE: Final = 12
_TAG: Final = 16
ROOTS: Final = (CopyKind.ROOT_A, CopyKind.ROOT_B)


def copy_of(row: PolicyRow, kind: CopyKind) -> WrappedCopy | None:
    """The copy of that kind; None where it was destroyed."""
    return next((copy for copy in row.copies if copy.kind == kind), None)


def root_name(copy: WrappedCopy) -> str:
    """The key that wraps it, as VAULT/KEY."""
    return f"{copy.vault}/{copy.key}"


def policy_context(policy: int, version: int, kind: CopyKind) -> bytes:
    """What a wrapped copy of a policy key is bound to. Nothing in it holds a NUL, so no two copies share a context."""
    return f"gateway policy key 1\0{ORGANISATION}\0{policy}\0{version}\0{kind}".encode()


def mailbox_context(mailbox: int, version: int, policy: int, policy_version: int) -> bytes:
    """What a mailbox key is bound to under a policy key: it opens in no other mailbox's row."""
    return f"gateway mailbox key 1\0{ORGANISATION}\0{mailbox}\0{version}\0{policy}\0{policy_version}".encode()


class PolicyKey:
    """The unwrapped key of a policy, and what it has opened. Never shown: neither repr nor exceptions hold octets."""

    __slots__ = ("_cipher", "_opened", "id", "name", "version")

    def __init__(self, id_: int, name: str, version: int, secret: bytes) -> None:
        self.id = id_
        self.name = name
        self.version = version
        self._cipher = AESGCM(secret)
        self._opened: dict[bytes, bytes] = {}

    def __repr__(self) -> str:
        return f"PolicyKey({self.name!r} {self.version})"

    def __reduce__(self) -> str:
        raise TypeError("a policy key is not pickled: it must not leave the process")

    def wrap(self, mailbox: int, version: int, secret: bytes, chance: Chance) -> bytes:
        """The key of a mailbox, wrapped and bound to it."""
        nonce = chance.octets(_NONCE)
        bound = mailbox_context(mailbox, version, self.id, self.version)
        return MARK + nonce + self._cipher.encrypt(nonce, secret, bound)

    def unwrap(self, mailbox: int, version: int, octets: bytes) -> bytes:
        """The key of that mailbox. Raises KeyBroken for what is damaged, or was wrapped for another (row k12).

        What was opened is remembered for as long as this object is in use, which is as long as its policy is open.
        """
        bound = mailbox_context(mailbox, version, self.id, self.version)
        if (known := self._opened.get(bound + octets)) is not None:
            return known
        where = f"version {version} of the mailbox's key under the policy {self.name!r}"
        if octets[:1] != MARK or len(octets) != 1 + _NONCE + KEY_OCTETS + _TAG:
            raise KeyBroken(f"{where} is cut off or has an unknown version mark", policy=self.name)
        try:
            secret = self._cipher.decrypt(octets[1 : 1 + _NONCE], octets[1 + _NONCE :], bound)
        except InvalidTag:
            text = f"{where} does not open: it is damaged, or belongs to another mailbox; right would be its own row, "
            raise KeyBroken(f"{text}as a backup has it", policy=self.name) from None
        self._opened[bound + octets] = secret
        return secret
