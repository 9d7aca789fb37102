"""Mailboxes and their names: found, sealed, put under other keys by one row, removed without a trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from gateway.storage.mailboxes import mailbox_rows, sweep
from gateway.storage.mailboxes.faults import AddressTaken, NoMailbox
from gateway.storage.mailboxes.model import Mailbox, MailboxName, MailboxState, NameKind
from gateway.storage.sealer import SealBroken
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import SHARED, mailbox_names, mailboxes
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_rows import IDA, KEY, NEXT, add, mailbox_in, rows_counted, store_on

BOB = "bob@corp.example"


async def test_a_mailbox_is_found_by_each_of_its_names(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store, quota=5)
    assert (mailbox.address, mailbox.account, mailbox.key, mailbox.next_key) == (IDA, IDA, KEY, None)
    assert (mailbox.policy, mailbox.quota, mailbox.used, mailbox.messages) == (7, 5, 0, 0)
    bob = await mailbox_in(store, BOB)
    await store.add_alias(mailbox.id, "sales@corp.example")
    await store.add_alias(bob.id, "*@corp.example")
    asked = [IDA, "sales@corp.example", "*@corp.example", "nobody@corp.example"]
    assert await store.find_many(asked) == {asked[0]: mailbox, asked[1]: mailbox, asked[2]: bob}
    assert await store.find("nobody@corp.example") is None
    assert await store.get(bob.id) == bob
    assert await store.get(1) is None
    assert await store.of_account(BOB) == [bob]
    assert await store.all_mailboxes() == [mailbox, bob] or await store.all_mailboxes() == [bob, mailbox]
    assert await store.names(bob.id) == [
        MailboxName(BOB, NameKind.ADDRESS, bob.id),
        MailboxName("*@corp.example", NameKind.CATCH_ALL, bob.id),
    ]
    assert len(await store.all_names()) == 4


async def test_a_name_is_one_mailboxes_alone(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox, bob = await mailbox_in(store), await mailbox_in(store, BOB)
    with pytest.raises(AddressTaken, match=BOB):
        await store.add_alias(mailbox.id, BOB)
    with pytest.raises(AddressTaken):
        await mailbox_in(store)
    assert len(await store.all_mailboxes()) == 2
    assert not await store.remove_alias(bob.id, IDA)
    assert not await store.remove_alias(mailbox.id, IDA)  # An address goes with its mailbox alone.
    await store.add_alias(bob.id, "sales@corp.example")
    assert await store.remove_alias(bob.id, "sales@corp.example")
    assert await store.find("sales@corp.example") is None
    with pytest.raises(NoMailbox):
        await store.add_alias(1, "x@corp.example")


async def test_a_catch_all_changes_hands_in_one_commit_or_not_at_all(
    shared: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, name = store_on(shared), "*@corp.example"
    mailbox, bob = await mailbox_in(store), await mailbox_in(store, BOB)
    assert not await store.hand_over(name, mailbox.id)
    assert await store.hand_over(name, bob.id)
    assert await store.find(name) == bob and await store.names(mailbox.id) == [
        MailboxName(IDA, NameKind.ADDRESS, mailbox.id)
    ]
    assert await store.hand_over(name, bob.id), "to whom has it already"
    with pytest.raises(NoMailbox):
        await store.hand_over(name, 1)
    monkeypatch.setattr(mailbox_rows, "MOST_NAMES", 0)
    with pytest.raises(AddressTaken, match="no more than that"):
        await store.hand_over(name, mailbox.id)
    assert await store.find(name) == bob, "who had it has it still"
    assert await store.hand_over(name, None)
    assert await store.find(name) is None
    assert not await store.hand_over(name, None)


async def test_there_is_an_end_of_aliases(shared: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox_rows, "MOST_NAMES", 2)
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await store.add_alias(mailbox.id, "a@corp.example")
    await store.add_alias(mailbox.id, "b@corp.example")
    with pytest.raises(AddressTaken):
        await store.add_alias(mailbox.id, "c@corp.example")


async def test_another_key_is_one_row_whatever_lies_there(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await add(store, mailbox.id, 30)
    now = await store.get(mailbox.id)
    assert now is not None
    counts = rows_counted(store)
    other = replace(KEY, policy=9, octets=b"anew")
    assert await store.assign(now, other)
    assert counts == [1]
    assert not await store.assign(now, KEY)  # It was read before.
    assert counts == [1, 0]
    after = await store.get(mailbox.id)
    assert after == replace(now, policy=9, key=other)
    assert await store.all_mailboxes(policy=9) == [after]
    assert await store.all_mailboxes(policy=7) == []
    assert await store.assign(after, other, NEXT)
    assert [one.next_key for one in await store.all_mailboxes(policy=8)] == [NEXT]
    assert await store.mailboxes_under() == {9: 1}


async def test_looking_for_rolls_opens_no_row_of_any_other_mailbox(
    shared: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is done every ten seconds, and there may be a hundred thousand."""
    store = store_on(shared)
    mailboxes = [await mailbox_in(store, f"{number}@corp.example") for number in range(5)]
    for one in (mailboxes[1], mailboxes[3]):
        assert await store.assign(one, KEY, NEXT)
    assert await store.remove(mailboxes[1].id)
    opened: list[int] = []
    original = store._opened_mailbox

    def counted(row: tuple[Any, ...]) -> Mailbox:
        opened.append(row[0])
        return original(row)

    monkeypatch.setattr(store, "_opened_mailbox", counted)
    assert [one.id for one in await store.rolling()] == [mailboxes[3].id] == opened


