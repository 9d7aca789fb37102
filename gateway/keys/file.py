"""The `file` vault: root keys in one text file of mode 0600 (AES-256-GCM, NIST SP 800-38D).

    gateway-vault 1
    NAME VERSION BASE64-OF-32-OCTETS CHECKSUM
    end COUNT CHECKSUM

A checksum is the beginning of a SHA-256: of its own line, or, on the last line, of all that stands before it, so that a
file that was cut off or edited by hand is told from a whole one. Who can read the file can read everything that the
gateway stores, so it belongs on another disk than the data.

Leaves out: disabling keys, rotation.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.keys.vault import Denied, Unavailable, VaultBroken, Wrapped
from gateway.world.chance import Chance, SystemChance

FILE: Final = "root-keys"
MARK: Final = "gateway-vault 1"
MAX_OCTETS: Final = 1 << 20  # About 10,000 keys; anything longer is not a file of ours.

_KEY_OCTETS: Final = 32
_NONCE_OCTETS: Final = 12  # Random 96 bits: far fewer than 2^32 wraps are made with one root key (SP 800-38D 8.3).
_WRAP_MARK: Final = b"\x01"
_RESTORE: Final = "Restore it from a copy"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def create(folder: Path, roots: tuple[str, ...], chance: Chance) -> None:
    """Write `folder`/root-keys with version 1 of each root key, on disk when this returns.

    Raises Denied where there is one already (it is never overwritten), Unavailable where the disk refuses.
    """
    if not roots or len(set(roots)) != len(roots) or not all(_NAME.fullmatch(root) for root in roots):
        raise ValueError("root keys need names of letters, digits, dots, hyphens and underscores, each once")
    path = folder / FILE
    octets = _compose([(root, 1, chance.octets(_KEY_OCTETS)) for root in roots])
    # A name that nobody else uses: what a crash leaves half written is never taken for the vault.
    draft = folder / f"{FILE}.{chance.octets(8).hex()}.new"
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


def _write_new(path: Path, octets: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor, not a path)
        file.write(octets)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def _compose(keys: list[tuple[str, int, bytes]]) -> bytes:
    text = MARK + "\n"
    for name, version, key in keys:
        line = f"{name} {version} {base64.b64encode(key).decode('ascii')}"
        text += f"{line} {_checksum(line)}\n"
    return f"{text}end {len(keys)} {_checksum(text)}\n".encode("ascii")


class FileVault:
    """A `Vault` whose root keys are read once, here. `name` is the one in gateway.toml.

    Raises Denied where the file is missing or others may read it, VaultBroken where it is damaged, Unavailable where
    the disk does not answer. `chance` draws the nonces of `wrap`; default: the kernel's generator.
    """

    def __init__(self, name: str, folder: Path, chance: Chance | None = None) -> None:
        self._name = name
        self._chance = chance or SystemChance()
        # Ciphers, not octets: they show no key to whoever prints them.
        self._ciphers = {place: AESGCM(key) for place, key in _read(folder / FILE).items()}
        self._newest: dict[str, int] = {}
        for root, version in self._ciphers:
            self._newest[root] = max(version, self._newest.get(root, 0))

    def __repr__(self) -> str:
        return f"FileVault({self._name!r})"

    @property
    def name(self) -> str:
        """Its name in gateway.toml."""
        return self._name

    def roots(self) -> tuple[str, ...]:
        """The names of the root keys that it holds."""
        return tuple(self._newest)

    def wrap(self, root: str, plain: bytes, context: bytes) -> Wrapped:
        """`plain` under the newest version of `root`. Raises Denied where there is no such root key."""
        if (version := self._newest.get(root)) is None:
            raise Denied(f"vault {self._name!r} holds no root key {root!r}")
        nonce = self._chance.octets(_NONCE_OCTETS)
        sealed = self._ciphers[root, version].encrypt(nonce, plain, _bound(root, version, context))
        return Wrapped(self._name, root, version, _WRAP_MARK + nonce + sealed)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """The plain key. Raises Denied where its root key is not held, VaultBroken where it does not open."""
        root, version = wrapped.root, wrapped.root_version
        if (cipher := self._ciphers.get((root, version))) is None:
            raise Denied(f"vault {self._name!r} holds no version {version} of root key {root!r}")
        octets = wrapped.octets
        if octets[:1] != _WRAP_MARK:
            raise VaultBroken(f"a key wrapped by {root!r} of vault {self._name!r} has an unknown version mark")
        body = 1 + _NONCE_OCTETS
        try:
            return cipher.decrypt(octets[1:body], octets[body:], _bound(root, version, context))
        except (InvalidTag, ValueError) as error:  # ValueError: too short for a nonce or a tag.
            raise VaultBroken(
                f"a key wrapped by {root!r} of vault {self._name!r} does not open: it is damaged, "
                "belongs to something else, or was wrapped by another vault"
            ) from error


def _bound(root: str, version: int, context: bytes) -> bytes:
    name = root.encode("utf-8")
    return _WRAP_MARK + len(name).to_bytes(2, "big") + name + version.to_bytes(4, "big") + context


def _read(path: Path) -> dict[tuple[str, int], bytes]:
    """Every key of the file by name and version."""
    try:
        # Not blocking: a pipe of that name must not hold up the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise Denied(f"{path} is missing: is the vault's disk mounted, and its path in gateway.toml right?") from error
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
        if facts.st_size > MAX_OCTETS:
            raise VaultBroken(f"{path} is longer than {MAX_OCTETS} octets: it is not a file of root keys")
        with open(descriptor, "rb", closefd=False) as file:
            octets = file.read(MAX_OCTETS)
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    return _parse(path, octets)


def _parse(path: Path, octets: bytes) -> dict[tuple[str, int], bytes]:
    # No exception is chained here: those of the decoders carry what they were given, and that is key material.
    if not octets.isascii():
        raise VaultBroken(f"{path} is damaged: it holds octets that are not ASCII. {_RESTORE}")
    text = octets.decode("ascii")
    mark, _, _ = text.partition("\n")
    if mark != MARK:
        if re.fullmatch(r"gateway-vault [0-9]{1,9}", mark):
            raise VaultBroken(f"{path} has version {mark[14:]}; this gateway knows version 1. Use the newer gateway")
        raise VaultBroken(f"{path} is not a file of root keys: its first line is not {MARK!r}. {_RESTORE}")
    lines = text.split("\n")
    if len(lines) < 3 or lines[-1] != "" or not lines[-2].startswith("end "):
        raise VaultBroken(f"{path} is cut off: its last line is missing. {_RESTORE}")
    keys: dict[tuple[str, int], bytes] = {}
    for place, line in enumerate(lines[1:-2], start=2):
        name, version, key = _parse_line(f"{path}, line {place},", line)
        if (name, version) in keys:
            raise VaultBroken(f"{path}, line {place}, repeats version {version} of {name!r}. {_RESTORE}")
        keys[name, version] = key
    above = text[: text.rindex("\nend ") + 1]
    if lines[-2] != f"end {len(keys)} {_checksum(above)}":
        raise VaultBroken(f"{path} is damaged: its last line does not fit what stands above it. {_RESTORE}")
    if not keys:
        raise VaultBroken(f"{path} holds no key. {_RESTORE}")
    return keys


def _parse_line(where: str, line: str) -> tuple[str, int, bytes]:
    words = line.split(" ")
    if len(words) != 4 or _checksum(" ".join(words[:3])) != words[3]:
        raise VaultBroken(f"{where} is damaged: its checksum is wrong. {_RESTORE}")
    name, version, encoded, _ = words
    if not _NAME.fullmatch(name) or not re.fullmatch(r"[1-9][0-9]{0,8}", version):
        raise VaultBroken(f"{where} is malformed: it needs a name and a version. {_RESTORE}")
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_OCTETS:
        raise VaultBroken(f"{where} is malformed: its key is not {_KEY_OCTETS} octets in base64. {_RESTORE}")
    return name, int(version), key
