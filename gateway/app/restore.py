"""`gateway restore`: a backup becomes a folder from which the gateway serves.

Everything is verified before anything is written: structure, checksums, the passphrase. Then it is written under
another name in the folder, the databases and keys are tried, and only then it gets its names.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from gateway.app.key_log import head_place
from gateway.app.mailbox_backup import MEMBERS
from gateway.app.rule_files import FOLDER
from gateway.app.vault_copy import VaultCopy, parsed, reopen
from gateway.keys import domain
from gateway.keys import passphrase as phrase
from gateway.keys.access_head import BadHead, Head, Kind
from gateway.keys.providers.file.means import DEFAULT as SECRET
from gateway.keys.providers.file.means import Means
from gateway.keys.providers.file.store import FILE as VAULT_FILE
from gateway.keys.providers.file.vault import FileVault, sheet_in
from gateway.keys.vault import KeyFault, Vault
from gateway.settings.fault import errors
from gateway.settings.load import Loaded, read
from gateway.storage import manifest as form
from gateway.storage import snapshot
from gateway.storage.archive import BadArchive, Entry, Member, members
from gateway.storage.content import sync_folder
from gateway.storage.key_log import KeyLogStore
from gateway.storage.mailbox_blob_terms import FOLDER as FOLDER_OF_MAILBOXES
from gateway.storage.manifest import Manifest, SealedVault
from gateway.storage.owner import OWNER
from gateway.storage.shared import Shared
from gateway.storage.writer import StorageBroken
from gateway.world.chance import Chance
from gateway.world.clock import Clock, SystemClock

NAME: Final = "gateway.toml"
DUMP: Final = "postgresql.dump"


class RestoreFault(Exception):
    """Nothing was restored, and nothing was left behind. The text is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was restored. `missing` are files that the settings name and that are not there yet."""

    folder: Path
    settings: Path
    manifest: Manifest
    missing: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Found:
    """What the first reading found. Root keys are in it: it is never shown."""

    manifest: Manifest
    settings: Loaded
    vaults: dict[str, VaultCopy] = field(repr=False)


def restore(
    source: Path,
    into: Path,
    *,
    passphrase: bytes | None,
    without_vault: bool,
    chance: Chance,
    clock: Clock | None = None,
) -> Restored:
    """Make the folder `into` out of the backup `source`. Blocks. Raises RestoreFault; then nothing has changed.

    `without_vault`: leave sealed root keys where they are; the vault comes from elsewhere.
    """
    into = into.absolute()
    try:
        _refuse_what_is_there(into)
        with _opened(source) as file:
            found = _verified(file, passphrase, without_vault)
            file.seek(0)
            return _Writing(into, found, chance, (clock or SystemClock()).now()).run(file)
    except BadArchive as error:
        raise RestoreFault(f"{source} can't be restored: {error}. Nothing was written") from error
    except (KeyFault, StorageBroken) as error:
        raise RestoreFault(f"{source} can't be restored: {error}. Nothing was left behind") from error
    except OSError as error:
        raise RestoreFault(f"{error.filename or into}: {error.strerror}. Nothing was left behind") from error


def _opened(source: Path) -> BinaryIO:
    # Not blocking: a pipe of that name must not hold anybody up.
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RestoreFault(f"{source} is not a plain file; right would be what `gateway backup` wrote")
    return os.fdopen(descriptor, "rb")


def _refuse_what_is_there(into: Path) -> None:
    if into.is_symlink() or (into.exists() and not (into.is_dir() and not any(into.iterdir()))):
        raise RestoreFault(f"{into} is there already and is not overwritten; right would be a new or an empty folder")


# -- reading -----------------------------------------------------------------------------------------------------------


def verify(file: BinaryIO) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, and the octets of the small members that restoring needs. Raises BadArchive, OSError.

    Everything is read: structure, places, sizes, checksums.
    """
    kept: dict[str, bytes] = {}
    found: list[Member] = []
    last = ""
    for entry in members(file, form.most):
        if not found and (entry.name != form.MARK_NAME or not _is_ours(kept, entry)):
            raise BadArchive("it is a tar file, but no backup of the gateway")
        if entry.name in (form.MANIFEST_NAME, form.SETTINGS) or entry.name.startswith("vaults/"):
            kept[entry.name] = entry.octets()
        for _ in entry.pieces():
            pass
        found.append(entry.member)
        last = entry.name
    if last != form.MANIFEST_NAME:
        raise BadArchive(f"it does not end with its {form.MANIFEST_NAME}")
    said = form.parsed(kept[last])
    if tuple(found[:-1]) != said.members:
        _name_difference(found[:-1], said.members)
    if form.SETTINGS not in kept:
        raise BadArchive(f"it holds no {form.SETTINGS}")
    return said, kept


