"""The vault's file on disk: read with care, replaced whole, under a lock for those who write.

Beside `root-keys` lie `root-keys.before` (the generation before, for the hand of whoever has to repair something) and
`root-keys.lock`, which is empty.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.keys.vault import Denied, Unavailable, VaultBroken
from gateway.world.chance import Chance

FILE: Final = "root-keys"
BEFORE: Final = "root-keys.before"
LOCK: Final = "root-keys.lock"
_DRAFT: Final = re.compile(re.escape(FILE) + r"\.[0-9a-f]{16}\.new")
MAX_OCTETS: Final = 4 << 20  # Some 1,500 RSA keys with their versions; anything longer is not a file of ours.


def read(path: Path) -> bytes:
    """The file's octets. Raises Denied where it is missing or others may use it, VaultBroken, Unavailable."""
    return read_secret(path, MAX_OCTETS, "a file of root keys", missing="is the vault's disk mounted, and its path")


def read_secret(path: Path, most: int, what: str, *, missing: str = "is its name") -> bytes:
    """At most `most` octets of a file that only its owner may use. `what` and `missing` are for the errors."""
    try:
        # Not blocking: a pipe of that name must not hold up the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise Denied(f"{path} is missing: {missing} in gateway.toml right?") from error
    except PermissionError as error:
        raise Denied(f"{path} may not be read by this account; its owner must be the one who runs gateway") from error
    except OSError as error:
        raise Unavailable(f"{path} could not be opened: {error.strerror}") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise VaultBroken(f"{path} is not a plain file")
        # What systemd gives as a credential belongs to root, whose group stands for the one account that may read it.
        roots_own = facts.st_uid == facts.st_gid == 0 and stat.S_IMODE(facts.st_mode) == 0o440
        if facts.st_mode & 0o077 and not roots_own:
            raise Denied(
                f"{path} can be used by other accounts (mode {stat.S_IMODE(facts.st_mode):04o}); say: chmod 600 {path}"
            )
        if facts.st_size > most:
            raise VaultBroken(f"{path} is longer than {most} octets: it is not {what}")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}") from error
    finally:
        os.close(descriptor)


def exposed(folder: Path) -> list[tuple[Path, int]]:
    """What other accounts may do harm to, with its mode: the folder, in which they could put another file in the place
    of the keys, or take it away; and the generation before, which holds keys too. The file itself is refused by `read`.
    That others may list the folder does no harm: what it holds is sealed, and for its owner alone.
    """
    found = []
    for path, bad in ((folder, 0o022), (folder / BEFORE, 0o077)):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue  # Missing, or told where the file is read.
        if mode & bad:
            found.append((path, mode))
    return found


def stranger(folder: Path) -> tuple[int, int] | None:
    """Whose the folder is and whose the keys in it, where those are two accounts: the first may replace the file,
    whatever its mode. root may everywhere, and a command of root's hands the file to the service's account.
    """
    try:
        owner, keeper = folder.stat().st_uid, (folder / FILE).stat().st_uid
    except OSError:
        return None  # As above.
    return None if owner in (0, keeper) else (owner, keeper)


def stamp(path: Path) -> tuple[int, int, int, int] | None:
    """What changes with the file: inode, size, time, mode. None where it can't be told."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_mode


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process writes at a time. Waits; a write takes milliseconds. Raises Unavailable."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _give(descriptor, folder / FILE)
    except OSError as error:
        raise Unavailable(f"{folder} can't be changed: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_first(folder: Path, octets: bytes, chance: Chance) -> None:
    """A vault's first file, durable when this returns. Raises Denied where there is one, Unavailable."""
    path = folder / FILE
    # A name that nobody else uses: what a crash leaves half written is never taken for the vault.
    draft = _draft(folder, chance)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(draft, octets)
        try:
            os.link(draft, path)  # Unlike a rename, a link never replaces what is there.
        finally:
            draft.unlink()
        _sync_folder(folder)
    except FileExistsError as error:
        raise Denied(f"{path} exists already; root keys are never overwritten. Choose another folder") from error
    except OSError as error:
        raise Unavailable(f"root keys could not be written to {path}: {error.strerror}") from error


def replace(folder: Path, octets: bytes, chance: Chance, *, keep_before: bool = True) -> None:
    """The next generation in the place of the last one, which stays as `root-keys.before`. Raises Unavailable.

    Without `keep_before` that is the new one as well: nothing of the last one is to be had again. Nor is what others
    left half way who were killed: it may be a generation with keys that were destroyed since.

    Whoever reads meanwhile, and whoever comes after a crash, finds the one or the other, whole. Call it `locked`.
    """
    path, before = folder / FILE, folder / BEFORE
    draft, kept = _draft(folder, chance), _draft(folder, chance)
    try:
        try:
            _remove_drafts(folder)
            _write_new(draft, octets, like=path)
            os.link(path if keep_before else draft, kept)
            kept.replace(before)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
            kept.unlink(missing_ok=True)
        _sync_folder(folder)
    except OSError as error:
        raise Unavailable(f"root keys could not be written to {path}: {error.strerror}") from error


def _draft(folder: Path, chance: Chance) -> Path:
    return folder / f"{FILE}.{chance.octets(8).hex()}.new"


def _remove_drafts(folder: Path) -> None:
    for path in folder.iterdir():
        if _DRAFT.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _write_new(path: Path, octets: bytes, like: Path | None = None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor, not a path)
        os.fchmod(descriptor, 0o600)  # Whatever the umask.
        if like is not None:
            _give(descriptor, like)
        file.write(octets)
        file.flush()
        os.fsync(descriptor)


def _give(descriptor: int, like: Path) -> None:
    """The open file to the owner of `like`: root may run a command, and the service must go on reading its vault."""
    if os.geteuid() == 0:
        facts = like.stat()
        os.fchown(descriptor, facts.st_uid, facts.st_gid)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
