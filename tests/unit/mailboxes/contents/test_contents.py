"""What is written is read, in part and whole, and by nobody who lacks one of the three stores."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from gateway.mail.message import Content, Held, Prefaced
from gateway.mailboxes.contents.chunk import CHUNK, OVERHEAD, open_chunk
from gateway.mailboxes.contents.contents import Contents
from gateway.mailboxes.contents.damage import Damage, Damaged
from gateway.mailboxes.contents.garbage import Garbage
from gateway.mailboxes.faults import KeyBroken
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.storage.mailbox_blobs import BlobsAway
from gateway.storage.mailboxes.model import ContentRow
from gateway.storage.writer import StorageFull
from gateway.world.chance import SystemChance
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_blobs import Crash, MemoryMailboxBlobs, MemoryNames, Steps

KEY = MailboxKey(7, 1, b"k" * 32)
WORDS = b"Subject: the words\r\n\r\nNobody else reads these words.\r\n"


@dataclass
class Room:
    """The stores, and what works on them."""

    contents: Contents
    blobs: MemoryMailboxBlobs
    names: MemoryNames
    steps: Steps

    def collector(self) -> Garbage:
        return Garbage(self.names, self.blobs, clock=FakeClock(), tell=lambda *words, **facts: None)


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture(params=[True, False], ids=["disk", "objects"])
def room(request: pytest.FixtureRequest, executor: ThreadPoolExecutor) -> Room:
    steps = Steps()
    blobs = MemoryMailboxBlobs(steps, is_local=request.param)
    names = MemoryNames(steps)
    contents = Contents(names, blobs, executor=executor, chance=SystemChance(), clock=FakeClock())
    return Room(contents, blobs, names, steps)


@dataclass
class Streamed:
    """A content that comes in pieces of any size. `says`: the size that it claims."""

    octets: bytes
    piece: int
    says: int | None = None

    @property
    def size(self) -> int:
        return len(self.octets) if self.says is None else self.says

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.octets), self.piece):
            yield self.octets[at : at + self.piece]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
async def test_what_is_written_is_read_at_every_border(room: Room, size: int) -> None:
    octets = os.urandom(size)
    sources: list[Content] = [Held(octets), Streamed(octets, 700_001), Prefaced(octets[:100], Held(octets[100:]))]
    for source in sources:
        row = await room.contents.write(KEY, source)
        assert (row.size, len(row.blobs)) == (size, max(1, -(-size // CHUNK)))
        assert await room.contents.read(KEY, row) == octets
        assert await room.contents.read_many(KEY, [row, row]) == [octets, octets]


@pytest.mark.parametrize(
    ("start", "length", "opened"),
    [
        (0, 10, [0]),
        (0, 0, []),
        (5, None, [0, 1, 2]),
        (CHUNK - 3, 6, [0, 1]),
        (CHUNK, 1, [1]),
        (2 * CHUNK, None, [2]),
        (2 * CHUNK - 1, 9 * CHUNK, [1, 2]),
        (3 * CHUNK, 5, []),
    ],
)
async def test_a_part_is_what_stands_there_and_no_other_chunk_is_opened(
    room: Room, start: int, length: int | None, opened: list[int]
) -> None:
    octets = os.urandom(2 * CHUNK + 100)
    row = await room.contents.write(KEY, Held(octets))
    end = len(octets) if length is None else start + length
    assert await room.contents.read(KEY, row, start, length) == octets[start:end]
    assert room.blobs.looked == [row.blobs[number] for number in opened]


async def test_a_small_message_is_one_blob(room: Room) -> None:
    await room.contents.write(KEY, Held(WORDS), b"head")
    assert room.steps.done == ["reserve", "put"]


async def test_a_head_comes_back_without_any_blob(room: Room) -> None:
    rows = [await room.contents.write(KEY, Held(WORDS), b"head %d" % n) for n in range(20)]
    without = await room.contents.write(KEY, Held(WORDS))
    assert await room.contents.heads(KEY, [*rows, without]) == [b"head %d" % n for n in range(20)] + [None]
    assert room.contents.head(KEY, rows[3]) == b"head 3"
    again = room.contents.with_head(KEY, rows[3], b"another")
    assert room.contents.head(KEY, again) == b"another"
    assert room.blobs.looked == []


# -- three stores, each useless alone ---------------------------------------------------------------------------------


async def test_without_the_vault_database_and_blobs_tell_nothing(room: Room) -> None:
    row = await room.contents.write(KEY, Held(WORDS), b"the words of a head")
    stored = b"".join([*room.blobs.kept.values(), row.map, row.head, repr(row).encode()])
    assert not any(word in stored for word in (b"Subject", b"words", b"head"[:3]))
    for other in (MailboxKey(7, 1, b"x" * 32), MailboxKey(8, 1, b"k" * 32)):
        with pytest.raises(Damaged):
            await room.contents.read(other, row)
        with pytest.raises(Damaged):
            room.contents.head(other, row)


async def test_without_the_database_vault_and_blobs_tell_nothing(room: Room) -> None:
    row = await room.contents.write(KEY, Held(WORDS))
    lost = replace(row, map=b"")
    with pytest.raises(Damaged, match="its map is missing"):
        await room.contents.read(KEY, lost)
    from cryptography.exceptions import InvalidTag

    with pytest.raises(InvalidTag):  # The mailbox key itself opens no chunk.
        open_chunk(KEY.secret, row.id, 0, row.size, room.blobs.kept[row.blobs[0]])


async def test_without_the_blobs_vault_and_database_tell_nothing_of_a_text(room: Room) -> None:
    row = await room.contents.write(KEY, Held(WORDS))
    room.blobs.kept.clear()
    with pytest.raises(Damaged, match="there is no blob"):
        await room.contents.read(KEY, row)


async def test_equal_messages_have_nothing_in_common(room: Room) -> None:
    one, two = [await room.contents.write(KEY, Held(WORDS), b"h") for _ in range(2)]
    first, second = (room.blobs.kept[row.blobs[0]] for row in (one, two))
    assert len({first, second}) == 2
    assert one.map[13:] != two.map[13:]
    assert one.id != two.id


# -- damage -----------------------------------------------------------------------------------------------------------


def _damage(room: Room, row: ContentRow, how: str) -> ContentRow:
    kept, (a, b, c) = room.blobs.kept, row.blobs
    match how:
        case "flipped":
            kept[b] = kept[b][:500] + bytes([kept[b][500] ^ 1]) + kept[b][501:]
        case "swapped":
            kept[a], kept[b] = kept[b], kept[a]
        case "duplicated":
            kept[b] = kept[a]
        case "named twice":
            return replace(row, blobs=(a, a, c))
        case "missing":
            del kept[b]
        case "truncated":
            kept[c] = kept[c][:-1]
        case "emptied":
            kept[b] = b""
        case "extended":
            kept[c] += b"x"
        case "unknown":
            kept[b] = b"\x02" + kept[b][1:]
        case "row short":
            return replace(row, blobs=(a, b))
        case "row long":
            return replace(row, blobs=(a, b, c, c))
        case "size":
            return replace(row, size=row.size - 1)
        case "map flipped":
            return replace(row, map=row.map[:-1] + bytes([row.map[-1] ^ 1]))
        case "map cut":
            return replace(row, map=row.map[:40])
        case "map unknown":
            return replace(row, map=b"\x09" + row.map[1:])
    return row


DAMAGES = {
    "flipped": (Damage.FLIPPED, "chunk 2 of 3 does not open"),
    "swapped": (Damage.SWAPPED, "chunk 1 of 3 holds the octets of chunk 2"),
    "duplicated": (Damage.DUPLICATED, "chunk 2 of 3 is a second copy of chunk 1"),
    "named twice": (Damage.DUPLICATED, "chunk 2 of 3 is a second copy of chunk 1"),
    "missing": (Damage.MISSING, "chunk 2 of 3 is missing"),
    "truncated": (Damage.TRUNCATED, f"chunk 3 of 3 is cut off: {10 + OVERHEAD - 1} of {10 + OVERHEAD}"),
    "emptied": (Damage.TRUNCATED, "chunk 2 of 3 is cut off: 0 of"),
    "extended": (Damage.EXTENDED, "chunk 3 of 3 has octets behind its end"),
    "unknown": (Damage.UNKNOWN, "chunk 2 of 3 has the version mark 2"),
    "row short": (Damage.MISSING, "names only 2 of its 3 chunks"),
    "row long": (Damage.EXTENDED, "names even 4 of its 3 chunks"),
    "size": (Damage.FLIPPED, "its row says"),
    "map flipped": (Damage.FLIPPED, "its map does not open"),
    "map cut": (Damage.TRUNCATED, "its map is cut off"),
    "map unknown": (Damage.UNKNOWN, "its map has the version mark 9"),
}


@pytest.mark.parametrize("how", DAMAGES)
async def test_one_damaged_message_says_so_by_name_and_the_others_read_on(room: Room, how: str) -> None:
    long = os.urandom(2 * CHUNK + 10)
    rows = [await room.contents.write(KEY, Held(octets)) for octets in (WORDS, long, WORDS[::-1])]
    rows[1] = _damage(room, rows[1], how)
    before, damaged, behind = await room.contents.read_many(KEY, rows)
    assert (before, behind) == (WORDS, WORDS[::-1])
    assert isinstance(damaged, Damaged)
    damage, words = DAMAGES[how]
    assert damaged.damage is damage
    assert words in str(damaged)
    assert rows[1].id.hex() in str(damaged)
    with pytest.raises(Damaged, match=words.split(":")[0]):
        await room.contents.read(KEY, rows[1])


async def test_a_chunk_of_another_message_does_not_open(room: Room) -> None:
    one, two = [await room.contents.write(KEY, Held(WORDS)) for _ in range(2)]
    room.blobs.kept[one.blobs[0]] = room.blobs.kept[two.blobs[0]]
    with pytest.raises(Damaged, match="another message's") as told:
        await room.contents.read(KEY, one)
    assert told.value.damage is Damage.FLIPPED


async def test_a_row_that_is_moved_does_not_open(room: Room) -> None:
    one, two = [await room.contents.write(KEY, Held(WORDS), b"head") for _ in range(2)]
    with pytest.raises(Damaged, match="its map does not open"):
        await room.contents.read(KEY, replace(one, map=two.map))
    with pytest.raises(Damaged, match="its head does not open"):
        room.contents.head(KEY, replace(one, head=two.head))
    with pytest.raises(Damaged, match="its map does not open"):  # Another mailbox's, of the same secret.
        await room.contents.read(MailboxKey(8, 1, KEY.secret), replace(one, mailbox=8))
    with pytest.raises(Damaged, match="its map does not open"):  # Left behind by a roll.
        await room.contents.read(MailboxKey(7, 2, KEY.secret), replace(one, key_version=2))


async def test_a_store_that_is_away_is_no_damage(room: Room) -> None:
    row = await room.contents.write(KEY, Held(WORDS))
    room.blobs.away = True
    with pytest.raises(BlobsAway):
        await room.contents.read_many(KEY, [row])


# -- another key ------------------------------------------------------------------------------------------------------


async def test_a_roll_changes_maps_alone_and_both_keys_read_meanwhile(room: Room) -> None:
    new = MailboxKey(7, 2, b"n" * 32, older=KEY)
    rows = [await room.contents.write(KEY, Held(WORDS), b"head") for _ in range(3)]
    blobs = dict(room.blobs.kept)
    rows[1] = room.contents.rewrap(rows[1], KEY, new)
    assert await room.contents.read_many(new, rows) == [WORDS] * 3
    assert await room.contents.heads(new, rows) == [b"head"] * 3
    rows[0], rows[2] = room.contents.rewrap_many([rows[0], rows[2]], new, new)
    alone = MailboxKey(7, 2, b"n" * 32)
    assert await room.contents.read_many(alone, rows) == [WORDS] * 3
    assert room.blobs.kept == blobs
    with pytest.raises(KeyBroken):
        await room.contents.read(KEY, rows[0])


async def test_what_is_damaged_is_not_wrapped_anew(room: Room) -> None:
    row = await room.contents.write(KEY, Held(WORDS))
    with pytest.raises(Damaged):
        room.contents.rewrap(
            replace(row, map=row.map[:-1] + bytes([row.map[-1] ^ 1])), KEY, MailboxKey(7, 2, b"n" * 32)
        )


# -- faults and crashes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("says", [0, 5, CHUNK, CHUNK + 2, 2 * CHUNK, 5 * CHUNK])
async def test_a_content_that_has_other_octets_than_it_says_is_refused(room: Room, says: int) -> None:
    with pytest.raises(ValueError, match=f"a content of {says} octets has"):
        await room.contents.write(KEY, Streamed(bytes(CHUNK + 1), 600_000, says))


@pytest.mark.parametrize("size", [10, 3 * CHUNK])
async def test_a_full_store_refuses_as_such(room: Room, size: int) -> None:
    room.blobs.full = True
    with pytest.raises(StorageFull):
        await room.contents.write(KEY, Held(bytes(size)))


async def test_what_was_put_before_a_disk_was_full_is_taken_away_again(room: Room) -> None:
    """Else each new attempt of a large message leaves more of it on a disk that has no room."""

    class Filling(Streamed):
        async def blocks(self) -> AsyncIterator[bytes]:
            for number in range(6):
                if number == 3:
                    while len(room.blobs.kept) < 3:
                        await asyncio.sleep(0)
                    room.blobs.full = True
                yield bytes(CHUNK)

    with pytest.raises(StorageFull):
        await room.contents.write(KEY, Filling(b"", 1, 6 * CHUNK))
    assert room.blobs.kept == {}
    assert set(room.names.states.values()) <= {"garbage", "intended"}  # Known still: one may be on its way.
    assert "garbage" in room.names.states.values()


async def test_a_store_that_takes_nothing_away_hides_no_fault(room: Room) -> None:
    class Going(Streamed):
        async def blocks(self) -> AsyncIterator[bytes]:
            yield bytes(CHUNK)
            await asyncio.sleep(0)
            room.blobs.away = True
            yield bytes(CHUNK)

    with pytest.raises(BlobsAway):
        await room.contents.write(KEY, Going(b"", 1, 2 * CHUNK))


class Broken(Exception):
    pass


async def test_what_breaks_a_content_comes_through_with_its_cause(room: Room) -> None:
    class Breaking(Streamed):
        async def blocks(self) -> AsyncIterator[bytes]:
            yield bytes(CHUNK)
            raise Broken from OSError("the cause")

    with pytest.raises(Broken) as told:
        await room.contents.write(KEY, Breaking(b"", 1, 2 * CHUNK))
    assert isinstance(told.value.__cause__, OSError)


@pytest.mark.parametrize("size", [10, 4 * CHUNK])
async def test_a_crash_at_any_step_leaves_nothing_but_garbage(room: Room, size: int) -> None:
    await room.contents.write(KEY, Held(bytes(size)))
    steps, room.steps.done = len(room.steps.done), []
    room.blobs.kept, room.names.states = {}, {}
    for at in range(steps + 1):
        room.steps.done, room.steps.crash_at = [], at
        try:
            await room.contents.write(KEY, Held(bytes(size)))
        except Crash:
            assert at < steps
        room.steps.crash_at = None
        # The next process: every blob is known by name, and goes.
        assert room.blobs.kept.keys() <= room.names.states.keys()
        await room.collector().collect()
        assert (room.blobs.kept, room.names.states) == ({}, {})


async def test_what_was_added_is_no_garbage_and_what_was_abandoned_is(room: Room) -> None:
    kept, given_up = [await room.contents.write(KEY, Held(WORDS)) for _ in range(2)]
    room.names.added(kept.blobs)
    await room.contents.abandon(given_up)
    assert room.names.states[given_up.blobs[0]] == "garbage"
    assert await room.collector().collect() == 1
    assert await room.contents.read_many(KEY, [kept]) == [WORDS]
