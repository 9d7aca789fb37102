"""The contract of a vault, on the file provider and on the fake that other tests hold for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.keys.providers.file import custody, protectors
from gateway.keys.providers.file.means import Means, Source
from gateway.keys.providers.file.sheet import Kind, Protector
from gateway.keys.providers.file.vault import FileVault
from gateway.keys.vault import Denied, KeyFault, KeyType, Unavailable, VaultBroken
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.vault import FakeVault
from tests.unit.keys.contract import CONTEXT, PLAIN, Subject, VaultContract

SECRET = b"s" * 44


class TestFileVault(VaultContract):
    """In a sealed file."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        clock, chance = FakeClock(), FakeChance()

        def maker(id_: str, master: bytes) -> Protector:
            return protectors.with_secret(id_, "service", SECRET, master, now=clock.now(), chance=chance)

        custody.create(tmp_path / "vault", ("default",), [maker], chance=chance, clock=clock)
        means = Means(sources=(Source(Kind.SECRET, "the test's secret", lambda: SECRET),))

        def again() -> FileVault:
            return FileVault("main", tmp_path / "vault", means, chance=chance, clock=clock)

        return Subject(vault=again(), again=again, clock=clock)


class TestFakeVault(VaultContract):
    """In memory: a restart is not seen."""

    @pytest.fixture
    def subject(self) -> Subject:
        clock = FakeClock()
        vault = FakeVault(clock=clock, chance=FakeChance("the subject's"))
        return Subject(vault=vault, again=lambda: vault, clock=clock)

    @pytest.mark.parametrize(("switch", "fault"), [("away", Unavailable), ("denied", Denied), ("broken", VaultBroken)])
    def test_each_switch_makes_everything_fail(self, switch: str, fault: type[KeyFault]) -> None:
        vault = FakeVault()
        vault.create("signer", KeyType.ED25519)
        wrapped = vault.wrap("default", PLAIN, CONTEXT)
        setattr(vault, switch, True)
        for asked in (
            lambda: vault.wrap("default", PLAIN, CONTEXT),
            lambda: vault.unwrap(wrapped, CONTEXT),
            lambda: vault.sign("signer", b"x"),
            lambda: vault.public_key("signer"),
            lambda: vault.rotate("default"),
            lambda: vault.purge(0),
            vault.keys,
            vault.health,
        ):
            with pytest.raises(fault):
                asked()
