"""What a backup says of itself: its version, what lies in it, and what has to be brought from elsewhere.

Leaves out: a signature. Whoever can write the backup can write its manifest; that it is whole is told, not by whom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.storage.archive import BadArchive, Member
from gateway.storage.mailbox_blobs import MAX_BLOB

MARK_NAME: Final = "gateway-backup"
MARK: Final = b"gateway-backup 1\n"
MANIFEST_NAME: Final = "manifest.json"
VERSION: Final = 1

SETTINGS: Final = "settings/gateway.toml"
SHARED: Final = "data/gateway.db"
DUMP: Final = "database/postgresql.dump"

_DATABASE: Final = 1 << 43  # Octets: 8 TiB, more than SQLite's default page size lets grow in years.
# A message has 2 GiB at most ([[listeners]] max_message_size), and is sealed in segments.
_CONTENT: Final = (2 << 30) + (1 << 20)

# Every place that a file of a backup can have, with the octets that it may have there. What fits none is refused.
PLACES: Final = (
    (re.compile(re.escape(MARK_NAME)), 64),
    (re.compile(re.escape(SETTINGS)), 4 << 20),
    (re.compile(r"rules/(?:types/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}"), 4 << 20),
    (re.compile(r"vaults/[0-9]{1,3}\.sealed"), 5 << 20),
    (re.compile(re.escape(SHARED)), _DATABASE),
    (re.compile(r"data/spool/[0-9]{1,4}/spool\.db"), _DATABASE),
    (re.compile(r"data/spool/[0-9]{1,4}/content/[A-Za-z0-9][A-Za-z0-9.-]{0,127}"), _CONTENT),
    (re.compile(r"data/copies/[A-Za-z0-9][A-Za-z0-9.-]{0,127}"), 2 * _CONTENT),  # Sealed messages with their wrapping.
    (re.compile(r"data/mailboxes/(?:mailboxes|[0-9a-f]{2}/[0-9a-f]{32})"), MAX_BLOB),
    (re.compile(re.escape(DUMP)), _DATABASE),
    (re.compile(re.escape(MANIFEST_NAME)), 1 << 30),
)


def most(name: str) -> int:
    """The octets that a file of that name may have. Raises BadArchive for a name that has no place in a backup."""
    for place, size in PLACES:
        if place.fullmatch(name):
            return size
    raise BadArchive(f"{name} has no place in a backup of the gateway")


@dataclass(frozen=True, slots=True)
class SealedVault:
    """A vault's root keys in the backup, sealed under the passphrase; `member` is None where they were left out."""

    name: str
    path: str
    member: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`made` is in seconds since 1970; `elsewhere` are the files that the settings name and the backup lacks."""

    gateway: str
    made: float
    engine: str
    members: tuple[Member, ...]
    vaults: tuple[SealedVault, ...]
    elsewhere: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def octets(self) -> bytes:
        """As it stands in the archive."""
        return orjson.dumps(
            {
                "version": VERSION,
                "gateway": self.gateway,
                "made": self.made,
                "engine": self.engine,
                "vaults": [{"name": one.name, "path": one.path, "member": one.member} for one in self.vaults],
                "elsewhere": list(self.elsewhere),
                "notes": list(self.notes),
                "members": [[one.name, one.size, one.sha256] for one in self.members],
            },
            option=orjson.OPT_INDENT_2,
        )


def parsed(octets: bytes) -> Manifest:
    """The manifest again. Raises BadArchive."""
    try:
        said = orjson.loads(octets)
        if not isinstance(said, dict):
            raise TypeError
        version = said.get("version")
        if isinstance(version, int) and version > VERSION:
            raise BadArchive(
                f"a newer gateway wrote it (version {version}); this one knows {VERSION}. Use the newer one"
            )
        if version != VERSION:
            raise TypeError
        return Manifest(
            gateway=_text(said["gateway"]),
            made=float(said["made"]),
            engine=_text(said["engine"]),
            members=tuple(_member(*one) for one in said["members"]),
            vaults=tuple(
                SealedVault(_text(one["name"]), _text(one["path"]), _maybe(one["member"])) for one in said["vaults"]
            ),
            elsewhere=_texts(said["elsewhere"]),
            notes=_texts(said["notes"]),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        # Not chained: a decoder's error carries what it was given.
        raise BadArchive(f"its {MANIFEST_NAME} is damaged") from None


def _member(name: Any, size: Any, sha256: Any) -> Member:
    if not isinstance(size, int) or not re.fullmatch(r"[0-9a-f]{64}", _text(sha256)):
        raise TypeError
    return Member(_text(name), size, sha256)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 4096:
        raise TypeError
    return value


def _maybe(value: Any) -> str | None:
    return None if value is None else _text(value)


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(map(_text, values))
