"""What the commands of one connection have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pymap.parsing.command import Command
from pymap.parsing.response import CommandResponse

from gateway.imap.answers import Refusal
from gateway.imap.desk import Desk
from gateway.imap.hub import Hub
from gateway.imap.memory import AccountMemory
from gateway.imap.opened import Opened
from gateway.imap.person import Person
from gateway.imap.terms import ImapTerms
from gateway.imap.wire import Wire
from gateway.storage.mailboxes.faults import NoFolder
from gateway.storage.mailboxes.model import Folder

Answered = tuple[CommandResponse, None]  # pymap's second value, its own model of a folder, is never given.


class Conversation(ABC):
    """One connection. `person` is who is logged in, `opened` the folder that is open."""

    desk: Desk
    terms: ImapTerms
    hub: Hub
    memory: AccountMemory  # Of who is logged in.
    wire: Wire
    peer: str
    id: str
    opened: Opened | None
    person_or_none: Person | None
    wants_modseq: bool  # The client has said that it knows CONDSTORE (RFC 7162 3.1).

    @property
    def is_logged_in(self) -> bool:
        """Whether somebody is."""
        return self.person_or_none is not None

    @property
    def person(self) -> Person:
        """Who is logged in. Commands that ask come only then."""
        if self.person_or_none is None:
            raise Refusal("Please log in first")
        return self.person_or_none

    @property
    def folder(self) -> Opened:
        """The open folder. Commands that ask come only then."""
        if self.opened is None:
            raise Refusal("Please select a folder first")
        return self.opened

    def want_modseq(self) -> None:
        """From now on flags are told with their MODSEQ."""
        self.wants_modseq = True
        if self.opened is not None:
            self.opened.is_condstore = True

    async def named(self, name: str, *, try_create: bool = False) -> Folder:
        """The folder of that name. Raises NoFolder; with `try_create` the client is told to make it (RFC 3501 7.1)."""
        found = await self.desk.store.folder(self.person.mailbox.id, name)
        if found is not None:
            return found
        if try_create:
            raise Refusal("There is no such folder; please create it first", "TRYCREATE")
        raise NoFolder("there is no such folder")

    @abstractmethod
    async def after(self, cmd: Command) -> list[bytes]:
        """What the client is told behind a command that is done."""
