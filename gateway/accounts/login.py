"""Logging in, and whether who has logged in still may. SMTP AUTH asks here; IMAP and the administrators' pages will.

One answer for an unknown name, a wrong password, a disabled account and a hash that can't be used: `LogInRefused`,
after the same work. What keeps us from judging (database or vault away, too much at once, a closed door) is
`LogInLater`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gateway.accounts.attempts import Attempts, TooManyAttempts
from gateway.accounts.model import User
from gateway.accounts.names import BadName, BadPassword, normal_name, prepared_password
from gateway.accounts.passwords import Busy, Passwords, WrongPassword
from gateway.storage.accounts import Account, AccountStore
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageAway, StorageBroken, StorageFull
from gateway.world.clock import Clock

JUDGING: Final = 20.0  # Seconds for database and hash together; RFC 4954 leaves it to us.

# Why somebody is to come later, as log and metrics have it.
CLOSED: Final = "too_many_attempts"
BUSY: Final = "busy"
AWAY: Final = "accounts_away"


class LogInRefused(Exception):
    """Name and password do not go together. `delay`: seconds after which this is answered.

    `name` is that of a known account, for the log; "" where there is none of that name: people type passwords there.
    """

    def __init__(self, delay: float, name: str) -> None:
        super().__init__("name and password do not go together")
        self.delay = delay
        self.name = name


class LogInLater(Exception):
    """It can't be judged now. `reason` is one of the words above."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LogInEnded(Exception):
    """The account was removed or disabled, or its password changed, since the user logged in."""


class LogIns:
    """Judges names and passwords. `passwords` may be replaced by nobody: its terms last as long as the process."""

    def __init__(
        self,
        store: AccountStore,
        passwords: Passwords,
        attempts: Attempts,
        *,
        clock: Clock,
        tell: Callable[..., None],
    ) -> None:
        """`tell` writes a log line."""
        self._store = store
        self._passwords = passwords
        self._attempts = attempts
        self._clock = clock
        self._tell = tell

    async def log_in(self, name: str, password: str, address: str) -> User:
        """The user of that name and password, who comes from `address`. Raises LogInRefused, LogInLater."""
        try:
            normal = normal_name(name)
        except BadName:
            normal = ""
        try:
            attempt = self._attempts.begin(normal, address)
        except TooManyAttempts as error:
            raise LogInLater(CLOSED) from error
        account: Account | None = None
        try:
            async with self._clock.timeout(JUDGING):
                # Also for a name that can't be one: the look-up takes its time too.
                account = await self._store.get(normal)
                await self._judge(account, password)
        except WrongPassword:
            raise LogInRefused(attempt.delay, "" if account is None else account.name) from None
        except Busy:
            attempt.was_none()
            raise LogInLater(BUSY) from None
        except (StorageBroken, StorageFull, SealBroken, KeysClosed, TimeoutError) as error:
            attempt.was_none()
            raise self._later(error) from None
        attempt.was_right()
        if account is None:
            raise LogInRefused(attempt.delay, "")  # `_judge` lets nobody by who is not there.
        return _user(account)

    async def still(self, user: User) -> User:
        """The user with today's addresses. Raises LogInEnded, LogInLater."""
        try:
            async with self._clock.timeout(JUDGING):
                account = await self._store.get(user.name)
        except (StorageBroken, StorageFull, SealBroken, KeysClosed, TimeoutError) as error:
            raise self._later(error) from None
        if account is None or account.disabled or (account.id, account.epoch) != (user.id, user.epoch):
            raise LogInEnded
        return _user(account)

    def _later(self, error: Exception) -> LogInLater:
        """What keeps us from judging. A database or keys that are away were told of; all else is told here."""
        if not isinstance(error, StorageAway | KeysClosed):
            self._tell("error", "accounts_away", error=error)
        return LogInLater(AWAY)

    async def _judge(self, account: Account | None, password: str) -> None:
        """Raises WrongPassword, for each reason after the same work."""
        try:
            secret = prepared_password(password)
            known = None if account is None else account.password
        except BadPassword:
            secret, known = b"", None
        await self._passwords.judge(known, secret)
        if account is None or account.disabled:
            raise WrongPassword
        if self._passwords.is_outdated(account.password):
            await self._renew(account, secret)

    async def _renew(self, account: Account, secret: bytes) -> None:
        """A new hash on today's terms, now that the password is at hand. That it fails keeps nobody out."""
        old = account.password
        try:
            new = await self._passwords.hashed(secret)
            await self._store.change(
                account.name, lambda now: replace(now, password=new) if now.password == old else now
            )
        except (Busy, StorageBroken, StorageFull, SealBroken, KeysClosed) as error:
            self._tell("warning", "password_hash_not_renewed", user=account.name, error=type(error).__name__)


def _user(account: Account) -> User:
    return User(id=account.id, name=account.name, epoch=account.epoch, addresses=account.addresses)
