"""What import, export and looking through a mailbox work on, and the mailbox's key, asked for anew where it changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from gateway.mailboxes.contents.contents import Contents
from gateway.mailboxes.faults import KeyBroken
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.storage.mailboxes.faults import BlobsCollected, KeyChanged, NoMailbox
from gateway.storage.mailboxes.model import ContentRow, Entries, Entry, Folder, Mailbox, NewMessage

T = TypeVar("T")

TRIES: Final = 3  # A mailbox that is rolled or assigned meanwhile has another key; three times in a row is a fault.


class Store(Protocol):
    """The part of `gateway.storage.mailboxes.MailboxStore` that is used here."""

    async def get(self, id_: int) -> Mailbox | None:
        """The mailbox as it is now."""

    async def folders(self, mailbox: int) -> list[Folder]:
        """All of them."""

    async def folder(self, mailbox: int, name: str = "INBOX") -> Folder | None:
        """The one of that name."""

    async def create_folder(
        self, mailbox: int, name: str, *, special_use: str | None = None, subscribed: bool = False
    ) -> Folder:
        """A new one, and those above it."""

    async def entries(self, folder: int) -> Entries:
        """Its messages."""

    async def fetch(self, folder: int, uids: Iterable[int], *, head: bool = True) -> list[tuple[Entry, ContentRow]]:
        """These of them, with their contents."""

    async def arrived(self, mailbox: int, tokens: Iterable[bytes]) -> dict[bytes, int]:
        """Tokens of messages that came before."""

    async def add(self, mailbox: int, folder: int | None, messages: Sequence[NewMessage]) -> list[int]:
        """Put messages into a folder."""


class Keys(Protocol):
    """Unwraps mailbox keys."""

    async def key(self, mailbox: Mailbox) -> MailboxKey:
        """Raises MailboxClosed."""


@dataclass(frozen=True, slots=True)
class Room:
    """Handed to each of the three."""

    store: Store
    contents: Contents
    keys: Keys
    executor: Executor

    async def with_key(self, mailbox: int, work: Callable[[MailboxKey], Awaitable[T]]) -> T:
        """The result of `work` with the mailbox's key, once more where that has changed meanwhile.

        Raises NoMailbox, MailboxClosed, and what `work` raises.
        """
        left = TRIES
        while True:
            left -= 1
            there = await self.store.get(mailbox)
            if there is None:
                raise NoMailbox("there is no such mailbox (any more)")
            key = await self.keys.key(there)
            try:
                return await work(key)
            except (KeyBroken, KeyChanged, BlobsCollected):
                if not left:
                    raise