def _is_ours(kept: dict[str, bytes], entry: Entry) -> bool:
    kept[form.MARK_NAME] = mark = entry.octets()
    if mark != form.MARK and mark.startswith(b"gateway-backup "):
        raise BadArchive("it was written by a newer gateway; use that one")
    return mark == form.MARK


def _name_difference(found: list[Member], said: tuple[Member, ...]) -> None:
    """Raises BadArchive with the first file that is not as the manifest has it."""
    expected = {one.name: one for one in said}
    for one in found:
        if (other := expected.pop(one.name, None)) is None:
            raise BadArchive(f"{one.name} stands in it, but not in its {form.MANIFEST_NAME}")
        if one != other:
            raise BadArchive(f"{one.name} is damaged: its checksum is another than its {form.MANIFEST_NAME} has")
    missing = next(iter(expected), None)
    raise BadArchive(f"{missing} is missing" if missing else "its files stand in another order than it says")


def _verified(file: BinaryIO, passphrase: bytes | None, without_vault: bool) -> _Found:
    said, kept = verify(file)
    settings = _settings(kept[form.SETTINGS])
    vaults: dict[str, VaultCopy] = {}
    for vault in said.vaults:
        if vault.member is None or without_vault:
            continue
        if vault.member not in kept:
            raise BadArchive(f"{vault.member} is missing")
        if passphrase is None:
            raise RestoreFault(
                "its root keys are sealed under a passphrase; right would be --passphrase-stdin or --passphrase-file, "
                "or --without-vault where the vault comes from elsewhere"
            )
        fips = settings.settings.security.fips
        plain = phrase.unseal(passphrase, f"vault {vault.name}", kept[vault.member], fips=fips)
        vaults[vault.member] = parsed(plain)
    return _Found(manifest=said, settings=settings, vaults=vaults)


def _settings(octets: bytes) -> Loaded:
    reading = read(Path(NAME), octets)
    if reading.loaded is None:
        raise BadArchive(f"its gateway.toml can't be read: {'; '.join(map(str, errors(reading.faults)))}")
    return reading.loaded


# -- writing -----------------------------------------------------------------------------------------------------------


