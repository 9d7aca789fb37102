"""Folders: made with those above them, renamed with those below them, deleted at once."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest

from gateway.storage.mailboxes import folder_rows, folder_store
from gateway.storage.mailboxes.driver import Driver
from gateway.storage.mailboxes.faults import FolderRefused, FolderThere, NoFolder, NoMailbox
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.sharing import SharedStore
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_rows import add, mailbox_in, store_on
from tests.fakes.meanwhile import Meanwhile


async def names(store: MailboxStore, mailbox: int) -> list[str]:
    return [one.name for one in await store.folders(mailbox)]


async def test_a_new_mailbox_has_the_folders_that_programs_look_for(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    found = await store.folders(mailbox.id)
    assert [(one.name, one.special_use, one.subscribed) for one in found] == [
        ("INBOX", None, True),
        ("Archive", "\\Archive", True),
        ("Drafts", "\\Drafts", True),
        ("Junk", "\\Junk", True),
        ("Sent", "\\Sent", True),
        ("Trash", "\\Trash", True),
    ]
    assert all((one.uid_next, one.exists, one.unseen, one.keywords) == (1, 0, 0, ()) for one in found)
    assert await store.folder(mailbox.id, "inbox") == found[0]


async def test_a_folder_is_made_with_those_above_it(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    made = await store.create_folder(mailbox.id, "Kunden/Köln/2026", subscribed=True)
    assert made.name == "Kunden/Köln/2026"
    assert [one for one in await names(store, mailbox.id) if one.startswith("K")] == [
        "Kunden",
        "Kunden/Köln",
        "Kunden/Köln/2026",
    ]
    with pytest.raises(FolderThere):
        await store.create_folder(mailbox.id, "Kunden/Köln")
    with pytest.raises(FolderThere):
        await store.create_folder(mailbox.id, "inBox")


@pytest.mark.parametrize("name", ["", "/", "a/", "/a", "a//b", "a\0b", "a\n", "x" * 1001, "\ud800", "/".join("a" * 51)])
async def test_a_name_that_no_folder_can_have_is_refused(name: str) -> None:
    with pytest.raises(FolderRefused):
        folder_rows.checked(name)


async def test_a_folder_is_renamed_with_all_below_it(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    old = await store.create_folder(mailbox.id, "a/b")
    await store.create_folder(mailbox.id, "ab")
    await add(store, mailbox.id, folder=old.id)
    await store.rename_folder(mailbox.id, "a", "z/y")
    assert [one for one in await names(store, mailbox.id) if one[0] in "az"] == ["ab", "z", "z/y", "z/y/b"]
    moved = await store.folder(mailbox.id, "z/y/b")
    assert moved is not None
    assert (moved.id, moved.uid_validity, moved.exists) == (old.id, old.uid_validity, 1)
    with pytest.raises(FolderThere):
        await store.rename_folder(mailbox.id, "z/y", "ab")
    with pytest.raises(FolderRefused):
        await store.rename_folder(mailbox.id, "z", "z/y/x")
    with pytest.raises(NoFolder):
        await store.rename_folder(mailbox.id, "a", "b")


async def test_a_renamed_inbox_leaves_what_it_holds_and_is_there_again(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await add(store, mailbox.id, 2)
    await store.create_folder(mailbox.id, "INBOX/below")
    before = await store.folder(mailbox.id)
    renamed = await store.rename_folder(mailbox.id, "INBOX", "old mail")
    inbox = await store.folder(mailbox.id)
    assert inbox is not None
    assert before is not None
    assert (renamed.id, renamed.exists) == (before.id, 2)
    assert (inbox.exists, inbox.uid_validity > before.uid_validity) == (0, True)
    assert "INBOX/below" in await names(store, mailbox.id)
    assert await add(store, mailbox.id) == [1]


async def test_a_deleted_folder_is_gone_with_what_lay_in_it(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    folder = await store.create_folder(mailbox.id, "a")
    await store.create_folder(mailbox.id, "a/b")
    await add(store, mailbox.id, 3, folder=folder.id)
    await store.delete_folder(mailbox.id, "a")
    assert [one for one in await names(store, mailbox.id) if one[0] == "a"] == ["a/b"]
    assert await store.folder_now(folder.id) is None
    assert await store.revisions([folder.id]) == {}
    assert len(await store.entries(folder.id)) == 0
    assert len(await store.garbage(10)) == 3
    now = await store.get(mailbox.id)
    assert now is not None
    assert (now.used, now.messages) == (0, 0)
    with pytest.raises(NoFolder):
        await store.delete_folder(mailbox.id, "a")
    with pytest.raises(FolderRefused):
        await store.delete_folder(mailbox.id, "Inbox")


async def test_a_folder_made_anew_has_a_greater_uidvalidity(shared: SharedStore) -> None:
    store = store_on(shared, FakeClock())
    mailbox = await mailbox_in(store)
    given = set()
    for _ in range(3):  # All within one second.
        given.add((await store.create_folder(mailbox.id, "a")).uid_validity)
        await store.delete_folder(mailbox.id, "a")
    assert len(given) == 3


async def test_subscriptions_are_kept(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    assert await store.subscribe(mailbox.id, "Junk", False)
    assert not await store.subscribe(mailbox.id, "nowhere", True)
    junk = await store.folder(mailbox.id, "Junk")
    assert junk is not None
    assert (junk.subscribed, junk.special_use) == (False, "\\Junk")


async def test_there_is_an_end_of_folders(shared: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_store, "MOST_FOLDERS", 8)
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await store.create_folder(mailbox.id, "a/b")
    with pytest.raises(FolderRefused):
        await store.create_folder(mailbox.id, "a/c")
    with pytest.raises(FolderRefused):
        await store.rename_folder(mailbox.id, "INBOX", "b")
    assert len(await store.folders(mailbox.id)) == 8


@pytest.mark.parametrize("name", ["a", "a/b"])
async def test_a_keyword_that_is_set_while_its_folder_is_renamed_is_kept(meanwhile: Meanwhile, name: str) -> None:
    """Else the next keyword would get its bit, and stand on messages that nobody gave it to."""
    store, other = store_on(meanwhile.here), store_on(meanwhile.there, seed="another process")
    mailbox = await mailbox_in(store)
    await store.create_folder(mailbox.id, "a/b")
    there = await store.folder(mailbox.id, name)
    assert there is not None

    def set_keyword(driver: Driver) -> None:
        other._bits(driver, other._folder(driver, there.id, lock=True), ["red"])

    await meanwhile.over(set_keyword, store.rename_folder(mailbox.id, "a", "c"))
    renamed = await store.folder_now(there.id)
    assert renamed is not None
    assert (renamed.name, renamed.keywords) == ("c" + name[1:], ("red",))


@pytest.mark.parametrize("name", ["a", "a/b"])
async def test_a_folder_that_is_deleted_while_it_is_renamed_stays_deleted(meanwhile: Meanwhile, name: str) -> None:
    store, other = store_on(meanwhile.here), store_on(meanwhile.there, seed="another process")
    mailbox = await mailbox_in(store)
    await store.create_folder(mailbox.id, "a/b")

    def delete(driver: Driver) -> None:
        there = other._folder_named(driver, mailbox.id, name, lock=True)
        assert there is not None
        driver.do("UPDATE mailbox_folders SET token=NULL WHERE id=?", there.id)

    with pytest.raises(NoFolder) if name == "a" else nullcontext():
        await meanwhile.over(delete, store.rename_folder(mailbox.id, "a", "c"))
    left = [one for one in await names(store, mailbox.id) if one[0] in "ac"]
    assert left == (["a/b"] if name == "a" else ["c"])


async def test_one_name_made_by_several_at_once_is_one_folder(shared: SharedStore) -> None:
    stores = [store_on(shared, seed=f"process {number}") for number in range(4)]
    mailbox = await mailbox_in(stores[0])
    made = await asyncio.gather(*(one.create_folder(mailbox.id, "a") for one in stores), return_exceptions=True)
    assert sorted(type(one).__name__ for one in made) == ["Folder", "FolderThere", "FolderThere", "FolderThere"]
    with pytest.raises(NoMailbox):
        await stores[0].create_folder(mailbox.id + 1, "a")
