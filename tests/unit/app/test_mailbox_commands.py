"""`gateway mailbox` as a process answers it, with rows in a real database."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.accounts import passwords
from gateway.app.channel import Fault
from gateway.app.mailbox_commands import MailboxCommands, changes
from gateway.app.mailboxes import MailboxOffice
from gateway.app.people import People
from gateway.connectors.model import Deliver, Domains
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.mailboxes.faults import PolicyDenied
from gateway.mailboxes.policies.mailbox_keys import MailboxKeys
from gateway.mailboxes.policies.policy import PolicyKey
from gateway.settings.mailboxes import Mailboxes
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import PolicyState
from gateway.storage.migrate import migrate_shared
from gateway.storage.shared import Shared
from gateway.storage.writer import StorageBroken
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.mailboxes import make_policy
from tests.fakes.outbounds import make_outbound

KEYS = {("mailboxes", 1): b"m" * 32, ("token", 1): b"k" * 32, ("accounts", 1): b"a" * 32}


class FakePolicies:
    """Opens every policy, but those that are `denied`."""

    def __init__(self) -> None:
        self.denied: set[int] = set()

    async def key(self, policy: int) -> PolicyKey:
        if policy in self.denied:
            raise PolicyDenied("both roots say no", policy="house")
        return PolicyKey(policy, f"policy {policy}", 1, bytes([policy % 256]) * 32)

    def forget(self) -> None:
        """Nothing is remembered."""


class House:
    """One process' mailboxes."""

    def __init__(self, shared: Shared, executor: ThreadPoolExecutor) -> None:
        self.clock = FakeClock()
        self.section = Mailboxes()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.forgotten = 0
        sealer, chance = KeySealer(DomainKeys(KEYS), FakeChance("sealer")), FakeChance()
        self.store = MailboxStore(shared, sealer, chance=chance, clock=self.clock)
        self.policies = FakePolicies()
        tell = lambda level, event, **facts: self.told.append((event, facts))  # noqa: E731
        keys = MailboxKeys(
            self.store,
            cast(Any, self.policies),
            sealer,
            clock=self.clock,
            chance=chance,
            tell=tell,
            executor=executor,
        )
        office = SimpleNamespace(
            store=self.store,
            mailbox_keys=keys,
            clock=self.clock,
            tell=tell,
        )
        self.people = People(
            shared,
            sealer,
            fips=False,
            clock=self.clock,
            chance=chance,
            tell=lambda *words, **facts: None,
            accepted=lambda: Domains(("corp.example",)),
        )
        outbound = replace(
            make_outbound(folder=Path("x")), deliver=Deliver.MAILBOX, recipient_domains=Domains(("corp.example",))
        )
        self.commands = MailboxCommands(
            cast(MailboxOffice, office),
            self.people,
            section=lambda: self.section,
            accepted=lambda: Domains(("corp.example",)),
            outbounds=lambda: (outbound,),
            changed=self._forget,
        )

    def _forget(self) -> None:
        self.forgotten += 1

    async def ask(self, command: str, **arguments: Any) -> Any:
        return await self.commands.answer(f"mailbox.{command}", arguments)

    async def policy(self, name: str, state: PolicyState = PolicyState.READY, *, is_default: bool = False) -> None:
        row = make_policy(self.store.new_id(), name, state)
        await self.store.add_policy(row)
        if is_default:
            await self.store.set_default_policy(row.id)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "shared.db"
    migrate_shared(path)
    return path