class _Writing:
    """One restore that is being written."""

    def __init__(self, into: Path, found: _Found, chance: Chance, now: float) -> None:
        self._chance = chance
        self._now = now
        self._into = into
        self._found = found
        self._draft = into / f".restore-{chance.octets(6).hex()}"
        self._notes: list[str] = list(found.manifest.notes)
        self._data = self._place_of_data()
        self._mailboxes = self._place_of_mailboxes()
        self._rules = self._place_of_rules()
        self._vaults = {number: self._place_of_vault(number, one) for number, one in enumerate(found.manifest.vaults)}

    def run(self, file: BinaryIO) -> Restored:
        above = [one for one in (self._into, *self._into.parents) if not one.exists()]
        placed: list[Path] = []
        try:
            self._into.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._draft.mkdir(mode=0o700)
            self._extract(file)
            self._write_vaults()
            self._try()
            _sync_all(self._draft)
            for path in sorted(self._draft.iterdir(), key=lambda path: path.name == NAME):
                path.rename(self._into / path.name)  # The folder is empty but for us.
                placed.append(self._into / path.name)
            self._draft.rmdir()
            sync_folder(self._into)
            sync_folder(self._into.parent)
            self._judge_log()
        except BaseException:  # A Ctrl-C too leaves nothing.
            for path in (self._draft, *placed):
                _remove(path)
            for path in above:
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
            raise
        said = self._found.manifest
        return Restored(
            folder=self._into,
            settings=self._into / NAME,
            manifest=said,
            missing=tuple(name for name in said.elsewhere if not (self._into / name).exists()),
            notes=tuple(self._notes),
        )

    def _place_of_data(self) -> PurePosixPath:
        url = self._found.settings.settings.storage.url
        if self._found.manifest.engine != "sqlite":
            return PurePosixPath("data")
        if (place := _inside(url.removeprefix("sqlite:"))) is not None:
            return place
        self._notes.append(
            f"gateway.toml has url = {url!r}; the data lie in {self._into / 'data'}: move one of the two"
        )
        return PurePosixPath("data")

    def _place_of_mailboxes(self) -> PurePosixPath:
        """Where the contents of mailboxes go."""
        text = self._found.settings.settings.mailboxes.blobs
        here = any(one.name.startswith(MEMBERS) for one in self._found.manifest.members)
        if text is None or not here:
            return self._data / FOLDER_OF_MAILBOXES
        if (place := _inside(text)) is not None:
            return place
        place = self._data / FOLDER_OF_MAILBOXES
        self._notes.append(
            f"gateway.toml has blobs = {text!r} for mailboxes; their contents lie in {self._into / place}: move one of "
            "the two"
        )
        return place

    def _place_of_rules(self) -> PurePosixPath:
        folder = self._found.settings.settings.rules.folder or FOLDER
        if (place := _inside(folder)) is not None:
            return place
        self._notes.append(
            f"gateway.toml has folder = {folder!r} for rules; they lie in {self._into / FOLDER}: move one of the two"
        )
        return PurePosixPath(FOLDER)

    def _place_of_vault(self, number: int, vault: SealedVault) -> PurePosixPath:
        if (place := _inside(vault.path)) is not None:
            return place
        place = PurePosixPath(f"vault-{number}" if number else "vault")
        if vault.member in self._found.vaults:
            words = f"gateway.toml has path = {vault.path!r} for vault {vault.name!r}; its keys lie in"
            self._notes.append(f"{words} {self._into / place}: move one of the two")
        return place

    def _extract(self, file: BinaryIO) -> None:
        expected = {one.name: one for one in self._found.manifest.members}
        for entry in members(file, form.most):
            if (place := self._place(entry.name)) is None:
                continue
            target = self._draft / place
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(target, entry.pieces())
            if entry.member != expected[entry.name]:
                raise BadArchive(f"{entry.name} has changed while it was read")

    def _place(self, name: str) -> PurePosixPath | None:
        """Where a member goes, relative to the folder; None: nowhere."""
        if name == form.SETTINGS:
            return PurePosixPath(NAME)
        if name == form.DUMP:
            where = self._into / DUMP
            self._notes.append(f"the database is {where}: fill an empty one from it with pg_restore --no-owner -d ...")
            return PurePosixPath(DUMP)
        if name.startswith(MEMBERS):
            return self._mailboxes / PurePosixPath(name).relative_to(MEMBERS)
        if name.startswith("data/"):
            return self._data / PurePosixPath(name).relative_to("data")
        if name.startswith("rules/"):
            return self._rules / PurePosixPath(name).relative_to("rules")
        return None

    def _write_vaults(self) -> None:
        for number, vault in enumerate(self._found.manifest.vaults):
            if vault.member is None or vault.member not in self._found.vaults:
                self._notes.append(
                    f"the root keys of vault {vault.name!r} are not in it: put its folder back as {vault.path}, "
                    "or nothing that was stored can be read"
                )
                continue
            folder = self._draft / self._vaults[number]
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy = self._found.vaults[vault.member]
            _write(folder / VAULT_FILE, [copy.file])
            self._reopen(number, folder, copy)

    def _reopen(self, number: int, folder: Path, copy: VaultCopy) -> None:
        """See to what opens a sealed vault: a new secret, where the old one lay among what is restored."""
        section = self._found.settings.settings.vaults[number]
        if copy.master is None:
            if sheet_in(folder) is not None:
                self._notes.append(
                    f"vault {section.name!r} is sealed: put back what opens it, or say gateway key recovery open "
                    f"{section.name}"
                )
            return
        elsewhere = section.secret_credential or section.secret_environment or section.passphrase_file
        place = None if elsewhere and not section.secret_file else _inside(section.secret_file or SECRET)
        if place is None:
            self._notes.append(
                f"vault {section.name!r} opens by what gateway.toml names ({section.secret_file or elsewhere}), which "
                f"is not in it: put it there, or say gateway key recovery open {section.name}"
            )
            return
        reopen(section.name, folder, copy.master, self._draft / place, now=self._now, chance=self._chance)

    def _try(self) -> None:
        """Raises StorageBroken, KeyFault where what was written would not serve."""
        data = self._draft / self._data
        shared = data / "gateway.db"
        if self._found.manifest.engine == "sqlite" and shared.exists():
            for database in (shared, *sorted(data.glob("spool/*/spool.db"))):
                snapshot.check(database)
            # The gateway that was backed up may still be there, and share a store of blobs with us.
            snapshot.forget_fact(shared, OWNER)
            snapshot.skip_uids(shared)
            for spool in data.glob("spool/*"):
                (spool / "content").mkdir(mode=0o700, exist_ok=True)
        held: dict[str, Vault] = {
            vault.name: FileVault(
                vault.name,
                self._draft / self._vaults[number],
                Means(master=self._found.vaults[vault.member].master),
            )
            for number, vault in enumerate(self._found.manifest.vaults)
            if vault.member in self._found.vaults and self._is_open(vault.member, self._vaults[number])
        }
        if shared.exists() and held and len(held) == len(self._found.manifest.vaults):
            there = Shared(shared)
            try:
                domain.load(there, held)
            finally:
                there.close()

    def _judge_log(self) -> None:
        """Note what `gateway key log verify` will find, where the newest head is not beside the log as it was."""
        settings = replace(self._found.settings, path=self._into / NAME, folder=self._into)
        place = head_place(settings)
        try:
            head = place.read()
            fits, signed = _judged(self._into / self._data / "gateway.db", head)
        except (BadHead, OSError, StorageBroken):  # As `verify` will say.
            return
        answer = f"gateway key log accept --config {settings.path} --reason WORDS answers for it"
        if head is not None and not fits:
            self._notes.append(
                f"gateway key log verify will find the log shorter than the head in {place.name} (line {head.line}), "
                f"and nothing is signed until then: {answer}"
            )
        elif head is None and self._is_vault_elsewhere(settings):
            self._notes.append(
                f"where {place.name} comes back with the vault, gateway key log verify will find the log shorter than "
                f"the head in it: {answer}"
            )
        elif head is None and signed:
            self._notes.append(
                f"{place.name} is in no backup, so gateway key log verify calls the log unproven until the gateway "
                "serves, which puts the newest head there"
            )

    def _is_vault_elsewhere(self, settings: Loaded) -> bool:
        """Whether the vault beside which the head lies has yet to be put back."""
        for section, vault in zip(settings.settings.vaults, self._found.manifest.vaults, strict=False):
            if section.provider == "file":
                return vault.member not in self._found.vaults
        return False

    def _is_open(self, member: str, place: PurePosixPath) -> bool:
        return self._found.vaults[member].master is not None or sheet_in(self._draft / place) is None


