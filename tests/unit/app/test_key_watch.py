"""Warnings about vaults and keys, and the hourly look that ends what was deleted."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.app import key_watch
from gateway.app.channel import Fault
from gateway.app.key_watch import AGAIN, KeyWatch, deletion_warnings, protection_warnings
from gateway.keys.providers.file.sheet import Head, Kind, Protector
from gateway.keys.providers.file.vault import Facts
from gateway.keys.vault import Denied
from gateway.settings.load import Loaded
from tests.fakes.clock import FakeClock
from tests.fakes.settings import settings_in


def protector(kind: Kind, *, proved: float | None = None, name: str | None = None) -> Protector:
    return Protector(kind=kind, name=name or str(kind), created=0.0, proved=proved, sealed=b"x")


SERVICE = protector(Kind.SECRET)
RECOVERY = protector(Kind.RECOVERY_KEY)


@pytest.fixture
def settings(tmp_path: Path) -> Loaded:
    return settings_in(tmp_path)


def warned(settings: Loaded, monkeypatch: pytest.MonkeyPatch, *protectors: Protector) -> list[dict[str, str]]:
    head = Head(id="00" * 16, generation=1, protectors=protectors) if protectors else None
    monkeypatch.setattr(key_watch, "facts", lambda folder: Facts(folder / "root-keys", head))
    return protection_warnings(settings)


def test_a_recovery_key_that_nobody_proved_is_told_until_somebody_does(
    settings: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    (told,) = warned(settings, monkeypatch, SERVICE, RECOVERY)
    assert told["code"] == "recovery_key_unproved"
    assert told["text"].startswith("nobody has proved to hold the recovery key of vault main; ")
    assert "gateway key recovery verify main" in told["text"]
    assert warned(settings, monkeypatch, SERVICE, replace(RECOVERY, proved=1.0)) == []


def test_shares_are_asked_for_as_shares(settings: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = warned(settings, monkeypatch, SERVICE, protector(Kind.SHARES))
    assert "hold enough shares of the recovery key of vault main" in told["text"]


def test_a_service_secret_alone_is_no_recovery(settings: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = warned(settings, monkeypatch, SERVICE, replace(SERVICE, name="second"))
    assert told["code"] == "vault_without_recovery" and "gateway key recovery create main" in told["text"]
    for other in (Kind.PASSPHRASE, Kind.CERTIFICATE):
        assert warned(settings, monkeypatch, SERVICE, protector(other)) == []


def test_a_vault_in_clear_is_told(settings: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = warned(settings, monkeypatch)
    assert told["code"] == "vault_unsealed" and "gateway key protector add main" in told["text"]


def test_a_folder_in_which_others_may_write_is_told_and_how_to_mend_it(
    settings: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settings.resolve(settings.settings.vaults[0].path)
    folder.mkdir(parents=True, exist_ok=True)
    for mode in (0o777, 0o770, 0o702, 0o720):
        folder.chmod(mode)
        (told,) = warned(settings, monkeypatch, protector(Kind.PASSPHRASE))
        assert told["code"] == "vault_exposed" and f"chmod 700 {folder}" in told["text"]
    folder.chmod(0o755)
    assert warned(settings, monkeypatch, protector(Kind.PASSPHRASE)) == []


def test_a_folder_of_another_account_than_the_keys_in_it_is_told(
    settings: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settings.resolve(settings.settings.vaults[0].path)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # That others may list it does no harm.
    keys = folder / "root-keys"
    keys.touch(mode=0o600)
    owners = {folder: 1000, keys: 1001}
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = list(real(path, follow_symlinks=follow_symlinks))
        found[4] = owners.get(path, found[4])  # st_uid
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", stat)
    (told,) = warned(settings, monkeypatch, protector(Kind.PASSPHRASE))
    assert told["code"] == "vault_exposed" and f"chown 1001 {folder} mends it" in told["text"]
    for owner in (0, 1001):  # root, and the service's own account.
        owners[folder] = owner
        assert warned(settings, monkeypatch, protector(Kind.PASSPHRASE)) == []


def test_a_generation_before_that_others_may_read_is_told(settings: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = settings.resolve(settings.settings.vaults[0].path)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    before = folder / "root-keys.before"
    before.touch()
    before.chmod(0o644)
    (told,) = warned(settings, monkeypatch, protector(Kind.PASSPHRASE))
    assert told["code"] == "vault_exposed" and f"chmod 600 {before}" in told["text"]


def test_what_cannot_be_read_is_told_by_others(settings: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(folder: Path) -> Facts:
        raise Denied("root-keys is missing")

    monkeypatch.setattr(key_watch, "facts", away)
    assert protection_warnings(settings) == []


def test_a_token_protects_itself(settings: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_watch, "facts", lambda folder: pytest.fail("no file of ours"))
    token = settings.settings.vaults[0].model_copy(update={"provider": "pkcs11"})
    with_token = settings.settings.model_copy(update={"vaults": [token]})
    assert protection_warnings(replace(settings, settings=with_token)) == []


def test_a_deleted_key_is_told_with_its_date() -> None:
    (told,) = deletion_warnings([{"key": "main/a", "ends": "2026-12-03T10:00:00.000Z"}])
    assert told == {
        "code": "key_deleted",
        "text": "main/a is deleted, and destroyed after 2026-12-03T10:00:00.000Z; until then gateway key recover "
        "main/a takes it back",
    }


class FakeKeys:
    def __init__(self) -> None:
        self.fault: str | None = None
        self.purges = 0
        self.waiting: list[dict[str, Any]] = []
        self.needless: frozenset[str] = frozenset()

    async def purge(self) -> list[str]:
        self.purges += 1
        if self.fault is not None:
            raise Fault(self.fault)
        return []

    async def deleted(self) -> list[dict[str, Any]]:
        return self.waiting

    async def spare(self, process: str) -> frozenset[str]:
        if self.fault is not None:
            raise Fault(self.fault)
        return self.needless


async def test_each_look_ends_what_is_due_and_tells_the_log_once_a_day(
    settings: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned(settings, monkeypatch, SERVICE, RECOVERY)
    clock, keys, told = FakeClock(), FakeKeys(), []
    watch = KeyWatch(
        keys,  # type: ignore[arg-type]
        clock,
        lambda level, event, **facts: told.append((level, event, facts)),
        lambda: settings,
    )
    await watch.look()
    await watch.look()
    assert keys.purges == 2
    assert [(level, event) for level, event, _ in told] == [("warning", "recovery_key_unproved")]
    await clock.advance(AGAIN)
    await watch.look()
    assert [event for _, event, _ in told] == ["recovery_key_unproved"] * 2


async def test_a_database_that_is_away_ends_no_look(settings: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    warned(settings, monkeypatch, SERVICE, RECOVERY)
    keys, told = FakeKeys(), []
    keys.fault = "the database is away"
    watch = KeyWatch(keys, FakeClock(), lambda level, event, **facts: told.append(event), lambda: settings)  # type: ignore[arg-type]
    await watch.look()
    assert told == ["keys_not_purged", "recovery_key_unproved"]
    keys.fault = None
    keys.waiting = [{"key": "main/a", "ends": "2026-12-03T10:00:00.000Z"}]
    assert [one["code"] for one in await watch.warnings()] == ["recovery_key_unproved", "key_deleted"]


async def test_a_vault_that_may_be_lost_needs_no_recovery_as_of_the_last_look_that_succeeded(
    settings: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned(settings, monkeypatch, SERVICE)
    keys = FakeKeys()
    watch = KeyWatch(keys, FakeClock(), lambda *_, **__: None, lambda: settings)  # type: ignore[arg-type]
    for needless, fault, codes in (
        ((), None, ["vault_without_recovery"]),
        (("main",), None, []),
        ((), "the database is away", []),
        ((), None, ["vault_without_recovery"]),
    ):
        keys.needless, keys.fault = frozenset(needless), fault
        await watch.look()
        assert [one["code"] for one in await watch.warnings()] == codes
