"""Making databases and keys ready: keys are made for a new gateway, never beside mail that is sealed under others."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from gateway.app.keyring import vaults
from gateway.app.migrate import migrate
from gateway.keys.domain import PURPOSES
from gateway.keys.providers.file.protectors import new_secret
from gateway.settings.load import loaded
from gateway.storage.migrate import MigrationFault
from gateway.storage.writer import open_database
from gateway.world.chance import SystemChance
from tests.fakes.clear_vault import create

SETTINGS = """\
[server]
workers = 1
[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    create(tmp_path / "vault", ("default",), SystemChance())
    path = tmp_path / "gateway.toml"
    path.write_text(SETTINGS)
    return path


def test_what_is_missing_is_made_and_a_second_time_changes_nothing(config: Path) -> None:
    assert migrate(config)[-1] == "domain keys: ready"
    assert all("up to date" in line for line in migrate(config)[:-1])


def test_an_installation_of_before_gets_the_key_that_signs_the_log(config: Path) -> None:
    """Once its vault is sealed: one in clear is read only, and migrating goes on without."""
    migrate(config)
    assert [key.name for key in vaults(loaded(config))["main"].keys()] == ["default"]
    secret = config.parent / "service-secret"
    secret.write_bytes(new_secret(SystemChance()))
    secret.chmod(0o600)
    config.write_text(f'{SETTINGS}[[vaults]]\nname = "main"\nprovider = "file"\nsecret_file = "service-secret"\n')
    assert migrate(config)[0] == "vault main: sealed"
    assert [key.name for key in vaults(loaded(config))["main"].keys()] == ["access-log", "default"]


def _without_key(config: Path, purpose: str, *more: str) -> None:
    with closing(open_database(str(config.parent / "data" / "gateway.db"))) as shared:
        assert shared.execute("DELETE FROM domain_keys WHERE purpose = ?", (purpose,)).rowcount == 1
        for sql in more:
            shared.execute(sql)


ACCOUNT = "INSERT INTO accounts(organisation, token, id, sealed) VALUES ('default', 1, 'x', x'00')"


def test_a_key_that_was_taken_away_is_not_made_anew_beside_what_is_sealed_under_it(config: Path) -> None:
    """Whoever deletes a row of the database would else bury what lies under its key, unheard."""
    migrate(config)
    _without_key(config, "accounts", ACCOUNT)
    for _ in range(2):
        with pytest.raises(MigrationFault, match=r"no domain key 'accounts', but 1 row\(s\) of its table accounts"):
            migrate(config)


def test_a_key_under_which_nothing_lies_is_made(config: Path) -> None:
    """As after an upgrade, which may bring purposes that were not there before."""
    migrate(config)
    for purpose in PURPOSES:
        _without_key(config, purpose)
        assert migrate(config)[-1] == "domain keys: ready"


def test_the_key_of_the_queue_is_not_made_anew_beside_waiting_mail(config: Path) -> None:
    migrate(config)
    with closing(open_database(str(config.parent / "data" / "spool" / "0" / "spool.db"))) as spool:
        spool.execute("INSERT INTO messages(id, received, size, content) VALUES ('Q1', 0, 1, x'00')")
    _without_key(config, "spool")
    with pytest.raises(MigrationFault, match=r"holds no keys of the queue, but .* holds 1 sealed message"):
        migrate(config)


def test_no_keys_are_made_beside_mail_that_is_sealed_under_others(config: Path) -> None:
    migrate(config)
    data = config.parent / "data"
    spool = open_database(str(data / "spool" / "0" / "spool.db"))
    spool.execute("INSERT INTO messages(id, received, size, content) VALUES ('Q1', 0, 1, x'00')")
    spool.close()
    for path in data.glob("gateway.db*"):
        path.unlink()
    with pytest.raises(MigrationFault, match=r"holds no keys of the queue, but .* holds 1 sealed message"):
        migrate(config)
    with pytest.raises(MigrationFault, match="Restore"):  # Nor by trying again.
        migrate(config)
