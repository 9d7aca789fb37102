"""`init`: all that a gateway needs to start, or nothing."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from gateway.app import init as maker
from gateway.app.check import check
from gateway.app.file_vaults import open_file_vault
from gateway.app.init import Made, Refusal, WrongUse, init
from gateway.keys.providers.file import custody, digits, protectors
from gateway.keys.providers.file.means import Means
from gateway.keys.providers.file.sheet import Kind
from gateway.keys.providers.file.vault import FileVault, facts
from gateway.keys.vault import KeyType, Unavailable
from gateway.settings.load import load, loaded
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock


def made(folder: Path, *, hostname: str = "mail", **wishes: Any) -> Made:
    return init(folder, hostname=hostname, clock=FakeClock(), chance=FakeChance(), **wishes)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_defaults(tmp_path: Path) -> None:
    done = made(tmp_path / "new" / "var")
    assert done.settings == tmp_path / "new/var/gateway.toml"
    assert done.domains == ("corp.example",)
    assert done.listen == ("127.0.0.1:2525",)
    assert (done.next_hop, done.outbox) == (None, tmp_path / "new/var/outbox")
    assert everything(done.folder) == {
        "certs",
        "certs/ca.key",
        "certs/ca.pem",
        "certs/server.key",
        "certs/server.pem",
        "data",
        "gateway.toml",
        "outbox",
        "rules",
        "rules/10-secure.yaml",
        "rules/README.md",
        "service-secret",
        "vault",
        "vault/root-keys",
    }


def test_its_settings_are_what_the_contract_says(tmp_path: Path) -> None:
    settings = load(made(tmp_path / "var").settings)
    (inbound,) = settings.connectors.inbound
    assert (inbound.type, inbound.require_tls) == ("on_premises", False)
    assert inbound.sender_ip_addresses == ["127.0.0.0/8", "::1"]
    (outbound,) = settings.connectors.outbound
    assert (outbound.recipient_domains, outbound.deliver, outbound.folder) == (["*"], "folder", "outbox")
    (listener,) = settings.listeners
    assert (listener.listen, listener.tls) == ("127.0.0.1:2525", "starttls")
    assert settings.metrics is None, "no port but those asked for is opened"
    assert settings.accepted_domains == ["corp.example"]


def test_wishes(tmp_path: Path) -> None:
    done = made(
        tmp_path / "var",
        domains=["Corp.Example", "corp.example", "bücher.example"],
        listen=["[::1]:2525", "0.0.0.0:25", "localhost:26"],
        next_hop="MX.partner.example:2526",
    )
    assert done.domains == ("corp.example", "xn--bcher-kva.example")
    assert done.listen == ("[::1]:2525", "0.0.0.0:25", "127.0.0.1:26")
    assert (done.next_hop, done.outbox) == ("mx.partner.example:2526", None)
    settings = load(done.settings)
    assert [one.listen for one in settings.listeners] == list(done.listen)
    assert settings.connectors.outbound[0].smart_hosts == ["mx.partner.example:2526"]
    assert not (done.folder / "outbox").exists()
    assert check(done.settings, FakeClock()) == []


def test_the_commented_examples_are_right_too(tmp_path: Path) -> None:
    """Who takes the comment marks off must not get faults."""
    path = made(tmp_path / "var").settings
    plain = [
        line[2:] if line.startswith(("# [", "# name", "# type", "# se", "# re", "# use", "# tls", "# listen")) else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(plain))
    settings = load(path)
    assert [one.name for one in settings.connectors.inbound] == ["local", "partner-in"]
    assert [one.name for one in settings.connectors.outbound] == ["outbox", "partner-out"]
    assert settings.metrics is not None
    assert check(path, FakeClock()) == []


def test_secrets_are_for_the_owner_alone(tmp_path: Path) -> None:
    folder = made(tmp_path / "var").folder
    modes = {name: (folder / name).stat().st_mode & 0o777 for name in everything(folder)}
    assert {name for name, mode in modes.items() if mode & 0o077} == {
        "certs",
        "certs/ca.pem",
        "certs/server.pem",
        "gateway.toml",
        "rules",
        "rules/10-secure.yaml",
        "rules/README.md",
    }


def test_the_vault_is_sealed_under_its_secret_and_its_recovery_key(tmp_path: Path) -> None:
    done = made(tmp_path / "var")
    settings = loaded(done.settings)
    vault = open_file_vault(settings, settings.settings.vaults[0])
    assert [key.name for key in vault.keys()] == ["access-log", "default"]
    assert vault.head is not None
    assert [(one.kind, one.proved) for one in vault.head.protectors] == [
        (Kind.SECRET, None),
        (Kind.RECOVERY_KEY, None),
    ]
    assert done.recovery_key is not None
    seed = digits.read(done.recovery_key)
    master = protectors.opened(vault.head.id, vault.head.protectors[1], seed)
    with_it = FileVault("main", done.folder / "vault", Means(master=master))
    assert with_it.keys() == vault.keys()
    assert done.recovery_key not in repr(done)


def test_with_a_portal_the_vault_has_a_tenant_key(tmp_path: Path) -> None:
    settings = loaded(made(tmp_path / "var", portal="127.0.0.1:8443").settings)
    keys = {key.name: key.type for key in open_file_vault(settings, settings.settings.vaults[0]).keys()}
    assert keys["tenant"] is KeyType.RSA_2048


def test_the_recovery_key_can_be_left_out(tmp_path: Path) -> None:
    done = made(tmp_path / "var", recovery_key=False)
    assert done.recovery_key is None
    head = facts(done.folder / "vault").head
    assert head is not None
    assert [one.kind for one in head.protectors] == [Kind.SECRET]


def test_the_server_certificate_is_for_this_machine(tmp_path: Path) -> None:
    folder = made(tmp_path / "var", hostname="Mail.corp.example", listen=["192.0.2.7:25", "[::]:25"]).folder
    certificate = x509.load_pem_x509_certificate((folder / "certs/server.pem").read_bytes())
    authority = x509.load_pem_x509_certificate((folder / "certs/ca.pem").read_bytes())
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "mail.corp.example"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address(text) for text in ("127.0.0.1", "::1", "192.0.2.7")
    ]
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 825


@pytest.mark.parametrize("hostname", ["my_machine", "", "a b", "x" * 300])
def test_a_machine_whose_name_is_no_host_name_gets_a_certificate_too(tmp_path: Path, hostname: str) -> None:
    folder = made(tmp_path / "var", hostname=hostname).folder
    certificate = x509.load_pem_x509_certificate((folder / "certs/server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_a_folder_with_settings_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("mine")
    with pytest.raises(Refusal, match=r"gateway\.toml is there already"):
        made(tmp_path)
    assert everything(tmp_path) == {"gateway.toml"}
    assert (tmp_path / "gateway.toml").read_text() == "mine"


@pytest.mark.parametrize("name", ["vault", "certs", "data"])
def test_keys_and_data_of_before_are_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "precious").write_text("mine")
    with pytest.raises(Refusal, match=f"{name} is there already"):
        made(tmp_path)
    assert everything(tmp_path) == {name, f"{name}/precious"}


def test_a_folder_that_is_there_is_used_and_what_is_in_it_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "data").mkdir()
    made(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert not [name for name in everything(tmp_path) if name.startswith(".")]


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(Refusal, match="is a file"):
        made(tmp_path / "var")
    with pytest.raises(Refusal, match="Nothing was left behind"):
        made(tmp_path / "var" / "deeper")


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), Unavailable("the disk is full")])
def test_a_failure_midway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(custody, "create", fail)
    with pytest.raises(Refusal, match="Nothing was left behind"):
        made(tmp_path / "new" / "var")
    assert everything(tmp_path) == set()


def test_a_failure_while_it_is_put_in_place_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == "rules":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(Refusal, match="Input/output error"):
        made(tmp_path)
    assert everything(tmp_path) == {"notes.txt"}


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(maker, "first_settings", fail)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "var")
    assert everything(tmp_path) == set()


@pytest.mark.parametrize(
    ("wishes", "word"),
    [
        ({"domains": ["a b"]}, "--domain"),
        ({"domains": ["*.corp.example"]}, "--domain"),
        ({"listen": ["2525"]}, "--listen"),
        ({"listen": ["::1:x"]}, "--listen"),
        ({"listen": ["mail.corp.example:25"]}, "--listen"),
        ({"listen": ["0.0.0.0:25", "192.0.2.1:25"]}, "--listen 0.0.0.0:25 and --listen 192.0.2.1:25"),
        ({"next_hop": "a b:25"}, "--next-hop"),
        ({"next_hop": '"]\nx'}, "--next-hop"),
        ({"next_hop": "mx.example:0"}, "--next-hop"),
    ],
)
def test_wrong_use_makes_nothing(tmp_path: Path, wishes: dict[str, Any], word: str) -> None:
    with pytest.raises(WrongUse, match=word):
        made(tmp_path / "var", **wishes)
    assert everything(tmp_path) == set()


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("127.0.0.1:8443", "https://127.0.0.1:8443"),
        ("127.0.0.1:443", "https://127.0.0.1"),
        ("0.0.0.0:8443", "https://localhost:8443"),
        ("[::]:8443", "https://localhost:8443"),
        ("192.0.2.7:8443", "https://192.0.2.7:8443"),
        ("[2001:db8::7]:8443", "https://[2001:db8::7]:8443"),
    ],
)
def test_a_portal_has_an_address_that_its_certificate_names(tmp_path: Path, place: str, url: str) -> None:
    made_ = made(tmp_path / "var", portal=place)
    assert (made_.portal, made_.url) == (place, url)
    assert [fault for fault in check(made_.settings, ask=False) if "portal" in fault.key] == []
    settings = load(made_.settings)
    assert settings.portal is not None and (settings.portal.listen, settings.portal.url) == (place, url)
    rule = (tmp_path / "var" / "rules" / "10-secure.yaml").read_text()
    assert "enabled: true" in rule


def test_without_a_portal_there_is_none(tmp_path: Path) -> None:
    assert load(made(tmp_path / "var").settings).portal is None
