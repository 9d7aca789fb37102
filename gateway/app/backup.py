"""`gateway backup`: settings, rules, queue, trace and, sealed under a passphrase, the root keys, in one file.

It works while the gateway serves. Of each spool the journal is read first, then its database is copied as of one
moment, and the shared database after them all: what one handed over to the next meanwhile is then in one of the two, or
in both, which is the same. What stands in a journal alone is put into the copy of its database. So nothing is missing
that was accepted before it began; what leaves while it runs may be in it, and a restore sends that once more.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway import __version__
from gateway.app.database import open_shared
from gateway.app.dump import can_dump, dump
from gateway.app.file_vaults import means_of
from gateway.app.mailbox_backup import add_mailbox_blobs
from gateway.app.places import Places
from gateway.app.rule_files import rule_folder
from gateway.app.shelves import Shelves
from gateway.app.vault_check import is_needed
from gateway.app.vault_copy import VaultCopy
from gateway.keys import passphrase as phrase
from gateway.keys.providers.file.store import FILE as VAULT_FILE
from gateway.keys.providers.file.store import MAX_OCTETS as MAX_VAULT
from gateway.keys.providers.file.vault import sheet_in
from gateway.keys.vault import KeyFault
from gateway.rules.files import TYPES
from gateway.settings import schema
from gateway.settings.load import Loaded, loaded
from gateway.storage import journal_copy, snapshot
from gateway.storage import manifest as form
from gateway.storage.archive import ArchiveWriter, BadArchive, pieces_of
from gateway.storage.backup_notes import BackupNote, BackupNotes
from gateway.storage.content import sync_folder
from gateway.storage.journal_copy import JournalCopy
from gateway.storage.manifest import Manifest, SealedVault
from gateway.storage.replay import waiting_messages
from gateway.storage.sealer import SealBroken
from gateway.storage.spool import DATABASE, JOURNAL
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import Chance
from gateway.world.clock import Clock

# Keys of the settings whose values are files that a backup does not hold: most of them are secrets of others.
_SECRET: Final = "secret_file"  # noqa: S105  (a key, no secret: what opens a vault; a restore makes a new one)
_FILES: Final = frozenset(
    {"certificate", "key", "trusted_ca", "client_certificate", "client_key", "file", "trust_anchors", "archived_keys"}
)


class BackupFault(Exception):
    """No backup was made, and nothing was left behind. The text is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made. `size` is in octets, `deliveries` counts files of large content among `files`."""

    path: Path
    size: int
    files: int
    vaults: tuple[SealedVault, ...]
    elsewhere: tuple[str, ...]
    notes: tuple[str, ...]


def backup(path: Path, dest: Path, *, passphrase: bytes | None, clock: Clock, chance: Chance) -> Made:
    """Write the backup of the gateway whose settings stand at `path` into the new file `dest`.

    `passphrase` seals the root keys; None leaves them out. Durable and whole when this returns, or not there at all.
    Blocks. Raises BadSettings, BackupFault, KeyFault, StorageBroken.
    """
    settings = loaded(path)
    dest = dest.absolute()
    if dest.exists() or dest.is_symlink():
        right = (
            f"a name in it, such as {dest / 'gateway.backup'}" if dest.is_dir() else "another name, or to move it away"
        )
        raise BackupFault(f"{dest} is there already and is not overwritten; right would be {right}")
    if not dest.parent.is_dir():
        raise BackupFault(f"there is no folder {dest.parent}")
    tag, began = chance.octets(6).hex(), clock.now()
    room = dest.with_name(f".{dest.name}.{tag}.d")
    draft = dest.with_name(f".{dest.name}.{tag}.new")
    try:
        room.mkdir(mode=0o700)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            said = _Work(settings, room, ArchiveWriter(file, clock.now()), passphrase, clock, chance).run()
            file.flush()
            os.fsync(descriptor)
            size = file.tell()
        notes = (*said.notes, *_noted(settings, BackupNote(tag, str(dest), began, clock.now())))
        os.link(draft, dest)  # Unlike a rename, a link never replaces what is there.
        draft.unlink()
        sync_folder(dest.parent)
    except FileExistsError as error:
        raise BackupFault(f"{dest} was made by somebody else meanwhile") from error
    except OSError as error:
        raise BackupFault(f"{error.filename or dest}: {error.strerror}. No backup was made") from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
        with suppress(OSError):  # Where the folder takes no file, there is none either.
            draft.unlink(missing_ok=True)
    files = len(said.members) - 1
    return Made(path=dest, size=size, files=files, vaults=said.vaults, elsewhere=said.elsewhere, notes=notes)


def _noted(settings: Loaded, note: BackupNote) -> list[str]:
    """Have the database know of this backup, before anybody can have it; what to say where that fails."""
    if not settings.is_shared and not Places.of(settings).shared.exists():
        return []
    try:
        with closing(open_shared(settings)) as shared:
            BackupNotes(shared).add(note)
    except (StorageBroken, StorageFull) as error:
        return [f"this backup could not be noted ({error}), so gateway policy show does not name it"]
    return []


class _Work:
    """One backup that is being made. `room` is a folder for copies, beside the backup."""

    def __init__(
        self,
        settings: Loaded,
        room: Path,
        archive: ArchiveWriter,
        passphrase: bytes | None,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._settings = settings
        self._room = room
        self._archive = archive
        self._passphrase = passphrase
        self._clock = clock
        self._chance = chance
        self._made = clock.now()
        self._notes: list[str] = []

    def run(self) -> Manifest:
        self._small(form.MARK_NAME, form.MARK)
        self._small(form.SETTINGS, self._settings.octets)
        self._rules()
        vaults = tuple(self._vault(number) for number in range(len(self._settings.settings.vaults)))
        if self._settings.is_shared:
            self._dump()
        else:
            self._databases()
        said = Manifest(
            gateway=__version__,
            made=self._made,
            engine="postgresql" if self._settings.is_shared else "sqlite",
            members=tuple(self._archive.members),
            vaults=vaults,
            elsewhere=tuple(dict.fromkeys(_named(self._settings.settings.model_dump()))),
            notes=tuple(self._notes),
        )
        self._small(form.MANIFEST_NAME, said.octets())
        self._archive.close()
        return said

    # -- settings and keys --------------------------------------------------------------------------------------------

    def _rules(self) -> None:
        folder = rule_folder(self._settings)
        if folder is None or not folder.is_dir():
            return
        types = folder / TYPES
        below = sorted(types.iterdir()) if types.is_dir() and not types.is_symlink() else []
        for path in (*sorted(folder.iterdir()), *below):
            if path == types and not path.is_symlink():
                continue
            name = f"rules/{path.relative_to(folder).as_posix()}"
            try:
                fits = path.is_file() and not path.is_symlink() and path.stat().st_size <= form.most(name)
            except BadArchive:
                fits = False
            if fits:
                self._small(name, path.read_bytes())
            else:
                self._notes.append(f"{path} is no plain file with a plain name, and was left out")

    def _vault(self, number: int) -> SealedVault:
        vault = self._settings.settings.vaults[number]
        if self._passphrase is None:
            return SealedVault(vault.name, vault.path, None)
        path = self._settings.resolve(vault.path) / VAULT_FILE
        if vault.provider != "file":
            self._notes.append(f"vault {vault.name!r} keeps its root keys to itself; see to a backup by its own means")
            return SealedVault(vault.name, vault.path, None)
        try:
            with path.open("rb") as file:
                plain = file.read(MAX_VAULT + 1)
        except OSError as error:
            if is_needed(self._settings, number, ask=True):
                raise
            self._notes.append(
                f"vault {vault.name!r} is not in it, since {path} can't be read ({error.strerror}); whoever restores "
                "it needs that vault for what its keys alone open"
            )
            return SealedVault(vault.name, vault.path, None)
        if len(plain) > MAX_VAULT:
            raise BackupFault(f"{path} is longer than {MAX_VAULT} octets: it is not a file of root keys")
        name = f"vaults/{number}.sealed"
        fips = self._settings.settings.security.fips
        copy = VaultCopy(plain, self._master(vault))
        self._small(name, phrase.seal(self._passphrase, f"vault {vault.name}", copy.octets(), self._chance, fips=fips))
        return SealedVault(vault.name, vault.path, name)

    def _master(self, vault: schema.Vault) -> bytes | None:
        """Its master key, so that the backup's passphrase is enough to restore it."""
        try:
            found = sheet_in(self._settings.resolve(vault.path))
            return None if found is None else means_of(self._settings, vault).master_of(vault.name, found)
        except KeyFault as error:
            self._notes.append(
                f"vault {vault.name!r} is in it as it lies, sealed, since it does not open here ({error}); whoever "
                "restores it needs what opens it, or its recovery key, beside the passphrase"
            )
            return None

    # -- the queue and the trace --------------------------------------------------------------------------------------

    def _databases(self) -> None:
        places = Places.of(self._settings)
        if not places.shared.exists():
            self._notes.append(f"{places.shared} is not there yet: nothing was ever accepted")
            return
        spools = places.spools()
        journals = sum(journal_copy.size(places.spool(number) / JOURNAL) for number in spools)
        self._check_room([*(places.spool(number) / DATABASE for number in spools), places.shared], journals)
        with ExitStack() as stack:
            shelves = stack.enter_context(Shelves(self._settings, places, self._clock))
            for number in spools:
                self._spool(places.spool(number), number, shelves)
        copied = self._room / "gateway.db"
        snapshot.copy(places.shared, copied)
        self._copies(copied, places)
        self._notes += add_mailbox_blobs(self._settings, snapshot.mailbox_blobs(copied), self._archive)
        self._file(form.SHARED, copied)

    def _copies(self, shared: Path, places: Places) -> None:
        """Stored copies of rights-managed mail. One that is gone is no loss of mail: its readers have the file."""
        gone = 0
        for name in snapshot.copies(shared):
            if self._settings.settings.storage.blobs is not None:
                self._notes.append(
                    "large stored copies of rights-managed mail lie in the store of [storage] blobs, and are not in "
                    "it: their readers drop the attached message.rpmsg on the portal"
                )
                return
            path = places.copies / name
            try:
                with path.open("rb") as file:
                    self._archive.add(f"data/copies/{name}", path.stat().st_size, pieces_of(file))
            except FileNotFoundError:
                gone += 1
        if gone:
            self._notes.append(f"{gone} stored copies of rights-managed mail are gone, and not in it")

    def _check_room(self, databases: list[Path], journals: int) -> None:
        disk = os.statvfs(self._room)
        needed, free = 2 * (snapshot.sizes(databases) + journals), disk.f_bavail * disk.f_frsize
        if free < needed:
            raise BackupFault(
                f"{self._room.parent} has {free >> 20} MiB free, and copies of the databases need up to "
                f"{needed >> 20} MiB there; right would be another folder"
            )

    def _spool(self, spool: Path, number: int, shelves: Shelves) -> None:
        room = self._room / f"journal-{number}"
        journal = JournalCopy(spool / JOURNAL, room)
        self._notes += [f"the journal of {spool}: {fault}" for fault in journal.faults]
        copied = self._room / f"spool-{number}.db"
        snapshot.copy(spool / DATABASE, copied)
        journal.merge(copied)
        shutil.rmtree(room)
        left: list[str] = []
        for id_, size in snapshot.shelved(copied):
            try:
                with shelves.opened(number, id_, size) as (stored, pieces):
                    self._archive.add(f"data/spool/{number}/content/{id_}", stored, pieces)
            except (SealBroken, ValueError) as error:
                if id_ in waiting_messages(spool / JOURNAL) or snapshot.is_queued(spool / DATABASE, id_):
                    self._notes.append(
                        f"the content of {id_} can't be read ({error}); its deliveries are in without it"
                    )
                else:
                    left.append(id_)  # Delivered while we were on our way to it.
        if left:
            snapshot.forget(copied, left)
        self._file(f"data/spool/{number}/{DATABASE}", copied)

    def _dump(self) -> None:
        from gateway.app.database import database

        there = database(self._settings)
        if self._settings.settings.storage.blobs is not None:
            self._notes.append("large content lies in the store of [storage] blobs, which needs a backup of its own")
        if can_dump():
            copied = self._room / "postgresql.dump"
            dump(there, copied)
            self._file(form.DUMP, copied)
        else:
            self._notes.append(
                f"{there.shown} is not in it, since there is no pg_dump here: dump it on its own, before each backup, "
                "which has the contents of all mailboxes that such a dump knows"
            )
        self._notes += add_mailbox_blobs(self._settings, None, self._archive)

    # -- writing ------------------------------------------------------------------------------------------------------

    def _small(self, name: str, octets: bytes) -> None:
        self._archive.add(name, len(octets), [octets])

    def _file(self, name: str, path: Path) -> None:
        """Move a copy of ours into the archive."""
        with path.open("rb") as file:
            self._archive.add(name, path.stat().st_size, pieces_of(file))
        path.unlink()


def _named(settings: Any, key: str = "") -> Iterator[str]:
    """Every file that the settings name, but for the log."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            if not (key == "log" and name == "file"):
                yield from _named(value, str(name))
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _named(value, key)
    elif isinstance(settings, str) and settings and (key in _FILES or key.endswith("_file")) and key != _SECRET:
        yield settings
