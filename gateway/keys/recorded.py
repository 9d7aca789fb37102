"""A vault whose every use is recorded, whatever comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from gateway.keys.uses import Operation, Outcome, Recorder, Use
from gateway.keys.vault import Denied, KeyFault, KeyType, Signature, Unavailable, Vault, VaultKey, Wrapped
from gateway.mail.digest import Hashed
from gateway.world.clock import Clock

T = TypeVar("T")

NO_KEY: Final = "*"  # Stands for the key's name where all of a vault are meant: `purge` that fails.


class Recorded:
    """A `Vault` around another. `who` is the process, as the access log has it.

    What only looks (`public_key`, `keys`, `health`) uses no key and is not recorded. A use that fails is recorded with
    what it failed by; one that ends in an error of ours counts as unavailable, since nobody knows what became of it.
    """

    __slots__ = ("_clock", "_inner", "_recorder", "_who", "is_local", "name")

    def __init__(self, inner: Vault, recorder: Recorder, *, who: str, clock: Clock) -> None:
        self._inner = inner
        self._recorder = recorder
        self._who = who
        self._clock = clock
        self.name = inner.name
        self.is_local = inner.is_local

    def __repr__(self) -> str:
        return f"Recorded({self._inner!r})"

    @property
    def inner(self) -> Vault:
        """The vault itself: what it is asked is not recorded."""
        return self._inner

    def wrap(self, root: str, plain: bytes, context: bytes, *, about: str = "") -> Wrapped:
        """See Vault."""
        return self._recorded(
            Operation.WRAP,
            root,
            about,
            lambda: self._inner.wrap(root, plain, context, about=about),
            lambda made: made.root_version,
        )

    def unwrap(self, wrapped: Wrapped, context: bytes, *, about: str = "") -> bytes:
        """See Vault."""
        return self._recorded(
            Operation.UNWRAP,
            wrapped.root,
            about,
            lambda: self._inner.unwrap(wrapped, context, about=about),
            lambda _: wrapped.root_version,
            wrapped.root_version,
        )

    def decrypt(self, key: str, sealed: bytes, *, version: int, about: str = "") -> bytes:
        """See Vault."""
        return self._recorded(
            Operation.DECRYPT,
            key,
            about,
            lambda: self._inner.decrypt(key, sealed, version=version, about=about),
            lambda _: version,
            version,
        )

    def sign(self, key: str, data: bytes | Hashed, *, version: int | None = None, about: str = "") -> Signature:
        """See Vault."""
        return self._recorded(
            Operation.SIGN,
            key,
            about,
            lambda: self._inner.sign(key, data, version=version, about=about),
            lambda made: made.version,
            version,
        )

    def public_key(self, key: str, version: int | None = None) -> bytes:
        """See Vault."""
        return self._inner.public_key(key, version)

    def keys(self) -> tuple[VaultKey, ...]:
        """See Vault."""
        return self._inner.keys()

    def health(self) -> None:
        """See Vault."""
        self._inner.health()

    # -- the life of a key --------------------------------------------------------------------------------------------

    def create(self, key: str, type_: KeyType) -> VaultKey:
        """See Vault."""
        return self._living(Operation.CREATE, key, lambda: self._inner.create(key, type_), str(type_))

    def rotate(self, key: str) -> VaultKey:
        """See Vault."""
        return self._living(Operation.ROTATE, key, lambda: self._inner.rotate(key))

    def disable(self, key: str) -> VaultKey:
        """See Vault."""
        return self._living(Operation.DISABLE, key, lambda: self._inner.disable(key))

    def enable(self, key: str) -> VaultKey:
        """See Vault."""
        return self._living(Operation.ENABLE, key, lambda: self._inner.enable(key))

    def delete(self, key: str, ends: float) -> VaultKey:
        """See Vault."""
        return self._living(Operation.DELETE, key, lambda: self._inner.delete(key, ends))

    def recover(self, key: str) -> VaultKey:
        """See Vault."""
        return self._living(Operation.RECOVER, key, lambda: self._inner.recover(key))

    def purge(self, now: float) -> tuple[str, ...]:
        """See Vault. A line for each key that was destroyed; none where there was nothing to destroy."""
        try:
            gone = self._inner.purge(now)
        except BaseException as error:
            self._record(Operation.PURGE, NO_KEY, None, "", _outcome(error))
            raise
        for key in gone:
            self._record(Operation.PURGE, key, None, "", Outcome.DONE)
        return gone

    def _living(self, operation: Operation, key: str, run: Callable[[], VaultKey], about: str = "") -> VaultKey:
        return self._recorded(operation, key, about, run, lambda made: made.newest)

    def _recorded(
        self,
        operation: Operation,
        key: str,
        about: str,
        run: Callable[[], T],
        version: Callable[[T], int],
        asked: int | None = None,
    ) -> T:
        try:
            made = run()
        except BaseException as error:
            self._record(operation, key, asked, about, _outcome(error))
            raise
        try:
            reached: int | None = version(made)
        except ValueError:  # A vault that tells of no version.
            reached = asked
        self._record(operation, key, reached, about, Outcome.DONE)
        return made

    def _record(self, operation: Operation, key: str, version: int | None, about: str, outcome: Outcome) -> None:
        self._recorder.record(Use(self._clock.now(), self._who, self.name, key, version, operation, about, outcome))


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, Denied):
        return Outcome.DENIED
    if isinstance(error, KeyFault) and not isinstance(error, Unavailable):
        return Outcome.BROKEN
    return Outcome.UNAVAILABLE
