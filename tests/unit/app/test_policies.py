"""`gateway policy` as a process answers it: rows in a real database, vaults in memory."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from base64 import b64decode
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from gateway.app.backup import backup
from gateway.app.channel import Fault
from gateway.app.mailboxes import MailboxOffice
from gateway.app.places import Places
from gateway.app.policies import PolicyCommands, changes
from gateway.app.policy_uses import policy_book
from gateway.app.policy_warnings import RECENT, policy_warnings
from gateway.app.vault_place import place_of
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import KeyType
from gateway.mailboxes.policies.mailbox_keys import MailboxKeys
from gateway.mailboxes.policies.order import PURGE, make_order
from gateway.mailboxes.policies.policy_keys import PolicyKeys
from gateway.storage.backup_notes import BackupNote, BackupNotes
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.migrate import migrate_shared
from gateway.storage.shared import Shared
from gateway.storage.writer import StorageBroken
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.settings import PLAIN, settings_in
from tests.fakes.vault import FakeVault
from tests.unit.mailboxes.policies.test_purge import PRIVATE, PUBLIC

KEYS = {("mailboxes", 1): b"m" * 32, ("token", 1): b"k" * 32}
VAULTS = "".join(
    f'\n[[vaults]]\nname = "{name}"\npath = "{path}"\n'
    for name, path in (("main", "vault"), ("a", "a"), ("b", "b"), ("again", "./a/../a"))
)
NEW = {"name": "house", "roots": ["a/mail", "b/mail"]}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables."""
    path = tmp_path_factory.mktemp("empty") / "gateway.db"
    migrate_shared(path)
    return path


class House:
    """One process, and its database."""

    def __init__(self, folder: Path, empty: Path, executor: ThreadPoolExecutor) -> None:
        self.loaded = settings_in(folder, PLAIN + VAULTS)
        self.places = Places.of(self.loaded)
        self.places.data.mkdir()
        shutil.copy(empty, self.places.shared)
        self.shared = Shared(self.places.shared)
        self.clock = FakeClock()
        self.vaults = {name: FakeVault(name, ("mail",), clock=self.clock) for name in ("main", "a", "b", "again")}
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.sealer, chance = KeySealer(DomainKeys(KEYS), FakeChance("sealer")), FakeChance()
        self.store = MailboxStore(self.shared, self.sealer, chance=chance, clock=self.clock)
        tell = lambda level, event, **facts: self.told.append((event, facts))  # noqa: E731
        keys = PolicyKeys(
            self.store,
            self.vaults,
            availability=("main", "availability"),
            clock=self.clock,
            chance=chance,
            tell=tell,
            executor=executor,
        )
        self.mailbox_keys = MailboxKeys(
            self.store, keys, self.sealer, clock=self.clock, chance=chance, tell=tell, executor=executor
        )
        office = SimpleNamespace(
            loaded=self.loaded,
            stores=SimpleNamespace(shared=self.shared),
            store=self.store,
            policy_keys=keys,
            mailbox_keys=self.mailbox_keys,
            clock=self.clock,
            chance=chance,
            tell=tell,
            executor=executor,
            forget_keys=keys.forget,
        )
        self.keys = keys
        self.commands = PolicyCommands(cast(MailboxOffice, office), by="ida")

    async def ask(self, command: str, **arguments: Any) -> Any:
        return await self.commands.answer(f"policy.{command}", arguments)

    async def mailbox(self, address: str) -> None:
        row = await self.store.policy_named("house")
        assert row is not None
        id_ = self.store.new_id()
        await self.store.create(id_, address, address, await self.mailbox_keys.new(id_, row.id))

    def order(self, name: str = "house", policy_id: int | None = None) -> str:
        now = self.clock.now()
        return make_order(PURGE, name, PRIVATE, policy_id=policy_id, now=now, chance=FakeChance(str(now))).decode()

    def cells(self) -> dict[tuple[str, int], tuple[object, ...]]:
        """Every row of every table."""
        with closing(sqlite3.connect(self.places.shared)) as db:
            names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            return {
                (name, number): row for name in names for number, row in enumerate(db.execute(f"SELECT * FROM {name}"))
            }


@pytest.fixture
async def house(tmp_path: Path, empty: Path) -> AsyncIterator[House]:
    with ThreadPoolExecutor(2) as executor:
        one = House(tmp_path, empty, executor)
        yield one
        one.shared.close()


