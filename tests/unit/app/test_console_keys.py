"""`gateway key` while nothing serves: vaults that a secret opens, and one for which a person is asked."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from gateway.app import console as module
from gateway.app.console import Console, ConsoleFault
from gateway.app.init import init
from gateway.app.migrate import migrate
from gateway.app.parts import open_stores
from gateway.keys import passphrase
from gateway.keys.providers.file import protectors
from gateway.keys.providers.file.custody import Custody
from gateway.keys.providers.file.means import Means, Source, secret_in
from gateway.keys.providers.file.sheet import Kind
from gateway.settings.load import loaded
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.spool import put

PHRASE = b"correct horse battery"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    init(tmp_path / "var", hostname="mail", clock=FakeClock(), chance=FakeChance())
    return tmp_path / "var" / "gateway.toml"


@pytest.fixture
def by_passphrase(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, but for the service's secret: a passphrase alone opens it."""
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase, "PASSES", 1)
    secret = secret_in(path.parent / "service-secret")
    means = Means(sources=(Source(Kind.SECRET, "it", lambda: secret),))
    held = Custody.opened("main", path.parent / "vault", means, chance=FakeChance())
    held.add(
        lambda id_, master: protectors.with_passphrase(
            id_, "people", PHRASE, master, fips=False, now=0.0, chance=FakeChance()
        )
    )
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.strip().startswith("secret_file")))
    (path.parent / "service-secret").unlink()
    return path


def test_keys_are_listed_before_the_first_start(path: Path) -> None:
    answer = Console.open(path).ask("key.list")
    assert "main/default" in {one["key"] for one in answer["keys"]}
    assert not (path.parent / "data" / "gateway.db").exists()


def test_what_is_changed_lies_in_the_vault(path: Path) -> None:
    Console.open(path).ask("key.disable", key="main/default")
    states = {one["key"]: one["state"] for one in Console.open(path).ask("key.list")["keys"]}
    assert states["main/default"] == "disabled"
    Console.open(path).ask("key.enable", key="main/default")


def test_a_fault_speaks_to_people(path: Path) -> None:
    with pytest.raises(ConsoleFault, match=r"gateway\.toml names no vault 'other'; it names main"):
        Console.open(path).ask("key.disable", key="other/default")


def test_at_a_terminal_a_passphrase_is_asked_for(by_passphrase: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def typed(vault: str) -> bytes:
        asked.append(vault)
        return PHRASE

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(module, "AtTerminal", lambda: typed)
    answer = Console.open(by_passphrase).ask("key.list")
    assert asked == ["main"]
    assert answer["vaults"][0]["health"] == "answers"
    assert "main/default" in {one["key"] for one in answer["keys"]}


def test_status_tells_of_a_vault_that_does_not_open(path: Path) -> None:
    migrate(path)
    asyncio.run(_put(path))
    (path.parent / "service-secret").rename(path.parent / "secret")
    answer = Console.open(path).ask("status")
    assert answer["queue"]["ready"] == 1 and answer["oldest_waiting"] is not None
    warnings = {one["code"]: one["text"] for one in answer["warnings"]}
    assert "not_running" in warnings and "service-secret is missing" in warnings["vault_denied"]
    with pytest.raises(ConsoleFault, match="does not open"):  # What needs keys says no, as before.
        Console.open(path).ask("queue.list")
    (path.parent / "secret").rename(path.parent / "service-secret")
    Console.open(path).ask("key.disable", key="main/default")
    warnings = {one["code"]: one["text"] for one in Console.open(path).ask("status")["warnings"]}
    assert "gateway key enable" in warnings["vault_denied"]
    (line,) = Console.open(path).ask("key.log.list", limit=1)
    assert (line["operation"], line["outcome"]) == ("unwrap", "denied")


async def _put(path: Path) -> None:
    stores = await open_stores(
        loaded(path),
        [0],
        clock=SystemClock(),
        chance=SystemChance(),
        tell=lambda *_, **__: None,
        observe=lambda *_: None,
    )
    await put(stores.spools[0], "Q1", b"Subject: x\r\n\r\nx\r\n")
    await asyncio.to_thread(stores.close)


def test_without_a_terminal_the_list_says_what_is_missing(by_passphrase: Path) -> None:
    answer = Console.open(by_passphrase).ask("key.list")
    assert answer["vaults"][0]["health"] == "denied"
    assert "passphrase_file" in answer["vaults"][0]["reason"] and answer["keys"] == []
