"""What `gateway rights` asks of a process: sealing, opening, revoking, telling; and what ends with time."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from gateway.app.channel import Fault
from gateway.app.parts import Stores
from gateway.app.rights import SWEEP, RightsOffice
from gateway.app.rights_commands import RightsCommands
from gateway.app.tenant import ensure_tenant, tenant_name
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.mail.mail import Mail
from gateway.rights.terms import RightsTerms
from gateway.storage.blob_folder import FolderBlobs
from gateway.storage.rights_model import KeptRights
from gateway.storage.shared import Shared
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.migrated import put_shared
from tests.fakes.settings import PLAIN, settings_in
from tests.fakes.vault import FakeVault

ORIGINAL = b"From: ida@corp.example\r\nSubject: Figures\r\n\r\nsecret words\r\n"
ZOE, BOB = "zoe@partner.example", "bob@partner.example"
PORTAL = '[portal]\nlisten = "127.0.0.1:8443"\nurl = "https://mail.corp.example"\n'
DAY = 86_400.0


class House:
    """One process' office over a real store; `terms` may be changed, `sent` are the mails that it wrote."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor, vault: FakeVault) -> None:
        put_shared(folder / "shared.db")
        self.shared = Shared(folder / "shared.db")
        self.clock = FakeClock()
        self.terms = RightsTerms()
        self.sent: list[Mail] = []
        self.told: list[str] = []
        self.vault = vault
        sealer = KeySealer(DomainKeys({("portal", 1): b"p" * 32, ("token", 1): b"t" * 32}), FakeChance("s"))
        self.copies = folder / "copies"
        stores = SimpleNamespace(
            shared=self.shared, sealer=sealer, copies=FolderBlobs(self.copies, executor), executor=executor
        )
        loaded = settings_in(folder, PLAIN + PORTAL)
        ensure_tenant({"main": vault}, tenant_name(loaded))
        self.office = RightsOffice(
            loaded,
            cast(Stores, stores),
            {"main": vault},
            terms=lambda: self.terms,
            clock=self.clock,
            chance=FakeChance("office"),
            tell=lambda level, event, **facts: self.told.append(event),
            submit=self._submit,
            ids=lambda: "4N0T1CE",
        )
        self.commands = RightsCommands(self.office, clock=self.clock, chance=FakeChance("c"), url="https://p/")

    async def _submit(self, mail: Mail) -> str:
        self.sent.append(mail)
        return mail.id

    async def ask(self, command: str, **arguments: Any) -> Any:
        return await self.commands.answer(f"rights.{command}", arguments | {"by": "ida"})

    async def sealed(self, **more: Any) -> tuple[str, str]:
        answer = await self.ask("seal", original=b64encode(ORIGINAL).decode(), to=[ZOE, BOB], **more)
        return answer["rpmsg"], answer["work"]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    with ThreadPoolExecutor(2) as executor:
        made = House(tmp_path, executor, FakeVault())
        yield made
        made.shared.close()


async def test_what_is_sealed_opens_and_both_are_told(house: House) -> None:
    rpmsg, work = await house.sealed(owner="ida@corp.example", template="do-not-forward")
    opened = await house.ask("open", octets=rpmsg)
    assert (opened["opened"], b64decode(opened["original"]), opened["work"]) == (True, ORIGINAL, work)
    as_zoe = await house.ask("open", octets=rpmsg, principal=ZOE)
    assert "EXTRACT" not in as_zoe["rights"] and as_zoe["principal"] == ZOE
    refused = await house.ask("open", octets=rpmsg, principal="eve@partner.example")
    assert refused == {"opened": False, "sha256": None, "rights": [], "reason": "not_a_reader"}
    (row,) = await house.ask("status", name=work)
    assert [one["address"] for one in row["readers"]] == [ZOE, BOB] and row["copy"] == "none"
    assert [(one["principal"], one["given"], one["by"]) for one in row["licences"]] == [
        (None, True, "cli ida"),
        (ZOE, True, "cli ida"),
        ("eve@partner.example", False, "cli ida"),
    ]
    assert [one["reason"] for one in await house.ask("log")] == ["not_a_reader", None, None]
    assert await house.ask("log", name=work, most=1) == (await house.ask("log"))[:1]
    assert [one["work"] for one in await house.ask("status")] == [work]


async def test_a_sealed_file_ends_when_the_settings_or_the_caller_say(house: House) -> None:
    house.terms = RightsTerms(expires_in_days=2)
    by_settings, _ = await house.sealed()
    for_ever, _ = await house.sealed(expires_in_days=0)
    await house.clock.advance(2 * DAY)
    assert (await house.ask("open", octets=by_settings, principal=ZOE))["reason"] == "expired"
    assert (await house.ask("open", octets=for_ever, principal=ZOE))["opened"]


async def test_revoking_one_reader_or_all(house: House) -> None:
    rpmsg, work = await house.sealed()
    answer = await house.ask("revoke", name=work, recipient="ZOE@partner.example")
    assert [bool(one["revoked"]) for one in answer["revoked"][0]["readers"]] == [True, False]
    assert (await house.ask("open", octets=rpmsg, principal=ZOE))["reason"] == "revoked"
    assert (await house.ask("open", octets=rpmsg, principal=BOB))["opened"]
    await house.ask("revoke", name=work)
    assert (await house.ask("open", octets=rpmsg, principal=BOB))["reason"] == "revoked"
    with pytest.raises(Fault, match="no reader"):
        await house.ask("revoke", name=work, recipient="eve@partner.example")
    for command in ("revoke", "status", "log"):
        with pytest.raises(Fault, match="Message-ID, queue id or work"):
            await house.ask(command, name="<nobody@corp.example>")