@pytest.fixture
async def house(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(passwords, "MEMORY", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    shutil.copy(migrated, tmp_path / "shared.db")
    shared = Shared(tmp_path / "shared.db")
    with ThreadPoolExecutor(1) as executor:
        one = House(shared, executor)
        yield one
        one.people.close()
    shared.close()


async def test_a_mailbox_is_made_with_its_account_and_a_password_that_is_told_once(house: House) -> None:
    answer = await house.ask("create", address="Ida@Corp.Example", aliases=["sales@corp.example"])
    assert (answer["address"], answer["account"], answer["policy"]) == ("ida@corp.example", "ida@corp.example", None)
    assert answer["aliases"] == ["sales@corp.example"]
    assert (answer["open"], answer["rolling"], answer["key_version"], answer["left"]) == (True, False, 1, 0)
    assert (answer["messages"], answer["used"], answer["quota"]) == (0, 0, None)
    assert {one["name"] for one in answer["folders"]} >= {"INBOX", "Sent"} and len(answer["folders"]) == 6
    assert answer["warnings"] == [] and house.forgotten == 1
    user = await house.people.log_ins.log_in("ida@corp.example", answer["password"], "192.0.2.1")
    assert user.addresses == ("ida@corp.example", "sales@corp.example")
    assert "password" not in await house.ask("show", address="sales@corp.example")
    assert answer["password"] not in str(house.told)


async def test_an_account_that_is_there_keeps_its_password_and_gets_the_address(house: House) -> None:
    await house.people.answer("user.add", {"name": "ida", "addresses": [], "password": "geheim123"})
    answer = await house.ask("create", address="ida@corp.example", account="IDA")
    assert answer["account"] == "ida" and "password" not in answer
    user = await house.people.log_ins.log_in("ida", "geheim123", "192.0.2.1")
    assert user.addresses == ("ida@corp.example",)
    with pytest.raises(Fault, match="an account ida already, and its password stays"):
        await house.ask("create", address="two@corp.example", account="ida", password="anders456")
    assert len(await house.ask("list")) == 1


async def test_a_given_password_counts_and_is_not_told(house: House) -> None:
    answer = await house.ask("create", address="ida@corp.example", password="geheim123")
    assert "password" not in answer
    await house.people.log_ins.log_in("ida@corp.example", "geheim123", "192.0.2.1")


async def test_which_policy_a_new_mailbox_is_under(house: House) -> None:
    await house.policy("house", is_default=True)
    await house.policy("legal")
    assert (await house.ask("create", address="a@corp.example"))["policy"] == "house"
    assert (await house.ask("create", address="b@corp.example", policy="legal"))["policy"] == "legal"
    assert (await house.ask("create", address="c@corp.example", policy="none"))["policy"] is None
    house.section = Mailboxes(default_policy="legal")
    assert (await house.ask("create", address="d@corp.example"))["policy"] == "legal"
    assert [one["address"] for one in await house.ask("list", policy="legal")] == ["b@corp.example", "d@corp.example"]
    assert [one["address"] for one in await house.ask("list", policy="none")] == ["c@corp.example"]
    assert len(await house.ask("list")) == 4


async def test_a_policy_that_does_not_open_leaves_neither_mailbox_nor_account_behind(house: House) -> None:
    await house.policy("house", is_default=True)
    house.policies.denied = {row.id for row in await house.store.policies()}
    with pytest.raises(Fault, match="both roots say no"):
        await house.ask("create", address="ida@corp.example")
    assert await house.ask("list") == [] and await house.people.answer("user.list", {}) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"address": "nonsense"}, "'nonsense' is no address .* such as ida@corp.example"),
        ({"address": "postmaster"}, "'postmaster' has no domain; right would be such as postmaster@corp.example"),
        ({"address": "ida@corp.example", "policy": "other"}, "no policy 'other'; there are: gone. gateway policy"),
        ({"address": "ida@corp.example", "policy": "gone"}, "the policy 'gone' is being destroyed or is destroyed"),
        ({"address": "ida@corp.example", "aliases": ["bo@corp.example"]}, "a mailbox has bo@corp.example already"),
        ({"address": "Bo@corp.example"}, "a mailbox has bo@corp.example already"),
        ({"address": "ida@corp.example", "account": "two words"}, "a name is made of letters"),
        ({"address": "*@corp.example"}, "right would be gateway mailbox catch-all corp.example ADDRESS"),
        ({"address": "ida@corp.example", "aliases": ['"*"@corp.example']}, "right would be gateway mailbox catch-all"),
    ],
)
async def test_what_can_be_no_mailbox_is_refused_with_what_would_be_right(
    house: House, arguments: dict[str, Any], words: str
) -> None:
    await house.policy("gone", PolicyState.PURGED)
    await house.ask("create", address="bo@corp.example", policy="none")
    with pytest.raises(Fault, match=words):
        await house.ask("create", **arguments)
    assert len(await house.ask("list")) == 1


async def test_mail_that_does_not_come_here_is_warned_of(house: House) -> None:
    answer = await house.ask("create", address="ida@other.example")
    assert len(answer["warnings"]) == 2
    assert "none of accepted_domains" in answer["warnings"][0] and 'deliver = "mailbox"' in answer["warnings"][1]


async def test_assigning_wraps_the_key_of_one_row_and_tells_where_it_lies_now(house: House) -> None:
    await house.policy("house")
    await house.policy("legal")
    await house.ask("create", address="ida@corp.example", policy="house")
    answer = await house.ask("assign", address="ida@corp.example", policy="legal")
    assert (answer["policy"], answer["key_version"], answer["rolling"]) == ("legal", 1, False)
    answer = await house.ask("assign", address="ida@corp.example", policy="house", roll=True)
    assert (answer["policy"], answer["key_version"], answer["rolling"]) == ("house", 2, True)
    answer = await house.ask("assign", address="ida@corp.example", policy="none")
    assert answer["policy"] is None
    with pytest.raises(Fault, match=r"there is no mailbox nobody@corp\.example; gateway mailbox list"):
        await house.ask("assign", address="nobody@corp.example", policy="legal")


