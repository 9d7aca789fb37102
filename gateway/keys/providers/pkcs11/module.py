"""A PKCS#11 module in this process: who may call it, and the sessions that are open.

The library behind it is one for the whole process, whatever we do: one C_Initialize, and for each token one login that
all sessions share. So this is what is remembered for the process (`module_at`), and vaults hold none of it themselves.

python-pkcs11 initialises a module without CKF_OS_LOCKING_OK, which promises it one caller at a time (Cryptoki 2.40,
C_Initialize): SoftHSM2, for one, then switches its own locks off. So each call holds our lock, and one session for each
token is all that there is use for; a second one would wait for the first.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import pkcs11
from pkcs11 import PKCS11Error, Session, TokenFlag

from gateway.keys.providers.pkcs11.faults import COUNTED, LOST, is_lost, named, pin_refused, told, where
from gateway.keys.providers.pkcs11.terms import TokenTerms
from gateway.keys.vault import Denied, Unavailable

PATIENCE: Final = 10.0  # Seconds that a call waits for those before it. A call takes milliseconds, in a smart card 1 s.

# How often a token is looked for, each time but the first after a pause and a new start of the module. While another
# process logs in, SoftHSM2 writes the token's file anew, and who reads it meanwhile misses its PIN or the whole token.
TRIES: Final = 3
PAUSE: Final = 0.02  # Seconds.
QUICK: Final = 1.0  # Seconds that they take together at most before the last: others wait for this module meanwhile.

T = TypeVar("T")


class Bare(Exception):
    """The token shows nothing at all. A session whose token was away and came back looks like that, too."""


class Module:
    """The module at `path`. `load` makes the library that python-pkcs11 has for it, `sleep` and `monotonic` are the
    time's.
    """

    def __init__(
        self,
        path: str,
        load: Callable[[str], Any] = pkcs11.lib,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._load = load
        self._sleep = sleep
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._library: Any = None
        self._sessions: dict[str, Session] = {}
        self._is_stale = False
        self._refused: dict[str, object] = {}  # By token: the file with the PIN that it refused, as it was then.

    def __repr__(self) -> str:
        return f"Module({self._path!r})"

    def run(self, terms: TokenTerms, doing: str, work: Callable[[Session], T], *, again: bool = True) -> T:
        """What `work` gives, called with a logged-in session that nobody else uses meanwhile.

        Where the session turns out to be lost, or shows a bare token, a new one is made and, with `again`, `work` is
        called once more: leave it away for what must not be done twice. `doing` says for errors what it is. Raises
        KeyFault; Bare passes through where a new session shows it too.
        """
        with self._alone(terms, doing):
            if (session := self._sessions.get(terms.token)) is not None:
                try:
                    return work(session)
                except Bare:
                    self._forget(terms)
                    if not again:
                        raise
                except PKCS11Error as error:
                    if is_lost(error):
                        self._forget(terms)
                    if not (is_lost(error) and again):
                        raise told(error, terms, doing) from error
            session = self._open(terms)
            try:
                return work(session)
            except PKCS11Error as error:
                if is_lost(error):
                    self._forget(terms)
                raise told(error, terms, doing) from error

    def close(self) -> None:
        """Log out and let go of all; the next call begins anew."""
        with self._lock:
            self._end()

    # -- held under the lock ------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self, terms: TokenTerms, doing: str) -> Iterator[None]:
        if not self._lock.acquire(timeout=PATIENCE):
            raise Unavailable(f"{where(terms)}: {doing} waited {PATIENCE:.0f} s for another call that does not end")
        try:
            yield
        finally:
            self._lock.release()

    def _forget(self, terms: TokenTerms) -> None:
        # Not closed: what is lost answers with errors, and what is behind it ends with C_Finalize.
        self._sessions.pop(terms.token, None)
        self._is_stale = True

    def _end(self) -> None:
        self._sessions.clear()
        if self._library is not None:
            with suppress(PKCS11Error):
                self._library.finalize()

    def _restart(self, terms: TokenTerms) -> None:
        """C_Initialize anew, where SoftHSM2 finds what came back or is new, and clients of network HSMs connect again.

        Other tokens of this module lose their sessions by it, and make new ones at their next use.
        """
        self._end()
        self._start(terms)
        self._is_stale = False

    def _open(self, terms: TokenTerms) -> Session:
        """A new session of that token. Raises KeyFault."""
        stamp = terms.pin_stamp()
        if self._refused.get(terms.token, ()) == stamp:
            raise Denied(f"{where(terms)} has refused the PIN in {terms.pin}, and that file is still the same")
        began = self._monotonic()
        for tried in range(TRIES):
            if tried:
                self._sleep(PAUSE)
            is_last = tried == TRIES - 1 or (tried > 0 and self._monotonic() - began > QUICK)
            try:
                if self._is_stale:
                    self._restart(terms)
                self._start(terms)
                if (token := self._find(terms)) is not None:
                    self._sessions[terms.token] = session = self._log_in(token, terms, stamp)
                    return session
            except PKCS11Error as error:
                if is_last or not is_lost(error):
                    self._is_stale = True
                    raise told(error, terms, "opening a session") from error
            self._is_stale = True
            if is_last:
                break
        raise Unavailable(f"there is no {where(terms)} in {self._path}: {self._there()}")

    def _start(self, terms: TokenTerms) -> None:
        if not Path(self._path).is_file():
            raise Denied(
                f"vault {terms.vault!r} has the module {self._path}, and there is no such file; right would be the "
                "PKCS#11 library that came with the token, such as /usr/lib/softhsm/libsofthsm2.so"
            )
        try:
            if self._library is None:
                self._library = self._load(self._path)
            self._library.initialize()  # Does nothing where it is.
        except PKCS11Error as error:
            if isinstance(error, LOST):
                raise Unavailable(
                    f"vault {terms.vault!r} has the module {self._path}, which does not start ({named(error)}); look "
                    "whether what it needs is there: its own settings, its tokens, its service"
                ) from error
            raise Denied(
                f"vault {terms.vault!r} has the module {self._path}, which can't be used ({named(error)}); "
                "right would be a PKCS#11 library for this machine, with its own settings in order"
            ) from error

    def _find(self, terms: TokenTerms) -> pkcs11.Token | None:
        found = [token for token in self._tokens() if token.label == terms.token]
        if len(found) > 1:
            raise Denied(f"{self._path} shows {len(found)} tokens {terms.token!r}; give each a label of its own")
        return found[0] if found else None

    def _tokens(self) -> list[pkcs11.Token]:
        tokens = []
        for slot in self._library.get_slots(token_present=True):
            with suppress(PKCS11Error):  # A slot that fails is not the one.
                tokens.append(slot.get_token())
        return tokens

    def _there(self) -> str:
        labels = sorted(repr(token.label) for token in self._tokens() if token.label)
        return f"it shows {', '.join(labels)}" if labels else "it shows no token; is it connected and set up?"

    def _log_in(self, token: pkcs11.Token, terms: TokenTerms, stamp: object) -> Session:
        flags = token.flags
        if TokenFlag.USER_PIN_LOCKED in flags:
            raise Denied(f"{where(terms)} has locked its user's PIN: its security officer can set a new one")
        if TokenFlag.USER_PIN_FINAL_TRY in flags:
            raise Denied(
                f"{where(terms)} would lock itself at one more wrong PIN, so the gateway does not try: log in once "
                f"with the token's own tool and the right PIN, and write that into {terms.pin}"
            )
        pin = terms.read_pin()
        try:
            session = _session(token, pin)
        except PKCS11Error as error:
            if isinstance(error, pkcs11.UserPinNotInitialized) and TokenFlag.USER_PIN_INITIALIZED in token.flags:
                raise pkcs11.TokenNotRecognised from error  # It contradicts itself: it was read half.
            if (denied := pin_refused(error, terms)) is None:
                raise
            if isinstance(error, COUNTED):
                self._refused[terms.token] = stamp
            raise denied from error
        self._refused.pop(terms.token, None)
        return session


def _session(token: pkcs11.Token, pin: str) -> Session:
    # The life of a key needs a session that may write, and its use does not mind.
    for writes in (True, False):
        try:
            return token.open(rw=writes, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:  # Something else in this process did; a login is the process'.
            return token.open(rw=writes)
        except pkcs11.TokenWriteProtected:
            if not writes:
                raise
    raise AssertionError("unreachable")


@lru_cache(maxsize=64)
def _module_at(path: str) -> Module:
    return Module(path)


def module_at(path: Path) -> Module:
    """The module at that path, the same one each time in this process."""
    return _module_at(os.path.realpath(path))