async def test_what_can_t_be_sealed_says_why(house: House) -> None:
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"to": []}, "1 to 100"),
        ({"to": [f"r{n}@x.example" for n in range(101)]}, "1 to 100"),
        ({"to": ["nobody"]}, "no address"),
        ({"to": [ZOE], "owner": "a b"}, "no address"),
        ({"to": [ZOE], "template": "top-secret"}, "no such template"),
    )
    for arguments, words in wrong:
        with pytest.raises(Fault, match=words):
            await house.ask("seal", original="", **arguments)


async def test_a_vault_that_says_no_seals_nothing(house: House) -> None:
    house.vault.denied = True
    with pytest.raises(Fault, match="disabled"):
        await house.sealed()


async def test_an_account_that_may_not_opens_nothing_and_the_officer_hears_of_who_did(house: House) -> None:
    rpmsg, work = await house.sealed(owner="ida@corp.example")
    house.terms = RightsTerms(super_users=frozenset({"eve"}), notify_officer="officer@corp.example")
    with pytest.raises(Fault, match="super_users"):
        await house.ask("open", octets=rpmsg)
    assert house.sent == []
    house.terms = RightsTerms(super_users=frozenset({"ida"}), notify_officer="officer@corp.example")
    await house.ask("open", octets=rpmsg)
    (mail,) = house.sent
    held = mail.message.content.inline or b""
    assert mail.envelope.sender is None
    assert [one.address.text for one in mail.envelope.recipients] == ["officer@corp.example"]
    assert work.encode() in held and b"ida" in held and b"Auto-Submitted: auto-generated" in held
    assert b"secret" not in held and b"Figures" not in held


async def kept(house: House, work: UUID, *, expires: float | None, octets: bytes) -> None:
    message = KeptRights(
        work=work,
        message_id="<1@corp.example>",
        queue_id="4A",
        sender="ida@corp.example",
        readers=(),
        subject="",
        template="encrypt-only",
        created=house.clock.now(),
        expires=expires,
    )
    await house.office.store.keep(message, octets)


async def test_copies_are_destroyed_within_a_minute_of_their_end(house: House) -> None:
    ends, forever = UUID(int=1, version=4), UUID(int=2, version=4)
    await kept(house, ends, expires=house.clock.now() + 90, octets=b"x" * 200_000)
    await kept(house, forever, expires=None, octets=b"y" * 200_000)
    watching = asyncio.create_task(house.office.watch())
    try:
        for _ in range(3):
            while not house.clock.sleepers:
                await asyncio.sleep(0.01)
            await house.clock.advance(SWEEP)
        while "copies_destroyed" not in house.told or not house.clock.sleepers:
            await asyncio.sleep(0.01)
    finally:
        watching.cancel()
    assert await house.office.store.copy(ends) is None
    assert await house.office.store.copy(forever) is not None
    assert len(list(house.copies.iterdir())) == 1
    assert house.office.fault is None


async def test_messages_are_forgotten_so_many_days_after_their_end(house: House) -> None:
    ends, later, forever = (UUID(int=number, version=4) for number in (1, 2, 3))
    day, now = 86_400.0, house.clock.now()
    await kept(house, ends, expires=now + 60, octets=b"x")
    await kept(house, later, expires=now + 2 * day, octets=b"y")
    await kept(house, forever, expires=None, octets=b"z")
    watching = asyncio.create_task(house.office.watch())

    async def left(*works: UUID) -> bool:
        return [await house.office.store.get(one) is not None for one in works] == [False] * len(works)

    async def turn(seconds: float) -> None:
        while not house.clock.sleepers:
            await asyncio.sleep(0.01)
        await house.clock.advance(seconds)

    try:
        await turn(house.office.terms.log_days * day)
        assert await house.office.store.get(ends) is not None, "the day is not over"
        for _ in range(5):  # It is looked at once an hour, in batches.
            await turn(3600.0)
        while not await left(ends):
            await turn(3600.0)
        assert await house.office.store.get(later) is not None
        await turn(3 * day)
        while house.told.count("protected_messages_forgotten") < 2:  # Told a moment after it was done.
            await turn(3600.0)
    finally:
        watching.cancel()
    assert await left(ends, later)
    assert await house.office.store.get(forever) is not None


@pytest.mark.parametrize("used", [False, True])
async def test_a_tenant_key_that_can_t_be_used_is_told_once_and_so_is_its_return(house: House, *, used: bool) -> None:
    if used:  # Seen to work, it is not asked to prove it again.
        await house.office.look()
        assert house.office.fault is None
    house.vault.disable("tenant")
    for _ in range(2):
        await house.office.look()
    assert house.office.fault is not None and "disabled" in house.office.fault
    house.vault.enable("tenant")
    await house.office.look()
    assert house.office.fault is None
    assert house.told == ["tenant_key_unusable", "tenant_key_usable"]
