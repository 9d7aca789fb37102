"""Messages in folders: flags and their modseqs, what changed since when, what goes."""

from __future__ import annotations

import asyncio
from array import array

import pytest

from gateway.storage.mailboxes import message_store
from gateway.storage.mailboxes.faults import NoFolder, TooManyKeywords
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import ANSWERED, DELETED, FLAGGED, SEEN, Entries, FlagChange, Folder
from gateway.storage.sharing import SharedStore
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_rows import add, mailbox_in, store_on

DAY = 86_400.0


async def inbox_of(store: MailboxStore, count: int = 0, *, flags: int = 0) -> Folder:
    mailbox = await mailbox_in(store)
    if count:
        await add(store, mailbox.id, count, flags=flags)
    inbox = await store.folder(mailbox.id)
    assert inbox is not None
    return inbox


async def now(store: MailboxStore, folder: Folder) -> Folder:
    found = await store.folder_now(folder.id)
    assert found is not None
    return found


async def test_entries_are_packed_and_rise(shared: SharedStore) -> None:
    store = store_on(shared)
    inbox = await inbox_of(store, 3, flags=FLAGGED)
    entries = await store.entries(inbox.id)
    assert entries == Entries(array("I", [1, 2, 3]), array("q", [4, 4, 4]), array("q", [2, 2, 2]))
    assert (entries.uids.itemsize, entries.flags.itemsize, entries.modseqs.itemsize) == (4, 8, 8)
    measures = await store.measures(inbox.id)
    assert (list(measures.uids), list(measures.dates), list(measures.sizes)) == (
        [1, 2, 3],
        [1000, 1001, 1002],
        [100, 100, 100],
    )
    assert len(await store.entries(inbox.id + 1)) == 0


async def test_flags_are_added_removed_and_replaced(shared: SharedStore) -> None:
    store = store_on(shared)
    inbox = await inbox_of(store, 4)
    assert inbox.unseen == 4
    added = await store.set_flags(inbox.id, [1, 2, 9], FlagChange.ADD, SEEN | ANSWERED, ["$Work"])
    assert added.changed == Entries(array("I", [1, 2]), array("q", [259, 259]), array("q", [3, 3]))
    assert (added.failed, added.modseq) == ((), 3)
    removed = await store.set_flags(inbox.id, [2, 3], FlagChange.REMOVE, ANSWERED, ["$WORK", "$unknown"])
    assert (list(removed.changed.uids), list(removed.changed.flags)) == ([2], [SEEN])
    replaced = await store.set_flags(inbox.id, [1, 4], FlagChange.REPLACE, FLAGGED)
    assert (list(replaced.changed.uids), list(replaced.changed.flags)) == ([1, 4], [FLAGGED, FLAGGED])
    after = await now(store, inbox)
    assert (after.unseen, after.modseq, after.keywords) == (3, 5, ("$Work",))


async def test_flags_that_are_so_already_make_no_change(shared: SharedStore) -> None:
    store = store_on(shared)
    inbox = await inbox_of(store, 2, flags=SEEN)
    for change, flags in ((FlagChange.ADD, SEEN), (FlagChange.REMOVE, FLAGGED), (FlagChange.REPLACE, SEEN)):
        same = await store.set_flags(inbox.id, [1, 2], change, flags)
        assert (len(same.changed), same.failed, same.modseq) == (0, (), 2)
    assert await store.revisions([inbox.id]) == {inbox.id: 2}
    nothing = await store.set_flags(inbox.id, [], FlagChange.ADD, SEEN)
    assert (len(nothing.changed), nothing.modseq) == (0, 2)


async def test_what_changed_meanwhile_is_left_where_that_was_asked(shared: SharedStore) -> None:
    store = store_on(shared)
    inbox = await inbox_of(store, 3)
    before = inbox.modseq
    await store.set_flags(inbox.id, [2], FlagChange.ADD, FLAGGED)
    done = await store.set_flags(inbox.id, [1, 2, 3], FlagChange.ADD, SEEN, unchanged_since=before)
    assert (list(done.changed.uids), done.failed) == ([1, 3], (2,))
    none = await store.set_flags(inbox.id, [2], FlagChange.ADD, SEEN, unchanged_since=before)
    assert (len(none.changed), none.failed) == (0, (2,))


