"""What the first gateways left behind: a vault in clear, and domain keys wrapped by its root itself.

Nothing in the product writes these forms any more, so they are written here, octet by octet.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.world.chance import Chance
from tests.fakes import clear_vault

PURPOSES = ("spool", "trace", "token", "accounts")
CREATED = 1_793_000_000_000


def wrapped(root: bytes, purpose: str, secret: bytes, chance: Chance) -> bytes:
    """Mark 0x01: AES-256-GCM under the root key `default`, version 1."""
    context = f"gateway domain key 1\0default\0{purpose}\0001".encode()
    name = b"default"
    bound = b"\1" + len(name).to_bytes(2, "big") + name + (1).to_bytes(4, "big") + context
    nonce = chance.octets(12)
    return b"\1" + nonce + AESGCM(root).encrypt(nonce, secret, bound)


def write_vault(folder: Path, chance: Chance) -> bytes:
    """A vault of format 1; its root key."""
    root = chance.octets(32)
    clear_vault.write(folder, [("default", 1, root)])
    return root


def write_keys(database: Path, root: bytes, chance: Chance) -> dict[str, bytes]:
    """Domain keys in place of those that are in the shared database; their octets by purpose."""
    secrets = {purpose: hashlib.sha256(chance.octets(32)).digest() for purpose in PURPOSES}
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("DELETE FROM domain_keys")
        db.executemany(
            "INSERT INTO domain_keys(organisation, purpose, version, vault, root, root_version, wrapped, created)"
            " VALUES ('default', ?, 1, 'main', 'default', 1, ?, ?)",
            [(purpose, wrapped(root, purpose, secret, chance), CREATED) for purpose, secret in secrets.items()],
        )
    return secrets


def sealed(secret: bytes, purpose: str, record: str, plain: bytes, chance: Chance) -> bytes:
    """A record as the first sealer wrote it: SP 800-108 with HMAC-SHA256, AES-256-GCM, number 0 of its epoch."""
    salt = chance.octets(16)
    label = b"\0\0\0\1gateway seal whole\0" + purpose.encode() + b"\0" + salt + b"\0\0\1\0"
    key = hmac.digest(secret, label, "sha256")
    head = b"\1" + (1).to_bytes(4, "big")
    number = bytes(8)
    bound = head + f"{purpose}\0{record}".encode()
    return head + salt + number + AESGCM(key).encrypt(bytes(4) + number, plain, bound)
