"""`gateway key` while nothing serves: vaults that a secret opens, and one for which a person is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.app import console as module
from gateway.app.console import Console, ConsoleFault
from gateway.app.init import init
from gateway.keys import passphrase
from gateway.keys.providers.file import protectors
from gateway.keys.providers.file.custody import Custody
from gateway.keys.providers.file.means import Means, Source, secret_in
from gateway.keys.providers.file.sheet import Kind
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

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
    monkeypatch.setattr(module, "_typed", typed)
    answer = Console.open(by_passphrase).ask("key.list")
    assert asked == ["main"]
    assert answer["vaults"][0]["health"] == "answers"
    assert "main/default" in {one["key"] for one in answer["keys"]}


def test_without_a_terminal_the_list_says_what_is_missing(by_passphrase: Path) -> None:
    answer = Console.open(by_passphrase).ask("key.list")
    assert answer["vaults"][0]["health"] == "denied"
    assert "passphrase_file" in answer["vaults"][0]["reason"] and answer["keys"] == []
