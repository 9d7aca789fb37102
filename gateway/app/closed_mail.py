"""Mail that waits because its mailbox's policy was closed: found in the queue, and tried once the policy is open again.

It fulfils `mailboxes.policies.reopening.Waiting`. Else it would wait for its next attempt, which after a day is hours
away.
"""

from __future__ import annotations

from typing import Final

from gateway.app.address_book import AddressBook
from gateway.app.commands import Commands
from gateway.app.refusal import CLOSED_WORDS
from gateway.mail.delivery import Delivery, Target

WHY: Final = "the policy of its mailbox is open again"


class ClosedMail:
    """One process' queue."""

    def __init__(self, commands: Commands, book: AddressBook) -> None:
        self._commands = commands
        self._book = book

    async def policies(self) -> set[int]:
        """The policies of mailboxes for which mail waits."""
        found: set[int] = set()
        for delivery in await self._commands.waiting(_is_for_closed):
            found |= await self._of(delivery)
        return found

    async def hasten(self, policies: set[int]) -> None:
        """Have tried now what waits for mailboxes under these."""
        waits = await self._commands.waiting(_is_for_closed)
        ids = [one.id for one in waits if policies & await self._of(one)]
        if ids:
            await self._commands.hasten(ids, WHY)

    async def _of(self, delivery: Delivery) -> set[int]:
        mailboxes = [await self._book.find(target.address) for target in _closed(delivery)]
        keys = [key for one in mailboxes if one is not None for key in (one.key, one.next_key) if key is not None]
        return {key.policy for key in keys if key.policy is not None}


def _closed(delivery: Delivery) -> list[Target]:
    """Those of its recipients who wait since their mailbox was closed."""
    return [target for target in delivery.waiting if (target.reason or "").startswith(CLOSED_WORDS)]


def _is_for_closed(delivery: Delivery) -> bool:
    return bool(_closed(delivery))
