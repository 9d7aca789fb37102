"""What `gateway restore` says of the key-access log, and whether `gateway key log verify` then says the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.app import keyring
from gateway.app.backup import backup
from gateway.app.database import open_shared
from gateway.app.init import init
from gateway.app.key_log import open_log
from gateway.app.key_log_reader import LogReader
from gateway.app.migrate import migrate
from gateway.app.restore import Restored, restore
from gateway.keys import passphrase
from gateway.keys.recorded import Recorded
from gateway.settings.load import loaded
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

PHRASE = b"correct horse battery"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a gateway whose vault lies elsewhere than what a backup restores."""
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase, "PASSES", 1)
    init(tmp_path / "g", hostname="mx.corp.example", clock=FakeClock(), chance=FakeChance())
    return tmp_path / "g" / "gateway.toml"


def elsewhere(path: Path) -> None:
    """Move its vault and its secret out of the folder."""
    (path.parent / "vault").rename(path.parents[1] / "vault")
    (path.parent / "service-secret").rename(path.parents[1] / "secret")
    text = path.read_text().replace('path = "vault"', f'path = "{path.parents[1]}/vault"')
    path.write_text(text.replace('secret_file = "service-secret"', f'secret_file = "{path.parents[1]}/secret"'))


def use(path: Path) -> None:
    """A process wraps once, and ends as it should, with a signed head."""
    settings, clock, vaults = loaded(path), FakeClock(), dict[str, Any]()
    shared = open_shared(settings)
    log = open_log(settings, shared, process="worker-0", clock=clock, tell=lambda *_, **__: None, vaults=vaults)
    for name, vault in keyring.vaults(settings).items():
        vaults[name] = Recorded(vault, log, who="worker-0", clock=clock)
    vaults["main"].wrap("default", b"k" * 32, b"context", about="a test")
    log.close()
    shared.close()


def backed_up(path: Path) -> Path:
    dest = path.parents[1] / "b"
    backup(path, dest, passphrase=PHRASE, clock=FakeClock(), chance=FakeChance("backup"))
    return dest


def restored(source: Path, *, without_vault: bool = False) -> tuple[Restored, list[str]]:
    """What was restored, and its notes about the log."""
    into, phrase = source.parent / "new", None if without_vault else PHRASE
    done = restore(source, into, passphrase=phrase, without_vault=without_vault, chance=FakeChance("restore"))
    return done, [note for note in done.notes if "gateway key log verify" in note]


def verified(done: Restored) -> list[str]:
    report = LogReader(loaded(done.settings), FakeClock()).answer("key.log.verify", {})
    return [one["what"] for one in report["findings"]]


def test_a_log_that_is_shorter_than_the_head_beside_the_vault_is_told(path: Path) -> None:
    elsewhere(path)
    migrate(path)
    use(path)
    source = backed_up(path)
    use(path)
    done, (note,) = restored(source)
    assert verified(done) == ["cut_off"]
    assert f"shorter than the head in {path.parents[1]}/vault/key-log-head (line" in note
    assert f"gateway key log accept --config {done.settings} --reason" in note


def test_a_log_that_the_head_fits_needs_no_words(path: Path) -> None:
    elsewhere(path)
    migrate(path)
    use(path)
    done, notes = restored(backed_up(path))
    assert (verified(done), notes) == ([], [])


def test_where_the_vault_comes_back_its_head_is_spoken_of(path: Path) -> None:
    migrate(path)
    use(path)
    source = backed_up(path)
    use(path)
    done, (note,) = restored(source, without_vault=True)
    assert note.startswith(f"where {done.folder}/vault/key-log-head comes back with the vault")
    shutil.copytree(path.parent / "vault", done.folder / "vault")
    shutil.copy(path.parent / "service-secret", done.folder)
    assert verified(done) == ["cut_off"]


def test_a_head_that_no_backup_holds_is_missed_until_the_gateway_serves(path: Path) -> None:
    migrate(path)
    use(path)
    done, (note,) = restored(backed_up(path))
    assert verified(done) == ["unproven"]
    assert "until the gateway serves" in note
    use(done.settings)
    assert verified(done) == []
