"""What IMAP asks of the rest of the gateway. `app` fills it in; tests have fakes.

The store and the contents are used as they are (`gateway.storage.mailboxes`, `gateway.mailboxes.contents`): IMAP stands
above both. What needs more than one of them is a protocol here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from gateway.accounts.model import User
from gateway.world.clock import Clock

if TYPE_CHECKING:
    from gateway.mailboxes.contents.contents import Contents
    from gateway.mailboxes.policies.mailbox_keys import MailboxKey
    from gateway.storage.mailboxes.mailbox_store import MailboxStore
    from gateway.storage.mailboxes.model import Mailbox


FEW: Final = 2000  # Messages that take about a millisecond.

T = TypeVar("T")


class Accounts(Protocol):
    """Who may log in. `gateway.accounts.login.LogIns` fulfils it."""

    async def log_in(self, name: str, password: str, address: str) -> User:
        """Whose name and password these are. Raises LogInRefused, LogInLater."""

    async def still(self, user: User) -> User:
        """The user as the account is now. Raises LogInEnded, LogInLater."""


class KeyRing(Protocol):
    """Unwraps mailbox keys. `gateway.mailboxes.policies.mailbox_keys.MailboxKeys` fulfils it."""

    async def key(self, mailbox: Mailbox) -> MailboxKey:
        """The key of the mailbox, by its row. Raises MailboxClosed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One process, as its IMAP connections ask it.

    `executor` runs what takes longer than the event loop should wait. `tell` writes a log line: level, event, facts.
    `count` adds one to a metric: its name and labels. `new_id` makes the id of a session for the log.
    """

    accounts: Accounts
    store: MailboxStore
    keys: KeyRing
    contents: Contents
    executor: Executor
    clock: Clock
    tell: Callable[..., None]
    count: Callable[[str, tuple[str, ...]], None]
    new_id: Callable[[], str]

    async def aside(self, count: int, work: Callable[[], T]) -> T:
        """The result of `work`, which looks at `count` messages: at many on a thread, so that nobody waits."""
        if count <= FEW:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self.executor, work)
