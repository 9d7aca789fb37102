"""Certificates as they lie in the shared database: sealed, found by blind tokens, private keys sealed apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, select, update

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.storage.certificates import CertificateStore, KeptCertificate
from gateway.storage.sealer import SealBroken
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import certificate_names, certificates
from tests.fakes.chance import FakeChance

KEYS = {("certificates", 1): b"c" * 32, ("token", 1): b"k" * 32}
IDA = KeptCertificate(der=b"\x30ida", addresses=("ida@corp.example",), created=5.5)
PARTNER = KeptCertificate(
    der=b"\x30partner", chain=(b"\x30above", b"\x30more"), domains=("partner.example",), created=6.5
)


def sealer(seed: str = "1") -> KeySealer:
    return KeySealer(DomainKeys(KEYS), FakeChance(seed))


@pytest.fixture
def store(shared: SharedStore) -> CertificateStore:
    return CertificateStore(shared, sealer())


async def test_certificates_come_back_as_they_went_the_oldest_first(store: CertificateStore) -> None:
    assert await store.all() == []
    assert await store.put([PARTNER, IDA]) == [(PARTNER, False), (IDA, False)]
    assert await store.all() == [IDA, PARTNER]


async def test_one_is_found_by_whom_it_is_used_for(store: CertificateStore) -> None:
    await store.put([IDA, PARTNER])
    assert await store.used_for(address="ida@corp.example") == [IDA]
    assert await store.used_for(domain="partner.example") == [PARTNER]
    assert await store.used_for(address="ida@corp.example", domain="partner.example") == [IDA, PARTNER]
    assert await store.used_for(domain="ida@corp.example") == []  # An address's token is no domain's.


async def test_what_is_there_already_becomes_what_both_make_together(store: CertificateStore) -> None:
    await store.put([IDA])
    more = replace(IDA, addresses=("boss@corp.example",), created=9.0)

    def join(before: KeptCertificate, after: KeptCertificate) -> KeptCertificate:
        return replace(before, addresses=before.addresses + after.addresses)

    both = replace(IDA, addresses=("ida@corp.example", "boss@corp.example"))
    assert await store.put([more, PARTNER], join) == [(both, True), (PARTNER, False)]
    assert await store.all() == [both, PARTNER]
    assert await store.used_for(address="boss@corp.example") == [both]
    with pytest.raises(ValueError, match="keeps its certificate"):
        await store.put([IDA], lambda before, after: PARTNER)


async def test_a_name_that_is_taken_away_finds_nothing_any_more(store: CertificateStore) -> None:
    await store.put([IDA])
    other = replace(IDA, addresses=("boss@corp.example",))
    await store.put([other])
    assert await store.used_for(address="ida@corp.example") == []
    assert await store.used_for(address="boss@corp.example") == [other]


async def test_all_of_a_writing_is_undone_where_one_fails(store: CertificateStore) -> None:
    await store.put([IDA])

    def fail(before: KeptCertificate, after: KeptCertificate) -> KeptCertificate:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await store.put([PARTNER, IDA], fail)
    assert await store.all() == [IDA]


async def test_only_what_is_new_is_read_again(store: CertificateStore) -> None:
    await store.put([IDA])
    first = await store.changes({})
    assert list(first.fresh.values()) == [IDA]
    assert (await store.changes(first.editions)).fresh == {}
    await store.put([PARTNER])
    second = await store.changes(first.editions)
    assert list(second.fresh.values()) == [PARTNER]
    assert len(second.editions) == 2
    await store.put([replace(IDA, addresses=("boss@corp.example",))])
    third = await store.changes(second.editions)
    assert [one.addresses for one in third.fresh.values()] == [("boss@corp.example",)]
    await store.remove([PARTNER.fingerprint])
    assert len((await store.changes(third.editions)).editions) == 1


async def test_one_that_was_removed_and_put_back_is_read_again(store: CertificateStore) -> None:
    await store.put([IDA])
    editions = (await store.changes({})).editions
    assert await store.remove([IDA.fingerprint, "ff" * 32]) == 1
    assert await store.used_for(address="ida@corp.example") == []
    await store.put([IDA])
    assert list((await store.changes(editions)).fresh.values()) == [IDA]


async def test_a_private_key_is_sealed_for_its_certificate(store: CertificateStore) -> None:
    mine = replace(IDA, private=store.seal_key(IDA.fingerprint, b"the key"))
    await store.put([mine, PARTNER])
    there = {one.der: one for one in await store.all()}
    assert store.open_key(there[IDA.der]) == b"the key"
    assert store.open_key(there[PARTNER.der]) is None
    moved = replace(PARTNER, private=mine.private)
    with pytest.raises(SealBroken, match="does not open"):
        store.open_key(moved)
    for text in (repr(mine), repr(store)):
        assert "the key" not in text
        assert "private" not in text


async def test_nothing_of_a_certificate_is_readable_in_the_tables(shared: SharedStore, store: CertificateStore) -> None:
    await store.put([replace(IDA, private=store.seal_key(IDA.fingerprint, b"the key")), PARTNER])

    def cells(connection: Connection) -> list[object]:
        found: list[object] = []
        for table in (certificates, certificate_names):
            for row in connection.execute(select(table)):
                found += row
        return found

    text = b"|".join(
        bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()
        for cell in await shared.call(cells, read=True)
    )
    for word in (b"ida", b"corp", b"partner", b"the key", IDA.fingerprint[:8].encode(), IDA.der):
        assert word not in text


async def test_a_row_with_anothers_octets_is_found(shared: SharedStore, store: CertificateStore) -> None:
    await store.put([IDA, PARTNER])

    def copy(connection: Connection) -> None:
        sealed = connection.execute(select(certificates.c.sealed)).scalars().first()
        connection.execute(update(certificates).values(sealed=sealed))

    await shared.call(copy)
    with pytest.raises(SealBroken, match="does not open"):
        await store.all()


async def test_a_row_of_a_newer_gateway_is_named(shared: SharedStore, store: CertificateStore) -> None:
    await store.put([IDA])

    def renew(connection: Connection) -> None:
        token = connection.execute(select(certificates.c.token)).scalar_one()
        sealed = sealer("2").seal("certificates", f"{token & (1 << 64) - 1:016x}", b"\x02{}")
        connection.execute(update(certificates).values(sealed=sealed))

    await shared.call(renew)
    with pytest.raises(SealBroken, match="newer gateway"):
        await store.all()


async def test_a_thousand_are_read_and_written_at_once(store: CertificateStore) -> None:
    many = [
        KeptCertificate(der=b"\x30" + str(n).encode(), addresses=(f"a{n}@x.example",), created=n) for n in range(1100)
    ]
    await store.put(many)
    assert await store.all() == many
