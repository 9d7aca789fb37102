"""Messages that come into a mailbox: once each, within the quota, under a key that will be there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.storage.mailboxes.faults import BlobsCollected, KeyChanged, NoFolder, NoMailbox, OverQuota, TooManyKeywords
from gateway.storage.mailboxes.model import FLAGGED, MOST_KEYWORDS, SEEN, NewMessage
from gateway.storage.postgres.connection import Database
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.shared import Shared
from gateway.storage.sharing import SharedStore
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_rows import KEY, NEXT, add, content_of, mailbox_in, store_on
from tests.fakes.round_trips import round_trips


async def test_a_message_is_in_the_inbox_with_all_that_is_known_of_it(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    content = await content_of(store, mailbox.id, size=250, blobs=2)
    message = NewMessage(content=content, date=1234.5, flags=SEEN, keywords=("$Work",))
    assert await store.add(mailbox.id, None, [message]) == [1]
    inbox = await store.folder(mailbox.id)
    assert inbox is not None
    assert (inbox.uid_next, inbox.exists, inbox.unseen, inbox.keywords) == (2, 1, 0, ("$Work",))
    [(entry, found)] = await store.fetch(inbox.id, [1])
    assert (entry.uid, entry.flags, entry.date, entry.size) == (1, SEEN | 256, 1234.5, 250)
    assert found == content
    assert await store.contents([content.id]) == {content.id: content}
    [(_, without)] = await store.fetch(inbox.id, [1, 2], head=False)
    assert without == replace(content, head=b"")
    now = await store.get(mailbox.id)
    assert now is not None
    assert (now.used, now.messages) == (250, 1)
    assert (await store.blobs_waiting())["intended"] == 14  # Reserved in advance; two of them are a content's now.


async def test_a_delivery_that_comes_twice_is_added_once(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    first = NewMessage(content=await content_of(store, mailbox.id), date=1.0, token=b"t" * 16)
    assert await store.add(mailbox.id, None, [first]) == [1]
    again = replace(first, content=await content_of(store, mailbox.id))
    other = NewMessage(content=await content_of(store, mailbox.id), date=1.0, token=b"u" * 16)
    assert await store.add(mailbox.id, None, [again, other]) == [1, 2]
    # Whether the caller heard of the first time or not: the very same is no garbage.
    assert await store.add(mailbox.id, None, [first]) == [1]
    assert await store.garbage(10) == list(again.content.blobs)
    now = await store.get(mailbox.id)
    assert now is not None
    assert now.messages == 2


async def test_an_expunged_delivery_does_not_come_back(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    first = NewMessage(content=await content_of(store, mailbox.id), date=1.0, flags=8, token=b"t" * 16)
    await store.add(mailbox.id, None, [first])
    inbox = await store.folder(mailbox.id)
    assert inbox is not None
    assert await store.expunge(inbox.id) == [1]
    again = replace(first, content=await content_of(store, mailbox.id))
    assert await store.add(mailbox.id, None, [again]) == [1]
    assert len(await store.entries(inbox.id)) == 0


async def test_one_token_in_two_messages_of_one_call_is_a_fault_of_the_caller(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    one = NewMessage(content=await content_of(store, mailbox.id), date=1.0, token=b"t")
    two = replace(one, content=await content_of(store, mailbox.id))
    with pytest.raises(ValueError, match="one token"):
        await store.add(mailbox.id, None, [one, two])


async def test_one_content_stands_in_two_folders(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    content = await content_of(store, mailbox.id)
    message = NewMessage(content=content, date=1.0, flags=8)
    assert await store.add(mailbox.id, None, [message, message]) == [1, 2]
    inbox = await store.folder(mailbox.id)
    assert inbox is not None
    await store.expunge(inbox.id, [1])
    assert await store.garbage(10) == []
    await store.expunge(inbox.id, [2])
    assert await store.garbage(10) == list(content.blobs)
    assert await store.contents([content.id]) == {}


async def test_the_quota_is_kept_to_the_octet_and_nothing_is_half_added(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store, quota=300)
    assert await add(store, mailbox.id, 2) == [1, 2]
    with pytest.raises(OverQuota, match=r"200 of 300 octets, and 101 more"):
        await add(store, mailbox.id, size=101)
    assert await add(store, mailbox.id) == [3]
    with pytest.raises(OverQuota):
        await add(store, mailbox.id, size=1)
    assert await store.set_quota(mailbox.id, None)
    assert await add(store, mailbox.id, size=1) == [4]


async def test_a_content_under_a_key_that_is_gone_is_refused(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    assert await store.assign(mailbox, KEY, NEXT)
    old = NewMessage(content=await content_of(store, mailbox.id, version=1), date=1.0)
    new = NewMessage(content=await content_of(store, mailbox.id, version=2), date=1.0)
    assert await store.add(mailbox.id, None, [new]) == [1]
    assert await store.finish_roll(mailbox.id)
    with pytest.raises(KeyChanged):
        await store.add(mailbox.id, None, [old])


async def test_blobs_that_may_be_deleted_are_not_built_upon(shared: SharedStore) -> None:
    clock = FakeClock()
    store = store_on(shared, clock)
    mailbox = await mailbox_in(store)
    content = await content_of(store, mailbox.id, blobs=2)
    await clock.advance(90_000)
    assert set(content.blobs) <= set(await store.garbage(1000))
    with pytest.raises(BlobsCollected):
        await store.add(mailbox.id, None, [NewMessage(content=content, date=1.0)])


async def test_nothing_is_added_where_there_is_no_mailbox_or_folder(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox, other = await mailbox_in(store), await mailbox_in(store, "bob@corp.example")
    content = await content_of(store, mailbox.id)
    theirs = await store.folder(other.id)
    assert theirs is not None
    with pytest.raises(NoFolder):
        await store.add(mailbox.id, theirs.id, [NewMessage(content=content, date=1.0)])
    with pytest.raises(ValueError, match="of the mailbox"):
        await store.add(other.id, None, [NewMessage(content=content, date=1.0)])
    await store.remove(mailbox.id)
    with pytest.raises(NoMailbox):
        await store.add(mailbox.id, None, [NewMessage(content=content, date=1.0)])


async def test_keywords_come_to_an_end(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    words = tuple(f"word{number}" for number in range(MOST_KEYWORDS))
    assert await add(store, mailbox.id, keywords=words, flags=FLAGGED) == [1]
    inbox = await store.folder(mailbox.id)
    assert inbox is not None
    [entry] = await store.entries_of(inbox.id, [1])
    assert entry.flags == (1 << 63) - 256 | FLAGGED
    with pytest.raises(TooManyKeywords):
        await add(store, mailbox.id, keywords=("one more",))
    assert await add(store, mailbox.id, keywords=("WORD1",)) == [2]


@pytest.fixture
def other_shared(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SharedStore]:
    """The same database as another process has it open."""
    other: SharedStore
    if engine == "sqlite":
        other = Shared(tmp_path / "shared.db")
    else:
        other = PostgresShared(Database.at(request.getfixturevalue("postgres")))
    yield other
    other.close()


async def test_two_processes_fill_two_mailboxes_at_once(shared: SharedStore, other_shared: SharedStore) -> None:
    stores = [store_on(shared, seed="one"), store_on(other_shared, seed="other")]
    mailboxes = [await mailbox_in(stores[0]), await mailbox_in(stores[0], "bob@corp.example")]
    # Each process in another order: neither may wait for what the other holds.
    works = [add(stores[process], mailboxes[(number + process) % 2].id) for number in range(20) for process in range(2)]
    uids = await asyncio.gather(*works)
    assert sorted(uid for one in uids for uid in one) == sorted([*range(1, 21)] * 2)
    for mailbox in await stores[0].all_mailboxes():
        assert (mailbox.messages, mailbox.used) == (20, 2000)


async def test_messages_of_one_moment_are_added_together_and_judged_each(shared: SharedStore) -> None:
    store = store_on(shared)
    ida = await mailbox_in(store, quota=350)
    bob = await mailbox_in(store, "bob@corp.example")
    archive = await store.create_folder(bob.id, "2026")

    async def one(mailbox: int, **more: object) -> NewMessage:
        return NewMessage(content=await content_of(store, mailbox), date=1.0, **more)  # type: ignore[arg-type]

    twice = await one(bob.id, token=b"t" * 16)
    again = replace(twice, content=await content_of(store, bob.id))
    old = replace(await one(bob.id), content=await content_of(store, bob.id, version=9))
    works = [
        (ida.id, None, [await one(ida.id), await one(ida.id, flags=SEEN)]),
        (bob.id, None, [twice]),
        (ida.id, None, [await one(ida.id), await one(ida.id)]),  # Too much, behind the two.
        (bob.id, archive.id, [await one(bob.id, keywords=("$Work",)), await one(bob.id, keywords=("$Work", "$Home"))]),
        (bob.id, None, [again]),
        (ida.id, archive.id, [await one(ida.id)]),
        (bob.id, None, [old]),
        (ida.id, None, [await one(ida.id)]),
        (bob.id, None, [await one(bob.id)]),
        (17, None, []),
    ]
    found = await asyncio.gather(*(store.add(*work) for work in works), return_exceptions=True)
    refused = {2: OverQuota, 5: NoFolder, 6: KeyChanged, 9: NoMailbox}
    assert {place: type(one) for place, one in enumerate(found) if isinstance(one, Exception)} == refused
    # Of each mailbox in the order in which they came.
    assert [one for one in found if isinstance(one, list)] == [[1, 2], [1], [1, 2], [1], [3], [2]]
    inboxes = [await store.folder(one.id) for one in (ida, bob)]
    assert [(one.exists, one.unseen, one.uid_next) for one in inboxes if one] == [(3, 2, 4), (2, 2, 3)]
    there = await store.folder_now(archive.id)
    assert there is not None
    assert (there.exists, there.keywords) == (2, ("$Work", "$Home"))
    entries = await store.entries_of(archive.id, [1, 2])
    assert [(entry.flags, entry.modseq) for entry in entries] == [(256, there.modseq), (768, there.modseq)]
    now = await store.get_many([ida.id, bob.id])
    assert [(now[one.id].used, now[one.id].messages) for one in (ida, bob)] == [(300, 3), (400, 4)]
    assert await store.garbage(10) == list(again.content.blobs)
    assert await store.arrived(bob.id, [b"t" * 16, b"u" * 16]) == {b"t" * 16: 1}


async def test_what_is_built_on_blobs_that_may_be_deleted_holds_up_nobody_else(shared: SharedStore) -> None:
    clock = FakeClock()
    store = store_on(shared, clock)
    mailbox = await mailbox_in(store)
    late = await content_of(store, mailbox.id, blobs=2)
    await clock.advance(90_000)
    assert set(late.blobs) <= set(await store.garbage(1000))
    good = await content_of(store, mailbox.id)
    found = await asyncio.gather(
        *(store.add(mailbox.id, None, [NewMessage(content=one, date=1.0)]) for one in (late, good)),
        return_exceptions=True,
    )
    assert isinstance(found[0], BlobsCollected)
    assert found[1] == [1]
    assert [row.id for row in (await store.contents([late.id, good.id])).values()] == [good.id]


@pytest.fixture
def postgres_shared(postgres: str) -> Iterator[PostgresShared]:
    shared = PostgresShared(Database.at(postgres))
    yield shared
    shared.close()


@pytest.mark.parametrize("count", [1, 20])
async def test_a_delivery_costs_three_round_trips_and_many_at_once_no_more(
    postgres_shared: PostgresShared, tmp_path: Path, count: int
) -> None:
    store = store_on(postgres_shared)
    mailboxes = [await mailbox_in(store), await mailbox_in(store, "bob@corp.example")]
    works = []
    for number in range(count):
        mailbox = mailboxes[number % 2].id
        content = await content_of(store, mailbox, blobs=3)
        works.append((mailbox, None, [NewMessage(content=content, date=1.0, token=bytes([number]) * 16)]))
    with round_trips(postgres_shared, tmp_path) as trips:
        await asyncio.gather(*(store.add(*work) for work in works))
    assert trips.count == 3  # What is there, what comes of it, COMMIT.


async def test_a_question_costs_one_round_trip_and_octets_come_as_they_are(
    postgres_shared: PostgresShared, tmp_path: Path
) -> None:
    store = store_on(postgres_shared)
    mailbox = await mailbox_in(store)
    content = replace(await content_of(store, mailbox.id), head=b"h" * 100_000)
    with round_trips(postgres_shared, tmp_path) as trips:
        await store.add(mailbox.id, None, [NewMessage(content=content, date=1.0)])
    assert trips.octets < 110_000
    inbox = await store.folder(mailbox.id)
    assert inbox is not None
    with round_trips(postgres_shared, tmp_path) as trips:
        [(_, found)] = await store.fetch(inbox.id, [1])
    assert (found, trips.count) == (content, 1)
    assert trips.octets < 110_000