def _judged(database: Path, head: Head | None) -> tuple[bool, bool]:
    """Whether the restored log leads to `head`, and whether any head stands in it. Raises StorageBroken."""
    if not database.exists():
        return False, False
    with closing(Shared(database)) as shared:
        log = KeyLogStore(shared)
        start = log.newest_head(Kind.START)
        fits = head is not None and (
            log.end_of_batch(head.line) == head.hash or (start is not None and head.line < start.line)
        )
        return fits, log.newest_head() is not None


def _inside(text: str) -> PurePosixPath | None:
    """`text` as a path below the folder of the settings; None where it leads elsewhere, or can't be told."""
    place = PurePosixPath(text)
    if place.is_absolute() or ".." in place.parts or text.startswith("$") or "\0" in text:
        return None
    if place.parts[:1] in ((NAME,), (DUMP,)) or any(part.startswith(".restore-") for part in place.parts):
        return None
    return place


def _write(path: Path, pieces: Iterator[bytes] | list[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # Whatever the umask.
        for piece in pieces:
            file.write(piece)


def _sync_all(folder: Path) -> None:
    """Everything below `folder` onto the disk, folders after what is in them, and their modes as they must be."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            _sync_all(path)
            continue
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    folder.chmod(0o700)
    sync_folder(folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
