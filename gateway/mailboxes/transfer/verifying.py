"""Looking whether every message of a mailbox opens: each chunk is read and decrypted, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.mailboxes.contents.damage import Damage, Damaged
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.mailboxes.transfer.room import Room
from gateway.mailboxes.transfer.walking import Walked, walk
from gateway.storage.mailboxes.model import Mailbox

MOST_TOLD: Final = 1000  # Damaged messages that are told by name; all are counted.
_EVERY: Final = 50  # Messages between two words on how far it is.


@dataclass(frozen=True, slots=True)
class Fault:
    """One damaged message."""

    folder: str
    uid: int
    damage: Damage
    text: str


@dataclass(slots=True)
class Verified:
    """How far it is: of `total` messages `done` were looked at, and `damaged` of those do not open."""

    total: int = 0
    done: int = 0
    octets: int = 0
    damaged: int = 0
    faults: list[Fault] = field(default_factory=list)  # The first of them.

    @property
    def is_sound(self) -> bool:
        return not self.damaged


class Verifier:
    """Reads whole mailboxes."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def run(
        self, mailbox: Mailbox, *, on_progress: Callable[[Verified], None] = lambda progress: None
    ) -> Verified:
        """Look at every message. Raises NoMailbox, MailboxClosed, BlobsAway, StorageBroken."""
        progress = Verified()
        folders = [
            (folder, list((await self._room.store.entries(folder.id)).uids))
            for folder in await self._room.store.folders(mailbox.id)
        ]
        progress.total = sum(len(uids) for _, uids in folders)
        for folder, uids in folders:
            async for one in walk(self._room, mailbox, folder, uids, head=True):
                await self._judge(mailbox, one, progress)
                progress.done += 1
                if progress.done % _EVERY == 0:
                    on_progress(progress)
        on_progress(progress)
        return progress

    async def _judge(self, mailbox: Mailbox, one: Walked, progress: Verified) -> None:
        fault = one.octets if isinstance(one.octets, Damaged) else one.head
        if fault is None and one.octets is None:
            fault = await self._room.with_key(mailbox.id, lambda key: self._long(key, one))
        if fault is None:
            progress.octets += one.row.size
            return
        progress.damaged += 1
        if len(progress.faults) < MOST_TOLD:
            progress.faults.append(Fault(one.folder.name, one.entry.uid, fault.damage, str(fault)))

    async def _long(self, key: MailboxKey, one: Walked) -> Damaged | None:
        """What is wrong with a message that is read in pieces. Its row is read again: its key may have changed."""
        for _, row in await self._room.store.fetch(one.folder.id, [one.entry.uid], head=False):
            try:
                async for _ in self._room.contents.blocks(key, row):
                    pass
            except Damaged as fault:
                return fault
        return None
