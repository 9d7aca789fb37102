"""`gateway inventory`: what of this installation is encrypted how, for an auditor. One row for each technology.

Each part has a function here or in the files beside (`inventory_links`, `inventory_stores`), which tells its rows; a
new part adds its own to PARTS. What is not encrypted has a row that says so. Vaults alone are opened for it, and their
keys are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from gateway.app.consequences import DKIM_PREFIX
from gateway.app.inventory_links import control_socket, imap, listeners, metrics, outbounds, portal, sources
from gateway.app.inventory_mailboxes import mailboxes
from gateway.app.inventory_row import TOKENS_OWN, Ground, Row
from gateway.app.inventory_stores import (
    backups,
    blobs,
    copies,
    database,
    key_log,
    logs,
    passwords,
    queue,
    settings_files,
)
from gateway.app.tenant import tenant_name
from gateway.keys.domain import CERTIFICATES
from gateway.keys.providers.file.sheet import Kind, Protector
from gateway.keys.providers.file.vault import facts
from gateway.keys.vault import KeyFault
from gateway.settings import schema

_BITS: Final = {
    "rsa-2048": "2048 bits",
    "rsa-3072": "3072 bits",
    "rsa-4096": "4096 bits",
    "aes-256": "256 bits",
    "ed25519": "256 bits",
    "ec-p256": "256 bits",
}
_WRAPS: Final = {"aes-256": "AES key wrap (RFC 3394)"}
_OPENS: Final = {
    Kind.SECRET: "HKDF-SHA256 of a service secret",
    Kind.RECOVERY_KEY: "HKDF-SHA256 of a recovery key of 128 bits",
    Kind.SHARES: "HKDF-SHA256 of a recovery key of 128 bits, in shares (SLIP-39)",
}


def inventory(ground: Ground) -> list[dict[str, Any]]:
    """Every row, in the form of `gateway inventory --json`. Blocks: it reads heads of vaults and certificates."""
    return [row.told() for part in PARTS for row in part(ground)]


def vaults(ground: Ground) -> Iterator[Row]:
    """Each vault, by its provider."""
    for section in ground.loaded.settings.vaults:
        yield _token(ground, section) if section.provider == "pkcs11" else _file_vault(ground, section)


def _file_vault(ground: Ground, section: schema.Vault) -> Row:
    where = str(ground.loaded.resolve(section.path))
    what = f"root keys and signing keys of vault {section.name}"
    try:
        known = facts(ground.loaded.resolve(section.path))
    except KeyFault as fault:
        return Row("Vault (file)", where, what, "unknown", None, f"can't be read: {fault}", ground.stored)
    where = str(known.path)
    if known.head is None:
        return Row(
            "Vault (file)", where, what, None, None, "nobody holds a key: it lies in clear, by file mode 0600", None
        )
    protectors = "; ".join(f"{one.name} ({opens(one)})" for one in known.head.protectors)
    return Row(
        "Vault (file)",
        where,
        what,
        "AES-256-GCM under a master key",
        "256 bits",
        f"the master key is sealed under each of these protectors, any one of which opens it: {protectors}",
        ground.stored,
    )


def opens(protector: Protector) -> str:
    """How a protector opens the master key, in words."""
    if protector.kind is Kind.PASSPHRASE:
        return str(protector.terms.get("derived_by", "a passphrase"))
    if protector.kind is Kind.CERTIFICATE:
        return f"{protector.terms.get('way', 'a certificate')} to {protector.terms.get('subject', 'a certificate')}"
    return _OPENS[protector.kind]


def _token(ground: Ground, section: schema.Vault) -> Row:
    return Row(
        "Vault (PKCS #11)",
        f"token {section.token} by {section.module}",
        f"root keys and signing keys of vault {section.name}",
        "as the token keeps them; they do not leave it (CKA_SENSITIVE, not CKA_EXTRACTABLE)",
        None,
        f"whoever holds the token and its PIN ({section.pin_file or section.pin_credential})",
        TOKENS_OWN,
    )


def root_keys(ground: Ground) -> Iterator[Row]:
    """Each root key that wraps domain keys."""
    for key in ground.listed["keys"]:
        wraps = sorted({one["key"] for one in key["holds"] if one["kind"] == "domain_key"})
        if not wraps:
            continue
        kind = key["type"]
        how = _WRAPS.get(kind, "RSA-OAEP with SHA-256")
        yield Row(
            "Root key",
            f"vault {key['vault']}",
            f"{key['key']} wraps {', '.join(wraps)}",
            f"{how} of a key-encryption key, AES-256-GCM of the domain key under that",
            _BITS.get(kind),
            f"{kind}, {_version(key)}, {key['state']}; in vault {key['vault']}",
            ground.of_vault(key["vault"]),
        )


def _version(key: dict[str, Any]) -> str:
    newest = max(int(one["version"]) for one in key["versions"])
    return f"version {newest}"


def dkim(ground: Ground) -> Iterator[Row]:
    """Each key that signs mail. It protects who wrote, not what is read."""
    ways = {"ed25519": "Ed25519 (RFC 8463)", "ec-p256": "ECDSA with P-256"}
    for key in ground.listed["keys"]:
        if not key["name"].startswith(DKIM_PREFIX):
            continue
        yield Row(
            "DKIM",
            "mail that leaves",
            f"signed as {key['name'].removeprefix(DKIM_PREFIX)} (domain and selector); signed, not encrypted",
            ways.get(key["type"], "RSA PKCS #1 v1.5 with SHA-256 (RFC 8301)"),
            _BITS.get(key["type"]),
            f"{key['key']}, {_version(key)}, {key['state']}; the public key stands in the DNS",
            ground.of_vault(key["vault"]),
            encrypts=False,
        )


def smime(ground: Ground) -> Iterator[Row]:
    """Mail that a rule has protected: what is sealed for others, and what signs."""
    section, fips = ground.loaded.settings.smime, ground.loaded.settings.security.fips
    cipher = {"aes256-cbc": "AES-256-CBC", "aes256-gcm": "AES-256-GCM"}[section.cipher]
    gcm = "" if cipher == "AES-256-GCM" else " (AES-256-GCM where all recipients read it)"
    transport = "RSA-OAEP with SHA-256" if fips else "RSA PKCS #1 v1.5"
    yield Row(
        "S/MIME, encrypted",
        "mail that leaves, where a rule says apply_smime",
        "messages without their header fields",
        f"{cipher}{gcm}; its key under {transport} or ECDH of each recipient",
        "256 bits",
        "whoever holds the private key of a recipient's certificate (gateway certificate list)",
        ground.derived,
    )
    yield Row(
        "S/MIME, signed",
        "mail that leaves, where a rule says apply_smime",
        "messages without their header fields; signed, not encrypted",
        f"RSA PKCS #1 v1.5, ECDSA or Ed25519, with {section.digest.upper().replace('SHA', 'SHA-')}",
        None,
        f"private keys of imported identities, sealed: {ground.root_of(CERTIFICATES)}",
        ground.stored,
        encrypts=False,
    )


def rights(ground: Ground) -> Iterator[Row]:
    """Mail that a rule has sealed with rights."""
    name = tenant_name(ground.loaded)
    key = next((one for one in ground.listed["keys"] if one["key"] == str(name)), None)
    if key is None and ground.loaded.settings.portal is None:
        return
    told = f"{name}, made at the first start" if key is None else f"{name}, {_version(key)}, {key['state']}"
    yield Row(
        "Rights-managed mail",
        "mail that leaves, where a rule says apply_ome or apply_rights_protection_template",
        "whole messages; only sender, date and, unless the branding hides it, the subject stay readable",
        "AES-256-CBC in segments; its key under RSA-OAEP with SHA-256; licence signed by RSA PKCS #1 v1.5 with SHA-256",
        None if key is None else _BITS.get(key["type"]),
        f"the tenant key {told}; readers have none: the portal opens for them",
        ground.derived,
    )


Part = Callable[[Ground], Iterator[Row]]
PARTS: Final[tuple[Part, ...]] = (
    queue,
    blobs,
    database,
    passwords,
    key_log,
    vaults,
    root_keys,
    dkim,
    smime,
    rights,
    copies,
    mailboxes,
    listeners,
    portal,
    imap,
    outbounds,
    sources,
    control_socket,
    metrics,
    backups,
    settings_files,
    logs,
)