async def test_a_policy_is_made_listed_and_shown_with_what_its_keys_say(house: House) -> None:
    made = await house.ask("create", **NEW, custodian=PUBLIC.decode(), default=True)
    assert [one["key"] for one in made["roots"]] == ["a/mail", "b/mail"] and made["default"] and made["warnings"] == []
    (listed,) = await house.ask("list")
    assert listed == {name: value for name, value in made.items() if name != "warnings"}
    house.vaults["b"].disable("mail")
    shown = await house.ask("show", name="house")
    assert [(one["key"], one["answers"], one["state"]) for one in shown["keys"]] == [
        ("a/mail", True, "answers"),
        ("b/mail", False, "denied"),
        ("main/availability", True, "answers"),
    ]
    assert len(shown["warnings"]) == 1 and shown["warnings"][0].startswith("only one root answers: b/mail")
    assert ("policy_changed", {"operation": "create", "policy": "house", "by": "ida"}) in house.told


async def test_a_root_beside_the_availability_key_is_warned_of(house: House) -> None:
    made = await house.ask("create", name="house", roots=["a/mail", "main/mail"])
    assert "main/mail lies in the vault of the availability key" in made["warnings"][0]


async def test_two_names_of_one_folder_are_one_vault(house: House) -> None:
    """Row k01."""
    with pytest.raises(Fault, match="one vault"):
        await house.ask("create", name="house", roots=["a/mail", "again/mail"])
    assert place_of(house.loaded)("a") == place_of(house.loaded)("again") != place_of(house.loaded)("b")


async def test_refresh_replace_and_assign_touch_one_row_whatever_the_mailboxes(house: House) -> None:
    """Rows k07, k11."""
    await house.ask("create", **NEW)
    for number in range(20):
        await house.mailbox(f"{number}@corp.example")

    async def changed(verb: str, **arguments: Any) -> list[str]:
        before = house.cells()
        await house.ask(verb, **arguments)
        after = house.cells()
        assert before.keys() == after.keys()
        return [name for (name, number), row in after.items() if before[name, number] != row]

    house.vaults["a"].rotate("mail")
    assert await changed("refresh", name="house") == ["mailbox_policies"]
    assert await changed("replace", name="house", old="b/mail", new="main/mail") == ["mailbox_policies"]
    assert await changed("refresh", name="house") == []
    await house.ask("create", name="other", roots=["a/mail", "b/mail"])
    other, mailbox = await house.store.policy_named("other"), await house.store.find("7@corp.example")
    assert other is not None and mailbox is not None
    before = house.cells()
    await house.mailbox_keys.assign(mailbox, other.id)
    after = house.cells()
    assert [name for (name, number), row in after.items() if before[name, number] != row] == ["mailboxes"]


async def test_a_version_that_a_backup_needs_is_named_until_somebody_says_that_the_backup_is_gone(house: House) -> None:
    """Row k07."""
    await house.ask("create", **NEW)
    await house.clock.advance(10)
    now = house.clock.now()
    notes = BackupNotes(house.shared)
    notes.add(BackupNote("b1", "/backups/one", now, now + 1))
    await house.clock.advance(10)
    house.vaults["a"].rotate("mail")
    needs = (await house.ask("refresh", name="house"))["needs"]
    old = [one for one in needs if (one["key"], one["version"]) == ("a/mail", 1)]
    assert [(one["policy"], one["backups"][0]["path"], one["backups"][0]["there"]) for one in old] == [
        (False, "/backups/one", False)
    ]
    book = policy_book_of(house)
    (key,) = (key for key in house.vaults["a"].keys() if key.name == "mail")
    assert [(use.kind is None, use.key_version, use.backups) for use in book.uses(key)] == [
        (True, 1, ("/backups/one",)),
        (False, 2, ()),
    ]
    assert [one["id"] for one in await house.ask("backups")] == ["b1"]
    with pytest.raises(Fault, match="no backup 'b2'"):
        await house.ask("backups", forget="b2")
    assert await house.ask("backups", forget="b1") == []
    assert all(one["policy"] for one in (await house.ask("show", name="house"))["needs"])


