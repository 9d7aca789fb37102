"""Format 1 of the vault's file, which the first gateways wrote: AES keys in clear, in a text file of mode 0600.

    gateway-vault 1
    NAME VERSION BASE64-OF-32-OCTETS CHECKSUM
    end COUNT CHECKSUM

A checksum is the beginning of a SHA-256: of its own line, or, on the last line, of all that stands before it. It is
read, so that what was stored opens, and never written again; `custody.seal_up` makes format 2 of it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from gateway.keys.providers.file.holding import HeldKey, HeldVersion, Holding
from gateway.keys.providers.file.software import AES_OCTETS, SoftwareKey
from gateway.keys.vault import KeyType, VaultBroken

MARK: Final = "gateway-vault 1"

_RESTORE: Final = "Restore it from a copy"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def parse(vault: str, path: Path, octets: bytes) -> Holding:
    """The keys of the file's `octets`. Raises VaultBroken with its `path` and line."""
    # No exception is chained here: those of the decoders carry what they were given, and that is key material.
    if not octets.isascii():
        raise VaultBroken(f"{path} is damaged: it holds octets that are not ASCII. {_RESTORE}")
    text = octets.decode("ascii")
    lines = text.split("\n")
    if len(lines) < 3 or lines[-1] != "" or not lines[-2].startswith("end "):
        raise VaultBroken(f"{path} is cut off: its last line is missing. {_RESTORE}")
    keys: dict[tuple[str, int], SoftwareKey] = {}
    for place, line in enumerate(lines[1:-2], start=2):
        name, version, key = _parse_line(f"{path}, line {place},", line)
        if (name, version) in keys:
            raise VaultBroken(f"{path}, line {place}, repeats version {version} of {name!r}. {_RESTORE}")
        keys[name, version] = key
    above = text[: text.rindex("\nend ") + 1]
    if lines[-2] != f"end {len(keys)} {_checksum(above)}":
        raise VaultBroken(f"{path} is damaged: its last line does not fit what stands above it. {_RESTORE}")
    if not keys:
        raise VaultBroken(f"{path} holds no key. {_RESTORE}")
    held: dict[str, list[HeldVersion]] = {}
    for (name, version), key in sorted(keys.items(), key=lambda one: one[0]):
        held.setdefault(name, []).append(HeldVersion(version, None, key))
    return Holding(
        vault,
        {name: HeldKey(name=name, type=KeyType.AES_256, versions=tuple(versions)) for name, versions in held.items()},
    )


def _parse_line(where: str, line: str) -> tuple[str, int, SoftwareKey]:
    words = line.split(" ")
    if len(words) != 4 or _checksum(" ".join(words[:3])) != words[3]:
        raise VaultBroken(f"{where} is damaged: its checksum is wrong. {_RESTORE}")
    name, version, encoded, _ = words
    if not _NAME.fullmatch(name) or not re.fullmatch(r"[1-9][0-9]{0,8}", version):
        raise VaultBroken(f"{where} is malformed: it needs a name and a version. {_RESTORE}")
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if len(key) != AES_OCTETS:
        raise VaultBroken(f"{where} is malformed: its key is not {AES_OCTETS} octets in base64. {_RESTORE}")
    return name, int(version), SoftwareKey.kept(KeyType.AES_256, key)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
