"""All messages of a mailbox, opened one batch after the other: for export, and for looking whether all is sound."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.mailboxes.contents.damage import Damaged
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.mailboxes.transfer.room import Room
from gateway.storage.mailboxes.model import ContentRow, Entry, Folder, Mailbox

ROWS: Final = 200  # Of one query.
OCTETS: Final = 8 << 20  # Of messages that lie in memory together; a longer one is read in pieces by whoever wants it.


@dataclass(frozen=True, slots=True)
class Walked:
    """One message. `octets` None: it is longer than OCTETS, and `Room.contents.blocks` has it.

    `head` is what is wrong with its head, where that was looked at.
    """

    folder: Folder
    entry: Entry
    row: ContentRow
    octets: bytes | Damaged | None = field(repr=False)
    head: Damaged | None = None


async def walk(
    room: Room, mailbox: Mailbox, folder: Folder, uids: Sequence[int], *, head: bool = False
) -> AsyncGenerator[Walked, None]:
    """These messages of the folder, opened. One that is gone meanwhile is left out.

    `head`: look at their heads too. Raises NoMailbox, MailboxClosed, BlobsAway, StorageBroken.
    """
    for first in range(0, len(uids), ROWS):
        some = uids[first : first + ROWS]
        batch: list[int] = []
        octets = 0
        sizes = {entry.uid: row.size for entry, row in await room.store.fetch(folder.id, some, head=False)}
        for uid in some:
            if (size := sizes.get(uid)) is None:
                continue
            if batch and octets + size > OCTETS:
                for one in await _opened(room, mailbox, folder, batch, head):
                    yield one
                batch, octets = [], 0
            batch.append(uid)
            octets += size
        for one in await _opened(room, mailbox, folder, batch, head):
            yield one


async def _opened(room: Room, mailbox: Mailbox, folder: Folder, uids: Sequence[int], head: bool) -> list[Walked]:
    async def work(key: MailboxKey) -> list[Walked]:
        # Rows and key together: a roll that ends between the two would leave them apart.
        found = await room.store.fetch(folder.id, uids, head=head)
        small = [row for _, row in found if row.size <= OCTETS]
        opened = iter(await room.contents.read_many(key, small))
        heads = await room.contents.heads(key, [row for _, row in found]) if head else [None] * len(found)
        return [
            Walked(
                folder,
                entry,
                row,
                next(opened) if row.size <= OCTETS else None,
                one if isinstance(one, Damaged) else None,
            )
            for (entry, row), one in zip(found, heads, strict=True)
        ]

    return await room.with_key(mailbox.id, work) if uids else []
