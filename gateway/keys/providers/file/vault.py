"""FileVault: the protocol of a vault over its file. The keys are read once, and again when the file has changed."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.keys import envelope
from gateway.keys.providers.file import clear, sheet, store
from gateway.keys.providers.file.holding import HeldVersion, Holding
from gateway.keys.providers.file.means import NOTHING, Means
from gateway.keys.providers.file.sheet import Head, Sheet
from gateway.keys.providers.file.store import FILE
from gateway.keys.vault import Denied, KeyState, KeyType, Signature, VaultBroken, VaultKey, Wrapped
from gateway.mail.digest import Hashed
from gateway.world.chance import Chance, SystemChance
from gateway.world.clock import Clock, SystemClock

LOOK: Final = 1.0  # Seconds between two looks at the file by those who sign.

_FIRST_MARK: Final = b"\x01"  # What the first gateways wrapped: AES-256-GCM under the root itself.
_NONCE: Final = 12
_RESTART: Final = "Put the newest copy back, or restart the gateway if this is what you want"


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be told of a vault's file without opening it. `head` is None where it is of format 1, not sealed."""

    path: Path
    head: Head | None


def facts(folder: Path) -> Facts:
    """Read the file and judge its form and checksums. Raises Denied, VaultBroken, Unavailable."""
    found = sheet_in(folder)
    return Facts(folder / FILE, None if found is None else found.head)


def sheet_in(folder: Path) -> Sheet | None:
    """The sealed file, not opened; None where it is of format 1 and well. Raises Denied, VaultBroken, Unavailable."""
    path = folder / FILE
    octets = store.read(path)
    if format_of(path, octets) == 1:
        clear.parse("", path, octets)
        return None
    return sheet.parse(path, octets)


