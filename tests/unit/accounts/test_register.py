"""The register as `gateway user` changes it."""

from __future__ import annotations

import re

import pytest

from gateway.accounts import passwords
from gateway.accounts.register import MOST_ADDRESSES, Register, RegisterFault, is_short
from tests.unit.accounts.test_login import House


@pytest.fixture
async def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    monkeypatch.setattr(passwords, "MEMORY", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    return (await House().with_ida()).register


async def test_accounts_come_back_by_name(register: Register) -> None:
    await register.add("Anna", ["*@Corp.Example", "anna@corp.example", "*@corp.example"], "geheim123")
    found = [account for account, _ in await register.all()]
    assert [one.name for one in found] == ["anna", "ida"]
    assert found[0].addresses == ("*@corp.example", "anna@corp.example")
    assert not found[0].disabled and found[0].created == 1_793_700_000.0


async def test_a_name_is_given_once_however_it_is_written(register: Register) -> None:
    with pytest.raises(RegisterFault, match="there is an account ida already"):
        await register.add("IDA", [], "geheim123")
    assert len(await register.all()) == 1


async def test_addresses_are_given_and_taken(register: Register) -> None:
    account = await register.change_addresses("ida", add=["sales@corp.example", "ida@corp.example"])
    assert account.addresses == ("ida@corp.example", "sales@corp.example")
    account = await register.change_addresses("ida", remove=["IDA@corp.example"])
    assert account.addresses == ("sales@corp.example",)
    with pytest.raises(RegisterFault, match=r"does not have the address ida@corp.example; it has sales@corp.example"):
        await register.change_addresses("ida", remove=["ida@corp.example"])


@pytest.mark.parametrize("name", ["nobody", "IDA2"])
async def test_who_is_not_there_is_named(register: Register, name: str) -> None:
    for change in (
        register.set_password(name, "geheim123"),
        register.set_disabled(name, True),
        register.remove(name),
        register.change_addresses(name, add=["x@corp.example"]),
    ):
        with pytest.raises(RegisterFault, match=f"there is no account {name.lower()}"):
            await change


@pytest.mark.parametrize(
    ("name", "addresses", "password", "words"),
    [
        ("", [], "geheim123", "a name has at least one character"),
        ("-x", [], "geheim123", "hyphen"),
        ("otto", ["otto"], "geheim123", "otto is no address"),
        ("otto", ["x" * 10000], "geheim123", "too long"),
        ("otto", [f"o{one}@corp.example" for one in range(MOST_ADDRESSES + 1)], "geheim123", "at most 1000 addresses"),
        ("otto", [], "", "a password is not empty"),
        ("otto", [], "x" * 1025, "at most 1024 octets"),
        ("otto", [], "x\x07y", "control characters"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_kept(
    register: Register, name: str, addresses: list[str], password: str, words: str
) -> None:
    with pytest.raises(RegisterFault, match=words) as caught:
        await register.add(name, addresses, password)
    assert not password or password not in str(caught.value)
    assert len(await register.all()) == 1


def test_a_generated_password_is_long_and_easily_typed() -> None:
    register = House().register
    made = {register.generated() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"[a-z2-9]{5}(-[a-z2-9]{5}){3}", one) and not re.search("[lo01]", one) for one in made)


def test_a_short_password_is_known_as_such() -> None:
    assert is_short("1234567") and not is_short("12345678") and not is_short("éééé")
