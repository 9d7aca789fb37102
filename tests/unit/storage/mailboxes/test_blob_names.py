"""Names of blobs: on disk before they are used, given once, and known when nobody needs their blobs any more."""

from __future__ import annotations

import asyncio

import pytest

from gateway.storage.mailboxes import blob_names
from gateway.storage.mailboxes.driver import Driver
from gateway.storage.sharing import SharedStore
from gateway.storage.writer import StorageBroken
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_rows import add, mailbox_in, store_on


async def test_names_are_given_once_and_are_on_disk(shared: SharedStore) -> None:
    store = store_on(shared)
    taken = await asyncio.gather(*(store.reserve(3) for _ in range(200)))
    names = {name for one in taken for name in one}
    assert len(names) == 600
    assert all(len(bytes.fromhex(name)) == 16 for name in names)
    assert (await store.blobs_waiting())["intended"] >= 600
    assert len(await store.reserve(1000)) == 1000


async def test_a_name_that_lay_ready_for_long_is_not_given(shared: SharedStore) -> None:
    clock = FakeClock()
    store = store_on(shared, clock)
    await store.reserve(1)
    await clock.advance(blob_names.FRESH + 1)
    later = await store.reserve(1)
    collected = await store.garbage(1000, clock.now() - 1)
    assert len(collected) == blob_names.FIRST
    assert later[0] not in collected


async def test_garbage_is_given_until_it_is_forgotten(shared: SharedStore) -> None:
    clock = FakeClock()
    store = store_on(shared, clock)
    mailbox = await mailbox_in(store)
    await add(store, mailbox.id, 3, flags=8)
    inbox = await store.folder(mailbox.id)
    assert inbox is not None
    await store.expunge(inbox.id)
    first = await store.garbage(2)
    assert len(first) == 2
    assert set(first) <= set(await store.garbage(10))
    await store.forget_garbage(first)
    assert len(left := await store.garbage(10)) == 1
    assert not set(left) & set(first)
    assert await store.garbage(10, gone=clock.now()) == []
    await clock.advance(1)
    assert await store.garbage(10, gone=clock.now()) == left


async def test_all_rows_are_looked_at_once_and_not_for_each_batch(
    shared: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large mailbox that was removed leaves a million names, and every write waits while they are looked at."""
    looked: list[int] = []
    do = Driver.do

    def counted(driver: Driver, statement: str, *values: object) -> int:
        looked.append(done := do(driver, statement, *values))
        return done

    clock = FakeClock()
    store = store_on(shared, clock)
    names = list(await store.reserve(10))
    await store.release(names[:7])
    await clock.advance(blob_names.INTENDED_FOR + 1)
    monkeypatch.setattr(Driver, "do", counted)
    first = await store.garbage(4)
    assert (len(first), looked) == (4, [])
    await store.forget_garbage(first)
    looked.clear()
    rest = await store.garbage(100)
    assert len(looked) == 1
    assert set(names) <= {*first, *rest}


async def test_what_is_released_is_garbage_at_once_and_what_was_added_is_not(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await add(store, mailbox.id)
    inbox = await store.folder(mailbox.id)
    assert inbox is not None
    [(_, content)] = await store.fetch(inbox.id, [1])
    names = await store.reserve(2)
    await store.release([*names, *content.blobs])
    assert sorted(await store.garbage(10)) == sorted(names)
    await store.forget_garbage(content.blobs)
    assert (await store.blobs_waiting())["garbage"] == 2


async def test_a_store_that_is_closed_is_told_to_each_who_needs_a_name(shared: SharedStore) -> None:
    store = store_on(shared)
    await store.reserve(1)
    shared.close()
    await store.reserve(13)  # Ready still; the refill that follows fails.
    both = await asyncio.gather(store.reserve(5), store.reserve(5), return_exceptions=True)
    assert [type(one) for one in both] == [StorageBroken, StorageBroken]
