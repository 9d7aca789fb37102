"""`check` on vaults: what each provider needs, and whether they are the vaults of the data."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.check import check
from gateway.app.database import open_shared
from gateway.app.init import init
from gateway.app.keyring import vaults
from gateway.app.migrate import migrate
from gateway.keys.providers.pkcs11.module import module_at
from gateway.keys.vault import KeyType, Vault
from gateway.settings.load import Loaded, loaded
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.pkcs11 import MISSING, PIN, Token, TokenFolder, library

FILE = '[[vaults]]\nname = "main"\nprovider = "file"\npath = "vault"\nsecret_file = "service-secret"\n'


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "var"
    init(folder, hostname="mail", clock=FakeClock(), chance=FakeChance())
    return folder


@pytest.fixture
def path(pattern: Path, tmp_path: Path) -> Path:
    """What `init` makes, in a copy that the test may spoil."""
    return Path(shutil.copytree(pattern, tmp_path / "var")) / "gateway.toml"


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenFolder]:
    found = library()
    if found is None:
        pytest.skip(MISSING)
    folder = TokenFolder(tmp_path / "softhsm")
    for name, value in folder.environment.items():
        monkeypatch.setenv(name, value)
    module_at(found).close()
    yield folder
    module_at(found).close()


@pytest.fixture
def token(tokens: TokenFolder) -> Token:
    return tokens.token()


def lines(path: Path, *, ask: bool = True) -> list[str]:
    """The faults without the file in front; the folder is written as @."""
    whole = (str(fault).removeprefix(f"{path}: ") for fault in check(path, FakeClock(), ask=ask))
    return [line.replace(str(path.parent), "@") for line in whole]


def put(path: Path, section: str) -> Loaded:
    """`[[vaults]]` as `section` has it, in the place of what `init` wrote."""
    text = path.read_text()
    head, _, tail = text.partition("[[vaults]]")
    path.write_text(head + section + tail.partition('secret_file = "service-secret"\n')[2])
    return loaded(path)


def section(of: Token, **keys: str) -> str:
    said = {"name": "main", "provider": "pkcs11", "module": str(library()), "token": of.label}
    said |= {"pin_file": str(of.pin_file)} | keys
    return "[[vaults]]\n" + "".join(f'{key} = "{value}"\n' for key, value in said.items() if value)


def vault_of(path: Path) -> Vault:
    return vaults(loaded(path))["main"]


def store(path: Path) -> None:
    """Domain keys, as the first start makes them."""
    migrate(path)


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_in_order_has_no_fault(path: Path, token: Token) -> None:
    put(path, section(token))
    vault_of(path).create("default", KeyType.AES_256)
    assert lines(path) == []


def test_what_a_token_needs_is_asked_for_by_key(path: Path, token: Token) -> None:
    put(path, section(token, module="", token="", pin_file=""))
    assert lines(path, ask=False) == [
        "vaults[0].module: found nothing; right would be the library that came with the token, such as "
        "/usr/lib/softhsm/libsofthsm2.so",
        "vaults[0].token: found nothing; right would be the label of the token, as its own tool shows it",
        "vaults[0].pin_file: found nothing; right would be a file of mode 0600 with the PIN of the token's user",
    ]


def test_a_module_that_is_missing_or_none_is_told(path: Path, token: Token) -> None:
    put(path, section(token, module="no.so"))
    assert lines(path, ask=False) == [
        "vaults[0].module: found no file @/no.so; right would be the library that came with the token, such as "
        "/usr/lib/softhsm/libsofthsm2.so"
    ]
    (path.parent / "no.so").write_bytes(b"no library")
    (line,) = lines(path)
    assert line.startswith("vaults[0]: found a vault that can't be used (vault 'main' has the module @/no.so, which")


def test_a_pin_file_that_is_missing_open_or_double_is_told(path: Path, token: Token) -> None:
    put(path, section(token, pin_file="pin"))
    (line,) = lines(path, ask=False)
    assert line.startswith("vaults[0].pin_file: found that @/pin is missing")
    (path.parent / "pin").write_text(PIN)
    (path.parent / "pin").chmod(0o644)
    (line,) = lines(path, ask=False)
    assert "can be used by other accounts (mode 0644); say: chmod 600 @/pin" in line
    put_again = path.read_text().replace('pin_file = "pin"', 'pin_file = "pin"\npin_credential = "pin"')
    path.write_text(put_again)
    assert lines(path, ask=False) == [
        "vaults[0].pin_credential: found a value beside pin_file; right would be one of the two"
    ]


def test_a_pin_may_be_a_credential_of_systemd(
    path: Path, token: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path, section(token, pin_file="", pin_credential="token-pin"))
    (line,) = lines(path, ask=False)
    assert line.startswith("vaults[0].pin_credential: found that @/$CREDENTIALS_DIRECTORY/token-pin is missing")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    shutil.copy(token.pin_file, tmp_path / "token-pin")
    vault_of(path).create("default", KeyType.AES_256)
    assert lines(path) == []


def test_a_wrong_pin_and_a_token_that_is_not_there_are_told(path: Path, token: Token) -> None:
    put(path, section(token, token="elsewhere"))
    (line,) = lines(path)
    assert "there is no token 'elsewhere' of vault 'main'" in line
    assert "it shows 'gateway'" in line
    path.write_text(path.read_text().replace("elsewhere", "gateway"))
    token.pin_file.write_text("0000")
    (line,) = lines(path)
    assert line.startswith(
        "vaults[0]: found a vault that can't be used (token 'gateway' of vault 'main' refuses the PIN"
    )
    assert "0000" not in line


def test_a_start_and_a_reload_do_not_ask_the_token(path: Path, token: Token) -> None:
    put(path, section(token, token="elsewhere"))
    assert lines(path, ask=False) == []


def test_a_token_without_the_root_key_is_told_and_what_makes_it(path: Path, token: Token) -> None:
    put(path, section(token))
    right = "right would be gateway key create main/default --type aes-256, under which everything is wrapped"
    assert lines(path) == [f'vaults[0]: found no such key where the root key "default" should be; {right}']
    vault = vault_of(path)
    vault.create("default", KeyType.AES_256)
    vault.disable("default")
    (line,) = lines(path)
    assert line.startswith("vaults[0]: found a key of type aes-256 that is disabled where the root key")


def test_keys_of_the_other_provider_are_told(path: Path, token: Token) -> None:
    put(path, section(token, path="vault"))
    vault_of(path).create("default", KeyType.AES_256)
    (line,) = lines(path)
    assert line.endswith('right would be to leave it out: the vault has provider = "pkcs11"')
    assert line.startswith("vaults[0].path: warning: found a value that nothing uses")


# -- whether they belong to the data ----------------------------------------------------------------------------------


def test_vaults_of_the_data_have_no_fault(path: Path) -> None:
    store(path)
    assert lines(path) == []


def test_a_vault_that_is_not_the_one_of_the_data_is_told_once(path: Path, tmp_path: Path) -> None:
    store(path)
    init(tmp_path / "other", hostname="mail", clock=FakeClock(), chance=FakeChance("other"))
    shutil.rmtree(path.parent / "vault")
    shutil.copytree(tmp_path / "other/vault", path.parent / "vault")
    shutil.copy(tmp_path / "other/service-secret", path.parent / "service-secret")
    (line,) = lines(path)
    assert line.startswith("vaults[0]: found a vault that is not the one of the data (the domain key ")
    assert line.endswith("; right would be the vaults under which this data was made, or their backups")
    assert lines(path, ask=False) == []


def test_a_token_in_the_place_of_the_data_s_file_vault_is_told(path: Path, token: Token) -> None:
    store(path)
    put(path, section(token))
    (line,) = lines(path)
    assert line.startswith("vaults[0]: found a vault that does not open the data (the domain key ")
    vault_of(path).create("default", KeyType.AES_256)
    (line,) = lines(path)
    assert line.startswith("vaults[0]: found a vault that is not the one of the data (the domain key ")


def test_a_vault_that_is_no_longer_named_is_told(path: Path) -> None:
    store(path)
    put(path, FILE.replace('"main"', '"renamed"'))
    (line,) = lines(path)
    assert line.startswith("vaults: found that the domain key ")
    assert "is wrapped by the vault 'main', which gateway.toml does not name; it names 'renamed'" in line


def test_data_under_a_token_has_no_fault_with_it(path: Path, token: Token) -> None:
    settings = put(path, section(token))
    vault_of(path).create("default", KeyType.AES_256)
    store(path)
    assert lines(path) == []
    shared = open_shared(settings)
    try:
        assert {row.vault for row in shared.keys()} == {"main"}
        assert all(row.wrapped[:2] == b"\x02\x01" for row in shared.keys())
    finally:
        shared.close()
    vault_of(path).disable("default")
    (line,) = lines(path)
    assert "is disabled; gateway key enable allows its use again" in line


@pytest.mark.parametrize("name", ["domain", "a/b"])
def test_a_vault_s_name_is_none_of_the_words_that_keys_are_named_with(path: Path, name: str) -> None:
    path.write_text(path.read_text().replace('name = "main"\nprovider', f'name = "{name}"\nprovider'))
    (line,) = [line for line in lines(path, ask=False) if "vaults[0].name" in line]
    assert 'other than "domain", which stands for the domain keys' in line


def test_dkim_keys_are_made_in_a_vault_that_there_is(path: Path) -> None:
    path.write_text(path.read_text() + '\n[dkim]\nvault = "second"\n')
    (said,) = [str(fault) for fault in check(path, FakeClock()) if fault.severity == "error"]
    assert "dkim.vault" in said and '"second"' in said and '"main"' in said
    path.write_text(path.read_text().replace('"second"', '"main"'))
    assert [fault for fault in check(path, FakeClock()) if fault.severity == "error"] == []


@pytest.mark.parametrize("other", ["vault", "./vault/", "link"])
def test_one_folder_under_two_names_is_told(path: Path, other: str) -> None:
    (path.parent / "link").symlink_to("vault")
    put(path, FILE + FILE.replace('"main"', '"second"').replace('"vault"', f'"{other}"'))
    (line,) = lines(path, ask=False)
    assert line.startswith("vaults[1].path: warning: found the same as vaults[0] has")


def test_one_token_under_two_names_is_told(path: Path, token: Token) -> None:
    put(path, section(token) + section(token, name="second"))
    (line,) = lines(path, ask=False)
    assert line.startswith("vaults[1].token: warning: found the same as vaults[0] has")