async def test_what_lay_under_no_policy_gets_a_new_key_with_its_first_one(house: House) -> None:
    await house.policy("house")
    await house.ask("create", address="ida@corp.example", policy="none")
    answer = await house.ask("assign", address="ida@corp.example", policy="house")
    assert (answer["policy"], answer["rolling"], answer["key_version"]) == ("house", True, 2)


async def test_a_roll_begins_once(house: House) -> None:
    await house.ask("create", address="ida@corp.example")
    assert (await house.ask("roll", address="ida@corp.example"))["key_version"] == 2
    assert (await house.ask("roll", address="ida@corp.example"))["key_version"] == 2


async def test_a_closed_mailbox_says_why(house: House) -> None:
    await house.policy("house")
    await house.ask("create", address="ida@corp.example", policy="house")
    house.policies.denied = {row.id for row in await house.store.policies()}
    answer = await house.ask("show", address="ida@corp.example")
    assert answer["open"] is False
    assert answer["reason"] == "the mailbox ida@corp.example is closed: both roots say no"


async def test_aliases_are_given_and_taken(house: House) -> None:
    await house.ask("create", address="ida@corp.example")
    await house.ask("create", address="bo@corp.example")
    answer = await house.ask("alias_add", address="ida@corp.example", aliases=["b@corp.example", "A@corp.example"])
    assert answer["aliases"] == ["a@corp.example", "b@corp.example"]
    with pytest.raises(Fault, match=r"a mailbox has bo@corp\.example already"):
        await house.ask("alias_add", address="ida@corp.example", aliases=["c@corp.example", "bo@corp.example"])
    with pytest.raises(Fault, match=r"has no alias c@corp\.example"):
        await house.ask("alias_remove", address="ida@corp.example", aliases=["a@corp.example", "c@corp.example"])
    answer = await house.ask("alias_remove", address="b@corp.example", aliases=["a@corp.example", "b@corp.example"])
    assert answer["aliases"] == []


async def test_a_catch_all_is_moved_and_taken_away(house: House) -> None:
    await house.ask("create", address="ida@corp.example")
    await house.ask("create", address="bo@corp.example")
    for address in ("ida@corp.example", "bo@corp.example"):
        answer = await house.ask("catch_all", domain="Corp.Example", address=address)
        assert (answer["domain"], answer["mailbox"]) == ("corp.example", address)
    assert (await house.ask("show", address="ida@corp.example"))["catch_all"] == []
    assert (await house.ask("show", address="bo@corp.example"))["catch_all"] == ["corp.example"]
    assert (await house.ask("catch_all", domain="corp.example", address=None))["mailbox"] is None
    with pytest.raises(Fault, match="has no catch-all"):
        await house.ask("catch_all", domain="corp.example", address=None)
    with pytest.raises(Fault, match="is no domain"):
        await house.ask("catch_all", domain="a..b", address="bo@corp.example")


async def test_a_quota_is_given_by_the_settings_by_the_command_or_later(house: House) -> None:
    house.section = Mailboxes(quota=1000)
    assert (await house.ask("create", address="a@corp.example"))["quota"] == 1000
    assert (await house.ask("create", address="b@corp.example", quota=5))["quota"] == 5
    assert (await house.ask("create", address="c@corp.example", quota=0))["quota"] is None
    assert (await house.ask("quota", address="a@corp.example", quota=0))["quota"] is None
    assert (await house.ask("quota", address="a@corp.example", quota=7))["quota"] == 7


async def test_a_removed_mailbox_is_gone_and_its_account_stays(house: House) -> None:
    await house.ask("create", address="ida@corp.example", aliases=["a@corp.example"])
    answer = await house.ask("remove", address="a@corp.example")
    assert (answer["address"], answer["account"], answer["messages"]) == ("ida@corp.example", "ida@corp.example", 0)
    with pytest.raises(Fault, match="there is no mailbox"):
        await house.ask("show", address="ida@corp.example")
    assert len(await house.people.answer("user.list", {})) == 1
    assert (await house.ask("create", address="ida@corp.example"))["account"] == "ida@corp.example"


async def test_a_database_that_fails_is_told_and_nothing_is_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise StorageBroken("locked")

    monkeypatch.setattr(house.store, "find", broken)
    with pytest.raises(Fault, match="the mailboxes can't be used: locked"):
        await house.ask("remove", address="ida@corp.example")
    assert house.forgotten == 0


async def test_only_what_changes_something_has_others_forget(house: House) -> None:
    assert changes("mailbox.create") and changes("mailbox.catch_all")
    assert not changes("mailbox.list") and not changes("mailbox.show")
    with pytest.raises(Fault, match=r"there is no command mailbox\.dance"):
        await house.ask("dance")
