"""Contents wrapped under a mailbox's next key, in batches, while mail comes and goes."""

from __future__ import annotations

from dataclasses import replace

from gateway.storage.mailboxes.model import ContentRow, NewMessage
from gateway.storage.sharing import SharedStore
from tests.fakes.mailbox_rows import KEY, NEXT, add, content_of, mailbox_in, store_on


def rewrapped(row: ContentRow) -> ContentRow:
    return replace(row, key_version=2, map=b"anew " + row.map, head=b"anew " + row.head)


async def test_a_roll_goes_on_where_it_was_ended(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await add(store, mailbox.id, 5)
    assert not await store.finish_roll(mailbox.id)
    now = await store.get(mailbox.id)
    assert now is not None
    assert await store.assign(now, KEY, NEXT)
    new = NewMessage(content=await content_of(store, mailbox.id, version=2), date=1.0)
    await store.add(mailbox.id, None, [new])
    done = 0
    while rows := await store.contents_under_older(mailbox.id, 2, limit=2):
        assert await store.contents_left(mailbox.id, 2) == 5 - done
        assert not await store.finish_roll(mailbox.id)
        done += await store.rewrap([(row, rewrapped(row)) for row in rows])
    assert done == 5
    assert await store.finish_roll(mailbox.id)
    after = await store.get(mailbox.id)
    assert after is not None
    assert (after.key, after.next_key, after.policy) == (NEXT, None, NEXT.policy)
    assert not await store.finish_roll(mailbox.id)


async def test_a_content_rewrapped_by_somebody_else_is_left_alone(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await add(store, mailbox.id, 2)
    rows = await store.contents_under_older(mailbox.id, 2)
    assert await store.rewrap([(rows[0], rewrapped(rows[0]))]) == 1
    other = replace(rewrapped(rows[0]), map=b"of another process")
    assert await store.rewrap([(rows[0], other), (rows[1], rewrapped(rows[1]))]) == 1
    found = await store.contents([row.id for row in rows] + [b"?" * 16])
    assert found == {row.id: rewrapped(row) for row in rows}
