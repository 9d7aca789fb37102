"""Mail that ends here, joined for one process: whose mailbox an address is, who is refused at RCPT, who delivers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.app.address_book import AddressBook
from gateway.app.book_terms import BookTerms, book_terms
from gateway.app.closed_mail import ClosedMail
from gateway.app.commands import Commands
from gateway.app.hosted import Hosted
from gateway.app.mailbox_commands import MailboxCommands
from gateway.app.mailbox_heads import head_of
from gateway.app.mailboxes import MailboxOffice
from gateway.app.mailman import FinalDelivery
from gateway.app.people import People
from gateway.app.policy_names import PolicyNames
from gateway.app.terms import Policy
from gateway.settings.load import Loaded


class Post:
    """`mailman` delivers, `hosted` answers at RCPT; `book` and `policies` are what both look into."""

    def __init__(self, office: MailboxOffice, *, settings: Callable[[], Loaded]) -> None:
        """`settings` gives those of the moment."""
        self._office = office
        self._settings = settings
        self._terms = settings(), book_terms(settings())
        self.policies = PolicyNames(office.store, office.clock)
        self.book = AddressBook(office.store, terms=self._book_terms, clock=office.clock)
        self.hosted = Hosted(self.book, self.policies)
        self.mailman = FinalDelivery(
            book=self.book,
            policies=self.policies,
            store=office.store,
            keys=office.mailbox_keys,
            contents=office.contents,
            sealer=office.stores.sealer,
            head_of=head_of,
            executor=office.executor,
            clock=office.clock,
            tell=office.tell,
        )

    def _book_terms(self) -> BookTerms:
        """Read anew after a reload alone."""
        if (loaded := self._settings()) is not self._terms[0]:
            self._terms = loaded, book_terms(loaded)
        return self._terms[1]

    async def answer(self, command: str, arguments: dict[str, Any], people: People, policy: Policy) -> Any:
        """What `gateway mailbox` asks, and `mailbox.look` when another process was asked. Raises Fault."""
        if command == "mailbox.look":
            self.forget()
            return True
        commands = MailboxCommands(
            self._office,
            people,
            section=lambda: self._settings().settings.mailboxes,
            accepted=lambda: policy.accepted,
            outbounds=lambda: policy.outbounds,
            changed=self.forget,
        )
        return await commands.answer(command, arguments)

    def closed_mail(self, commands: Commands) -> ClosedMail:
        """What waits in the queue of `commands` for mailboxes that are closed."""
        return ClosedMail(commands, self.book)

    def forget(self) -> None:
        """Mailboxes or policies have changed by a command of ours: every process is told."""
        self.book.forget()
        self.policies.forget()
