"""A file vault of format 1, as the first gateways wrote it: nothing in the product writes one any more."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

from gateway.keys.providers.file.store import FILE
from gateway.world.chance import Chance


def create(folder: Path, roots: tuple[str, ...], chance: Chance) -> None:
    """`folder`/root-keys with version 1 of each root key, in clear."""
    write(folder, [(root, 1, chance.octets(32)) for root in roots])


def write(folder: Path, keys: Iterable[tuple[str, int, bytes]]) -> None:
    """A file with these names, versions and keys."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / FILE
    path.touch(mode=0o600)
    path.write_bytes(compose(keys))


def compose(keys: Iterable[tuple[str, int, bytes]]) -> bytes:
    """The octets of such a file."""
    text = "gateway-vault 1\n"
    count = 0
    for name, version, key in keys:
        line = f"{name} {version} {base64.b64encode(key).decode()}"
        text += f"{line} {_checksum(line)}\n"
        count += 1
    return f"{text}end {count} {_checksum(text)}\n".encode()


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
