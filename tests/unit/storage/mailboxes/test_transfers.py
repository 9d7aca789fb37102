"""Messages copied and moved: contents shared, keywords kept, counts right."""

from __future__ import annotations

import pytest

from gateway.storage.mailboxes.driver import Driver
from gateway.storage.mailboxes.faults import NoFolder, OverQuota
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import DELETED, FLAGGED, SEEN, Copied, FlagChange, Folder, Mailbox
from gateway.storage.sharing import SharedStore
from tests.fakes.mailbox_rows import add, mailbox_in, store_on


async def folders(store: MailboxStore, mailbox: Mailbox) -> tuple[Folder, Folder]:
    inbox, archive = await store.folder(mailbox.id), await store.folder(mailbox.id, "Archive")
    assert inbox is not None
    assert archive is not None
    return inbox, archive


async def test_a_copy_shares_its_content_until_both_are_gone(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await add(store, mailbox.id, 3, flags=SEEN | FLAGGED)
    inbox, archive = await folders(store, mailbox)
    copied = await store.copy(inbox.id, [3, 1, 8], archive.id)
    assert copied == Copied(archive.uid_validity, (1, 3), (1, 2))
    here, there = await store.entries_of(inbox.id, [1, 3]), await store.entries_of(archive.id, [1, 2])
    assert [(one.content, one.flags, one.date, one.size) for one in here] == [
        (one.content, one.flags, one.date, one.size) for one in there
    ]
    now = await store.get(mailbox.id)
    assert now is not None
    assert (now.used, now.messages) == (500, 5)
    await store.set_flags(inbox.id, [1], FlagChange.ADD, DELETED)
    await store.expunge(inbox.id)
    assert await store.garbage(10) == []
    await store.set_flags(archive.id, [1, 2], FlagChange.ADD, DELETED)
    await store.expunge(archive.id)
    assert len(await store.garbage(10)) == 1  # The other one is in the inbox still.


async def test_a_message_copied_into_its_own_folder_and_twice_from_there_is_counted(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await add(store, mailbox.id)
    inbox, archive = await folders(store, mailbox)
    assert (await store.copy(inbox.id, [1], inbox.id)).targets == (2,)
    assert (await store.copy(inbox.id, [1, 2], archive.id)).targets == (1, 2)
    for folder in (inbox, archive):
        await store.set_flags(folder.id, [1, 2], FlagChange.ADD, DELETED)
        assert await store.garbage(10) == []
        await store.expunge(folder.id)
    assert len(await store.garbage(10)) == 1


async def test_one_content_many_times_over_is_counted_in_few_statements(
    shared: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a small message copied onto itself until there are a hundred thousand; a statement for each would hold
    the database for minutes, and everybody's mail with it.
    """
    done: list[str] = []
    do = Driver.do

    def counted(driver: Driver, statement: str, *values: object) -> int:
        done.append(statement)
        return do(driver, statement, *values)

    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await add(store, mailbox.id, 2)
    inbox, archive = await folders(store, mailbox)
    for count in (2, 4, 8, 16, 32, 64):
        await store.copy(inbox.id, range(1, count + 1), inbox.id)
    uids = list((await store.entries(inbox.id)).uids)
    assert len(uids) > 100
    monkeypatch.setattr(Driver, "do", counted)
    await store.copy(inbox.id, uids, archive.id)
    assert sum("refs=refs" in one for one in done) == 1
    for folder in (inbox, archive):
        assert await store.garbage(10) == []
        await store.set_flags(folder.id, uids, FlagChange.ADD, DELETED)
        assert len(await store.expunge(folder.id)) == len(uids)
    assert len(await store.garbage(10)) == 2


async def test_keywords_go_along_under_the_bits_of_the_target(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    inbox, archive = await folders(store, mailbox)
    await add(store, mailbox.id, folder=archive.id, keywords=("Other", "Third"))
    await add(store, mailbox.id, keywords=("First",))
    await add(store, mailbox.id, keywords=("Third", "First"), flags=SEEN)
    await store.copy(inbox.id, [1], archive.id)
    await store.move(inbox.id, [2], archive.id)
    _, archive = await folders(store, mailbox)
    assert archive.keywords == ("Other", "Third", "First")
    assert [one.flags >> 8 for one in await store.entries_of(archive.id, [1, 2, 3])] == [0b11, 0b100, 0b110]
    assert [one.flags & 255 for one in await store.entries_of(archive.id, [1, 2, 3])] == [0, 0, SEEN]


async def test_a_moved_message_is_gone_where_it_was(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store, quota=300)
    await add(store, mailbox.id, 3)
    inbox, archive = await folders(store, mailbox)
    assert await store.move(inbox.id, [1, 3], archive.id) == Copied(archive.uid_validity, (1, 3), (1, 2))
    changes = await store.changes(inbox.id, inbox.modseq)
    assert (changes.expunged, len(changes.entries)) == ((1, 3), 0)
    now = await store.get(mailbox.id)
    assert now is not None
    assert (now.used, now.messages) == (300, 3)  # As much as the quota allows: moving needs no room.
    after = await folders(store, mailbox)
    assert [(one.exists, one.unseen) for one in after] == [(1, 1), (2, 2)]
    assert await store.garbage(10) == []
    assert (await store.move(archive.id, [1], archive.id)).targets == (3,)
    assert list((await store.entries(archive.id)).uids) == [2, 3]


async def test_nothing_is_copied_over_the_quota_or_into_another_mailbox(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox, other = await mailbox_in(store, quota=350), await mailbox_in(store, "bob@corp.example")
    await add(store, mailbox.id, 2)
    inbox, archive = await folders(store, mailbox)
    with pytest.raises(OverQuota):
        await store.copy(inbox.id, [1, 2], archive.id)
    theirs, _ = await folders(store, other)
    with pytest.raises(NoFolder):
        await store.move(inbox.id, [1], theirs.id)
    assert await folders(store, mailbox) == (inbox, archive)
    assert (await store.copy(inbox.id, [], archive.id)).targets == ()
