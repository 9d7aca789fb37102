"""Finding out what is wrong with a chunk that did not open. Takes its time: it is not the way of messages."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from cryptography.exceptions import InvalidTag

from gateway.mailboxes.contents.chunk import MARK, OVERHEAD, chunk_count, open_chunk, plain_size
from gateway.mailboxes.contents.damage import Damage, Damaged
from gateway.mailboxes.contents.reading import Unread
from gateway.storage.mailbox_blobs import BlobGone, MailboxBlobs


async def diagnosed(unread: Unread, blobs: MailboxBlobs, executor: Executor) -> Damaged:
    """The damage by name. Raises BlobsAway."""
    row, number, octets = unread.row, unread.number, unread.octets
    part = f"chunk {number + 1} of {chunk_count(row.size)}"

    def damaged(damage: Damage, why: str) -> Damaged:
        return Damaged(row.id, damage, part, why)

    if octets is None:
        return damaged(Damage.MISSING, f"is missing: there is no blob {row.blobs[number]}")
    loop = asyncio.get_running_loop()
    other = await loop.run_in_executor(executor, _which, unread)
    if other is not None:
        # Where that one stands in its own place too, it is there twice.
        if row.blobs[other] == row.blobs[number] or await _holds(unread, other, blobs, executor):
            return damaged(Damage.DUPLICATED, f"is a second copy of chunk {other + 1}")
        return damaged(Damage.SWAPPED, f"holds the octets of chunk {other + 1}")
    size = plain_size(number, row.size) + OVERHEAD
    if len(octets) < size:
        return damaged(Damage.TRUNCATED, f"is cut off: {len(octets)} of {size} octets are there")
    if len(octets) > size:
        return damaged(Damage.EXTENDED, f"has octets behind its end, at {size}")
    if octets[:1] != MARK:
        return damaged(Damage.UNKNOWN, f"has the version mark {octets[0]}, which no gateway or a newer one wrote")
    return damaged(Damage.FLIPPED, "does not open: octets were changed, or they are another message's")


def _which(unread: Unread) -> int | None:
    """The chunk of the same content that these octets are."""
    octets = unread.octets or b""
    for number in range(chunk_count(unread.row.size)):
        if number != unread.number and _opens(unread, number, octets):
            return number
    return None


def _opens(unread: Unread, number: int, octets: bytes) -> bool:
    row = unread.row
    if len(octets) != plain_size(number, row.size) + OVERHEAD:
        return False
    try:
        open_chunk(unread.map.key(number), row.id, number, row.size, octets)
    except InvalidTag:
        return False
    return True


async def _holds(unread: Unread, number: int, blobs: MailboxBlobs, executor: Executor) -> bool:
    """Whether that chunk of the content stands in its place."""
    try:
        octets = await blobs.get(unread.row.blobs[number])
    except BlobGone:
        return False
    return await asyncio.get_running_loop().run_in_executor(executor, _opens, unread, number, octets)
