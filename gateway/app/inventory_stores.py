"""Rows of the inventory for what lies still: queue, databases, buckets, backups, settings, logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.accounts import passwords as hashing
from gateway.app.inventory_row import Ground, Row, file_mode
from gateway.app.places import Places
from gateway.keys import domain
from gateway.keys.access_head import KEY
from gateway.keys.passphrase import derivation
from gateway.settings.load import Loaded

GCM: Final = "AES-256-GCM"
BITS: Final = "256 bits"
SIGNS: Final = {
    "ed25519": "Ed25519",
    "ec-p256": "ECDSA with P-256 and SHA-256",
    **dict.fromkeys(("rsa-2048", "rsa-3072", "rsa-4096"), "RSA PKCS #1 v1.5 with SHA-256"),
}


def queue(ground: Ground) -> Iterator[Row]:
    """Messages that wait: their content, addresses and replies."""
    keys, loaded = ground.sealed_under(domain.SPOOL), ground.loaded
    what = (
        "content, what is held too, senders, recipients, replies of next hops; in clear: queue ids, sizes, times, "
        "states, connectors"
    )
    if loaded.is_shared:
        yield Row("Queue (PostgreSQL)", _database(loaded), what, GCM, BITS, keys, ground.stored)
        return
    places = Places.of(loaded)
    where = f"{places.data / 'spool'}: databases, journals and content files of each worker"
    yield Row("Queue (SQLite, journal, files)", where, what, GCM, BITS, keys, ground.stored)


def blobs(ground: Ground) -> Iterator[Row]:
    """Large content elsewhere."""
    text = ground.loaded.settings.storage.blobs
    if text is None:
        return
    where = text if "://" in text else str(ground.loaded.resolve(text))
    yield Row("Blobs", where, "content over 128 KiB", GCM, BITS, ground.sealed_under(domain.SPOOL), ground.stored)


def copies(ground: Ground) -> Iterator[Row]:
    """Rights-managed messages that are kept for the portal."""
    loaded = ground.loaded
    if loaded.settings.portal is None:
        return
    text = loaded.settings.storage.blobs
    if text is not None:
        where = text if "://" in text else str(loaded.resolve(text))
    else:
        where = _database(loaded) if loaded.is_shared else str(Places.of(loaded).copies)
    yield Row(
        "Stored copies of rights-managed mail",
        f"the shared database; over 128 KiB: {where}",
        "the sealed message.rpmsg of each message, for its readers' links, until it expires",
        f"{GCM}, over what the tenant key seals",
        BITS,
        f"a content key for each copy, destroyed when the message expires; {ground.sealed_under(domain.PORTAL)}",
        ground.stored,
    )


def database(ground: Ground) -> Iterator[Row]:
    """The shared database, by what lies in it."""
    loaded = ground.loaded
    where = _database(loaded) if loaded.is_shared else str(Places.of(loaded).shared)
    for technology, purpose, what in (
        ("Trace", domain.TRACE, "what became of each message: addresses, subjects of rules, replies"),
        ("Accounts", domain.ACCOUNTS, "names, addresses and password hashes of those who log in"),
        ("DKIM keys' facts", domain.DKIM, "which key signs for which domain; the keys themselves lie in a vault"),
        (
            "S/MIME certificates and keys",
            domain.CERTIFICATES,
            "partners' certificates, and our private keys, sealed apart",
        ),
        (
            "Rights-managed mail's facts",
            domain.PORTAL,
            "senders, readers, subjects, revocations, the licence log, passcodes' hashes; links as SHA-256 alone",
        ),
    ):
        yield Row(technology, where, what, GCM, BITS, ground.sealed_under(purpose), ground.stored)
    yield Row(
        "Search tokens",
        where,
        "blind tokens by which addresses, names and destinations are found",
        "HMAC-SHA256, cut to 64 bits",
        BITS,
        ground.root_of(domain.TOKEN),
        ground.stored,
    )
    roots = sorted({one["versions"][-1]["root"] for one in ground.listed["domain_keys"]})
    yield Row(
        "Domain keys",
        where,
        "the wrapped domain keys, which open all of the above",
        "AES key wrap (RFC 3394) or RSA-OAEP with SHA-256, then AES-256-GCM: see the root keys",
        BITS,
        f"the root key {', '.join(roots)}" if roots else "made at the first start",
        ground.stored,
    )


def passwords(ground: Ground) -> Iterator[Row]:
    """How passwords are kept, inside of what is sealed."""
    fips = ground.loaded.settings.security.fips
    how = (
        f"PBKDF2-HMAC-SHA512, {hashing.ROUNDS} rounds"
        if fips
        else f"Argon2id, {hashing.MEMORY >> 10} MiB, {hashing.PASSES} passes"
    )
    yield Row(
        "Passwords",
        "in the accounts",
        "hashed, then sealed with the account",
        how,
        BITS,
        "no key: whoever knows the password",
        ground.derived,
    )


def key_log(ground: Ground) -> Iterator[Row]:
    """Who used which key. Chained and signed, so that a change is found; readable, since it holds no content."""
    loaded = ground.loaded
    where = _database(loaded) if loaded.is_shared else str(Places.of(loaded).shared)
    signing = next((one for one in ground.listed["keys"] if one["name"] == KEY and one["type"] in SIGNS), None)
    held = "no vault signs its heads" if signing is None else f"{signing['key']} ({signing['type']}) signs its heads"
    yield Row(
        "Key-access log",
        where,
        "uses of keys: time, process, key, queue ids; in clear, but chained and signed",
        "a chain of SHA-256"
        if signing is None
        else f"a chain of SHA-256, its heads signed by {SIGNS[signing['type']]}",
        None,
        f"{held}; the newest head lies beside the vault and in the log too",
        ground.stored if signing is None else ground.of_vault(signing["vault"]),
        encrypts=False,
    )


def backups(ground: Ground) -> Iterator[Row]:
    """What `gateway backup` writes."""
    fips = ground.loaded.settings.security.fips
    yield Row(
        "Backup: file vaults",
        "the file that gateway backup writes",
        "root keys of file vaults",
        f"{GCM} under a passphrase by {derivation(fips=fips)}",
        BITS,
        "whoever knows the backup's passphrase; without one root keys are left out",
        ground.derived,
    )
    yield Row(
        "Backup: queue and databases",
        "the same file",
        "as they lie: sealed as above; settings and rules in clear",
        GCM,
        BITS,
        "the same domain keys and roots as in place",
        ground.stored,
    )


def settings_files(ground: Ground) -> Iterator[Row]:
    """What the administrator keeps in clear."""
    loaded = ground.loaded
    yield Row(
        "Settings",
        str(loaded.path),
        "gateway.toml, transport rules and the files it names: secrets, PINs, passwords, private keys of certificates, "
        "lists of recipients; not encrypted",
        None,
        None,
        f"gateway.toml: {file_mode(loaded.path)}; what opens a vault is refused unless it is of mode 0600; service "
        "secrets and keys of TLS may be credentials of systemd instead",
        None,
    )


def logs(ground: Ground) -> Iterator[Row]:
    """Not encrypted; no content of mail and no secret stands in it."""
    settings, loaded = ground.loaded.settings, ground.loaded
    where = "standard error" if settings.log.file is None else str(loaded.resolve(settings.log.file))
    what = (
        "events with queue ids, addresses of clients, names of connectors; not encrypted, and without content of mail"
    )
    yield Row("Log", where, what, None, None, "none: by file mode, or as journald keeps it", None)


def _database(loaded: Loaded) -> str:
    from gateway.app.database import database as named

    return f"database {named(loaded).shown}"
