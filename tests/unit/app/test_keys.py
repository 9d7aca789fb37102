"""`gateway key` as a process answers it: a real database, vaults in memory."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.app.channel import Fault
from gateway.app.keys import COMMANDS, DAY, Keys, Opened, opened
from gateway.app.places import Places
from gateway.keys import domain
from gateway.keys.access_log import opened as kept_lines
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import Denied, KeyType, Unavailable, Vault
from gateway.settings.load import Loaded
from gateway.storage.dkim_keys import Algorithm, DkimKey, DkimKeyStore, Use
from gateway.storage.migrate import migrate_spool
from gateway.storage.shared import Shared
from gateway.storage.spool import DATABASE
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.migrated import put_shared
from tests.fakes.settings import PLAIN, settings_in
from tests.fakes.vault import FakeVault

TWO = PLAIN + '\n[[vaults]]\nname = "main"\n[[vaults]]\nname = "second"\npath = "second"\n'


class House:
    """Two vaults, and a database where `started`."""

    def __init__(self, folder: Path, *, started: bool = True) -> None:
        self.loaded = settings_in(folder, TWO)
        self.places = Places.of(self.loaded)
        self.clock = FakeClock()
        self.main = FakeVault("main", clock=self.clock)
        self.second = FakeVault("second", clock=self.clock)
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.looks = 0
        if started:
            self.places.data.mkdir()
            put_shared(self.places.shared)
            self.shared(lambda shared: domain.ensure(shared, self.main, domain.PURPOSES, FakeChance(), self.clock))
        self.keys = Keys(
            lambda: self.loaded,
            open_vaults=self.open,
            clock=self.clock,
            chance=FakeChance("keys"),
            tell=lambda level, event, **facts: self.told.append((level, event, facts)),
            changed=self.look,
        )

    def open(self, loaded: Loaded) -> Opened:
        return Opened({"main": self.main, "second": self.second})

    async def look(self) -> None:
        self.looks += 1

    def shared(self, run: Any) -> Any:
        shared = Shared(self.places.shared)
        try:
            return run(shared)
        finally:
            shared.close()

    async def ask(self, command: str, **arguments: Any) -> Any:
        return await self.keys.answer(f"key.{command}", arguments)

    async def fault(self, command: str, **arguments: Any) -> str:
        with pytest.raises(Fault) as raised:
            await self.ask(command, **arguments)
        return str(raised.value)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_the_list_tells_vaults_keys_and_what_hangs_on_them(house: House) -> None:
    house.second.create("dkim.corp.example.s1.2026", KeyType.ED25519)
    house.second.create("access-log", KeyType.ED25519)
    house.main.disable("default")
    answer = await house.ask("list")
    assert answer["vaults"] == [
        {"name": "main", "provider": "file", "health": "answers", "reason": None},
        {"name": "second", "provider": "file", "health": "answers", "reason": None},
    ]
    by_name = {one["key"]: one for one in answer["keys"]}
    root = by_name["main/default"]
    assert (root["type"], root["state"], root["ends"]) == ("aes-256", "disabled", None)
    assert root["versions"] == [{"version": 1, "created": "2026-11-03T10:00:00.000Z"}]
    assert {one["key"] for one in root["holds"]} == {f"domain/{purpose}" for purpose in domain.PURPOSES}
    assert root["holds"][0] == {"kind": "domain_key", "key": "domain/accounts", "version": 1, "root_version": 1}
    # Domain and selector both have dots: the domain is the one of ours.
    assert by_name["second/dkim.corp.example.s1.2026"]["holds"] == [
        {"kind": "dkim", "domain": "corp.example", "selector": "s1.2026"}
    ]
    assert by_name["second/access-log"]["holds"] == [{"kind": "key_log"}]
    assert by_name["second/default"]["holds"] == []
    assert [one["key"] for one in answer["domain_keys"]] == sorted(f"domain/{purpose}" for purpose in domain.PURPOSES)
    assert answer["domain_keys"][0]["versions"][0]["root"] == "main/default"


async def test_a_vault_that_is_away_hides_no_other(house: House) -> None:
    house.main.away = True
    answer = await house.ask("list")
    assert [(one["name"], one["health"]) for one in answer["vaults"]] == [("main", "away"), ("second", "answers")]
    assert answer["vaults"][0]["reason"]
    assert [one["key"] for one in answer["keys"]] == ["second/default"]
    house.main.away, house.main.denied = False, True
    assert (await house.ask("list"))["vaults"][0]["health"] == "denied"
    house.main.denied, house.main.broken = False, True
    assert (await house.ask("list"))["vaults"][0]["health"] == "broken"


def test_each_vault_is_opened_for_itself(tmp_path: Path) -> None:
    vault: Vault = FakeVault("second")

    def open_(loaded: Loaded) -> dict[str, Vault]:
        (one,) = loaded.settings.vaults
        if one.name == "main":
            raise Unavailable("the disk is not mounted")
        return {one.name: vault}

    found = opened(settings_in(tmp_path, TWO), open_)
    assert found.vaults == {"second": vault}
    assert str(found.faults["main"]) == "the disk is not mounted"


async def test_a_vault_that_did_not_open_says_why_to_whoever_wants_its_keys(house: House) -> None:
    house.keys = Keys(
        lambda: house.loaded,
        open_vaults=lambda loaded: Opened({"second": house.second}, {"main": Denied("root-keys is missing")}),
        clock=house.clock,
        chance=FakeChance(),
        tell=lambda *_, **__: None,
        changed=house.look,
    )
    assert await house.fault("disable", key="main/default") == "root-keys is missing"
    assert (await house.ask("list"))["vaults"][0] == {
        "name": "main",
        "provider": "file",
        "health": "denied",
        "reason": "root-keys is missing",
    }


async def test_before_the_first_start_keys_can_be_made_and_nothing_hangs_on_them(tmp_path: Path) -> None:
    house = House(tmp_path, started=False)
    assert (await house.ask("create", key="main/other", type="rsa-2048"))["key"] == "main/other"
    assert (await house.ask("rotate", key="main/default"))["rewrapped"] == 0
    answer = await house.ask("list")
    assert [one["holds"] for one in answer["keys"]] == [[], [], []]
    assert answer["domain_keys"] == []
    assert (await house.ask("consequences", key="main/default"))["queue"] is None
    assert "before the first start" in await house.fault("rotate", key="domain/spool")
    assert "before the first start" in await house.fault("rehome", source="main/default", target="second/default")


async def test_a_new_key_is_of_the_type_that_was_asked_for(house: House) -> None:
    answer = await house.ask("create", key="second/signer", type="ed25519")
    assert (answer["key"], answer["type"], answer["state"]) == ("second/signer", "ed25519", "enabled")
    words = await house.fault("create", key="second/x", type="des")
    assert words == (
        "there is no type 'des'; right would be one of rsa-2048, rsa-3072, rsa-4096, aes-256, ed25519, ec-p256"
    )
    assert "already" in await house.fault("create", key="second/signer", type="ed25519")
    assert house.looks == 3  # Processes look after each, whatever came of it.
    assert house.told == [("info", "key_changed", {"operation": "create", "key": "second/signer", "state": "enabled"})]


async def test_the_key_of_the_access_log_is_one_that_can_sign(house: House) -> None:
    words = await house.fault("create", key="second/access-log", type="aes-256")
    assert words == (
        "second/access-log is the key that signs the key-access log, and aes-256 can't sign; right would be one of "
        "rsa-2048, rsa-3072, rsa-4096, ed25519, ec-p256"
    )
    assert [key.name for key in house.second.keys()] == ["default"]
    assert (await house.ask("create", key="second/access-log", type="ed25519"))["state"] == "enabled"


async def test_a_name_that_people_choose_has_at_most_64_characters(house: House) -> None:
    assert (await house.ask("create", key=f"second/{'k' * 64}", type="aes-256"))["name"] == "k" * 64
    words = await house.fault("create", key=f"second/{'k' * 65}", type="aes-256")
    assert words == "'kkkkkkkkkkkkkkkkkkkk'... is a name of 65 characters; right would be at most 64"
    assert len(house.second.keys()) == 2


async def test_a_rotated_signing_key_says_what_it_signs(house: House) -> None:
    house.main.create("access-log", KeyType.ED25519)
    answer = await house.ask("rotate", key="main/access-log")
    assert (answer["rewrapped"], answer["holds"]) == (0, [{"kind": "key_log"}])


async def test_a_rotated_root_takes_its_domain_keys_along(house: House) -> None:
    answer = await house.ask("rotate", key="main/default")
    assert (answer["rewrapped"], [one["version"] for one in answer["versions"]]) == (len(domain.PURPOSES), [1, 2])
    rows = house.shared(lambda shared: shared.keys())
    assert {row.root_version for row in rows} == {2}
    house.shared(lambda shared: domain.load(shared, {"main": house.main}))


async def test_a_domain_key_gets_a_version_that_is_used_once_all_know_it(house: House) -> None:
    answer = await house.ask("rotate", key="domain/spool")
    assert answer == {
        "key": "domain/spool",
        "version": 2,
        "root": "main/default",
        "root_version": 1,
        "used_from": "2026-11-03T10:01:00.000Z",
    }
    assert "not rotated" in await house.fault("rotate", key="domain/token")
    assert "no domain key 'mail'" in await house.fault("rotate", key="domain/mail")


async def test_a_dkim_key_is_rotated_by_its_own_command(house: House) -> None:
    house.main.create("dkim.corp.example.s1", KeyType.ED25519)
    assert "gateway dkim key rotate corp.example" in await house.fault("rotate", key="main/dkim.corp.example.s1")
    assert [len(key.versions) for key in house.main.keys() if key.name.startswith("dkim")] == [1]


def signer(selector: str, use: Use) -> DkimKey:
    return DkimKey(
        id=selector,
        domain="corp.example",
        selector=selector,
        algorithm=Algorithm.ED25519,
        vault="main",
        key=f"dkim.corp.example.{selector}",
        version=1,
        public=b"",
        use=use,
        created=0,
    )


async def test_consequences_say_what_a_dkim_key_is_for_where_that_can_be_read(house: House) -> None:
    uses = {"s1": Use.RETIRED, "s2": Use.ACTIVE, "s3": Use.NEXT}
    for selector in (*uses, "left"):
        house.main.create(f"dkim.corp.example.{selector}", KeyType.ED25519)
    shared = Shared(house.places.shared)
    try:
        sealer = KeySealer(domain.load(shared, {"main": house.main}), FakeChance("rows"))
        await DkimKeyStore(shared, sealer).add([signer(selector, use) for selector, use in uses.items()])
    finally:
        shared.close()

    async def use(selector: str) -> str | None:
        (held,) = (await house.ask("consequences", key=f"main/dkim.corp.example.{selector}"))["holds"]
        assert (held["domain"], held["selector"]) == ("corp.example", selector)
        return held.get("use")  # type: ignore[no-any-return]

    assert [await use(selector) for selector in (*uses, "left")] == ["retired", "active", "next", "unused"]
    house.main.disable("default")
    assert [await use(selector) for selector in (*uses, "left")] == [None] * 4


async def test_states_go_their_way(house: House) -> None:
    assert (await house.ask("disable", key="main/default"))["state"] == "disabled"
    assert "disabled" in await house.fault("rotate", key="main/default")
    assert (await house.ask("enable", key="main/default"))["state"] == "enabled"
    deleted = await house.ask("delete", key="main/default", after=10)
    assert (deleted["state"], deleted["ends"]) == ("deleted", "2026-11-13T10:00:00.000Z")
    assert "recover" in await house.fault("enable", key="main/default")
    assert (await house.ask("recover", key="main/default"))["state"] == "disabled"
    levels = [(level, facts["operation"]) for level, _, facts in house.told]
    assert levels == [("warning", "disable"), ("info", "enable"), ("warning", "delete"), ("info", "recover")]


async def test_deletion_waits_thirty_days_and_never_less_than_seven_unless_forced(house: House) -> None:
    assert (await house.ask("delete", key="second/default"))["ends"] == "2026-12-03T10:00:00.000Z"
    words = await house.fault("delete", key="main/default", after=6.9)
    assert words == (
        "a deleted key is kept for at least 7 days, so that a mistake can be taken back; right would be --after 7 or "
        "more, or --force beside it"
    )
    assert "can't be waited" in await house.fault("delete", key="main/default", after=-1, force=True)
    assert "can't be waited" in await house.fault("delete", key="main/default", after=4000)
    assert (await house.ask("delete", key="main/default", after=0, force=True))["state"] == "deleted"


async def test_what_was_deleted_ends_when_its_time_has_come(house: House) -> None:
    await house.ask("delete", key="second/default", after=7)
    house.told.clear()
    await house.clock.advance(7 * DAY - 1)
    assert await house.keys.purge() == []
    looks = house.looks
    await house.clock.advance(2)
    house.main.away = True  # Another vault holds nothing up.
    assert await house.keys.purge() == ["second/default"]
    assert house.second.keys() == ()
    assert house.looks == looks + 1
    assert house.told == [("warning", "key_destroyed", {"key": "second/default"})]


async def test_listing_never_destroys(house: House) -> None:
    await house.ask("delete", key="second/default", after=7)
    await house.clock.advance(30 * DAY)
    assert "second/default" in [one["key"] for one in (await house.ask("list"))["keys"]]
    assert house.second.keys()


async def test_domain_keys_move_to_another_vault(house: House) -> None:
    answer = await house.ask("rehome", source="main/default", target="second/default")
    assert answer == {"key": "second/default", "from": "main/default", "rewrapped": len(domain.PURPOSES)}
    assert {row.vault for row in house.shared(lambda shared: shared.keys())} == {"second"}
    assert "wraps no domain key" in await house.fault("rehome", source="main/default", target="second/default")


async def test_consequences_are_counted_without_any_key(house: House) -> None:
    for number, sizes in ((0, (100, 50)), (1, (7,))):
        folder = house.places.spool(number)
        folder.mkdir(parents=True)
        migrate_spool(folder / DATABASE)
        with sqlite3.connect(folder / DATABASE) as connection:
            rows = [(f"{number}-{place}", size) for place, size in enumerate(sizes)]
            connection.executemany("INSERT INTO messages VALUES (?, 0, ?, x'00')", rows)
        connection.close()
    with sqlite3.connect(house.places.shared) as connection:
        connection.execute("INSERT INTO trace_events VALUES ('A', 1, 0, x'', x'')")
        connection.execute("INSERT INTO accounts VALUES ('default', 1, 'id', x'00')")
    connection.close()
    house.main.disable("default")
    facts = await house.ask("consequences", key="main/default")
    assert facts["key"] == "main/default" and facts["state"] == "disabled"
    assert facts["queue"] == {"messages": 3, "octets": 157}
    assert (facts["traces"], facts["accounts"], facts["signing"]) == (1, 1, True)
    other = await house.ask("consequences", key="second/default")
    assert (other["holds"], other["queue"], other["traces"], other["accounts"]) == ([], None, None, None)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("default", "'default' is no key; right would be VAULT/KEY, such as main/default"),
        ("/default", "is no key"),
        ("main/", "is no key"),
        ("third/default", "gateway.toml names no vault 'third'; it names main, second"),
        ("domain/spool", "domain/spool is a domain key"),
    ],
)
async def test_names_that_mean_nothing_are_told_what_would_be_right(house: House, key: str, words: str) -> None:
    for command in ("disable", "enable", "recover", "delete", "consequences"):
        assert words in await house.fault(command, key=key)


async def test_a_key_that_is_not_there_is_told_what_is(house: House) -> None:
    assert await house.fault("consequences", key="main/other") == (
        "vault 'main' holds no key 'other'; it holds default"
    )


async def test_who_asked_stands_in_the_key_access_log(house: House) -> None:
    await house.ask("disable", key="main/default", by="ida")
    with sqlite3.connect(house.places.shared) as connection:
        lines = [
            line for (octets,) in connection.execute("SELECT lines FROM key_log") for line in kept_lines(octets)[0]
        ]
    connection.close()
    (line,) = [line for line in lines if b"disable" in line]
    assert b"cli ida" in line


async def test_the_inventory_is_answered_too(house: House) -> None:
    rows = await house.keys.answer("inventory", {})
    assert "main/default" in {row["what"].split(" ")[0] for row in rows}


async def test_other_commands_are_none_of_ours(house: House) -> None:
    assert "key.log.list" not in COMMANDS
    assert await house.fault("burn") == "there is no command 'key.burn'"


async def test_keys_that_wait_for_their_end_are_told_without_the_database(house: House) -> None:
    await house.ask("delete", key="second/default", after=7)
    house.places.shared.unlink()
    house.main.away = True
    assert [one["key"] for one in await house.keys.deleted()] == ["second/default"]
