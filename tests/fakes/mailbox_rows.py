"""Rows of mailboxes for tests: keys that wrap nothing, contents that say nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TypeVar

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.storage.mailboxes.driver import Driver
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import ContentRow, Mailbox, NewMessage, WrappedKey
from gateway.storage.sharing import SharedStore
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

T = TypeVar("T")

KEYS = {("mailboxes", 1): b"m" * 32, ("token", 1): b"k" * 32}
IDA = "ida@corp.example"
KEY = WrappedKey(version=1, policy=7, policy_version=1, octets=b"wrapped one")
NEXT = WrappedKey(version=2, policy=8, policy_version=3, octets=b"wrapped two")
_IDS = count(1)


def store_on(shared: SharedStore, clock: FakeClock | None = None, seed: str = "mailboxes") -> MailboxStore:
    """A store as each process has one; processes draw other octets (`seed`)."""
    sealer = KeySealer(DomainKeys(KEYS), FakeChance(f"{seed} sealer"))
    return MailboxStore(shared, sealer, chance=FakeChance(seed), clock=clock or FakeClock())


async def mailbox_in(
    store: MailboxStore, address: str = IDA, *, quota: int | None = None, key: WrappedKey = KEY
) -> Mailbox:
    """A new mailbox of an account that is called like its address."""
    return await store.create(store.new_id(), address, address, key, quota=quota)


async def content_of(
    store: MailboxStore, mailbox: int, *, size: int = 100, blobs: int = 1, version: int = 1
) -> ContentRow:
    """A content whose blobs' names are reserved."""
    number = next(_IDS)
    return ContentRow(
        id=number.to_bytes(16, "big"),
        mailbox=mailbox,
        key_version=version,
        size=size,
        blobs=await store.reserve(blobs),
        map=b"map %d" % number,
        head=b"head %d" % number,
        created=1_793_700_000.0,
    )


async def add(
    store: MailboxStore,
    mailbox: int,
    count_: int = 1,
    *,
    folder: int | None = None,
    flags: int = 0,
    keywords: tuple[str, ...] = (),
    size: int = 100,
) -> list[int]:
    """The UIDs of new messages, the first at the internal date 1000, each a second later."""
    messages = [
        NewMessage(
            content=await content_of(store, mailbox, size=size), date=1000.0 + place, flags=flags, keywords=keywords
        )
        for place in range(count_)
    ]
    return await store.add(mailbox, folder, messages)


def rows_counted(store: MailboxStore) -> list[int]:
    """A list to which each transaction of its own adds how many rows it wrote, as the engine counts them."""
    counts: list[int] = []
    original = store._alone

    async def counting(run: Callable[[Driver], T]) -> T:
        def both(driver: Driver) -> T:
            ask = "SELECT total_changes()"
            if not driver.is_sqlite:  # Of the transaction that asks.
                ask = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_xact_user_tables"
            before = driver.number(ask)
            result = run(driver)
            counts.append(driver.number(ask) - before)
            return result

        return await original(both)

    store._alone = counting  # type: ignore[method-assign]
    return counts
