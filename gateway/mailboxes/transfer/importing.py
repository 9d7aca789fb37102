"""Mail out of files into a mailbox, batch by batch; what is stored stays, whatever happens then.

A message is known by what it says and where it goes, and by how many like it came before in the same source: so the
same import, begun again, adds what is missing and nothing twice, for as long as storage remembers what came.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from gateway.mail.message import Held
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.mailboxes.transfer.found import Finding, Found, Skipped
from gateway.mailboxes.transfer.mbox import Form
from gateway.mailboxes.transfer.room import Room
from gateway.mailboxes.transfer.source import octets_of, read_source
from gateway.storage.mailbox_blobs import BlobsAway
from gateway.storage.mailboxes.faults import FolderRefused, FolderThere, MailboxFault, NoFolder
from gateway.storage.mailboxes.model import INBOX, SEPARATOR, Folder, Mailbox, NewMessage
from gateway.storage.sealer import KeysClosed
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

BATCH: Final = 64  # Messages of one commit.
BATCH_OCTETS: Final = 8 << 20  # And so many octets, whichever is reached first.
WRITES: Final = 16  # Messages that are written at the same time.
MOST_TOLD: Final = 100  # Of what was skipped; all are counted.
_TOKEN: Final = "mailbox import"  # noqa: S105 - what blind tokens of imported messages are made for


class Tokens(Protocol):
    """Makes blind tokens: storage's `Sealer`."""

    def token(self, purpose: str, value: str) -> int:
        """A signed number of 64 bits."""


@dataclass(slots=True)
class Imported:
    """How far it is. `octets` of `total` were read; `present` messages were there from an import before."""

    total: int = 0
    octets: int = 0
    added: int = 0
    present: int = 0
    skipped: int = 0
    told: list[Skipped] = field(default_factory=list)  # The first of what was skipped.


