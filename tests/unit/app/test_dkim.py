"""`gateway dkim key` as a process answers it, and how a process learns which keys sign."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateway.app.channel import Fault
from gateway.app.dkim import LOOK, Dkim
from gateway.authenticate.dkim.tags import tags
from gateway.authenticate.signing import SigningKeys
from gateway.connectors.model import Domains
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import Denied, KeyType, VaultKey
from gateway.storage.writer import StorageBroken
from tests.fakes.accounts import FakeShared
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.transport import settle
from tests.fakes.vault import FakeVault

KEYS = {("dkim", 1): b"d" * 32, ("token", 1): b"k" * 32}
DAY = "gw20261103"


class NoEd25519(FakeVault):
    """A token that knows RSA alone."""

    def create(self, key: str, type_: KeyType) -> VaultKey:
        if type_ is KeyType.ED25519:
            raise Denied("the vault 'main' makes no ed25519 keys")
        return super().create(key, type_)


class House:
    def __init__(self, shared: FakeShared | None = None, vault: FakeVault | None = None) -> None:
        self.shared = shared or FakeShared()
        self.vault = vault or FakeVault()
        self.clock = FakeClock()
        self.told: list[dict[str, Any]] = []
        self.signing = SigningKeys()
        self.default: str | None = None
        self.dkim = Dkim(
            self.shared,
            KeySealer(DomainKeys(KEYS), FakeChance()),
            {"main": self.vault, "second": FakeVault("second")},
            vault=lambda: self.default,
            clock=self.clock,
            chance=FakeChance(str(id(self))),
            tell=lambda level, event, **facts: self.told.append({"event": event, **facts}),
            accepted=lambda: Domains(("corp.example", "*.corp.example")),
            changed=self._changed,
        )

    def _changed(self, keys: SigningKeys) -> None:
        self.signing = keys

    async def ask(self, command: str, **arguments: Any) -> Any:
        return await self.dkim.answer(f"dkim.{command}", arguments)

    async def refused(self, command: str, **arguments: Any) -> str:
        with pytest.raises(Fault) as caught:
            await self.ask(command, **arguments)
        return str(caught.value)

    def signs(self, domain: str = "corp.example") -> list[str]:
        return [key.selector for key in self.signing.of(domain)]


@pytest.fixture
def house() -> House:
    return House()


async def test_a_domain_gets_a_key_of_each_type_that_signs_at_once(house: House) -> None:
    assert await house.ask("list") == []
    answer = await house.ask("create", domain="Corp.example")
    assert answer["warnings"] == []
    assert [(one["type"], one["selector"], one["state"]) for one in answer["keys"]] == [
        ("rsa-2048", DAY, "active"),
        ("ed25519", f"{DAY}-ed25519", "active"),
    ]
    assert house.signs() == [DAY, f"{DAY}-ed25519"]
    assert await house.ask("list") == await house.ask("show", domain="corp.example") == answer["keys"]
    assert [(key.name, key.type) for key in house.vault.keys() if key.name != "default"] == [
        (f"dkim.corp.example.{DAY}", KeyType.RSA_2048),
        (f"dkim.corp.example.{DAY}-ed25519", KeyType.ED25519),
    ]


async def test_the_records_are_what_the_dns_has_to_say(house: House) -> None:
    rsa, ed = (await house.ask("create", domain="corp.example", selector="s1"))["keys"]
    assert rsa["name"] == "s1._domainkey.corp.example"
    assert ed["name"] == "s1-ed25519._domainkey.corp.example"
    found = tags(rsa["record"].encode())
    assert (found["v"], found["k"]) == (b"DKIM1", b"rsa")
    assert getattr(load_der_public_key(b64decode(found["p"])), "key_size", 0) == 2048
    found = tags(ed["record"].encode())
    assert (found["v"], found["k"]) == (b"DKIM1", b"ed25519")
    assert len(b64decode(found["p"])) == 32  # RFC 8463 4.2
    assert ed["zone"] == f'{ed["name"]}. 3600 IN TXT "{ed["record"]}"'
    strings = rsa["zone"].removeprefix(f"{rsa['name']}. 3600 IN TXT ").strip('"').split('" "')
    assert "".join(strings) == rsa["record"]
    assert [len(one) for one in strings] == [255, len(rsa["record"]) - 255]


async def test_one_type_has_the_selector_as_it_was_given(house: House) -> None:
    (key,) = (await house.ask("create", domain="corp.example", selector="S1", type="ed25519"))["keys"]
    assert (key["selector"], key["type"]) == ("s1", "ed25519")
    (key,) = (await house.ask("create", domain="corp.example", type="rsa-2048"))["keys"]
    assert key["selector"] == DAY


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"domain": "no domain"}, "is no domain; right would be corp.example"),
        ({"domain": "*.corp.example"}, "is no domain"),
        ({"domain": "corp.example", "type": "rsa-1024"}, "right would be rsa-2048 or ed25519"),
        ({"domain": "corp.example", "selector": "a b"}, "is no selector"),
        ({"domain": "corp.example", "selector": "-a"}, "is no selector"),
        ({"domain": "corp.example", "selector": "a" * 60}, "is too long"),
        ({"domain": "corp.example", "vault": "third"}, "names no vault 'third'; it names main, second"),
    ],
)
async def test_what_cant_be_made_is_refused_with_what_would_be_right(
    house: House, arguments: dict[str, str], words: str
) -> None:
    assert words in await house.refused("create", **arguments)
    assert await house.ask("list") == []


async def test_a_second_key_of_a_type_is_a_rotation(house: House) -> None:
    await house.ask("create", domain="corp.example", selector="s1")
    said = await house.refused("create", domain="corp.example", type="ed25519")
    assert "selector s1-ed25519" in said
    assert "gateway dkim key rotate corp.example" in said


async def test_a_key_that_a_failed_attempt_left_in_the_vault_is_taken(house: House) -> None:
    house.vault.create("dkim.corp.example.s1", KeyType.ED25519)
    (key,) = (await house.ask("create", domain="corp.example", selector="s1", type="ed25519"))["keys"]
    assert key["key"] == "dkim.corp.example.s1"


async def test_a_key_of_another_type_in_the_vault_is_left_alone(house: House) -> None:
    house.vault.create("dkim.corp.example.s1", KeyType.RSA_2048)
    said = await house.refused("create", domain="corp.example", selector="s1", type="ed25519")
    assert "has a key 'dkim.corp.example.s1' already, rsa-2048 and enabled" in said


async def test_what_a_vault_lacks_is_told_and_the_other_key_made() -> None:
    house = House(vault=NoEd25519())
    answer = await house.ask("create", domain="corp.example")
    assert [one["type"] for one in answer["keys"]] == ["rsa-2048"]
    assert "there is no ed25519 key: the vault 'main' makes no ed25519 keys" in answer["warnings"][0]
    assert "makes no ed25519" in await house.refused("create", domain="corp.example", type="ed25519")


async def test_keys_are_made_where_the_settings_or_the_caller_say(house: House) -> None:
    house.default = "second"
    answer = await house.ask("create", domain="corp.example", type="ed25519")
    assert answer["keys"][0]["vault"] == "second"
    answer = await house.ask("create", domain="de.corp.example", type="ed25519", vault="main")
    assert answer["keys"][0]["vault"] == "main"


async def test_a_domain_that_is_not_ours_is_warned_of(house: House) -> None:
    answer = await house.ask("create", domain="else.example", type="ed25519")
    assert "none of accepted_domains" in answer["warnings"][0]
    answer = await house.ask("create", domain="de.corp.example", type="ed25519")
    assert answer["warnings"] == []


async def test_successors_wait_until_they_are_activated(house: House) -> None:
    await house.ask("create", domain="corp.example", selector="a")
    answer = await house.ask("rotate", domain="corp.example")
    assert [(one["selector"], one["state"]) for one in answer["keys"]] == [
        (DAY, "next"),
        (f"{DAY}-ed25519", "next"),
    ]
    assert house.signs() == ["a", "a-ed25519"]
    assert "has a successor already" in await house.refused("rotate", domain="corp.example")
    await house.ask("activate", domain="corp.example")
    assert house.signs() == [DAY, f"{DAY}-ed25519"]
    assert {one["selector"]: one["state"] for one in await house.ask("list")} == {
        "a": "retired",
        "a-ed25519": "retired",
        DAY: "active",
        f"{DAY}-ed25519": "active",
    }
    assert "has no successor that waits" in await house.refused("activate", domain="corp.example")
    answer = await house.ask("rotate", domain="corp.example")  # The same day: the selector is another.
    assert [one["selector"] for one in answer["keys"]] == [f"{DAY}-2", f"{DAY}-2-ed25519"]


async def test_only_what_signs_gets_a_successor(house: House) -> None:
    await house.ask("create", domain="corp.example", selector="a", type="ed25519")
    (key,) = (await house.ask("rotate", domain="corp.example", selector="b"))["keys"]
    assert (key["selector"], key["type"]) == ("b", "ed25519")
    for command in ("rotate", "show", "activate"):
        said = await house.refused(command, domain="else.example")
        assert "has no DKIM key; to make one: gateway dkim key create else.example" in said


@pytest.mark.parametrize(("switch", "words"), [("away", "does not answer"), ("denied", "disabled")])
async def test_a_vault_that_fails_is_told_in_its_words(house: House, switch: str, words: str) -> None:
    setattr(house.vault, switch, True)
    assert words in await house.refused("create", domain="corp.example", type="ed25519")


async def test_another_process_learns_of_keys_when_it_is_told_or_looks(house: House) -> None:
    other = House(shared=house.shared)
    await other.dkim.look()
    watch = asyncio.create_task(other.dkim.watch())
    await house.ask("create", domain="corp.example", selector="a", type="ed25519")
    assert other.signs() == []
    await other.ask("look")
    assert other.signs() == ["a"]
    await house.ask("create", domain="de.corp.example", selector="b", type="ed25519")
    await settle()
    await other.clock.advance(LOOK)
    assert other.signs("de.corp.example") == ["b"]
    watch.cancel()


async def test_keys_that_cant_be_read_go_on_and_are_told_once(house: House) -> None:
    await house.ask("create", domain="corp.example", selector="a", type="ed25519")
    house.shared.away = StorageBroken("the disk is gone")
    for _ in range(2):
        await house.dkim.look()
    assert house.signs() == ["a"]
    assert [one["event"] for one in house.told].count("dkim_keys_not_read") == 1
    assert "can't be used" in await house.refused("list")


async def test_an_unknown_command_is_refused(house: House) -> None:
    assert "no command" in await house.refused("publish")


async def test_a_key_that_its_vault_denies_is_listed_so(house: House) -> None:
    await house.ask("create", domain="corp.example", selector="s1")
    house.vault.disable("dkim.corp.example.s1")
    assert [(one["state"], one["key_state"]) for one in await house.ask("list")] == [
        ("active", "disabled"),
        ("active", "enabled"),
    ]
    house.vault.away = True
    assert [one["key_state"] for one in await house.ask("show", domain="corp.example")] == [None, None]


async def test_a_successor_that_its_vault_denies_is_not_activated(house: House) -> None:
    await house.ask("create", domain="corp.example", selector="s1", type="ed25519")
    await house.ask("rotate", domain="corp.example", selector="s2")
    house.vault.disable("dkim.corp.example.s2")
    said = await house.refused("activate", domain="corp.example")
    assert "s2 of corp.example can't sign: its key main/dkim.corp.example.s2 is disabled" in said
    assert house.signs() == ["s1"], "the key before it goes on"
    house.vault.enable("dkim.corp.example.s2")
    await house.ask("activate", domain="corp.example")
    assert house.signs() == ["s2"]


async def test_a_domain_is_denied_once_none_of_its_keys_may_sign(house: House) -> None:
    await house.ask("create", domain="corp.example", selector="s1")
    await house.ask("create", domain="other.example", selector="s1", type="ed25519")
    await house.ask("rotate", domain="corp.example", selector="s2")  # Successors sign nothing, so they help nobody.
    assert await house.dkim.denied() == {}
    house.vault.disable("dkim.corp.example.s1")
    assert await house.dkim.denied() == {}  # The other one still signs.
    house.vault.delete("dkim.corp.example.s1-ed25519", house.clock.now() + 1)
    found = {"corp.example": ["main/dkim.corp.example.s1 is disabled", "main/dkim.corp.example.s1-ed25519 is deleted"]}
    assert await house.dkim.denied() == found
    await house.clock.advance(2)
    house.vault.purge(house.clock.now())
    found["corp.example"][1] = "main/dkim.corp.example.s1-ed25519 is not there"
    assert await house.dkim.denied() == found
    house.vault.away = True  # That is another warning's, and mail waits for it.
    assert await house.dkim.denied() == {}
    house.vault.away = False
    await house.ask("activate", domain="corp.example")
    assert await house.dkim.denied() == {}
