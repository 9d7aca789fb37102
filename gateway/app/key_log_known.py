"""What is known of the key-access log outside the database: heads in files, and the public keys that judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from gateway.app.channel import Fault
from gateway.app.key_log import head_place
from gateway.keys.access_head import BadHead, Head, from_told
from gateway.keys.access_heads import public_key
from gateway.keys.access_verify import Finding, What
from gateway.keys.vault import KeyFault, Vault
from gateway.settings.load import Loaded

MOST_OF_LOG: Final = 256 << 20  # Octets from the end of a log file in which heads are looked for.
MOST_HEADS: Final = 10_000  # The newest of a file.
_MARK: Final = b'"statement"'  # Stands in every line that holds a head.


@dataclass(slots=True)
class Known:
    """Heads that are known outside the database, with where they stand, and what could not be read there."""

    heads: list[tuple[str, Head]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def known(loaded: Loaded, file: str | None = None) -> Known:
    """The head beside the vault, those in the gateway's log file, and those in `file`. Raises Fault, OSError."""
    found = Known()
    place = head_place(loaded)
    try:
        if (kept := place.read()) is not None:
            found.heads.append((place.name, kept))
    except BadHead as error:
        found.findings.append(Finding(What.FORGED, 0, 0, str(error)))
    log = loaded.settings.log.file
    if log is not None and (path := loaded.resolve(log)).is_file():
        found.heads += [(str(path), one) for one in heads_in(path)]
    if file is not None:
        given = heads_in(Path(file))
        if not given:
            raise Fault(
                f"{file} holds no head; right would be a file like {place.name}, an export, or a log of the gateway"
            )
        found.heads += [(file, one) for one in given]
    return found


def heads_in(path: Path) -> list[Head]:
    """The heads in a file: one that is kept beside a vault, an export, or a log of the gateway. Raises OSError."""
    found: list[Head] = []
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - MOST_OF_LOG))
        for line in file:
            if _MARK not in line:
                continue
            try:
                one = orjson.loads(line)
                found.append(from_told(one.get("head", one)))
            except (ValueError, AttributeError):  # Another line, one that was cut in the middle, or no JSON at all.
                continue
    return found[-MOST_HEADS:]


class PublicKeys:
    """Public keys by vault, key and version: from the vault, else from what is kept beside it, with a note."""

    def __init__(self, vaults: Mapping[str, Vault], known: Known) -> None:
        self._vaults = vaults
        self._kept = {(one.vault, one.key, one.version): (where, one.public_key) for where, one in known.heads}
        self._found: dict[tuple[str, str, int], bytes | None] = {}
        self.notes: list[str] = []

    def __call__(self, vault: str, key: str, version: int) -> bytes | None:
        name = vault, key, version
        if name not in self._found:
            self._found[name] = self._look(name)
        return self._found[name]

    def _look(self, name: tuple[str, str, int]) -> bytes | None:
        if name[0] in self._vaults:
            try:
                return public_key(self._vaults, *name)
            except KeyFault:
                pass
        where, octets = self._kept.get(name, ("", None))
        if octets is not None:
            vault, key, version = name
            self.notes.append(
                f"vault {vault} could not be asked, so signatures by {key} version {version} were judged by the public "
                f"key in {where}"
            )
        return octets
