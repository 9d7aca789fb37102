"""Accounts as they lie in the shared database: sealed, found by a blind token, changed in one transaction."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, select, update

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.storage.accounts import Account, AccountStore
from gateway.storage.sealer import SealBroken
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import accounts
from tests.fakes.chance import FakeChance

KEYS = {("accounts", 1): b"a" * 32, ("token", 1): b"k" * 32}
IDA = Account(id="1f", name="ida", addresses=("ida@corp.example",), password="$argon2id$hash", created=5.5)
OTTO = replace(IDA, id="2f", name="otto")


@pytest.fixture
def store(shared: SharedStore) -> AccountStore:
    return AccountStore(shared, KeySealer(DomainKeys(KEYS), FakeChance()))


async def test_an_account_comes_back_as_it_went(store: AccountStore) -> None:
    assert await store.get("ida") is None
    assert await store.add(OTTO)
    assert await store.add(IDA)
    assert await store.get("ida") == IDA
    assert await store.all() == [IDA, OTTO]


async def test_a_name_is_there_once(store: AccountStore) -> None:
    assert await store.add(IDA)
    assert not await store.add(replace(IDA, id="3f", password="other"))
    assert await store.all() == [IDA]


async def test_a_change_is_kept_and_one_that_fails_is_not(store: AccountStore) -> None:
    await store.add(IDA)
    after = await store.change("ida", lambda now: replace(now, disabled=True, epoch=now.epoch + 1))
    assert after == replace(IDA, disabled=True, epoch=1)
    assert await store.get("ida") == after
    assert await store.change("otto", lambda now: now) is None

    def fail(now: Account) -> Account:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await store.change("ida", fail)
    with pytest.raises(ValueError, match="keeps its id"):
        await store.change("ida", lambda now: replace(now, name="otto"))
    assert await store.get("ida") == after


async def test_who_is_removed_is_gone(store: AccountStore) -> None:
    await store.add(IDA)
    assert await store.remove("ida")
    assert not await store.remove("ida")
    assert await store.all() == []


async def test_the_table_tells_nothing_without_the_keys(store: AccountStore, shared: SharedStore) -> None:
    await store.add(IDA)
    rows = await shared.call(lambda connection: connection.execute(select(accounts)).all())
    written = repr(rows)
    assert "ida" not in written and "corp.example" not in written and "argon2" not in written


async def test_a_row_under_another_name_lets_nobody_in(store: AccountStore, shared: SharedStore) -> None:
    """Who may write the database but has no key puts Otto's row, whose password he knows, where Ida's stood."""
    await store.add(IDA)
    await store.add(OTTO)

    def swap(connection: Connection) -> None:
        rows = {row.id: row for row in connection.execute(select(accounts))}
        ida, otto = rows["1f"], rows["2f"]
        connection.execute(update(accounts).where(accounts.c.token == ida.token).values(id="2f", sealed=otto.sealed))

    await shared.call(swap)
    with pytest.raises(SealBroken, match="another name than its own"):
        await store.get("ida")


async def test_a_sealed_part_under_another_id_does_not_open(store: AccountStore, shared: SharedStore) -> None:
    await store.add(IDA)
    await shared.call(lambda connection: connection.execute(update(accounts).values(id="9f")))
    with pytest.raises(SealBroken):
        await store.get("ida")


async def test_a_row_of_a_newer_gateway_is_named(store: AccountStore, shared: SharedStore) -> None:
    await store.add(IDA)
    sealed = store._sealer.seal("accounts", IDA.id, b"\x02{}")
    await shared.call(lambda connection: connection.execute(update(accounts).values(sealed=sealed)))
    with pytest.raises(SealBroken, match="a newer gateway wrote it"):
        await store.get("ida")
