"""A vault whose silence holds nobody up: a deadline for each call, and a circuit breaker in front of it.

After FAILURES calls in a row that got no answer the circuit opens: calls are refused at once, and one in a while is let
through, with growing pauses, until the vault answers. A vault that says no, or that what it was given is damaged, has
answered. Leaves out: what becomes of the keys that it gave out before (`gateway.keys.keeper`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TimeRanOut
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from gateway.keys.uses import Outcome
from gateway.keys.vault import Denied, KeyFault, KeyType, Signature, Unavailable, Vault, VaultKey, Wrapped
from gateway.mail.digest import Hashed

T = TypeVar("T")

FAILURES: Final = 3  # Calls in a row without an answer that open the circuit.
PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 30.0)  # Seconds until the next try while it is open; the last again and again.
LONGEST: Final = PAUSES[-1]  # Where nobody says otherwise.
DEADLINE: Final = 5.0  # Seconds for a use of a key.
LONG: Final = 60.0  # Seconds for what makes or changes keys: a token may think long about 4,096 bits of RSA.
HANDS: Final = 4  # Threads that wait for a vault that is not local.
_DONE: Final = Outcome.DONE.value  # For each use: an enumeration takes longer to tell it than a variable.
IDLE: Final = 60.0  # Seconds without work after which such a thread ends: longer than vaults are looked after ([keys]).


class Measure(Protocol):
    """Told of each call, on the thread that made it. Never blocks and never raises."""

    def __call__(self, vault: str, operation: str, outcome: str, seconds: float, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Silence:
    """A vault that does not answer. `since`: seconds since 1970."""

    since: float
    why: str


class Guarded:
    """A `Vault` around another, which `opens` makes at its first use, and anew for as long as that fails.

    What only this process' CPU does (`is_local`) is done where it is asked for; everything else on threads of its own.
    An error that is no KeyFault counts as no answer; its words are kept to ourselves. Safe in any thread.
    """

    def __init__(
        self,
        name: str,
        opens: Callable[[], Vault],
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        tell: Callable[..., None],
        measure: Measure = lambda vault, operation, outcome, seconds: None,
        deadline: float = DEADLINE,
        longest: float = LONGEST,
    ) -> None:
        """`tell` writes a log line, in any thread. `opens` may block and raises KeyFault. `longest`: the longest pause
        while the circuit is open, in seconds.
        """
        self._name = name
        self._opens = opens
        self._now = now
        self._monotonic = monotonic
        self._tell = tell
        self._measure = measure
        self._deadline = deadline
        self._longest = longest
        self._opening = threading.Lock()
        self._inner: Vault | None = None
        self._hands = _Hands(name)
        self._state = threading.Lock()
        self._failures = 0
        self._pauses = 0  # How many have passed since the circuit opened.
        self._until = 0.0  # When the next call is let through, while it is open.
        self._silence: Silence | None = None

    def __repr__(self) -> str:
        return f"Guarded({self._name!r})"

    @property
    def name(self) -> str:
        """Its name in gateway.toml."""
        return self._name

    @property
    def is_local(self) -> bool:
        """See Vault; no before it was opened, since opening may wait."""
        return self._inner is not None and self._inner.is_local

    @property
    def silence(self) -> Silence | None:
        """Since when and why the circuit is open; None where it is closed."""
        return self._silence

    def hurry(self) -> None:
        """Let the next call through, whatever the pause: a person says that the vault has changed."""
        with self._state:
            self._until = 0.0

    # -- use ----------------------------------------------------------------------------------------------------------

    def wrap(self, root: str, plain: bytes, context: bytes, *, about: str = "") -> Wrapped:
        """See Vault."""
        return self._ask("wrap", lambda vault: vault.wrap(root, plain, context, about=about))

    def unwrap(self, wrapped: Wrapped, context: bytes, *, about: str = "") -> bytes:
        """See Vault."""
        return self._ask("unwrap", lambda vault: vault.unwrap(wrapped, context, about=about))

    def decrypt(self, key: str, sealed: bytes, *, version: int, about: str = "") -> bytes:
        """See Vault."""
        return self._ask("decrypt", lambda vault: vault.decrypt(key, sealed, version=version, about=about))

    def sign(self, key: str, data: bytes | Hashed, *, version: int | None = None, about: str = "") -> Signature:
        """See Vault."""
        return self._ask("sign", lambda vault: vault.sign(key, data, version=version, about=about))

    def public_key(self, key: str, version: int | None = None) -> bytes:
        """See Vault."""
        return self._ask("public_key", lambda vault: vault.public_key(key, version))

    def keys(self) -> tuple[VaultKey, ...]:
        """See Vault."""
        return self._ask("keys", lambda vault: vault.keys())

    def health(self) -> None:
        """See Vault. Also a local one looks at its disk here, which may hang."""
        self._ask("health", lambda vault: vault.health(), waits=True)

    # -- the life of a key --------------------------------------------------------------------------------------------

    def create(self, key: str, type_: KeyType) -> VaultKey:
        """See Vault."""
        return self._ask("create", lambda vault: vault.create(key, type_), LONG, waits=True)

    def rotate(self, key: str) -> VaultKey:
        """See Vault."""
        return self._ask("rotate", lambda vault: vault.rotate(key), LONG, waits=True)

    def disable(self, key: str) -> VaultKey:
        """See Vault."""
        return self._ask("disable", lambda vault: vault.disable(key), LONG, waits=True)

    def enable(self, key: str) -> VaultKey:
        """See Vault."""
        return self._ask("enable", lambda vault: vault.enable(key), LONG, waits=True)

    def delete(self, key: str, ends: float) -> VaultKey:
        """See Vault."""
        return self._ask("delete", lambda vault: vault.delete(key, ends), LONG, waits=True)

    def recover(self, key: str) -> VaultKey:
        """See Vault."""
        return self._ask("recover", lambda vault: vault.recover(key), LONG, waits=True)

    def purge(self, now: float) -> tuple[str, ...]:
        """See Vault."""
        return self._ask("purge", lambda vault: vault.purge(now), LONG, waits=True)

    # -- the circuit --------------------------------------------------------------------------------------------------

    def _ask(
        self, operation: str, ask: Callable[[Vault], T], seconds: float | None = None, *, waits: bool = False
    ) -> T:
        self._pass()
        began = self._monotonic()
        try:
            answer = self._answer(ask, self._deadline if seconds is None else seconds, waits)
        except KeyFault as fault:
            if isinstance(fault, Unavailable):
                self._failed(str(fault))
            else:
                self._answered()
            self._measure(self._name, operation, _outcome(fault).value, self._monotonic() - began)
            raise
        self._answered()
        self._measure(self._name, operation, _DONE, self._monotonic() - began)
        return answer

    def _answer(self, ask: Callable[[Vault], T], seconds: float, waits: bool) -> T:
        vault = self._inner
        try:
            if vault is not None and vault.is_local and not waits:
                return ask(vault)
            return self._hands.do(lambda: ask(self._opened()), seconds)
        except KeyFault:
            raise
        except TimeRanOut:
            raise Unavailable(f"vault {self._name!r} has not answered for {seconds:g} seconds") from None
        except Exception as error:
            # A provider's own error may hold what it was given; what kind it is tells enough.
            raise Unavailable(f"vault {self._name!r} failed ({type(error).__name__})") from None

    def _opened(self) -> Vault:
        if (vault := self._inner) is not None:
            return vault
        with self._opening:
            if self._inner is None:
                self._inner = self._opens()
            return self._inner

    def _pass(self) -> None:
        """Raises Unavailable while the circuit is open, but for one call after each pause."""
        if self._silence is None:
            return
        with self._state:
            if (silence := self._silence) is None:
                return
            left = self._until - self._monotonic()
            if left <= 0:
                # Whoever comes next waits again, until it is known what came of this one.
                self._until = self._monotonic() + self._pause
                return
        raise Unavailable(f"{silence.why}; it is asked again in {left:.0f} s")

    @property
    def _pause(self) -> float:
        """Seconds until the next call is let through."""
        return min(PAUSES[min(self._pauses, len(PAUSES) - 1)], self._longest)

    def _failed(self, why: str) -> None:
        with self._state:
            self._failures += 1
            if self._silence is not None:
                self._pauses += 1
                self._until = self._monotonic() + self._pause
                self._silence = Silence(self._silence.since, why)
                return
            if self._failures < FAILURES:
                return
            self._silence = Silence(self._now(), why)
            self._pauses = 0
            self._until = self._monotonic() + self._pause
        self._tell("error", "vault_away", vault=self._name, reason=why)

    def _answered(self) -> None:
        if not self._failures:  # The hot way: no lock for what is as it was.
            return
        with self._state:
            self._failures = 0
            silence, self._silence = self._silence, None
        if silence is not None:
            seconds = round(max(0.0, self._now() - silence.since), 1)
            self._tell("warning", "vault_back", vault=self._name, seconds=seconds)


class _Hands:
    """Threads that do what may hang, so that whoever asked can stop waiting. One that is idle ends, so that none is
    left of a vault that nobody uses any more; what hangs ends with the process.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._works: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._asked = 0  # What was asked for and is not done.
        self._count = 0
        self._lock = threading.Lock()

    def do(self, work: Callable[[], T], seconds: float) -> T:
        """The result of `work`, or what it raises; TimeoutError where that takes longer, and it is left alone."""
        future: Future[T] = Future()
        with self._lock:
            self._asked += 1
            if self._asked > self._count and self._count < HANDS:
                self._count += 1
                # Not joined at the end: a call into a vault that hangs must not hold up a stop.
                threading.Thread(target=self._run, name=f"vault-{self._name}-{self._count}", daemon=True).start()
            self._works.put((future, work))
        try:
            return future.result(seconds)
        finally:
            future.cancel()  # Where nobody has begun it yet, nobody will.

    def _run(self) -> None:
        while self._work():
            pass

    def _work(self) -> bool:
        """Wait for work and do it; False where there was none for so long that this thread ends."""
        try:
            future, work = self._works.get(timeout=IDLE)
        except queue.Empty:
            with self._lock:
                if not self._works.empty():  # Somebody has asked just now, and counts on this thread.
                    return True
                self._count -= 1
                return False
        _settle(future, work)
        with self._lock:
            self._asked -= 1
        return True


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    """Do it. In a frame of its own, so that no key waits in a variable until the next work comes."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - whatever it is, whoever asked has to hear of it
        future.set_exception(error)


def _outcome(fault: KeyFault) -> Outcome:
    if isinstance(fault, Unavailable):
        return Outcome.UNAVAILABLE
    return Outcome.DENIED if isinstance(fault, Denied) else Outcome.BROKEN
