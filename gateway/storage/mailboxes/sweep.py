"""What a mailbox leaves behind: folders and mailboxes that were removed, UIDs that went long ago, old arrivals."""

from __future__ import annotations

from functools import partial
from typing import Final

from gateway.storage.mailboxes.driver import Driver
from gateway.storage.mailboxes.message_rows import MessageRows
from gateway.storage.mailboxes.model import MailboxState

BATCH: Final = 1000  # Messages that go in one transaction.
EXPUNGED_FOR: Final = 7 * 86_400.0  # Seconds in which a session, or a client with CONDSTORE, is told what went.
ARRIVALS_FOR: Final = 60 * 86_400.0  # Seconds in which a delivery that comes twice is known: longer than any queue has.

_DELETED: Final = "SELECT id, mailbox FROM mailbox_folders WHERE token IS NULL"
_REMOVING: Final = "SELECT id FROM mailboxes WHERE state IN (??)"


class Sweep(MessageRows):
    """Work in the background. Everything may be done at any time, by several at once, and be ended at any point."""

    async def sweep(self, *, mailbox: int | None = None) -> int:
        """Empty folders that were deleted and remove what is left of removed mailboxes; how many messages went.

        In batches, each a transaction of its own, so that nobody waits for long.
        """
        count = 0
        for folder, owner in await self._read(lambda driver: driver.rows(_DELETED)):
            if mailbox is not None and owner != mailbox:
                continue
            while went := await self._alone(partial(self._empty, folder=folder, mailbox=owner)):
                count += went
        states = (MailboxState.REMOVING.value, MailboxState.REMOVED.value)
        rows = await self._read(lambda driver: driver.rows(_REMOVING, states))
        left = [id_ for (id_,) in rows if mailbox in (None, id_)]
        if left:
            await self._alone(partial(self._remove_left, mailboxes=left))
        return count

    async def trim(self, *, expunged: float = EXPUNGED_FOR, arrivals: float = ARRIVALS_FOR) -> None:
        """Forget UIDs that were expunged, and deliveries that came, more than so many seconds ago."""
        now = self._clock.now()

        def write(driver: Driver) -> None:
            until = int((now - expunged) * 1000)
            rows = driver.rows("SELECT folder, max(modseq) FROM mailbox_expunged WHERE time<? GROUP BY folder", until)
            for folder, modseq in rows:
                driver.do("UPDATE mailbox_folders SET forgotten=? WHERE id=? AND forgotten<?", modseq, folder, modseq)
                driver.do("DELETE FROM mailbox_expunged WHERE folder=? AND modseq<=?", folder, modseq)
            driver.do("DELETE FROM mailbox_arrivals WHERE time<?", int((now - arrivals) * 1000))

        await self._alone(write)

    def _empty(self, driver: Driver, folder: int, mailbox: int) -> int:
        # The mailbox first, as everywhere.
        driver.rows("SELECT 1 FROM mailboxes WHERE id=? FOR UPDATE", mailbox)
        uids = driver.rows("SELECT uid FROM mailbox_messages WHERE folder=? LIMIT ?", folder, BATCH)
        octets, rows = self._take_away(driver, folder, [uid for (uid,) in uids], tell=False)
        self._release(driver, [row[3] for row in rows])
        self._counted(driver, mailbox, messages=-len(rows), octets=-octets)
        if not rows:
            driver.do("DELETE FROM mailbox_expunged WHERE folder=?", folder)
            driver.do("DELETE FROM mailbox_folders WHERE id=? AND token IS NULL", folder)
        return len(rows)

    def _remove_left(self, driver: Driver, *, mailboxes: list[int]) -> None:
        for id_ in mailboxes:
            if driver.row("SELECT 1 FROM mailbox_folders WHERE mailbox=? LIMIT 1", id_) is None:
                driver.do("DELETE FROM mailbox_arrivals WHERE mailbox=?", id_)
                driver.do("DELETE FROM mailboxes WHERE id=? AND uid_validity<?", id_, self._now() // 1000)
                driver.do(
                    "UPDATE mailboxes SET state=?, policy=NULL, sealed=? WHERE id=?",
                    *(MailboxState.REMOVED.value, b"", id_),
                )