class ImportStopped(Exception):
    """The mailbox takes no more, or is gone. What was added stays; the same import goes on where it was."""

    def __init__(self, why: MailboxFault, progress: Imported) -> None:
        super().__init__(f"the import stopped after {progress.added} messages: {why}")
        self.progress = progress


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message with what can be made of it without any key."""

    found: Found
    token: bytes
    head: bytes = field(repr=False)


class Importer:
    """For one import at a time."""

    def __init__(self, room: Room, tokens: Tokens, *, head_of: Callable[[bytes], bytes], clock: Clock) -> None:
        """`head_of` reads what a list of messages shows."""
        self._room = room
        self._tokens = tokens
        self._head_of = head_of
        self._clock = clock
        self._folders: dict[str, Folder] = {}
        self._seen: Counter[str] = Counter()

    async def run(
        self,
        mailbox: Mailbox,
        path: Path,
        *,
        folder: str = INBOX,
        form: Form = Form.MBOXRD,
        again: bool = False,
        on_progress: Callable[[Imported], None] = lambda progress: None,
    ) -> Imported:
        """Import all that `path` holds into `folder`, and folders of the source into folders below it.

        `again`: add what an earlier import has added, too. Raises BadSource, OSError, ImportStopped, MailboxClosed,
        StorageFull, StorageBroken.
        """
        self._folders, self._seen = {}, Counter()
        loop, executor = asyncio.get_running_loop(), self._room.executor
        progress = Imported(total=await loop.run_in_executor(executor, octets_of, path))

        def told(octets: int) -> None:
            progress.octets = octets

        source = await loop.run_in_executor(executor, lambda: read_source(path, form, told=told))
        try:
            while batch := await loop.run_in_executor(executor, self._batch, source, mailbox, folder, progress):
                by_folder: dict[str, list[_Ready]] = {}
                for one in batch:
                    by_folder.setdefault(_target(folder, one.found.folder), []).append(one)
                for name, some in by_folder.items():
                    await self._add(mailbox, name, some, again, progress)
                on_progress(progress)
        finally:
            with suppress(
                ValueError
            ):  # Who is cancelled while a thread reads on: it closes its file when that is done.
                await loop.run_in_executor(executor, source.close)
        progress.octets = progress.total
        on_progress(progress)
        return progress

    def _batch(self, source: Finding, mailbox: Mailbox, folder: str, progress: Imported) -> list[_Ready]:
        """The next messages. On a thread."""
        batch: list[_Ready] = []
        octets = 0
        for one in source:
            if isinstance(one, Skipped):
                _skip(progress, one)
                continue
            digest = sha256(one.octets).hexdigest()
            name = f"{mailbox.id} {digest} {_target(folder, one.folder)}"
            self._seen[name] += 1
            name = f"{self._seen[name]} {name}"
            # Two numbers of 64 bits: one alone might one day be another's.
            numbers = (self._tokens.token(_TOKEN, f"{place} {name}") for place in (1, 2))
            token = b"".join(number.to_bytes(8, signed=True) for number in numbers)
            batch.append(_Ready(one, token, self._head_of(one.octets)))
            octets += len(one.octets)
            if len(batch) >= BATCH or octets >= BATCH_OCTETS:
                break
        return batch

    async def _add(self, mailbox: Mailbox, name: str, some: list[_Ready], again: bool, progress: Imported) -> None:
        store = self._room.store
        try:
            there = {} if again else await store.arrived(mailbox.id, [one.token for one in some])
            new = [one for one in some if one.token not in there]
            progress.present += len(some) - len(new)
            if not new:
                return
            folder = await self._folder(mailbox, name)
            await self._room.with_key(mailbox.id, lambda key: self._write(key, folder, new, again))
        except FolderRefused as fault:
            for one in some:
                _skip(progress, Skipped(one.found.place, str(fault)))
        except MailboxFault as fault:
            raise ImportStopped(fault, progress) from fault
        else:
            progress.added += len(new)

    async def _write(self, key: MailboxKey, folder: Folder, new: list[_Ready], again: bool) -> None:
        places = asyncio.Semaphore(WRITES)
        now = self._clock.now()

        async def write(one: _Ready) -> NewMessage:
            async with places:
                row = await self._room.contents.write(key, Held(one.found.octets), one.head)
            return NewMessage(
                content=row,
                date=now if one.found.date is None else one.found.date,
                flags=one.found.flags,
                keywords=one.found.keywords,
                token=None if again else one.token,
            )

        done = await asyncio.gather(*(write(one) for one in new), return_exceptions=True)
        messages = [one for one in done if isinstance(one, NewMessage)]
        try:
            for one in done:
                if isinstance(one, BaseException):
                    raise one
            await self._room.store.add(folder.mailbox, folder.id, messages)
        except (MailboxFault, StorageFull, BlobsAway):  # Nothing was added: what was written for it is garbage.
            with suppress(StorageBroken, StorageFull, KeysClosed):
                for message in messages:
                    await self._room.contents.abandon(message.content)
            raise

    async def _folder(self, mailbox: Mailbox, name: str) -> Folder:
        """The folder of that name, made where it is missing. Raises FolderRefused, NoMailbox."""
        known = self._folders.get(name)
        if known is None:
            store = self._room.store
            known = await store.folder(mailbox.id, name)
            if known is None:
                try:
                    known = await store.create_folder(mailbox.id, name, subscribed=True)
                except FolderThere:  # Somebody was faster.
                    known = await store.folder(mailbox.id, name)
            if known is None:
                raise NoFolder(f"the folder {name!r} is gone again")
            self._folders[name] = known
        return known


def _target(folder: str, inner: str | None) -> str:
    """The folder of the mailbox for one of the source. What was INBOX there is the target itself."""
    if inner is None or inner.upper() == INBOX:
        return folder
    return inner if folder.upper() == INBOX else f"{folder}{SEPARATOR}{inner}"


def _skip(progress: Imported, one: Skipped) -> None:
    progress.skipped += 1
    if len(progress.told) < MOST_TOLD:
        progress.told.append(one)