class FileVault:
    """A `Vault` whose keys are read here. `name` is the one in gateway.toml, `means` are what may open the file.

    Raises Denied where the file is missing, others may read it, or nothing opens it; VaultBroken where it is damaged;
    Unavailable where the disk does not answer. Safe in any thread.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        means: Means = NOTHING,
        *,
        chance: Chance | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._name = name
        self._folder = folder
        self._path = folder / FILE
        self._chance = chance or SystemChance()
        self._clock = clock or SystemClock()
        self._means = means
        self._changing = threading.RLock()
        self._looked = self._clock.monotonic()
        self._master: AESGCM | None = None
        self._head: Head | None = None
        self._keys = Holding(name)
        self._stamp = store.stamp(self._path)
        self._take(store.read(self._path))

    def __repr__(self) -> str:
        return f"FileVault({self._name!r})"

    @property
    def name(self) -> str:
        """Its name in gateway.toml."""
        return self._name

    @property
    def is_local(self) -> bool:
        """Yes: all keys are in memory."""
        return True

    @property
    def head(self) -> Head | None:
        """Protectors, generation and proofs; None where the file is of format 1, which is not sealed."""
        return self._head

    # -- use ----------------------------------------------------------------------------------------------------------

    def wrap(self, root: str, plain: bytes, context: bytes, *, about: str = "") -> Wrapped:
        """`plain` under the newest version of `root`. Raises Denied."""
        self.refresh()
        held = self._keys.usable(root)
        try:
            octets = envelope.seal(
                root,
                held.number,
                plain,
                context,
                algorithm=held.key.algorithm,
                wrap_key=held.key.wrap_key,
                chance=self._chance,
            )
        except ValueError as error:
            raise self._unfit(root, held, error) from None
        return Wrapped(self._name, root, held.number, octets)

    def unwrap(self, wrapped: Wrapped, context: bytes, *, about: str = "") -> bytes:
        """The plain key. Raises Denied where its root key may not be used, VaultBroken where it does not open."""
        self.refresh()
        held = self._keys.usable(wrapped.root, wrapped.root_version)
        if wrapped.octets[:1] == _FIRST_MARK:
            return _unwrap_first(wrapped, context, held)
        return envelope.unseal(wrapped, context, held.key.unwrap_key)

    def decrypt(self, key: str, sealed: bytes, *, version: int, about: str = "") -> bytes:
        """The plain octets. Raises Denied, VaultBroken where it does not open."""
        self._look()
        held = self._keys.usable(key, version)
        try:
            plain = held.key.decrypt(sealed)
        except ValueError as error:
            raise self._unfit(key, held, error) from None
        if plain is None:
            raise VaultBroken(f"what was encrypted to key {key!r} of vault {self._name!r} does not open")
        return plain

    def sign(self, key: str, data: bytes | Hashed, *, version: int | None = None, about: str = "") -> Signature:
        """A signature over `data`. Raises Denied."""
        self._look()
        held = self._keys.usable(key, version)
        try:
            return Signature(held.number, held.key.sign(data))
        except ValueError as error:
            raise self._unfit(key, held, error) from None

    def public_key(self, key: str, version: int | None = None) -> bytes:
        """SubjectPublicKeyInfo in DER, of a disabled or deleted key too. Raises Denied."""
        held = self._keys.any_state(key, version)
        try:
            return held.key.public()
        except ValueError as error:
            raise self._unfit(key, held, error) from None

    def keys(self) -> tuple[VaultKey, ...]:
        """All keys, by name, as of the last look at the file."""
        return tuple(key.told(self._name) for key in self._keys.values())

    def health(self) -> None:
        """Look at the file again, and take what another process has changed. Raises KeyFault where it is not well.

        A file that was not touched since costs one stat.
        """
        self.refresh()

    def refresh(self) -> bool:
        """Take the file as it is now; whether it had changed. Blocks for a short read. Raises KeyFault."""
        with self._changing:
            looked = self._clock.monotonic()
            now = store.stamp(self._path)
            is_new = now is None or now != self._stamp
            if is_new:
                self._take(store.read(self._path))
                self._stamp = now
            # Not before it was found well: until the next look what was read goes on.
            self._looked = looked
            return is_new

    def _look(self) -> None:
        """For `sign`, which is asked for each message: a look now and then, so that a disabled key stops soon."""
        if self._clock.monotonic() - self._looked >= LOOK:
            self.refresh()

    def _take(self, octets: bytes) -> None:
        """The file's `octets` become what this vault is. Raises KeyFault, and then it stays what it was."""
        if format_of(self._path, octets) == 1:
            if self._head is not None:
                raise VaultBroken(f"{self._path} is an unsealed vault in the place of the sealed one. {_RESTART}")
            self._keys = clear.parse(self._name, self._path, octets)
            return
        found = sheet.parse(self._path, octets)
        self._not_older(found)
        master = self._master
        if master is None or self._head is None or self._head.id != found.head.id:
            master = AESGCM(self._means.master_of(self._name, found))
        self._keys = found.open(self._name, master)
        self._master, self._head = master, found.head

    def _not_older(self, found: Sheet) -> None:
        head = self._head
        if head is not None and found.head.id == head.id and found.head.generation < head.generation:
            raise VaultBroken(
                f"{self._path} is generation {found.head.generation} of vault {self._name!r}, which has been "
                f"{head.generation} already: an older copy was put in its place. {_RESTART}"
            )

    # -- life ---------------------------------------------------------------------------------------------------------

    def create(self, key: str, type_: KeyType) -> VaultKey:
        """A new key. RSA takes up to some seconds. Raises Denied, Unavailable."""
        now = self._clock.now()
        return self._change(lambda keys: keys.with_new(key, type_, now, self._chance))[key].told(self._name)

    def rotate(self, key: str) -> VaultKey:
        """A new version, which is used from now on. Raises Denied where the key is not enabled; Unavailable."""
        now = self._clock.now()
        return self._change(lambda keys: keys.rotated(key, now, self._chance))[key].told(self._name)

    def disable(self, key: str) -> VaultKey:
        """Deny every use of the key. Raises Denied, Unavailable."""
        return self._change(lambda keys: keys.in_state(key, KeyState.DISABLED))[key].told(self._name)

    def enable(self, key: str) -> VaultKey:
        """Allow its use again. Raises Denied where it is deleted; Unavailable."""
        return self._change(lambda keys: keys.in_state(key, KeyState.ENABLED))[key].told(self._name)

    def delete(self, key: str, ends: float) -> VaultKey:
        """Deny every use, and destroy it with the first `purge` after `ends`. Raises Denied, Unavailable."""
        return self._change(lambda keys: keys.in_state(key, KeyState.DELETED, ends))[key].told(self._name)

    def recover(self, key: str) -> VaultKey:
        """Take back `delete`: it is disabled then. Raises Denied where its time is over or it is not deleted."""
        now = self._clock.now()
        return self._change(lambda keys: keys.recovered(key, now))[key].told(self._name)

    def purge(self, now: float) -> tuple[str, ...]:
        """Destroy what was deleted and whose time is over. The copy of the generation before is without it too."""
        self.refresh()
        if not (names := self._keys.ended(now)):
            return ()
        self._change(lambda keys: keys.without(keys.ended(now)), keep_before=False)
        return names

    def _change(self, change: Callable[[Holding], Holding], *, keep_before: bool = True) -> Holding:
        """Read the file under its lock, change what it holds, write it whole."""
        if self._master is None:
            raise Denied(
                f"vault {self._name!r} is not sealed ({self._path} is of format 1), and is read only; right would be "
                f"gateway key protector add {self._name} ..., which seals it"
            )
        with self._changing, store.locked(self._folder):
            self._take(store.read(self._path))  # What others have changed meanwhile.
            if self._head is None or self._master is None:
                raise VaultBroken(f"{self._path} is an unsealed vault in the place of the sealed one. {_RESTART}")
            keys = change(self._keys)
            head = replace(self._head, generation=self._head.generation + 1)
            octets = sheet.compose(head, keys, self._master, self._chance)
            store.replace(self._folder, octets, self._chance, keep_before=keep_before)
            self._stamp = store.stamp(self._path)
            self._head, self._keys = head, keys
        return keys

    def _unfit(self, name: str, held: HeldVersion, error: ValueError) -> Denied:
        right = {"wrap": "rsa-* or aes-256", "sign": "rsa-*, ed25519 or ec-p256", "decrypt": "rsa-*"}
        words = next(
            (f"; right would be one of type {types}" for verb, types in right.items() if verb in str(error)), ""
        )
        return Denied(f"key {name!r} of vault {self._name!r}: {error}{words}")


