"""APPEND: messages that a mail program puts in (RFC 3501 6.3.11), all or none (RFC 3502); their UIDs (RFC 4315 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pymap.parsing.command.auth import AppendCommand

from gateway.imap.answers import Refusal, answer_to
from gateway.imap.appending import Append, Put
from gateway.imap.conversation import Answered, Conversation
from gateway.imap.sequence import written
from gateway.imap.wire import done, refused
from gateway.mail.message import Held
from gateway.mailboxes.head import Head
from gateway.storage.mailbox_blobs import BlobsAway
from gateway.storage.mailboxes.faults import BlobsCollected, KeyChanged, MailboxFault, OverQuota
from gateway.storage.mailboxes.model import NewMessage
from gateway.storage.sealer import KeysClosed
from gateway.storage.writer import StorageBroken, StorageFull

if TYPE_CHECKING:
    from gateway.mailboxes.policies.mailbox_keys import MailboxKey

AT_ONCE: Final = 16  # Messages that are written side by side, so that they share what makes them durable.
INLINE: Final = 32 * 1024  # Octets of a message whose form is read without a thread.


class AppendCommands(Conversation):
    """What puts messages in."""

    async def may_append(self, folder: str, octets: int) -> Refusal | None:
        """Why so many octets are not wanted in that folder, before they are sent; None where they are."""
        try:
            await self.named(folder, try_create=True)
            await self.person.key()
            mailbox = self.person.mailbox
            if mailbox.quota is not None and mailbox.used + octets > mailbox.quota:
                mailbox = await self.person.read()
                if mailbox.quota is not None and mailbox.used + octets > mailbox.quota:
                    raise OverQuota("the messages do not fit")
        except Refusal as refusal:
            return refusal
        except Exception as error:  # noqa: BLE001 - it becomes the answer, as that of any command
            answer = answer_to(error)
            if answer.is_ours:
                self.desk.tell(
                    "error", "imap_command_failed", id=self.id, client=self.peer, command="APPEND", error=error
                )
            return Refusal(answer.text, answer.code)
        return None

    async def do_append(self, cmd: AppendCommand) -> Answered:
        puts = cmd.puts if isinstance(cmd, Append) else ()
        if cmd.cancelled or not puts:
            return refused(cmd.tag, b"Nothing was put in: a message has octets"), None
        folder = await self.named(cmd.mailbox, try_create=True)
        try:
            uids = await self._add(folder.id, puts)
        except (KeyChanged, BlobsCollected):  # A roll has begun since, or it took an hour: written anew.
            await self.person.key(fresh=True)
            uids = await self._add(folder.id, puts)
        self.hub.touched(folder.id)
        code = b"APPENDUID %d %b" % (folder.uid_validity, written(sorted(uids)))
        return done(cmd.tag, b"Put in", code), None

    async def _add(self, folder: int, puts: Sequence[Put]) -> list[int]:
        """Write the contents, some at once, and add them all or none."""
        key = await self.person.key()
        now = self.desk.clock.now()
        added: list[NewMessage] = []
        try:
            for start in range(0, len(puts), AT_ONCE):
                await self._write(key, puts[start : start + AT_ONCE], now, added)
            return await self.desk.store.add(self.person.mailbox.id, folder, added)
        except (MailboxFault, StorageFull, BlobsAway):  # Nothing was added: what was written for it is garbage.
            with suppress(StorageBroken, StorageFull, KeysClosed):
                for one in added:
                    await self.desk.contents.abandon(one.content)
            raise

    async def _write(self, key: MailboxKey, puts: Sequence[Put], now: float, added: list[NewMessage]) -> None:
        async def new_message(put: Put) -> NewMessage:
            content = await self.desk.contents.write(key, Held(put.octets), await self._head(put.octets))
            date = now if put.date is None else put.date
            return NewMessage(content=content, date=date, flags=put.flags, keywords=put.keywords)

        if len(puts) == 1:
            added.append(await new_message(puts[0]))
            return
        tasks: list[asyncio.Task[NewMessage]] = []
        try:
            async with asyncio.TaskGroup() as writing:
                tasks += [writing.create_task(new_message(put)) for put in puts]
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:  # Also where another failed: who takes back what was written has to know of it.
            added += [task.result() for task in tasks if _is_written(task)]

    async def _head(self, octets: bytes) -> bytes:
        if len(octets) <= INLINE:
            return Head.of(octets).to_octets()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.desk.executor, lambda: Head.of(octets).to_octets())


def _is_written(task: asyncio.Task[NewMessage]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
