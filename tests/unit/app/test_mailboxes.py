"""Mailboxes joined for one process: what one writes another reads, keys are forgotten when told, rows are cleared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.app import init as maker
from gateway.app.keyring import vaults
from gateway.app.mailboxes import SWEEP, MailboxOffice
from gateway.app.parts import open_stores
from gateway.app.policy_warnings import policy_warnings
from gateway.keys.vault import Vault
from gateway.mail.message import Held
from gateway.mailboxes.faults import PolicyDenied
from gateway.settings.load import Loaded, loaded
from gateway.storage.mailboxes.model import Mailbox, NewMessage
from gateway.world.chance import SystemChance
from gateway.world.clock import Clock, SystemClock
from tests.fakes.clock import FakeClock
from tests.unit.mailboxes.policies.test_reopening import FakeWaiting

TEXT = b"Subject: the garden\r\n\r\nNobody finds this word on the disk: rhubarb.\r\n"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("gw") / "var"
    made = maker.init(
        folder, imap="127.0.0.1:9993", hostname="mail", clock=SystemClock(), chance=SystemChance(), recovery_key=False
    )
    return loaded(made.settings)


class Told:
    """A log, and a moment at which something was told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.cleared = asyncio.Event()

    def __call__(self, level: str, event: str, **facts: object) -> None:
        self.events.append(event)
        if event == "mailbox_rows_cleared":
            self.cleared.set()


@asynccontextmanager
async def opened(
    settings: Loaded, told: Told | None = None, clock: Clock | None = None
) -> AsyncIterator[MailboxOffice]:
    tell, now = told or Told(), clock or SystemClock()
    stores = await open_stores(
        settings, [], clock=SystemClock(), chance=SystemChance(), tell=tell, observe=lambda *_: None
    )
    try:
        office = MailboxOffice(settings, stores, vaults(settings), clock=now, chance=SystemChance(), tell=tell)
        yield office
        await office.close()
    finally:
        stores.close()


async def mailbox(office: MailboxOffice, address: str) -> Mailbox:
    (policy,) = await office.store.policies()
    id_ = office.store.new_id()
    key = await office.mailbox_keys.new(id_, policy.id)
    return await office.store.create(id_, address, address, key)


async def delivered(office: MailboxOffice, to: Mailbox, octets: bytes = TEXT) -> bytes:
    """The id of the content that was put into its INBOX."""
    row = await office.contents.write(await office.mailbox_keys.key(to), Held(octets))
    await office.store.add(to.id, None, [NewMessage(content=row, date=0.0)])
    return row.id


async def nothing(**_: object) -> int:
    return 0


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_what_one_process_delivers_another_reads_and_nobody_finds_on_the_disk(settings: Loaded) -> None:
    async with opened(settings) as worker:
        content = await delivered(worker, await mailbox(worker, "ida@corp.example"))
    async with opened(settings) as reader:
        found = await reader.store.find("ida@corp.example")
        assert found is not None
        row = (await reader.store.contents([content]))[content]
        assert await reader.contents.read(await reader.mailbox_keys.key(found), row) == TEXT
    lies = everything(settings.storage)
    for word in (b"rhubarb", b"garden", b"ida@corp.example", b"ida@", b"INBOX"):
        assert word not in lies, word


async def test_a_key_that_is_taken_away_counts_once_the_office_is_told(settings: Loaded) -> None:
    async with opened(settings) as office:
        to = await mailbox(office, "bert@corp.example")
        await delivered(office, to)
        held: dict[str, Vault] = vaults(settings)
        for name in ("root-a", "root-b"):
            held[name].disable("mail")
        try:
            await office.mailbox_keys.key(to)  # It was opened less than a minute ago.
            office.forget_keys()
            with pytest.raises(PolicyDenied, match=r"bert@corp\.example is closed"):
                await office.mailbox_keys.key(to)
            assert office.facts["policies"]["troubles"]["default"]["what"] == "closed"
        finally:
            for name in ("root-a", "root-b"):
                held[name].enable("mail")
        office.forget_keys()
        await office.mailbox_keys.key(to)
        assert office.facts["policies"]["troubles"] == {}


async def test_keys_whose_time_is_over_do_not_stay(settings: Loaded) -> None:
    clock = FakeClock()
    async with opened(settings, clock=clock) as office:
        await mailbox(office, "carl@corp.example")
        keeping = asyncio.create_task(office.keep(FakeWaiting()))
        assert len(office.policy_keys._held) == 1
        await clock.advance(settings.settings.mailboxes.cache_seconds + SWEEP)
        assert office.policy_keys._held == {}
        keeping.cancel()


async def test_the_process_that_tends_clears_what_a_crash_has_left(
    settings: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    async with opened(settings, told) as office:
        to = await mailbox(office, "dora@corp.example")
        content = await delivered(office, to)
        with monkeypatch.context() as crash:
            crash.setattr(office.store, "sweep", nothing)
            await office.store.remove(to.id)
        assert content in await office.store.contents([content])
        tending = asyncio.create_task(office.tend())
        async with asyncio.timeout(20):
            await told.cleared.wait()
        tending.cancel()
        assert await office.store.contents([content]) == {}


async def test_settings_that_may_change_are_taken(settings: Loaded) -> None:
    async with opened(settings) as office:
        other = loaded(settings.path)
        office.take(other)
        assert office.loaded is other


async def test_the_status_hears_of_settings_that_do_not_fit_until_they_do(settings: Loaded) -> None:
    section = settings.settings.mailboxes.model_copy(update={"catch_all": {"corp.example": "Desk@corp.example"}})
    wrong = replace(settings, settings=settings.settings.model_copy(update={"mailboxes": section}))
    async with opened(settings) as office:
        await office.watch.round()
        assert office.facts["watch"]["doubtful"] == []
        office.take(wrong)  # Reloaded.
        await office.watch.round()
        (found,) = policy_warnings([{"mailboxes": office.facts}], 0.0)
        assert found["code"] == "settings" and "no mailbox of that address, so that nobody takes" in found["text"]
        await mailbox(office, "desk@corp.example")
        await office.watch.round()
        assert policy_warnings([{"mailboxes": office.facts}], 0.0) == []


async def test_the_status_hears_of_an_availability_key_beside_a_root(settings: Loaded) -> None:
    section = settings.settings.mailboxes.model_copy(update={"availability_key": "root-a/own"})
    async with opened(settings) as office:
        office.take(replace(settings, settings=settings.settings.model_copy(update={"mailboxes": section})))
        await office.watch.round()
        (found,) = policy_warnings([{"mailboxes": office.facts}], 0.0)
        assert found["code"] == "settings" and '"root-a/own", in the vault of root-a/mail' in found["text"]
