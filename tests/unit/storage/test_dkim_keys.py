"""What is known of DKIM keys, as it lies in the shared database: sealed, found by a blind token, changed as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, select, update

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.storage.dkim_keys import Algorithm, DkimKey, DkimKeyStore, Use
from gateway.storage.sealer import SealBroken
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import dkim_keys
from tests.fakes.chance import FakeChance

KEYS = {("dkim", 1): b"d" * 32, ("token", 1): b"k" * 32}
FIRST = DkimKey(
    id="1f",
    domain="corp.example",
    selector="s1",
    algorithm=Algorithm.RSA,
    vault="main",
    key="dkim.corp.example.s1",
    version=1,
    public=b"\x30\x00\xff",
    use=Use.ACTIVE,
    created=5.5,
)
SECOND = replace(FIRST, id="2f", selector="s2", algorithm=Algorithm.ED25519, created=6.5, use=Use.NEXT)
OTHER = replace(FIRST, id="3f", domain="alpha.example")


@pytest.fixture
def store(shared: SharedStore) -> DkimKeyStore:
    return DkimKeyStore(shared, KeySealer(DomainKeys(KEYS), FakeChance()))


async def test_keys_come_back_as_they_went_by_domain_the_oldest_first(store: DkimKeyStore) -> None:
    assert await store.all() == []
    assert await store.add([SECOND, FIRST, OTHER]) is None
    assert await store.all() == [OTHER, FIRST, SECOND]


async def test_a_selector_of_a_domain_is_there_once_and_nothing_is_kept_beside_it(store: DkimKeyStore) -> None:
    await store.add([FIRST])
    twin = replace(FIRST, id="9f")
    assert await store.add([OTHER, twin]) == twin
    assert await store.all() == [FIRST]


async def test_two_new_keys_with_one_selector_undo_each_other(store: DkimKeyStore) -> None:
    twin = replace(FIRST, id="9f")
    assert await store.add([FIRST, twin]) == twin
    assert await store.all() == []


async def test_a_change_is_kept_and_one_that_fails_is_not(store: DkimKeyStore) -> None:
    await store.add([FIRST, SECOND, OTHER])

    def turn(keys: list[DkimKey]) -> list[DkimKey]:
        return [replace(key, use=Use.RETIRED) for key in keys if key != SECOND]

    after = [replace(OTHER, use=Use.RETIRED), replace(FIRST, use=Use.RETIRED)]
    assert await store.change(turn) == after
    assert await store.all() == after

    def fail(keys: list[DkimKey]) -> list[DkimKey]:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await store.change(fail)
    with pytest.raises(ValueError, match="keeps its domain"):
        await store.change(lambda keys: [replace(key, selector="other") for key in keys])
    assert await store.all() == after


async def test_a_row_under_anothers_name_is_found(shared: SharedStore, store: DkimKeyStore) -> None:
    await store.add([FIRST, SECOND])

    def swap(connection: Connection) -> None:
        rows = connection.execute(select(dkim_keys.c.id, dkim_keys.c.token)).all()
        tokens = {row.id: row.token for row in rows}
        for id_, token in (("1f", 0), ("2f", tokens["1f"]), ("1f", tokens["2f"])):
            connection.execute(update(dkim_keys).where(dkim_keys.c.id == id_).values(token=token))

    await shared.call(swap)
    with pytest.raises(SealBroken, match=r"dkim record .f stands under another name"):
        await store.all()


async def test_a_row_with_anothers_octets_is_found(shared: SharedStore, store: DkimKeyStore) -> None:
    await store.add([FIRST, SECOND])

    def copy(connection: Connection) -> None:
        sealed = connection.execute(select(dkim_keys.c.sealed).where(dkim_keys.c.id == "1f")).scalar_one()
        connection.execute(update(dkim_keys).values(sealed=sealed))

    await shared.call(copy)
    with pytest.raises(SealBroken, match=r"dkim record 2f does not open"):
        await store.all()


async def test_nothing_of_a_key_is_readable_in_the_table(shared: SharedStore, store: DkimKeyStore) -> None:
    await store.add([FIRST])
    rows = await shared.call(lambda connection: connection.execute(select(dkim_keys)).all(), read=True)
    text = b"".join(bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode() for cell in rows[0])
    for word in (b"corp", b"s1", b"rsa", b"main"):
        assert word not in text


async def test_a_row_of_a_newer_gateway_is_named(shared: SharedStore, store: DkimKeyStore) -> None:
    await store.add([FIRST])
    sealed = KeySealer(DomainKeys(KEYS), FakeChance("2")).seal("dkim", "1f", b"\x02{}")
    await shared.call(lambda connection: connection.execute(update(dkim_keys).values(sealed=sealed)))
    with pytest.raises(SealBroken, match="newer gateway"):
        await store.all()