def _unwrap_first(wrapped: Wrapped, context: bytes, held: HeldVersion) -> bytes:
    """What the first gateways wrapped: version mark 0x01 | nonce (12 octets) | the key sealed under the root itself."""
    root = wrapped.root.encode("utf-8")
    bound = _FIRST_MARK + len(root).to_bytes(2, "big") + root + wrapped.root_version.to_bytes(4, "big") + context
    body = 1 + _NONCE
    try:
        return held.key.cipher().decrypt(wrapped.octets[1:body], wrapped.octets[body:], bound)
    except (InvalidTag, ValueError):  # ValueError: too short for a nonce or a tag, or the root is no AES key.
        raise envelope.broken(
            wrapped, "does not open: it is damaged, belongs to something else, or was wrapped by another vault"
        ) from None


def format_of(path: Path, octets: bytes) -> int:
    """By the mark on its first line: 1 (clear) or 2 (sealed). Raises VaultBroken for anything else."""
    mark = octets[:64].partition(b"\n")[0]
    if mark == clear.MARK.encode():
        return 1
    if mark == sheet.MARK.encode():
        return 2
    if re.fullmatch(rb"gateway-vault [0-9]{1,9}", mark):
        version = mark[14:].decode()
        raise VaultBroken(f"{path} has version {version}; this gateway knows 1 and 2. Use the newer gateway")
    raise VaultBroken(
        f"{path} is not a file of root keys: its first line is not {sheet.MARK!r}. Restore it from a copy"
    )