async def test_gateway_backup_notes_what_it_makes(house: House, tmp_path: Path) -> None:
    """Row k10: a certificate names it."""
    await house.ask("create", **NEW, custodian=PUBLIC.decode())
    dest = tmp_path / "gateway.backup"
    made = await asyncio.to_thread(
        backup, house.loaded.path, dest, passphrase=None, clock=house.clock, chance=FakeChance("backup")
    )
    assert made.path == dest and not any("noted" in note for note in made.notes)
    needs = (await house.ask("show", name="house"))["needs"]
    assert [[(one["path"], one["there"]) for one in need["backups"]] for need in needs] == [[(str(dest), True)]] * 3
    for name in "ab":
        house.vaults[name].disable("mail")
    await house.ask("purge", name="house", order=house.order(), grace=0)
    said = orjson.loads((await house.ask("certificate", name="house"))["certificate"])
    assert [one["path"] for one in said["backups"]] == [str(dest)]


def policy_book_of(house: House) -> Any:
    """As a command reads it, on a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(policy_book, house.shared, house.sealer, FakeChance(), house.clock).result()


async def test_a_key_tells_the_policies_and_mailboxes_that_hang_on_it(house: House) -> None:
    await house.ask("create", **NEW)
    await house.mailbox("ida@corp.example")
    (key,) = (key for key in house.vaults["b"].keys() if key.name == "mail")
    (use,) = policy_book_of(house).uses(key)
    told = use.told()
    assert (told["policy"], told["as"], told["other"], told["mailboxes"], told["addresses"]) == (
        "house",
        "root_b",
        "a/mail",
        1,
        ["ida@corp.example"],
    )


async def test_no_copy_of_a_destroyed_policys_key_is_left_in_the_files(house: House) -> None:
    """Row k10."""
    await house.ask("create", **NEW, custodian=PUBLIC.decode())
    await house.mailbox("ida@corp.example")
    with closing(sqlite3.connect(house.places.shared)) as db:
        (sealed,) = db.execute("SELECT sealed FROM mailbox_policies").fetchone()
    assert any(sealed[200:260] in path.read_bytes() for path in house.places.data.iterdir() if path.is_file())
    for name in "ab":
        house.vaults[name].disable("mail")
    facts = await house.ask("consequences", name="house")
    assert facts["addresses"] == ["ida@corp.example"] and facts["messages"] == 0
    gone = await house.ask("purge", name="house", order=house.order(), grace=0, reason="leaving")
    assert f"does not name the policy's id ({gone['id']})" in str(gone["warnings"])
    assert gone["state"] == "purged" and gone["purge"]["reason"] == "leaving" and gone["roots"] == []
    for path in house.places.data.iterdir():
        octets = path.read_bytes() if path.is_file() else b""
        assert not any(sealed[place : place + 60] in octets for place in range(100, len(sealed) - 60, 60)), path.name
    answer = await house.ask("certificate", name="house", out="C")
    assert orjson.loads(answer["certificate"])["policy"] == "house" and b64decode(answer["signature"])
    assert answer["verify"].startswith("openssl ")
    with pytest.raises(Fault, match="was destroyed"):
        await house.ask("refresh", name="house")


async def test_a_purge_is_taken_back_by_a_command_of_its_own(house: House) -> None:
    """Row k09."""
    await house.ask("create", **NEW, custodian=PUBLIC.decode())
    for name in "ab":
        house.vaults[name].disable("mail")
    row = await house.store.policy_named("house")
    assert row is not None
    purging = await house.ask("purge", name="house", order=house.order(policy_id=row.id), grace=3)
    assert (purging["state"], purging["warnings"]) == ("purging", [])
    assert (await house.ask("cancel", name="house"))["state"] == "ready"
    for name in "ab":
        house.vaults[name].enable("mail")
    await house.mailbox("ida@corp.example")


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("show", {"name": "nowhere"}),
        ("create", {"name": "house", "roots": ["a"]}),
        ("create", {"name": "house", "roots": ["a/mail", "c/mail"]}),
        ("create", {"name": "house", "roots": ["a/mail", "b/mail"], "custodian": "no key"}),
        ("purge", {"name": "house", "order": "{}"}),
        ("certificate", {"name": "house"}),
        ("nothing", {}),
    ],
)
async def test_what_can_not_be_done_is_told_for_people(house: House, verb: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(Fault):
        await house.ask(verb, **arguments)


async def test_the_default_is_changed_and_taken_away(house: House) -> None:
    await house.ask("create", **NEW)
    assert (await house.ask("default", name="house"))["default"]
    assert await house.ask("default", name="none") is None
    assert not (await house.ask("list"))[0]["default"]


async def test_after_each_change_keys_are_asked_for_anew(house: House) -> None:
    assert [changes(f"policy.{verb}") for verb in ("create", "refresh", "purge", "cancel", "show", "list")] == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    await house.ask("create", **NEW)
    row = await house.store.policy_named("house")
    assert row is not None
    await house.keys.key(row.id)
    house.vaults["main"].create("new", KeyType.AES_256)
    await house.ask("replace", name="house", old="a/mail", new="main/new")
    uses = house.vaults["main"].unwraps + house.vaults["b"].unwraps
    await house.keys.key(row.id)
    assert house.vaults["main"].unwraps + house.vaults["b"].unwraps == uses + 1


async def test_a_database_that_is_away_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> None:
        raise StorageBroken("the database is away")

    monkeypatch.setattr(house.store, "policies", away)
    with pytest.raises(Fault, match="is away"):
        await house.ask("list")


NOTHING: dict[str, Any] = {"roots": {}, "looked": {}, "purging": {}, "stuck": {}, "ended": [], "doubtful": []}


def trouble(what: str, reason: str, *, last: float = 1000.0, shows: bool = True) -> dict[str, Any]:
    return {"what": what, "reason": reason, "since": 1000.0, "last": last, "shows": shows}


@pytest.mark.parametrize(
    ("met", "looked", "is_told"),
    [
        (trouble("one_root", "b/mail is disabled", last=1500.0), 0.0, True),
        (trouble("one_root", "b/mail is disabled", last=1500.0), 1400.0, True),
        (trouble("one_root", "b/mail is disabled", last=1500.0), 1600.0, False),
        (trouble("one_root", "the copy under b/mail is damaged", last=1500.0, shows=False), 1600.0, True),
    ],
)
def test_a_root_that_is_well_again_is_no_warning_whoever_met_it_before(
    met: dict[str, Any], looked: float, is_told: bool
) -> None:
    """A process that nobody uses asks no root again, and what it met last would be told for ever."""
    states = [
        {"mailboxes": {"policies": {"troubles": {"house": met}, "availability": {}}, "watch": None}},
        {"mailboxes": {"policies": None, "watch": {**NOTHING, "looked": {"house": looked}}}},
    ]
    assert [one["code"] for one in policy_warnings(states, 2000.0)] == (["policy_root"] if is_told else [])


def test_a_policy_that_is_destroyed_is_no_warning() -> None:
    troubles = {"house": trouble("closed", "both roots say no"), "home": trouble("one_root", "a/mail is disabled")}
    watch = {**NOTHING, "roots": {"house": {"a/mail": "a/mail is disabled"}}, "ended": ["house", "home"]}
    states = [{"mailboxes": {"policies": {"troubles": troubles, "availability": {}}, "watch": watch}}]
    assert policy_warnings(states, 2000.0) == []


def test_the_status_tells_what_is_not_as_it_should_be_each_thing_once() -> None:
    keys = {
        "troubles": {
            "shut": trouble("closed", "both roots say no"),
            "half": trouble("one_root", "b/mail is disabled"),
        },
        "availability": {"lone": 5000.0},
    }
    watch = {
        **NOTHING,
        "roots": {"half": {"b/mail": "b/mail is disabled"}},
        "purging": {"going": "2026-12-01T00:00:00Z", "late": "2026-11-01T00:00:00Z"},
        "stuck": {"late": "a/mail still opens it"},
        "doubtful": ["gateway.toml: mailboxes.catch_all.corp.example: found a mailbox that is none"],
    }
    quiet: dict[str, Any] = {"troubles": {}, "availability": {}}
    workers: list[dict[str, Any]] = [
        {"mailboxes": {"policies": keys, "watch": watch}},
        {"mailboxes": {"policies": keys, "watch": NOTHING}},
        {},
    ]
    codes = [(one["code"], one["text"].split()[4:8]) for one in policy_warnings(workers, 6000.0)]
    assert [code for code, _ in codes] == [
        "policy_closed",
        "policy_root",
        "availability_key_used",
        "policy_purge",
        "policy_purge_stuck",
        "settings",
    ]
    assert "availability_key_used" not in [one["code"] for one in policy_warnings(workers, 5000.0 + RECENT)]
    assert policy_warnings([{"mailboxes": {"policies": quiet, "watch": {}}}, {"mailboxes": None}], 0.0) == []
