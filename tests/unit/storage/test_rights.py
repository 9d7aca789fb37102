"""Rights-managed messages as they lie in the shared database: sealed, found by links and names, gone by their keys."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, select, update

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.mail.message import Content
from gateway.storage import rights
from gateway.storage.blob_folder import FolderBlobs
from gateway.storage.blobs import BlobGone, Blobs
from gateway.storage.content import INLINE, SEGMENT
from gateway.storage.postgres.connection import Database
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.rights import RightsStore
from gateway.storage.rights_copy import CopyKey
from gateway.storage.rights_model import CopyState, KeptRights
from gateway.storage.rights_pieces import PieceBlobs
from gateway.storage.sealer import SealBroken
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import rights_links, rights_messages, rights_pieces
from gateway.storage.together import Together
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.round_trips import round_trips

KEYS = {("portal", 1): b"p" * 32, ("token", 1): b"k" * 32}
WORK = UUID("11111111-2222-4333-8444-555555555555")
OTHER = UUID("21111111-2222-4333-8444-555555555555")
LINKS = (b"a" * 32, b"b" * 32)
MESSAGE = KeptRights(
    work=WORK,
    message_id="<one@corp.example>",
    queue_id="4ABC",
    sender="ida@corp.example",
    readers=(("Zoe@Partner.example", LINKS[0]), ("bob@partner.example", LINKS[1])),
    subject="Figures",
    template="encrypt-only",
    created=1_000.5,
    expires=2_000.0,
)


def sealer(seed: str = "1") -> KeySealer:
    return KeySealer(DomainKeys(KEYS), FakeChance(seed))


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(params=["folder", "pieces"])
def blobs(request: pytest.FixtureRequest, shared: SharedStore, tmp_path: Path, executor: ThreadPoolExecutor) -> Blobs:
    if request.param == "folder":
        return FolderBlobs(tmp_path / "copies", executor)
    return PieceBlobs(shared, FakeClock().now)


@pytest.fixture
def store(shared: SharedStore, blobs: Blobs, executor: ThreadPoolExecutor) -> RightsStore:
    return RightsStore(shared, sealer(), chance=FakeChance("copies"), blobs=blobs, executor=executor)


@pytest.fixture
def plain(shared: SharedStore, tmp_path: Path, executor: ThreadPoolExecutor) -> RightsStore:
    """For what has nothing to do with where large copies lie."""
    blobs = FolderBlobs(tmp_path / "copies", executor)
    return RightsStore(shared, sealer(), chance=FakeChance("copies"), blobs=blobs, executor=executor)


async def whole(content: Content | None) -> bytes | None:
    return None if content is None else b"".join([block async for block in content.blocks()])


async def test_each_link_stands_for_its_reader_and_for_nothing_else(plain: RightsStore) -> None:
    await plain.keep(MESSAGE, b"sealed")
    one, two = await plain.by_link(LINKS[0]), await plain.by_link(LINKS[1])
    assert one is not None and two is not None
    assert (one.reader, two.reader) == ("Zoe@Partner.example", "bob@partner.example")
    assert one.message == two.message == await plain.get(WORK)
    assert (one.message.subject, one.message.created, one.message.expires) == ("Figures", 1_000.5, 2_000.0)
    assert await plain.by_link(b"c" * 32) is None
    assert await plain.by_link(b"") is None
    assert await plain.get(OTHER) is None


async def test_neither_links_nor_people_stand_in_the_tables(plain: RightsStore, shared: SharedStore) -> None:
    await plain.keep(MESSAGE, b"sealed copy")

    def look(connection: Connection) -> list[tuple[object, ...]]:
        return [tuple(row) for table in (rights_messages, rights_links) for row in connection.execute(select(table))]

    cells = [bytes(cell) if isinstance(cell, memoryview) else cell for row in await shared.call(look) for cell in row]
    for cell in cells:
        octets = cell if isinstance(cell, bytes) else str(cell).encode()
        for secret in (*LINKS, b"Zoe", b"partner.example", b"ida@", b"Figures", b"one@corp", b"sealed copy"):
            assert secret not in octets
    assert sha256(LINKS[0]).digest() in cells


async def test_a_message_is_found_by_each_of_its_names(plain: RightsStore) -> None:
    await plain.keep(MESSAGE, None)
    more = replace(MESSAGE, work=OTHER, readers=(("eve@partner.example", b"c" * 32),), created=1_001.0)
    await plain.keep(more, None)
    for name in ("<one@corp.example>", "one@corp.example", "4ABC"):
        assert [one.work for one in await plain.find(name)] == [WORK, OTHER]
    assert [one.work for one in await plain.find(str(OTHER).upper())] == [OTHER]
    assert await plain.find("two@corp.example") == []
    assert [one.work for one in await plain.latest(10)] == [OTHER, WORK]
    assert [one.work for one in await plain.latest(1)] == [OTHER]


async def test_a_copy_comes_back_as_it_went_whatever_its_size(store: RightsStore) -> None:
    for number, size in enumerate((0, 1, INLINE, INLINE + 1, SEGMENT, 2 * SEGMENT + 5)):
        work = UUID(int=number, version=4)
        octets = (bytes(range(256)) * (size // 256 + 1))[:size]
        await store.keep(replace(MESSAGE, work=work, readers=()), octets)
        content = await store.copy(work)
        assert content is not None and content.size == size
        assert await whole(content) == octets
        kept = await store.get(work)
        assert kept is not None and (kept.copy, kept.size) == (CopyState.KEPT, size)


async def test_without_a_copy_the_message_is_known_all_the_same(plain: RightsStore) -> None:
    await plain.keep(MESSAGE, None)
    assert await plain.copy(WORK) is None
    kept = await plain.get(WORK)
    assert kept is not None and (kept.copy, kept.size) == (CopyState.NONE, 0)


async def test_a_large_copy_that_was_moved_or_cut_does_not_open(
    plain: RightsStore, shared: SharedStore, tmp_path: Path
) -> None:
    octets = b"x" * SEGMENT + b"w" * (2 * SEGMENT)
    await plain.keep(MESSAGE, octets)
    await plain.keep(replace(MESSAGE, work=OTHER, readers=()), b"y" * (3 * SEGMENT))
    mine, other = sorted((tmp_path / "copies").iterdir())
    before = mine.read_bytes()
    mine.write_bytes(other.read_bytes())
    with pytest.raises(SealBroken):
        await whole(await plain.copy(WORK))
    mine.write_bytes(before[: SEGMENT + 100])
    with pytest.raises(BlobGone):
        await whole(await plain.copy(WORK))
    half = SEGMENT + 16
    first, second, rest = before[1 : 1 + half], before[1 + half : 1 + 2 * half], before[1 + 2 * half :]
    mine.write_bytes(before[:1] + second + first + rest)  # Pieces have changed places.
    with pytest.raises(SealBroken):
        await whole(await plain.copy(WORK))
    mine.write_bytes(b"\x09" + before[1:])
    with pytest.raises(SealBroken, match="version"):
        await whole(await plain.copy(WORK))
    mine.write_bytes(before)
    assert await whole(await plain.copy(WORK)) == octets


async def test_a_key_of_another_row_opens_no_copy(plain: RightsStore, shared: SharedStore) -> None:
    await plain.keep(MESSAGE, b"one")
    await plain.keep(replace(MESSAGE, work=OTHER, readers=()), b"two")

    def swap(connection: Connection) -> None:
        key = select(rights_messages.c.key).where(rights_messages.c.work == str(OTHER)).scalar_subquery()
        connection.execute(update(rights_messages).where(rights_messages.c.work == str(WORK)).values(key=key))

    await shared.call(swap)
    with pytest.raises(SealBroken):
        await plain.copy(WORK)


async def test_keeping_twice_is_refused_and_leaves_the_first_as_it_was(plain: RightsStore, tmp_path: Path) -> None:
    large = b"z" * (INLINE + 1)
    await plain.keep(MESSAGE, large)
    with pytest.raises(ValueError, match="already"):
        await plain.keep(replace(MESSAGE, subject="Other", readers=()), large)
    kept = await plain.get(WORK)
    assert kept is not None and kept.subject == "Figures"
    assert await whole(await plain.copy(WORK)) == large
    assert {path.name for path in (tmp_path / "copies").iterdir()} == await plain.known_blobs()


async def test_a_link_that_is_taken_fails_that_message_alone(plain: RightsStore, tmp_path: Path) -> None:
    messages = [
        replace(MESSAGE, work=UUID(int=number, version=4), readers=((f"r{number}@x.example", link),))
        for number, link in ((1, b"a" * 32), (2, b"a" * 32), (3, b"c" * 32))
    ]
    large = b"z" * (INLINE + 1)
    done = await asyncio.gather(*(plain.keep(one, large) for one in messages), return_exceptions=True)
    # Which of the two comes first is left to the threads that write their copies.
    assert sorted(one is None for one in done) == [False, True, True] and done[2] is None
    kept = {one.work for place, one in enumerate(messages) if done[place] is None}
    assert {one.work for one in await plain.latest(9)} == kept
    assert len(list((tmp_path / "copies").iterdir())) == 2


async def test_revoked_for_one_reader_the_others_go_on(plain: RightsStore) -> None:
    await plain.keep(MESSAGE, b"sealed")
    after = await plain.revoke(WORK, 1_500.0, reader="zoe@partner.example")
    assert after is not None and after == await plain.get(WORK)
    assert after.is_revoked("Zoe@PARTNER.example") and not after.is_revoked("bob@partner.example")
    assert (after.revoked_at("zoe@partner.example"), after.revoked_at("bob@partner.example")) == (1_500.0, None)
    assert await asyncio.to_thread(plain.is_revoked, WORK, "zoe@partner.example")
    assert not await asyncio.to_thread(plain.is_revoked, WORK, "bob@partner.example")
    again = await plain.revoke(WORK, 1_600.0, reader="ZOE@partner.example")
    assert again == after  # When it was first revoked stays.
    with pytest.raises(ValueError, match="no such reader"):
        await plain.revoke(WORK, 1_500.0, reader="eve@partner.example")


async def test_revoked_for_all_nobody_goes_on(plain: RightsStore) -> None:
    await plain.keep(MESSAGE, b"sealed")
    after = await plain.revoke(WORK, 1_500.0)
    assert after is not None and after.revoked == 1_500.0
    assert all(after.is_revoked(reader) for reader in (*after.readers, "eve@partner.example"))
    assert await plain.revoke(WORK, 1_600.0) == after
    assert await plain.revoke(OTHER, 1_600.0) is None
    assert not await asyncio.to_thread(plain.is_revoked, OTHER, "zoe@partner.example")


async def test_expiry_destroys_the_content_key_and_what_it_sealed(
    store: RightsStore, shared: SharedStore, blobs: Blobs
) -> None:
    large, small = b"l" * (INLINE + 1), b"s"
    await store.keep(MESSAGE, large)
    await store.keep(replace(MESSAGE, work=OTHER, readers=()), small)
    forever = replace(MESSAGE, work=UUID(int=7, version=4), readers=(), expires=None)
    await store.keep(forever, large)
    assert await store.sweep(1_999.9) == 0
    assert await whole(await store.copy(WORK)) == large
    assert await store.sweep(2_000.0) == 2
    assert await store.sweep(2_000.0) == 0
    for work in (WORK, OTHER):
        assert await store.copy(work) is None
        kept = await store.get(work)
        assert kept is not None and kept.copy is CopyState.DESTROYED
    assert await whole(await store.copy(forever.work)) == large
    assert await blobs.names() == await store.known_blobs() != set()
    row = rights_messages.c
    left = await shared.call(lambda connection: connection.execute(select(row.work, row.key, row.copy)).all())
    assert {one.work for one in left if one.key is not None or one.copy is not None} == {str(forever.work)}


async def test_a_message_is_forgotten_once_its_licence_alone_says_that_it_has_expired(
    plain: RightsStore, shared: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What never expires is never forgotten: nothing else tells that it was revoked."""
    others = [
        replace(MESSAGE, work=UUID(int=n, version=4), readers=((f"{n}@b.example", bytes([n]) * 32),))
        for n in range(1, 6)
    ]
    forever, uncopied = replace(others[0], expires=None), replace(others[1], expires=1_900.0)
    await plain.keep(MESSAGE, b"sealed")
    await plain.keep(forever, None)
    await plain.keep(uncopied, None)
    for one in others[2:]:
        await plain.keep(one, b"sealed")
    await plain.revoke(forever.work, 1_500.0)
    assert await plain.forget(2_000.0) == 1  # The others' copies have their keys still, whatever the time.
    assert await plain.get(uncopied.work) is None and await plain.get(WORK) is not None
    await plain.sweep(2_000.0)
    assert await plain.forget(2_000.0) == 0
    monkeypatch.setattr(rights, "MOST_SWEPT", 3)
    assert [await plain.forget(2_000.1) for _ in range(3)] == [3, 1, 0]
    for link in (*LINKS, bytes([3]) * 32):
        assert await plain.by_link(link) is None
    kept = await plain.by_link(bytes([1]) * 32)
    assert kept is not None and kept.message.revoked == 1_500.0
    assert await asyncio.to_thread(plain.is_revoked, forever.work, "1@b.example")

    monkeypatch.setattr(rights, "MOST_LINKS", 3)
    after, turns = await plain.forget_links(), 1
    while after is not None:
        after, turns = await plain.forget_links(after), turns + 1
    left = await shared.call(lambda connection: connection.execute(select(rights_links.c.work)).scalars().all())
    assert (left, turns) == ([str(forever.work)], 3)
    assert await plain.forget_links() is None