async def test_a_removed_mailbox_leaves_nothing_but_garbage(
    shared: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "BATCH", 2)
    store = store_on(shared)
    mailbox, bob = await mailbox_in(store), await mailbox_in(store, BOB)
    await store.add_alias(mailbox.id, "sales@corp.example")
    await add(store, mailbox.id, 5)
    await add(store, bob.id)
    assert await store.remove(mailbox.id)
    assert not await store.remove(mailbox.id)
    assert [one.id for one in await store.all_mailboxes()] == [bob.id]
    assert await store.find("sales@corp.example") is None
    assert len(await store.garbage(10)) == 5
    rows = {
        table.name: shared.run(lambda connection, table=table: connection.execute(table.select()).all())  # type: ignore[misc]
        for table in SHARED.sorted_tables
        if table.name.startswith("mailbox")
    }
    assert all(row.mailbox != mailbox.id for row in rows["mailbox_folders"] + rows["mailbox_contents"])
    assert len(rows["mailbox_messages"]) == 1
    again = await mailbox_in(store)
    assert again.id != mailbox.id


async def test_a_mailbox_that_takes_a_removed_one_s_address_counts_its_folders_from_later(shared: SharedStore) -> None:
    """In the same second, and although the one before had made folders faster than seconds pass."""
    clock = FakeClock()
    store = store_on(shared, clock)
    mailbox = await mailbox_in(store)
    for number in range(5):
        await store.create_folder(mailbox.id, f"F{number}")
    given = max(folder.uid_validity for folder in await store.folders(mailbox.id))
    assert await store.remove(mailbox.id)
    assert (await store.get(mailbox.id), await store.all_mailboxes(), await store.mailboxes_under()) == (None, [], {})
    again = await mailbox_in(store)
    assert min(folder.uid_validity for folder in await store.folders(again.id)) > given
    rows = sealed(shared)
    assert rows.keys() == {mailbox.id, again.id}
    assert rows[mailbox.id] == b"", "of the one that is gone no address is left"
    await clock.advance(10)
    await store.sweep()
    assert sealed(shared).keys() == {again.id}


def sealed(shared: SharedStore) -> dict[int, bytes]:
    """What is sealed of each mailbox's row, by its id."""

    def read(connection: Connection) -> dict[int, bytes]:
        rows = connection.execute(select(mailboxes.c.id, mailboxes.c.sealed))
        return {row.id: row.sealed for row in rows}

    return shared.run(read)


async def test_what_a_crash_left_of_a_removed_mailbox_is_swept(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await add(store, mailbox.id, 3)

    async def crash(**_: object) -> int:
        raise RuntimeError("power cut")

    crashed = store_on(shared, seed="crashed")
    crashed.sweep = crash  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        await crashed.remove(mailbox.id)
    left = await store.get(mailbox.id)
    assert left is not None
    assert (left.state, left.key.octets, left.next_key) == (MailboxState.REMOVING, b"", None)
    assert await store.find(IDA) is None
    assert not await store.assign(left, KEY)
    assert await store.sweep() == 3
    assert await store.get(mailbox.id) is None
    assert await store.sweep() == 0


async def test_no_name_stands_in_the_tables(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox = await mailbox_in(store)
    await store.add_alias(mailbox.id, "sales@corp.example")
    await store.create_folder(mailbox.id, "Secret plans")
    await add(store, mailbox.id, keywords=("Confidential",))
    octets = b""
    for table in SHARED.sorted_tables:
        if table.name.startswith("mailbox"):
            rows = shared.run(lambda connection, table=table: connection.execute(table.select()).all())  # type: ignore[misc]
            octets += b"".join(one if isinstance(one, bytes) else str(one).encode() for row in rows for one in row)
    for word in (b"ida", b"corp", b"sales", b"Secret", b"Confidential", b"INBOX", b"Trash"):
        assert word not in octets


async def test_a_row_of_another_mailbox_is_not_taken_for_its_own(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox, bob = await mailbox_in(store), await mailbox_in(store, BOB)

    def swap(connection: Connection) -> None:
        sealed = connection.execute(select(mailboxes.c.sealed).where(mailboxes.c.id == bob.id)).scalar_one()
        connection.execute(update(mailboxes).where(mailboxes.c.id == mailbox.id).values(sealed=sealed))

    shared.run(swap)
    with pytest.raises(SealBroken):
        await store.get(mailbox.id)
    assert await store.get(bob.id) == bob


async def test_a_name_turned_to_another_mailbox_is_noticed(shared: SharedStore) -> None:
    store = store_on(shared)
    mailbox, bob = await mailbox_in(store), await mailbox_in(store, BOB)
    shared.run(
        lambda connection: connection.execute(
            update(mailbox_names).where(mailbox_names.c.mailbox == bob.id).values(mailbox=mailbox.id)
        )
    )
    with pytest.raises(SealBroken, match="another mailbox"):
        await store.find(BOB)
