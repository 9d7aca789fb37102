"""Format 2 of the vault's file: four lines of ASCII.

    gateway-vault 2
    HEAD      JSON: the vault's id, the generation, the protectors with the master key sealed under each of them
    BODY      base64 of nonce (12 octets) | the keys as JSON, sealed under the master key (AES-256-GCM)
    CHECKSUM  SHA-256 of all above

The first two lines are the body's associated data, so no protector, proof or generation can be changed by anybody who
does not hold the master key. The checksum tells damage from a wrong secret before anybody is asked for one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.keys.providers.file import holding as held
from gateway.keys.providers.file.holding import HeldKey, HeldVersion, Holding
from gateway.keys.providers.file.software import SoftwareKey
from gateway.keys.providers.file.store import BEFORE, MAX_OCTETS
from gateway.keys.vault import Denied, KeyState, KeyType, VaultBroken
from gateway.world.chance import Chance

MARK: Final = "gateway-vault 2"
MASTER_OCTETS: Final = 32
MOST_PROTECTORS: Final = 32

_NONCE: Final = 12  # Random 96 bits: a vault is written some thousand times, far below 2^32 (SP 800-38D 8.3).
_RESTORE: Final = f"Put {BEFORE}, which lies beside it, in its place, or restore it from a copy"
_PROTECTOR_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Kind(StrEnum):
    """Of protectors, as `gateway key protector list` shows them."""

    SECRET = "secret"  # noqa: S105  (a kind, no secret)
    PASSPHRASE = "passphrase"  # noqa: S105
    CERTIFICATE = "recovery-certificate"
    RECOVERY_KEY = "recovery-key"
    SHARES = "recovery-shares"

    @property
    def recovers(self) -> bool:
        """Whether it is kept by people for the day on which nothing else opens the vault."""
        return self in (Kind.CERTIFICATE, Kind.RECOVERY_KEY, Kind.SHARES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protector:
    """The master key, sealed under one thing that somebody holds. `terms` are public, and depend on the kind.

    `proved`: when somebody last proved to hold it, in seconds since 1970; None: nobody yet.
    """

    kind: Kind
    name: str
    created: float
    proved: float | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What stands in clear. `id`: 32 hex digits that belong to the vault for its life."""

    id: str
    generation: int
    protectors: tuple[Protector, ...]

    def protector(self, name: str) -> Protector | None:
        """The one of that name."""
        return next((one for one in self.protectors if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole file, not opened yet. `octets` are as they lie on disk."""

    path: Path
    head: Head
    _bound: bytes = field(repr=False)
    _body: bytes = field(repr=False)

    def is_opened_by(self, master: bytes) -> bool:
        """Whether it is this file's master key."""
        try:
            AESGCM(master).decrypt(self._body[:_NONCE], self._body[_NONCE:], self._bound)
        except (InvalidTag, ValueError):
            return False
        return True

    def open(self, vault: str, master: AESGCM) -> Holding:
        """The keys. Raises VaultBroken where it does not open under `master`."""
        try:
            plain = master.decrypt(self._body[:_NONCE], self._body[_NONCE:], self._bound)
        except (InvalidTag, ValueError):
            raise VaultBroken(
                f"{self.path} does not open under its master key: it was changed by something else than this gateway, "
                f"or is the file of another vault. {_RESTORE}"
            ) from None
        return _holding(vault, self.path, plain)


def compose(head: Head, keys: Holding, master: AESGCM, chance: Chance) -> bytes:
    """The file's octets. Raises Denied where it would be longer than a vault's file may be."""
    above = f"{MARK}\n{_head_text(head)}\n".encode("ascii")
    nonce = chance.octets(_NONCE)
    body = base64.b64encode(nonce + master.encrypt(nonce, _keys_octets(keys), above))
    whole = above + body + b"\n"
    whole += hashlib.sha256(whole).hexdigest().encode("ascii") + b"\n"
    if len(whole) > MAX_OCTETS:
        raise Denied(f"vault {keys.vault!r} would grow beyond {MAX_OCTETS} octets; keep more keys in a second vault")
    return whole


def parse(path: Path, octets: bytes) -> Sheet:
    """The file of format 2 in `octets`. Raises VaultBroken with its `path`."""
    lines = octets.split(b"\n")
    if len(lines) != 5 or lines[4] != b"":
        raise VaultBroken(f"{path} is cut off, or was added to. {_RESTORE}")
    end = len(octets) - len(lines[3]) - 1
    if hashlib.sha256(octets[:end]).hexdigest().encode("ascii") != lines[3]:
        raise VaultBroken(f"{path} is damaged: its last line does not fit what stands above it. {_RESTORE}")
    try:
        body = base64.b64decode(lines[2], validate=True)
        head = _head(json.loads(lines[1]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        # The checksum fits: this is no damage, but something that was made by hand or by another program.
        raise VaultBroken(f"{path} is not as this gateway writes it ({type(error).__name__}). {_RESTORE}") from None
    return Sheet(path, head, octets[: len(lines[0]) + len(lines[1]) + 2], body)


def bound(head_id: str, kind: Kind, name: str) -> bytes:
    """Associated data of a protector's sealed master key: it is of that vault, kind and name and no other."""
    return f"gateway protector 1\0{head_id}\0{kind}\0{name}".encode()


def good_name(name: str) -> bool:
    """Whether a protector may be called that."""
    return _PROTECTOR_NAME.fullmatch(name) is not None


# -- the head ----------------------------------------------------------------------------------------------------------


def _head_text(head: Head) -> str:
    told = {
        "id": head.id,
        "generation": head.generation,
        "protectors": [
            {
                "kind": one.kind,
                "name": one.name,
                "created": one.created,
                "proved": one.proved,
                "terms": dict(one.terms),
                "sealed": base64.b64encode(one.sealed).decode("ascii"),
            }
            for one in head.protectors
        ],
    }
    return json.dumps(told, ensure_ascii=True, separators=(",", ":"))


def _head(told: Any) -> Head:
    """Raises ValueError, TypeError, KeyError where it is not as `_head_text` writes it."""
    protectors = tuple(_protector(one) for one in told["protectors"])
    names = {one.name for one in protectors}
    if not protectors or len(names) != len(protectors) or len(protectors) > MOST_PROTECTORS:
        raise ValueError("no protectors, too many, or two of one name")
    if not re.fullmatch(r"[0-9a-f]{32}", told["id"]):
        raise ValueError("no id")
    return Head(id=told["id"], generation=_whole(told["generation"]), protectors=protectors)


def _protector(told: Any) -> Protector:
    if not good_name(told["name"]) or not isinstance(told["terms"], dict):
        raise ValueError("no protector")
    proved = told["proved"]
    return Protector(
        kind=Kind(told["kind"]),
        name=told["name"],
        created=float(told["created"]),
        proved=None if proved is None else float(proved),
        terms=told["terms"],
        sealed=base64.b64decode(told["sealed"], validate=True),
    )


def _whole(told: Any) -> int:
    if type(told) is not int or not 0 < told < 1 << 53:
        raise ValueError("no whole number")
    return told


# -- the body ----------------------------------------------------------------------------------------------------------


def _keys_octets(keys: Holding) -> bytes:
    told = [
        {
            "name": key.name,
            "type": key.type,
            "state": key.state,
            "ends": key.ends,
            "versions": [
                {
                    "number": one.number,
                    "created": one.created,
                    "key": base64.b64encode(one.key.octets()).decode("ascii"),
                }
                for one in key.versions
            ],
        }
        for key in keys.values()
    ]
    return json.dumps({"keys": told}, separators=(",", ":")).encode("ascii")


def _holding(vault: str, path: Path, plain: bytes) -> Holding:
    try:
        keys = [_key(one) for one in json.loads(plain)["keys"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        # Nothing of the error is shown: it may hold what was read, and that is key material.
        raise VaultBroken(f"{path} opens, but what is in it is not as this gateway writes it. {_RESTORE}") from None
    if len({key.name for key in keys}) != len(keys):
        raise VaultBroken(f"{path} holds two keys of one name. {_RESTORE}")
    return Holding(vault, {key.name: held.check(key, str(path)) for key in keys})


def _key(told: Any) -> HeldKey:
    type_ = KeyType(told["type"])
    return HeldKey(
        name=str(told["name"]),
        type=type_,
        state=KeyState(told["state"]),
        ends=None if told["ends"] is None else float(told["ends"]),
        versions=tuple(
            HeldVersion(
                _whole(one["number"]),
                None if one["created"] is None else float(one["created"]),
                SoftwareKey.kept(type_, base64.b64decode(one["key"], validate=True)),
            )
            for one in told["versions"]
        ),
    )
