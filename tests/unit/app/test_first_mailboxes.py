"""What `init` makes for mailboxes: two vaults that open by themselves, a custodian's key, a policy under both roots."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from gateway.app import console, first_mailboxes
from gateway.app import init as maker
from gateway.app.check import check
from gateway.app.console import Console
from gateway.app.file_vaults import open_file_vault
from gateway.app.init import Made, Refusal, WrongUse
from gateway.settings.load import loaded
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock


def made(folder: Path, imap: str = "127.0.0.1:9993") -> Made:
    return maker.init(folder, imap=imap, hostname="mail", clock=SystemClock(), chance=SystemChance())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("gw") / "var")


def test_the_settings_have_mail_end_here_and_be_read_here(done: Made) -> None:
    settings = loaded(done.settings).settings
    found = [(one.name, one.recipient_domains, one.deliver) for one in settings.connectors.outbound]
    assert found == [("outbox", ["*"], "folder"), ("mailboxes", ["corp.example"], "mailbox")]
    assert settings.imap is not None and settings.imap.listen == done.imap == "127.0.0.1:9993"
    assert settings.mailboxes.default_policy == "default"
    assert [one.name for one in settings.vaults] == ["main", "root-a", "root-b"]
    assert [str(fault) for fault in check(done.settings) if "vaults" not in fault.key] == []


def test_each_vault_has_a_root_and_a_secret_of_its_own(done: Made) -> None:
    settings = loaded(done.settings)
    secrets = set()
    for vault in settings.settings.vaults[1:]:
        assert [key.name for key in open_file_vault(settings, vault).keys()] == ["mail"]
        path = done.folder / f"{vault.name}-secret"
        assert path.stat().st_mode & 0o777 == 0o600
        secrets.add(path.read_bytes())
    secrets.add((done.folder / "service-secret").read_bytes())
    assert len(secrets) == 3


def test_the_custodians_key_is_its_owners_alone_and_the_policy_knows_it(done: Made) -> None:
    private = load_pem_private_key((done.folder / "certs/custodian.pem").read_bytes(), None)
    public = load_pem_public_key((done.folder / "certs/custodian.pub.pem").read_bytes())
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.public_key() == public
    assert (done.folder / "certs/custodian.pem").stat().st_mode & 0o777 == 0o600
    assert Console.open(done.settings).ask("policy.show", name="default")["custodian"] is not None


def test_there_is_a_default_policy_under_both_roots_and_the_availability_key(done: Made) -> None:
    policy = Console.open(done.settings).ask("policy.show", name="default")
    assert (policy["name"], policy["default"], policy["state"]) == ("default", True, "ready")
    keys = {one["key"]: one["answers"] for one in policy["keys"]}
    assert keys == dict.fromkeys(("root-a/mail", "root-b/mail", "main/availability"), True)


def test_a_policy_that_can_not_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> object:
        raise console.ConsoleFault("no root answers")

    monkeypatch.setattr(Console, "ask", fail)
    with pytest.raises(Refusal, match=r"no root answers\. Nothing was left behind"):
        made(tmp_path / "var")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*first_mailboxes.VAULTS, "root-a-secret"])
def test_vaults_of_before_are_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "precious").write_text("mine")
    with pytest.raises(Refusal, match=f"{name} is there already"):
        made(tmp_path)


@pytest.mark.parametrize("imap", ["9993", "127.0.0.1:2525", "0.0.0.0:2525"])
def test_a_place_that_is_none_or_taken_is_wrong_use(tmp_path: Path, imap: str) -> None:
    with pytest.raises(WrongUse, match="--imap"):
        made(tmp_path / "var", imap)
