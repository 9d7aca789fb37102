"""Whether a recipient whose mail ends here has a mailbox that takes mail: the question at RCPT."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.app.address_book import AddressBook
from gateway.app.policy_names import PolicyNames
from gateway.mail import reply as say
from gateway.mail.address import Address
from gateway.mail.reply import Refused
from gateway.storage.mailboxes.model import Mailbox, PolicyState
from gateway.storage.sealer import SealBroken
from gateway.storage.writer import StorageBroken, StorageFull


class Hosted:
    """One process'. A mailbox whose policy's keys are withheld takes mail: it waits in the queue for them (row k06)."""

    def __init__(self, book: AddressBook, policies: PolicyNames) -> None:
        self._book = book
        self._policies = policies

    def verify(self, recipient: Address) -> bool | Callable[[], Awaitable[bool]]:
        """True where he has one; what asks the database is given back where he is not known at once. Raises Refused."""
        mailbox = self._book.recall(recipient)
        if mailbox is None:
            return lambda: self._asked(recipient)
        if mailbox.policy is None:
            return _judged(mailbox, is_purged=False)
        if (state := self._policies.recall(mailbox.policy)) is None:
            return lambda: self._asked(recipient)
        return _judged(mailbox, is_purged=state is PolicyState.PURGED)

    async def _asked(self, recipient: Address) -> bool:
        try:
            mailbox = await self._book.find(recipient)
            is_purged = (
                mailbox is not None and mailbox.policy is not None and await self._policies.is_purged(mailbox.policy)
            )
        except (StorageBroken, StorageFull, SealBroken) as error:
            raise Refused(say.RECIPIENT_UNSURE) from error
        return _judged(mailbox, is_purged=is_purged)


def _judged(mailbox: Mailbox | None, *, is_purged: bool) -> bool:
    if mailbox is None:
        raise Refused(say.NO_SUCH_RECIPIENT)
    if is_purged:  # What is under way waits in the queue; of new mail the sender hears at once.
        raise Refused(say.MAILBOX_GONE)
    if mailbox.quota is not None and mailbox.used >= mailbox.quota:
        raise Refused(say.MAILBOX_FULL)
    return True
