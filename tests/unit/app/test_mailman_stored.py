"""Final delivery with rows in a database and blobs on the disk: what it costs, and what a crash leaves."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from gateway.app.address_book import AddressBook
from gateway.app.book_terms import BookTerms
from gateway.app.mailbox_heads import head_of
from gateway.app.mailman import FinalDelivery
from gateway.app.policy_names import PolicyNames
from gateway.delivery.outcome import Result, Verdict
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Target
from gateway.mail.message import Content, Held, Prefaced
from gateway.mailboxes.contents.contents import Contents
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.storage.mailbox_blob_folder import FolderMailboxBlobs
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import Mailbox
from gateway.storage.migrate import migrate_shared
from gateway.storage.shared import Shared
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_rows import KEYS, mailbox_in

T = TypeVar("T")
OCTETS = b"Subject: Offer\r\n\r\nwords\r\n"
KEY = b"k" * 32


class Counting(ThreadPoolExecutor):
    """Counts what is handed over to a thread."""

    handed = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        self.handed += 1
        return super().submit(fn, *args, **kwargs)


class CountingShared(Shared):
    """Counts transactions, each of which is a thread's work too."""

    done = 0

    async def call(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
        self.done += 1
        return await super().call(run, read=read)


class Keys:
    async def key(self, mailbox: Mailbox) -> MailboxKey:
        return MailboxKey(mailbox.id, mailbox.key.version, KEY)


class House:
    def __init__(self, shared: CountingShared, executor: Counting, folder: Path) -> None:
        clock, self.shared, self.executor = FakeClock(), shared, executor
        self.told: list[tuple[Any, ...]] = []
        sealer = KeySealer(DomainKeys(KEYS), FakeChance("sealer"))
        self.store = MailboxStore(shared, sealer, chance=FakeChance("store"), clock=clock)
        self.contents = Contents(
            self.store, FolderMailboxBlobs(folder, executor), executor=executor, chance=FakeChance(), clock=clock
        )
        self.mailman = FinalDelivery(
            book=AddressBook(self.store, terms=lambda: BookTerms(catch_all={}), clock=clock),
            policies=PolicyNames(self.store, clock),
            store=self.store,
            keys=Keys(),
            contents=self.contents,
            sealer=sealer,
            head_of=head_of,
            executor=executor,
            clock=clock,
            tell=lambda *words, **facts: self.told.append((words, facts)),
        )

    async def deliver(self, number: int, content: Content | None = None, *names: str) -> tuple[Result, ...]:
        held = content or Held(OCTETS)
        targets = tuple(Target(address=parse_address(name)) for name in names or ("ida@corp.example",))
        delivery = Delivery(
            id=f"Q{number}.1",
            message=f"Q{number}",
            connector="mailboxes",
            destination="",
            sender=None,
            targets=targets,
            size=held.size,
            created=0.0,
            next_attempt=0.0,
        )
        return await self.mailman.deliver(delivery, targets, held)

    async def texts(self, mailbox: Mailbox) -> list[bytes]:
        """What lies in the INBOX, without the lines of final delivery."""
        inbox = await self.store.folder(mailbox.id)
        assert inbox is not None
        rows = await self.store.fetch(inbox.id, range(1, inbox.uid_next))
        key = MailboxKey(mailbox.id, mailbox.key.version, KEY)
        lines = b"Return-Path: <>\r\nDelivered-To: ida@corp.example\r\n"
        return [(await self.contents.read(key, row)).removeprefix(lines) for _, row in rows]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "shared.db"
    migrate_shared(path)
    return path


@pytest.fixture
async def house(migrated: Path, tmp_path: Path) -> AsyncIterator[House]:
    shutil.copy(migrated, tmp_path / "shared.db")
    shared = CountingShared(tmp_path / "shared.db")
    with Counting(2) as executor:
        yield House(shared, executor, tmp_path / "mailboxes")
    shared.close()


async def test_messages_of_one_moment_share_their_commits_and_cost_two_handovers_each_at_most(house: House) -> None:
    ida = await mailbox_in(house.store)
    await house.deliver(0)
    house.executor.handed = house.shared.done = 0
    messages = [OCTETS + b"%d\r\n" % number for number in range(40)]
    results = await asyncio.gather(*(house.deliver(1 + n, Held(one)) for n, one in enumerate(messages)))
    assert {one.verdict for some in results for one in some} == {Verdict.SENT}, [f for _, f in house.told][:1]
    handed, commits = house.executor.handed, house.shared.done
    assert handed + commits <= 2 * len(messages)
    assert commits <= len(messages) // 4, "their rows share commits"
    assert sorted(await house.texts(ida)) == sorted([OCTETS, *messages])


async def test_a_long_message_is_written_in_pieces_and_read_equal(house: House) -> None:
    ida = await mailbox_in(house.store)
    long = OCTETS + b"0123456789abcdef\r\n" * 150_000
    ((result,), (again,)) = [await house.deliver(1, Prefaced(OCTETS[:9], Held(long[9:]))) for _ in range(2)]
    assert result.verdict is again.verdict is Verdict.SENT
    assert await house.texts(ida) == [long]


@pytest.mark.parametrize("pause", [0.0, 0.001])
async def test_an_attempt_that_is_cut_off_anywhere_delivers_once_when_it_is_made_again(
    house: House, pause: float
) -> None:
    ida = await mailbox_in(house.store)
    await house.deliver(0)
    for number in range(1, 25):
        task = asyncio.create_task(house.deliver(number))
        for _ in range(number):
            await asyncio.sleep(pause)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        (result,) = await house.deliver(number)
        assert result.verdict is Verdict.SENT
    assert await house.texts(ida) == [OCTETS] * 25
    left = await house.store.blobs_waiting()
    assert left.get("garbage", 0) <= 24
