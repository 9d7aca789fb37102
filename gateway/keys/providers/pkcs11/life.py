"""The life of keys in a token: made, rotated, disabled, enabled, deleted, recovered, destroyed.

Each change looks first, by a session that is made anew where it was lost, and then acts once: what the token may have
done already is never done again by itself.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from pkcs11 import Session

from gateway.keys.providers.pkcs11 import making, shelf
from gateway.keys.providers.pkcs11.faults import where
from gateway.keys.providers.pkcs11.module import Bare, Module
from gateway.keys.providers.pkcs11.note import Note
from gateway.keys.providers.pkcs11.shelf import Kept
from gateway.keys.providers.pkcs11.terms import TokenTerms
from gateway.keys.vault import Denied, KeyState, KeyType, Unavailable, VaultKey
from gateway.world.clock import Clock

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,319}")  # As in file vaults.
MOST_VERSIONS: Final = 1000

T = TypeVar("T")


def nothing(terms: TokenTerms, key: str) -> Denied:
    """What to say where a key is wanted and the token holds nothing at all."""
    return Denied(f"vault {terms.vault!r} holds no key {key!r}: its token {terms.token!r} is empty")


class Life:
    """The keys of one vault. Every method raises KeyFault."""

    def __init__(self, terms: TokenTerms, module: Module, clock: Clock) -> None:
        self._terms = terms
        self._vault = terms.vault
        self._module = module
        self._clock = clock

    def keys(self) -> tuple[VaultKey, ...]:
        """All keys, by name."""

        def work(session: Session) -> tuple[VaultKey, ...]:
            told = (shelf.told(kept) for kept in shelf.look_around(session, self._vault).values())
            return tuple(key for key in told if key is not None)

        try:
            return self._module.run(self._terms, "listing keys", work)
        except Bare:
            return ()

    def create(self, key: str, type_: KeyType) -> VaultKey:
        """A new key with version 1."""
        if not NAME.fullmatch(key):
            raise Denied(f"{key!r} is no name for a key; right would be letters, digits, dots, hyphens and underscores")

        def look(session: Session) -> None:
            there = shelf.seek(session, self._vault, key)
            if there.is_there:
                also = " (it is deleted, and can be recovered until its waiting time ends)" if there.note.ends else ""
                raise Denied(f"vault {self._vault!r} holds a key {key!r} already{also}; choose another name")
            if there.notes and there.note.state is not KeyState.ENABLED:
                raise Denied(
                    f"vault {self._vault!r} has no key {key!r}, and a note that says it is {there.note.state}: it was "
                    "taken away by other means, or destroying it was interrupted. Choose another name"
                )

        with self._changing():
            try:
                self._module.run(self._terms, f"looking for key {key!r}", look)
            except Bare:
                pass  # The first key of a new token.
            return self._make(key, type_, 1)

    def rotate(self, key: str) -> VaultKey:
        """One version more of a key that is enabled."""

        def look(session: Session) -> tuple[KeyType | None, int]:
            kept = shelf.look(session, self._vault, key)
            newest = kept.usable()
            if len(kept.versions) >= MOST_VERSIONS:
                raise Denied(f"key {key!r} of vault {self._vault!r} has {MOST_VERSIONS} versions, which is the most")
            return shelf.type_of(newest), newest.version

        with self._changing():
            type_, newest = self._look(key, look)
            if type_ is None:
                raise self._unknown(key)
            return self._make(key, type_, newest + 1)

    def turn(self, key: str, state: KeyState, ends: float | None = None) -> VaultKey:
        """In that state; what is deleted stays so."""
        with self._changing():
            if self._note(key).state is KeyState.DELETED:
                raise Denied(
                    f"key {key!r} of vault {self._vault!r} is deleted; right would be gateway key recover first"
                )
            return self._write(key, lambda note: note.next(state, ends))

    def recover(self, key: str) -> VaultKey:
        """A deleted key is disabled instead."""
        with self._changing():
            note = self._note(key)
            if note.state is not KeyState.DELETED:
                raise Denied(f"key {key!r} of vault {self._vault!r} is not deleted: it is {note.state}")
            if note.ends is not None and note.ends <= self._clock.now():
                raise Denied(f"the waiting time of key {key!r} of vault {self._vault!r} is over: it can't be recovered")
            return self._write(key, lambda note: note.next(KeyState.DISABLED))

    def purge(self, now: float) -> tuple[str, ...]:
        """Destroy what was deleted and whose waiting time has ended; their names."""

        def ended(session: Session) -> list[Kept]:
            all_ = shelf.look_around(session, self._vault).values()
            return [kept for kept in all_ if kept.note.ends is not None and kept.note.ends <= now]

        def work(session: Session) -> tuple[str, ...]:
            over = ended(session)
            for kept in over:
                shelf.destroy(kept)
            return tuple(kept.name for kept in over if kept.is_there)

        with self._changing():
            try:
                if not self._module.run(self._terms, "looking for keys that have ended", ended):
                    return ()
            except Bare:
                return ()
            return self._module.run(self._terms, "destroying keys", work, again=False)

    # -- how ----------------------------------------------------------------------------------------------------------

    def _look(self, key: str, work: Callable[[Session], T]) -> T:
        try:
            return self._module.run(self._terms, f"looking for key {key!r}", work)
        except Bare:
            raise nothing(self._terms, key) from None

    def _note(self, key: str) -> Note:
        return self._look(key, lambda session: shelf.look(session, self._vault, key).note)

    def _make(self, key: str, type_: KeyType, version: int) -> VaultKey:
        def work(session: Session) -> None:
            making.make(session, Kept(self._vault, key), type_, version)

        now = self._clock.now()
        self._module.run(self._terms, f"making version {version} of key {key!r}", work, again=False)
        return self._write(key, lambda note: note.with_version(version, now))

    def _write(self, key: str, change: Callable[[Note], Note]) -> VaultKey:
        def work(session: Session) -> VaultKey | None:
            kept = shelf.look(session, self._vault, key)
            shelf.write_note(session, kept, change(kept.note))
            return shelf.told(shelf.look(session, self._vault, key))

        told = self._module.run(self._terms, f"writing the note beside key {key!r}", work, again=False)
        if told is None:
            raise self._unknown(key)
        return told

    def _unknown(self, key: str) -> Denied:
        return Denied(f"key {key!r} of vault {self._vault!r} is of a type that the gateway does not know")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One process of this machine at a time. A token has no lock of its own; the PIN's file is what all have."""
        try:
            descriptor = os.open(self._terms.pin, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            self._terms.read_pin()  # Which says what is wrong with the file.
            raise Unavailable(f"{where(self._terms)}: {self._terms.pin} could not be opened") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
