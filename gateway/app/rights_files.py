"""`gateway rights` on files with tenant keys out of PEM files: no settings, no gateway, no licence log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gateway.app.rights_commands import Said, job_of, refused, told
from gateway.rights.opening import Inspected, inspect, open_rpmsg
from gateway.rights.pem_tenant import MAX_FILE, PemTenant
from gateway.rights.reason import NotOpened
from gateway.rights.sealing import seal
from gateway.rights.template import Templates
from gateway.world.chance import Chance
from gateway.world.clock import rfc3339

MOST: Final = 1 << 31  # Octets; a compound file can't be longer ([MS-CFB] 2.6.3).


class FileFault(Exception):
    """A file that can't be used; the text is for people."""


def read(path: Path, most: int = MOST) -> bytes:
    """A file of at most so many octets. Raises FileFault, OSError."""
    with path.open("rb") as file:
        octets = file.read(most + 1)
    if len(octets) > most:
        raise FileFault(f"{path} has more than {most} octets, and is not read")
    return octets


def tenant_of(paths: Sequence[Path]) -> PemTenant:
    """Private keys out of PEM files, the one to seal with first. Raises FileFault, OSError."""
    pems = []
    for path in paths:
        pem = read(path, MAX_FILE)
        try:
            PemTenant([pem])
        except ValueError as error:
            raise FileFault(f"{path}: found {error}") from None
        pems.append(pem)
    return PemTenant(pems)


def opened_file(
    octets: bytes, tenant: PemTenant, *, principal: str | None, now: float
) -> tuple[dict[str, Any], bytes | None]:
    """The answer in the form of `rights open --json`, and the original where it opened. Nobody knows of revocations."""
    try:
        opened = open_rpmsg(octets, tenant, principal=principal, now=now, is_revoked=lambda work, reader: False)
    except NotOpened as refusal:
        return refused(refusal.reason.value), None
    return told(opened), opened.original


def sealed_file(
    original: bytes,
    tenant: PemTenant,
    *,
    to: Sequence[str],
    owner: str,
    template: str,
    days: int,
    now: float,
    chance: Chance,
) -> tuple[dict[str, Any], bytes]:
    """The answer of `rights seal --json`, and the file. Raises Fault, TenantFault."""
    job = job_of(Templates().find(template), list(to), owner or Said.by(original).author, now, None, days)
    sealed = seal(original, job, tenant, chance)
    return {"work": str(sealed.work), "sha256": sealed.content_sha256}, sealed.rpmsg


def inspected(octets: bytes) -> dict[str, Any] | None:
    """What a file says of itself, none of it proved; None where it is damaged."""
    try:
        found = inspect(octets)
    except NotOpened:
        return None
    return _told(found)


def _told(found: Inspected) -> dict[str, Any]:
    return {
        "work": str(found.work),
        "owner": found.owner,
        "title": found.title,
        "issued": rfc3339(found.issued),
        "urls": list(found.urls),
        "mode": int(found.mode),
        "key_bits": found.key_bits,
        "modulus": f"{found.modulus:x}",
        "roots": found.roots,
        "content_size": found.content_size,
        "content_sha256": found.content_sha256,
        "whole": found.is_whole,
        "weak": list(found.weak),
    }