async def test_a_link_needs_its_full_length() -> None:
    with pytest.raises(ValueError, match="32"):
        replace(MESSAGE, readers=(("a@b.example", b"short"),))


async def test_content_keys_are_not_shown() -> None:
    assert "6b6b" not in repr(CopyKey(WORK, b"k" * 32)) and "kkk" not in repr(CopyKey(WORK, b"k" * 32))
    assert "aaaa" not in repr(MESSAGE) and "Figures" not in repr(MESSAGE)


async def test_what_is_asked_for_at_once_shares_one_transaction(shared: SharedStore) -> None:
    together = Together(shared)
    seen: list[int] = []

    def note(connection: Connection, number: int) -> int:
        seen.append(id(connection))
        if number == 5:
            raise LookupError("five")
        return number

    def work(number: int) -> Coroutine[None, None, int]:
        return together.do(lambda connection: note(connection, number))

    assert await asyncio.gather(*(work(number) for number in range(3))) == [0, 1, 2]
    assert len(set(seen)) == 1
    done = await asyncio.gather(*(work(number) for number in range(4, 7)), return_exceptions=True)
    assert [one if isinstance(one, int) else str(one) for one in done] == [4, "five", 6]


async def test_pieces_that_were_never_finished_are_seen_by_the_clearing_alone(shared: SharedStore) -> None:
    clock = FakeClock()
    blobs = PieceBlobs(shared, clock.now)
    writer = await blobs.begin("one")
    await writer.write(b"abc")
    assert await blobs.names() == set()
    with pytest.raises(BlobGone):
        await blobs.read("one", 0, 3)
    assert await blobs.names(clock.now()) == set()
    assert await blobs.names(clock.now() + 1) == {"one"}
    await writer.finish()
    assert await blobs.read("one", 1, 2) == b"bc"
    await blobs.delete("one")
    assert await blobs.names() == set()
    assert await shared.call(lambda connection: connection.execute(select(rights_pieces)).all()) == []


async def test_a_large_copy_in_the_database_crosses_the_wire_once_each_way(postgres: str, tmp_path: Path) -> None:
    shared = PostgresShared(Database.at(postgres))
    try:
        blobs, large = PieceBlobs(shared, FakeClock().now), bytes(range(256)) * (SEGMENT // 256)
        with round_trips(shared, tmp_path) as there:
            writer = await blobs.begin("one")
            for _ in range(3):
                await writer.write(large)
            await writer.finish()
        assert 3 * len(large) < there.octets < 3 * len(large) * 1.01
        with round_trips(shared, tmp_path) as back:
            found = await blobs.read("one", len(large) - 5, 10)
        assert found == large[-5:] + large[:5]
        assert 2 * len(large) < back.octets < 2 * len(large) * 1.01
        assert back.count == 1
    finally:
        shared.close()
