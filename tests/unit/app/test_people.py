"""`gateway user` as a process answers it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.accounts import passwords
from gateway.app.channel import Fault
from gateway.app.people import People
from gateway.connectors.model import Domains
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.storage.writer import StorageBroken
from tests.fakes.accounts import FakeShared
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

KEYS = {("accounts", 1): b"a" * 32, ("token", 1): b"k" * 32}


class House:
    def __init__(self, *, fips: bool = False, shared: FakeShared | None = None) -> None:
        self.shared = shared or FakeShared()
        self.told: list[Any] = []
        self.people = People(
            self.shared,
            KeySealer(DomainKeys(KEYS), FakeChance()),
            fips=fips,
            clock=FakeClock(),
            chance=FakeChance(),
            tell=lambda *words, **facts: self.told.append((words, facts)),
            accepted=lambda: Domains(("corp.example",)),
        )

    async def ask(self, command: str, **arguments: Any) -> Any:
        return await self.people.answer(f"user.{command}", arguments)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(passwords, "MEMORY", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    monkeypatch.setattr(passwords, "ROUNDS", 10)
    return House()


IDA: dict[str, Any] = {"name": "ida", "addresses": ["ida@corp.example"], "password": "geheim123"}


async def test_an_account_is_added_listed_changed_and_removed(house: House) -> None:
    assert await house.ask("list") == []
    row = {"name": "ida", "addresses": ["ida@corp.example"], "state": "enabled", "created": "2026-11-03T08:00:00.000Z"}
    added = await house.ask("add", **IDA)
    assert {**added, "created": row["created"]} == {**row, "warnings": []}
    assert [one["name"] for one in await house.ask("list")] == ["ida"]
    assert (await house.ask("disable", name="IDA"))["state"] == "disabled"
    assert (await house.ask("enable", name="ida"))["state"] == "enabled"
    changed = await house.ask("addresses", name="ida", add=["sales@corp.example"])
    assert changed["addresses"] == ["ida@corp.example", "sales@corp.example"]
    assert (await house.ask("addresses", name="ida", remove=["ida@corp.example"]))["addresses"] == [
        "sales@corp.example"
    ]
    assert "password" not in await house.ask("password", name="ida", password="anders456")
    assert (await house.people.log_ins.log_in("ida", "anders456", "192.0.2.7")).name == "ida"
    assert await house.ask("remove", name="ida") == {"name": "ida"}
    assert await house.ask("list") == []


async def test_a_password_that_is_made_is_told_once_and_works(house: House) -> None:
    answer = await house.ask("add", **{**IDA, "password": None})
    assert (await house.people.log_ins.log_in("ida", answer["password"], "192.0.2.7")).name == "ida"
    answer = await house.ask("password", name="ida", password=None)
    assert (await house.people.log_ins.log_in("ida", answer["password"], "192.0.2.7")).name == "ida"
    assert "password" not in (await house.ask("list"))[0]
    assert answer["password"] not in repr(house.told)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"password": "1234567"}, "fewer than 8 octets"),
        ({"addresses": []}, "has no address and can send nothing"),
        ({"addresses": ["ida@corp.exampel"]}, "corp.exampel of ida@corp.exampel is none of accepted_domains"),
    ],
)
async def test_what_is_probably_a_mistake_is_warned_of(house: House, change: dict[str, Any], warning: str) -> None:
    (told,) = (await house.ask("add", **{**IDA, **change}))["warnings"]
    assert warning in told


async def test_under_fips_an_older_password_needs_a_new_one(house: House) -> None:
    await house.ask("add", **IDA)
    strict = House(fips=True, shared=house.shared)
    assert (await strict.ask("list"))[0]["state"] == "needs_password"
    assert (await strict.ask("password", name="ida", password="geheim123"))["state"] == "enabled"


async def test_faults_are_for_people_and_hold_no_password(house: House) -> None:
    await house.ask("add", **IDA)
    for command, arguments, words in (
        ("add", IDA, "there is an account ida already"),
        ("password", {"name": "otto", "password": "geheim123"}, "there is no account otto"),
        ("password", {"name": "ida", "password": "geheim\x07123"}, "control characters"),
        ("whatever", {}, "there is no command"),
    ):
        with pytest.raises(Fault, match=words) as caught:
            await house.ask(command, **arguments)
        assert "geheim" not in str(caught.value)
    house.shared.away = StorageBroken("the disk is gone")
    with pytest.raises(Fault, match="the accounts can't be used: the disk is gone"):
        await house.ask("list")
