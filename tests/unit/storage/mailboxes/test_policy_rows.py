"""Policies: one row each, changed by compare and swap, with nothing in clear."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from gateway.storage.mailboxes.faults import PolicyThere
from gateway.storage.mailboxes.model import CopyKind, PolicyRow, PolicyState, WrappedCopy
from gateway.storage.sealer import SealBroken
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import mailbox_policies
from tests.fakes.mailbox_rows import KEY, mailbox_in, rows_counted, store_on
from tests.fakes.meanwhile import Meanwhile

COPIES = tuple(
    WrappedCopy(kind=kind, vault=f"vault-{kind}", key="mail", key_version=1, octets=b"wrapped \xff" + kind.encode())
    for kind in CopyKind
)


def policy(id_: int, name: str = "customers", **facts: object) -> PolicyRow:
    row = PolicyRow(
        id=id_,
        name=name,
        state=PolicyState.READY,
        version=1,
        copies=COPIES,
        is_default=False,
        custodian=b"-----BEGIN PUBLIC KEY-----",
        created=1.0 + id_ / 1e15,
        changed=2.0,
    )
    return replace(row, **facts)  # type: ignore[arg-type]


async def test_a_policy_is_kept_whole(shared: SharedStore) -> None:
    store = store_on(shared)
    kept = await store.add_policy(policy(store.new_id(), purge={"order": "x", "until": 5.5}))
    assert kept.edition == 1
    assert await store.policy(kept.id) == kept
    assert await store.policy_named("customers") == kept
    assert await store.policies() == [kept]
    assert (await store.policy(1), await store.policy_named("others")) == (None, None)
    with pytest.raises(PolicyThere, match="customers"):
        await store.add_policy(policy(store.new_id()))


async def test_a_policy_is_replaced_only_as_it_was_read(shared: SharedStore) -> None:
    store = store_on(shared)
    kept = await store.add_policy(policy(store.new_id(), is_default=True))
    for number in range(20):
        await mailbox_in(store, f"{number}@corp.example", key=replace(KEY, policy=kept.id))
    counts = rows_counted(store)
    purged = await store.replace_policy(kept, replace(kept, state=PolicyState.PURGED, copies=()))
    assert counts == [1]  # Whatever lies under it.
    assert purged == replace(kept, state=PolicyState.PURGED, copies=(), edition=2, is_default=False)
    assert await store.policies() == [purged]
    assert await store.replace_policy(kept, kept) is None
    assert await store.policies() == [purged]
    with pytest.raises(ValueError, match="keeps its id"):
        await store.replace_policy(purged, replace(purged, name="other"))


async def test_one_policy_is_the_default(shared: SharedStore) -> None:
    store = store_on(shared)
    assert await store.default_policy() is None
    one = await store.add_policy(policy(store.new_id(), "one", is_default=True))
    two = await store.add_policy(policy(store.new_id(), "two"))
    assert await store.default_policy() == one
    assert await store.set_default_policy(two.id)
    assert await store.default_policy() == replace(two, is_default=True)
    assert not await store.set_default_policy(1)
    assert await store.default_policy() == replace(two, is_default=True)
    assert await store.set_default_policy(None)
    assert await store.default_policy() is None


async def test_the_end_of_a_policy_leaves_another_the_default_that_became_it_meanwhile(shared: SharedStore) -> None:
    """Else new mailboxes would lie under none."""
    store = store_on(shared)
    one = await store.add_policy(policy(store.new_id(), "one", is_default=True))
    two = await store.add_policy(policy(store.new_id(), "two"))
    await store.set_default_policy(two.id)
    changed = await store.replace_policy(one, replace(one, changed=3.0))
    assert changed is not None
    assert not changed.is_default
    await store.replace_policy(changed, replace(one, state=PolicyState.PURGED, copies=()))
    assert await store.default_policy() == replace(two, is_default=True)


async def test_of_two_defaults_named_at_one_moment_one_counts(meanwhile: Meanwhile) -> None:
    store, other = store_on(meanwhile.here), store_on(meanwhile.there, seed="another process")
    await store.add_policy(policy(store.new_id(), "before", is_default=True))
    one, two = [await store.add_policy(policy(store.new_id(), name)) for name in ("one", "two")]
    await meanwhile.over(lambda driver: other._put_default(driver, one.id), store.set_default_policy(two.id))
    defaults = [row.name for row in await store.policies() if row.is_default]
    assert defaults == ["two"]


async def test_the_row_tells_nothing_and_fits_no_other_policy(shared: SharedStore) -> None:
    store = store_on(shared)
    one = await store.add_policy(policy(store.new_id(), "one"))
    two = await store.add_policy(policy(store.new_id(), "two"))

    def swap(connection: Connection) -> bytes:
        row = mailbox_policies.c
        sealed = bytes(connection.execute(select(row.sealed).where(row.id == two.id)).scalar_one())
        connection.execute(update(mailbox_policies).where(row.id == one.id).values(sealed=sealed))
        return sealed

    sealed = shared.run(swap)
    assert all(word not in sealed for word in (b"two", b"wrapped", b"vault", b"PUBLIC"))
    with pytest.raises(SealBroken):
        await store.policy(one.id)


async def test_a_purged_policy_is_in_no_file_of_the_database(shared: SharedStore, engine: str, tmp_path: Path) -> None:
    if engine != "sqlite":
        pytest.skip("what PostgreSQL leaves in its files is its own; docs/ says so")
    store = store_on(shared)
    kept = await store.add_policy(policy(store.new_id()))
    sealed = shared.run(
        lambda connection: connection.execute(select(mailbox_policies.c.sealed)).scalar_one(), read=True
    )
    assert any(sealed[-32:] in path.read_bytes() for path in tmp_path.glob("shared.db*"))
    await store.replace_policy(kept, replace(kept, state=PolicyState.PURGED, copies=()))
    assert not any(sealed[-32:] in path.read_bytes() for path in tmp_path.glob("shared.db*"))


async def test_scrubbing_leaves_the_rows(shared: SharedStore) -> None:
    store = store_on(shared)
    kept = await store.add_policy(policy(store.new_id()))
    shared.scrub(["mailbox_policies", "mailboxes"])
    assert await store.policies() == [kept]
