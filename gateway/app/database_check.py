"""Judging `[storage] url`: of SQLite the databases that lie there; of PostgreSQL the address, the password file, TLS,
and what the server says.
"""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.app.availability import wants_mailboxes
from gateway.app.places import Places
from gateway.app.policy_check import no_default
from gateway.settings.fault import Fault
from gateway.settings.load import Loaded
from gateway.storage.spool import DATABASE
from gateway.storage.writer import StorageBroken, StorageFull, open_database

if TYPE_CHECKING:
    from gateway.storage.postgres.connection import Database

_URL: Final = "storage.url"
_FILE: Final = "storage.password_file"
_RIGHT: Final = '"postgresql://USER@HOST/DATABASE", a libpq address'
_VERIFIED: Final = ("verify-ca", "verify-full")


def judge_database(loaded: Loaded, *, ask: bool) -> Iterator[Fault]:
    """Faults and warnings. With `ask` the server is asked too, which blocks for some seconds where it is away, or
    SQLite's files are looked into.
    """
    storage = loaded.settings.storage
    if not loaded.is_shared:
        for key, value in (("password_file", storage.password_file), ("folder", None)):
            if value is not None or (key == "folder" and "folder" in storage.model_fields_set):
                right = "to leave it out: it is for PostgreSQL, and url names a folder of SQLite"
                yield loaded.warning(f"storage.{key}", "a value that nothing uses", right)
        if ask:
            yield from _files(loaded)
        return
    from gateway.storage.postgres.connection import BadAddress, Database

    try:
        database = Database.from_settings(loaded)
    except BadAddress as error:
        yield loaded.fault(_URL, str(error), _RIGHT)
        return
    if database.has_password:
        right = "an address without it, and a file of mode 0600 that [storage] password_file names"
        yield loaded.warning(_URL, "a password inside the address", right)
    if not _is_protected(database):
        right = "sslmode=verify-full and sslrootcert=FILE in it, so that nobody between can play the database"
        yield loaded.warning(_URL, "a server elsewhere whose certificate is not verified", right)
    if storage.blobs is not None and "://" not in storage.blobs:
        right = "a folder that all gateways on this database mount, or s3://BUCKET/PREFIX"
        yield loaded.warning("storage.blobs", "a folder, while others may share the database", right)
    if database.password_file is not None:
        faults = list(_password_file(loaded))
        yield from faults
        if any(fault.severity == "error" for fault in faults):
            return
    if ask:
        yield from _answers(loaded, database)


def _files(loaded: Loaded) -> Iterator[Fault]:
    """Why `serve` would not start with what lies there. It is told in the words in which that would refuse it."""
    from gateway.app.migrate import buried
    from gateway.storage.migrate import fault_of

    places = Places.of(loaded)
    right = "a whole database of this version or an older one"
    try:
        spools = [places.spool(number) / DATABASE for number in places.spools()]
        shared = places.shared.is_file()
    except OSError:  # A folder that may not be entered is told of by itself.
        return
    found = [fault_of(places.shared, "shared")] if shared else []
    found += [fault_of(path, "spool") for path in spools]
    yield from (loaded.fault(_URL, f"that {fault}", right) for fault in found if fault is not None)
    if not any(found):
        try:
            if (not shared or _is_keyless(places.shared)) and (words := buried(places)) is not None:
                yield loaded.fault(_URL, f"that {words}", right)
        except (sqlite3.Error, OSError):  # Locked, or another's: that says nothing about what is in it.
            return


def _is_keyless(path: Path) -> bool:
    """Whether the shared database was never written, or holds no domain key."""
    with closing(open_database(str(path), read_only=True)) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'domain_keys'").fetchone() is None:
            return True
        return db.execute("SELECT 1 FROM domain_keys").fetchone() is None


def _is_protected(database: Database) -> bool:
    """Whether the server is on this machine, or shows a certificate that is verified."""
    if database.get("sslmode") in _VERIFIED or database.get("service") is not None:
        return True  # What a service file says is known to libpq alone.
    hosts = database.get("hostaddr") or database.get("host")
    return hosts is None or all(_is_here(host) for host in hosts.split(","))


def _is_here(host: str) -> bool:
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _password_file(loaded: Loaded) -> Iterator[Fault]:
    file = loaded.resolve(loaded.settings.storage.password_file or "")
    try:
        with file.open("rb") as stream:
            octets = stream.read(1)
        mode = file.stat().st_mode & 0o777
    except OSError as error:
        yield loaded.fault(_FILE, f"{file}: {error.strerror}", "a file with the password, which the gateway may read")
        return
    if not octets:
        yield loaded.fault(_FILE, f"{file}, which is empty", "a file with the password")
    if mode & 0o007:
        yield loaded.warning(_FILE, f"{file} with mode {mode:04o}: everybody here may read it", f"chmod 600 {file}")


def _answers(loaded: Loaded, database: Database) -> Iterator[Fault]:
    from gateway.storage.postgres.form import State
    from gateway.storage.postgres.probe import probe

    try:
        seen = probe(database)
    except (StorageBroken, StorageFull) as error:
        yield loaded.fault(_URL, f"that {error}", "a PostgreSQL server that answers and lets the gateway in")
        return
    if not seen.is_durable:
        right = "fsync = on and full_page_writes = on in its settings, so that accepted mail survives a power cut"
        yield loaded.warning(_URL, "a server that does not wait for its disk", right)
    if seen.fault is not None:
        right = "a whole database of this version or an older one, which the gateway's account owns"
        yield loaded.fault(_URL, f"that {seen.fault}", right)
    elif seen.state is not State.CURRENT:
        right = "gateway migrate, or gateway serve, which does it at its start"
        yield loaded.warning(_URL, f"that {database.shown} is {seen.state.value}", right)
        default = loaded.settings.mailboxes.default_policy
        if seen.state is State.EMPTY and default is not None and wants_mailboxes(loaded):
            yield no_default(loaded, default)