async def test_many_flags_are_set_in_several_transactions(shared: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_store, "FLAGGED_AT_ONCE", 20)
    monkeypatch.setattr(message_store, "EXPUNGED_AT_ONCE", 20)
    store = store_on(shared)
    inbox = await inbox_of(store, 50)
    done = await store.set_flags(inbox.id, range(1, 51), FlagChange.ADD, SEEN | DELETED)
    assert list(done.changed.uids) == list(range(1, 51))
    assert done.modseq == inbox.modseq + 3
    assert (await now(store, inbox)).unseen == 0
    assert await store.expunge(inbox.id, range(1, 46)) == list(range(1, 46))
    assert await store.expunge(inbox.id) == [46, 47, 48, 49, 50]
    assert (await now(store, inbox)).exists == 0


async def test_a_keyword_too_many_changes_nothing(shared: SharedStore) -> None:
    store = store_on(shared)
    inbox = await inbox_of(store, 1)
    words = [f"word{number}" for number in range(56)]
    with pytest.raises(TooManyKeywords):
        await store.set_flags(inbox.id, [1], FlagChange.ADD, SEEN, words)
    with pytest.raises(TooManyKeywords):
        await store.set_flags(inbox.id, [1], FlagChange.ADD, SEEN, ["w" * 101])
    assert await now(store, inbox) == inbox


async def test_only_what_is_marked_as_deleted_is_expunged(shared: SharedStore) -> None:
    store = store_on(shared)
    inbox = await inbox_of(store, 5)
    await store.set_flags(inbox.id, [2, 3, 5], FlagChange.ADD, DELETED)
    assert await store.expunge(inbox.id, [1, 2, 3]) == [2, 3]
    assert await store.expunge(inbox.id) == [5]
    assert await store.expunge(inbox.id) == []
    after = await now(store, inbox)
    assert (after.exists, after.unseen, after.uid_next) == (2, 2, 6)
    mailbox = await store.get(inbox.mailbox)
    assert mailbox is not None
    assert (mailbox.used, mailbox.messages) == (200, 2)
    assert len(await store.garbage(10)) == 3


async def test_changes_tell_what_is_new_other_and_gone(shared: SharedStore) -> None:
    store = store_on(shared)
    inbox = await inbox_of(store, 4)
    since = inbox.modseq
    await store.set_flags(inbox.id, [1], FlagChange.ADD, SEEN)
    await store.set_flags(inbox.id, [2, 3], FlagChange.ADD, DELETED)
    await store.expunge(inbox.id)
    await add(store, inbox.mailbox)
    changes = await store.changes(inbox.id, since)
    assert (list(changes.entries.uids), list(changes.entries.flags)) == ([1, 5], [SEEN, 0])
    assert (changes.expunged, changes.complete) == ((2, 3), True)
    assert await store.revisions([inbox.id, inbox.id + 1]) == {inbox.id: changes.modseq}
    nothing = await store.changes(inbox.id, changes.modseq)
    assert (len(nothing.entries), nothing.expunged) == (0, ())
    with pytest.raises(NoFolder):
        await store.changes(inbox.id + 1, 0)


async def test_what_went_long_ago_is_no_longer_told(shared: SharedStore) -> None:
    clock = FakeClock()
    store = store_on(shared, clock)
    inbox = await inbox_of(store, 3, flags=DELETED)
    since = inbox.modseq
    await store.expunge(inbox.id, [1])
    between = (await now(store, inbox)).modseq
    await clock.advance(8 * DAY)
    await store.expunge(inbox.id, [2])
    await store.trim()
    old, young = await store.changes(inbox.id, since), await store.changes(inbox.id, between)
    assert (old.complete, old.expunged) == (False, (2,))
    assert (young.complete, young.expunged) == (True, (2,))


async def test_one_folder_flagged_by_many_at_once_counts_right(shared: SharedStore) -> None:
    store = store_on(shared)
    inbox = await inbox_of(store, 10)
    changes = [FlagChange.ADD if place % 3 else FlagChange.REMOVE for place in range(30)]
    await asyncio.gather(
        *(store.set_flags(inbox.id, [place % 10 + 1], change, SEEN) for place, change in enumerate(changes))
    )
    entries = await store.entries(inbox.id)
    assert (await now(store, inbox)).unseen == sum(1 for flags in entries.flags if not flags & SEEN)
