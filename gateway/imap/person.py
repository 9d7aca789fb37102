"""Who is logged in, the mailbox, and its key: read anew when that is asked for, or when it has become old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.accounts.login import LogInEnded, LogInLater
from gateway.accounts.model import User
from gateway.imap.desk import Desk
from gateway.mailboxes.faults import MailboxClosed
from gateway.storage.mailboxes.faults import NoMailbox
from gateway.storage.mailboxes.model import Mailbox

if TYPE_CHECKING:
    from gateway.mailboxes.policies.mailbox_keys import MailboxKey

ROW: Final = 10.0  # Seconds that a mailbox's row counts: it may lie under another policy since.
STILL: Final = 60.0  # Seconds between two looks whether the account is still there.


class Person:
    """One connection's user and mailbox."""

    def __init__(self, desk: Desk, user: User, mailbox: Mailbox) -> None:
        self._desk = desk
        self.user = user
        self.mailbox = mailbox
        self._read = self._looked = desk.clock.monotonic()

    def __repr__(self) -> str:
        return f"Person({self.user.name!r})"

    async def look(self) -> None:
        """Whether the user may still be here. Raises LogInEnded. That nobody can tell now lets him stay."""
        now = self._desk.clock.monotonic()
        if now - self._looked < STILL:
            return
        self._looked = now
        try:
            self.user = await self._desk.accounts.still(self.user)
        except LogInLater:
            pass

    async def key(self, *, fresh: bool = False) -> MailboxKey:
        """The mailbox's key. `fresh`: read the row anew. Raises MailboxClosed, NoMailbox."""
        is_old = fresh or self._desk.clock.monotonic() - self._read > ROW
        if is_old:
            await self.read()
        try:
            return await self._desk.keys.key(self.mailbox)
        except MailboxClosed:
            if is_old:
                raise
        await self.read()  # It may lie under another policy by now.
        return await self._desk.keys.key(self.mailbox)

    async def read(self) -> Mailbox:
        """The mailbox's row as it is now. Raises NoMailbox."""
        found = await self._desk.store.get(self.mailbox.id)
        if found is None:
            raise NoMailbox("there is no such mailbox (any more)")
        self.mailbox = found
        self._read = self._desk.clock.monotonic()
        return found


__all__ = ["LogInEnded", "Person"]
