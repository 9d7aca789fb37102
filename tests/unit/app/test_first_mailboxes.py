"""What `init` makes for mailboxes: two vaults that open by themselves, a custodian's key, a policy under both roots."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from gateway.app import console, first_mailboxes, policy_check, policy_uses
from gateway.app import init as maker
from gateway.app.backup import BackupFault, backup
from gateway.app.check import check
from gateway.app.console import Console, ConsoleFault
from gateway.app.file_vaults import open_file_vault
from gateway.app.init import Made, Refusal, WrongUse
from gateway.app.keyring import vaults
from gateway.app.migrate import migrate
from gateway.app.restore import restore
from gateway.keys import passphrase
from gateway.keys.vault import Denied, KeyFault
from gateway.settings.load import loaded
from gateway.storage.mailboxes.model import PolicyState
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


CATCH_ALL = '[mailboxes]\ncatch_all = {{ "{}" = "{}" }}\n'


def catching(path: Path, domain: str, taker: str) -> list[tuple[str, str, str]]:
    """What `check` says of that catch-all."""
    path.write_text(path.read_text().replace("[mailboxes]\n", CATCH_ALL.format(domain, taker), 1))
    return [(one.severity, one.found, one.right) for one in check(path) if "catch_all" in one.key]


def test_a_catch_all_that_is_no_mailbox_is_told_until_there_is_one(path: Path) -> None:
    ((severity, found, right),) = catching(path, "corp.example", "Office@corp.example")
    assert severity == "warning" and "no mailbox of that address" in found
    assert "gateway mailbox create office@corp.example" in right
    Console.open(path).ask("mailbox.create", address="office@corp.example")
    assert check(path) == []


def test_an_alias_does_as_a_catch_all(path: Path) -> None:
    asking = Console.open(path)
    asking.ask("mailbox.create", address="ida@corp.example")
    asking.ask("mailbox.alias_add", address="ida@corp.example", aliases=["office@corp.example"])
    assert catching(path, "corp.example", "office@corp.example") == []


def test_a_catch_all_of_a_domain_whose_mail_goes_elsewhere_is_told(path: Path) -> None:
    Console.open(path).ask("mailbox.create", address="ida@corp.example")
    ((severity, found, right),) = catching(path, "other.example", "ida@corp.example")
    assert severity == "warning" and 'it goes by the connector "outbox"' in found
    assert 'deliver = "mailbox"' in right


def test_a_catch_all_of_one_domain_in_two_spellings_is_told(path: Path) -> None:
    Console.open(path).ask("mailbox.create", address="ida@corp.example")
    more = 'Corp.example" = "ida@corp.example", "corp.example'
    ((severity, found, right),) = catching(path, more, "ida@corp.example")
    assert severity == "warning" and '"Corp.example" already' in found
    assert "the last one counts" in right


def availability(path: Path) -> list[tuple[str, str, str]]:
    return [(one.severity, one.found, one.right) for one in check(path) if one.key == "mailboxes.availability_key"]


def test_an_availability_key_in_the_vault_of_a_root_is_told(path: Path) -> None:
    path.write_text(path.read_text().replace('"main/availability"', '"root-a/availability"'))
    ((severity, found, right),) = availability(path)
    assert severity == "warning" and found.startswith('"root-a/availability", in the vault of root-a/mail, a root of')
    assert "the service's own" in right


def test_a_policy_whose_root_lies_with_its_availability_key_is_told_and_how_to_part_them(path: Path) -> None:
    asking = Console.open(path)
    asking.ask("key.create", key="main/root", type="aes-256")
    asking.ask("policy.create", name="house", roots=["root-a/mail", "main/root"])
    ((severity, found, right),) = availability(path)
    assert severity == "warning" and "the policy house lies under main/availability" in found and "main/root" in found
    assert "gateway policy replace house --root main/root=VAULT/KEY" in right
    asking.ask("policy.replace", name="house", old="main/root", new="root-b/mail")
    assert availability(path) == []


def test_a_vault_by_another_name_is_the_same_vault(path: Path) -> None:
    more = '[[vaults]]\nname = "service"\nprovider = "file"\npath = "./root-a"\nsecret_file = "root-a-secret"\n'
    path.write_text(path.read_text().replace('"main/availability"', '"service/availability"') + more)
    ((_, found, _),) = availability(path)
    assert "in the vault of root-a/mail" in found


# -- what becomes of it while a root is lost ---------------------------------------------------------------------------


@pytest.fixture
def path(done: Made, tmp_path: Path) -> Path:
    """The settings of a copy that the test may spoil."""
    return Path(shutil.copytree(done.folder, tmp_path / "var")) / "gateway.toml"


def defaults(path: Path) -> list[tuple[str, str, str]]:
    """What `check` says of the default policy."""
    return [(one.severity, one.found, one.right) for one in check(path) if one.key == "mailboxes.default_policy"]


def test_a_database_in_place_of_inits_own_lacks_the_policy_until_it_is_made_there(
    path: Path, empty_postgres: str
) -> None:
    path.write_text(path.read_text().replace('url = "sqlite:data"', f'url = "{empty_postgres}"'))
    assert "gateway policy create default --root root-a/mail --root root-b/mail" in path.read_text()
    asking = Console.open(path)
    for _ in range(2):  # While it is empty, and after it was migrated and has keys.
        ((severity, found, right),) = defaults(path)
        assert severity == "warning" and '"default", and no such policy' in found
        assert "gateway policy create default --root VAULT/KEY" in right
        with pytest.raises(ConsoleFault, match=r"there are: none\. gateway policy create default --root VAULT/KEY"):
            asking.ask("mailbox.create", address="ida@corp.example")
    custodian = (path.parent / "certs/custodian.pub.pem").read_text()
    roots = ["root-a/mail", "root-b/mail"]
    asking.ask("policy.create", name="default", roots=roots, default=True, custodian=custodian)
    assert defaults(path) == []
    assert asking.ask("mailbox.create", address="ida@corp.example")["policy"] == "default"


def test_a_default_policy_that_is_none_is_told(path: Path) -> None:
    assert defaults(path) == []
    path.write_text(path.read_text().replace('default_policy = "default"', 'default_policy = "house"'))
    assert [one[0] for one in defaults(path)] == ["warning"]


@pytest.mark.parametrize("state", [PolicyState.PURGING, PolicyState.PURGED])
def test_a_default_policy_that_ends_is_told(path: Path, state: PolicyState, monkeypatch: pytest.MonkeyPatch) -> None:
    book = policy_uses.policy_book

    def ending(*arguments: Any) -> policy_uses.PolicyBook:
        seen = book(*arguments)
        return replace(seen, rows=tuple([replace(row, state=state) for row in seen.rows]))

    monkeypatch.setattr(policy_check, "policy_book", ending)
    ((severity, found, right),) = defaults(path)
    assert severity == "warning" and "is being destroyed or is destroyed" in found
    assert "another one that gateway policy list shows as ready" in right


def told(path: Path, *, ask: bool = True) -> list[tuple[str, str, str]]:
    """What `check` says of vaults."""
    return [(one.severity, one.key, one.found) for one in check(path, ask=ask) if one.key.startswith("vaults")]


@pytest.mark.parametrize("vault", first_mailboxes.VAULTS)
@pytest.mark.parametrize("what", ["{}", "{}-secret"])
def test_a_gateway_goes_on_while_one_root_is_lost_and_warns(path: Path, vault: str, what: str) -> None:
    lost = path.parent / what.format(vault)
    lost.rename(lost.with_name("lost"))
    place = f"vaults[{1 + first_mailboxes.VAULTS.index(vault)}]"
    for ask in (True, False):
        ((severity, key, found),) = told(path, ask=ask)
        assert severity == "warning" and key.startswith(place)
        assert found.endswith("so that what its keys open or sign waits, but for policies whose other root answers")
    assert "domain keys: ready" in migrate(path)
    policy = Console.open(path).ask("policy.show", name="default")
    answers = {one["key"]: one["answers"] for one in policy["keys"]}
    assert answers == {name: name != f"{vault}/mail" for name in ("root-a/mail", "root-b/mail", "main/availability")}
    warned = {one["code"]: one["text"] for one in Console.open(path).ask("status")["warnings"]}
    assert f"vault {vault} says no since" in warned["vault_denied"]


def test_a_vault_that_comes_back_is_used_again_by_those_who_hold_it(path: Path) -> None:
    lost = path.parent / "root-b"
    away = lost.rename(lost.with_name("lost"))
    held = vaults(loaded(path))
    with pytest.raises(Denied, match="is missing"):
        held["root-b"].keys()
    assert [key.name for key in held["root-a"].keys()] == ["mail"]
    away.rename(lost)
    assert [key.name for key in held["root-b"].keys()] == ["mail"]


def test_the_first_vault_is_needed_and_so_is_one_that_holds_domain_keys(path: Path) -> None:
    Console.open(path).ask("key.rehome", source="main/default", target="root-b/mail")
    (path.parent / "root-b").rename(path.parent / "lost")
    for ask in (True, False):
        assert [(severity, key) for severity, key, _ in told(path, ask=ask)] == [("error", "vaults[2].path")]
    with pytest.raises(KeyFault, match="the domain key"):
        migrate(path)
    (path.parent / "lost").rename(path.parent / "root-b")
    assert told(path) == []
    (path.parent / "vault").rename(path.parent / "lost")
    assert ("error", "vaults[0].path") in [(severity, key) for severity, key, _ in told(path)]
    with pytest.raises(KeyFault):
        vaults(loaded(path))


def test_a_root_that_is_denied_is_told_by_its_policy(path: Path) -> None:
    assert told(path) == []
    Console.open(path).ask("key.disable", key="root-b/mail")
    assert told(path) == [
        ("warning", "vaults[2]", "that a key of the policy default is denied (root-b/mail is disabled)")
    ]
    assert told(path, ask=False) == []


def test_of_two_roots_none_needs_recovery_until_one_is_the_last(path: Path) -> None:
    def unrecoverable() -> set[str]:
        found = Console.open(path).ask("status")["warnings"]
        return {one["text"].split()[1] for one in found if one["code"] == "vault_without_recovery"}

    assert unrecoverable() == set()
    Console.open(path).ask("key.disable", key="root-b/mail")
    assert unrecoverable() == {"root-a"}


def test_a_backup_leaves_a_lost_root_out_and_says_so_and_mail_opens_by_the_other(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 64)
    shutil.rmtree(path.parent / "root-b")
    saved = backup(path, tmp_path / "b", passphrase=b"correct horse", clock=SystemClock(), chance=SystemChance())
    assert [(one.name, one.member is None) for one in saved.vaults] == [
        ("main", False),
        ("root-a", False),
        ("root-b", True),
    ]
    assert any("vault 'root-b' is not in it, since" in note for note in saved.notes)
    into = tmp_path / "again"
    restore(tmp_path / "b", into, passphrase=b"correct horse", without_vault=False, chance=SystemChance())
    shutil.copytree(path.parent / "certs", into / "certs", dirs_exist_ok=True)
    policy = Console.open(into / "gateway.toml").ask("policy.show", name="default")
    assert [one["key"] for one in policy["keys"] if one["answers"]] == ["root-a/mail", "main/availability"]
    (path.parent / "vault/root-keys").unlink()
    with pytest.raises(BackupFault, match="No backup was made"):
        backup(path, tmp_path / "c", passphrase=b"correct horse", clock=SystemClock(), chance=SystemChance())
