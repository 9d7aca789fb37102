"""What a process has to open a vault with, by its settings; and what it says where that is not enough."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.keys import passphrase
from gateway.keys.providers.file import custody, protectors
from gateway.keys.providers.file.means import Means, NotOpened, Source, from_settings
from gateway.keys.providers.file.sheet import Kind, Protector
from gateway.keys.providers.file.vault import FileVault
from gateway.keys.vault import Denied, KeyFault, Unavailable
from gateway.settings.schema import Vault
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.file_vault import SECRET, by_secret, make, means

PHRASE = b"correct horse battery"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase, "PASSES", 1)


def by_passphrase(id_: str, master: bytes) -> Protector:
    return protectors.with_passphrase(
        id_, "passphrase", PHRASE, master, fips=False, now=0.0, chance=FakeChance("passphrase")
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a vault that both a secret and a passphrase open."""
    chance, clock = FakeChance(), FakeClock()
    custody.create(tmp_path / "vault", ("default",), [by_secret(), by_passphrase], chance=chance, clock=clock)
    return tmp_path


def put(path: Path, octets: bytes, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(octets)
    path.chmod(mode)
    return path


def open_(place: Path, environment: dict[str, str] | None = None, *, fips: bool = False, **named: Any) -> FileVault:
    section = Vault(**named)
    given = from_settings(section, lambda text: place / text, environment or {}, fips=fips)
    return FileVault("main", place / section.path, given)


def test_a_secret_that_is_made_while_we_run_is_found_where_it_lies_by_default(place: Path) -> None:
    given = from_settings(Vault(), lambda text: place / text, {})
    assert given.is_asked_for
    with pytest.raises(NotOpened, match="names none of them"):
        FileVault("main", place / "vault", given)
    put(place / "service-secret", SECRET)
    assert not given.is_asked_for
    assert FileVault("main", place / "vault", given).keys()


def test_a_secret_comes_from_a_file_a_credential_or_the_environment(place: Path) -> None:
    put(place / "secret", SECRET + b"\n")
    put(place / "credentials/gateway-vault", SECRET)
    assert open_(place, secret_file="secret").keys()
    credentials = {"CREDENTIALS_DIRECTORY": str(place / "credentials")}
    assert open_(place, credentials, secret_credential="gateway-vault").keys()
    assert open_(place, {"VAULT_SECRET": SECRET.decode()}, secret_environment="VAULT_SECRET").keys()


def test_a_passphrase_comes_from_a_file(place: Path) -> None:
    put(place / "phrase", PHRASE + b"\n")
    assert open_(place, passphrase_file="phrase").keys()
    with pytest.raises(NotOpened, match="Argon2id, which FIPS 140 does not approve"):
        open_(place, fips=True, passphrase_file="phrase")


def test_the_secret_that_init_made_is_found_where_nothing_is_named(place: Path) -> None:
    with pytest.raises(NotOpened, match="names none of them"):
        open_(place)
    put(place / "service-secret", SECRET)
    assert open_(place).keys()
    (place / "service-secret").rename(place / "vault/service-secret")
    assert open_(place).keys(), "a vault that was copied with its secret opens anywhere"
    put(place / "elsewhere/service-secret", SECRET)
    shutil.copytree(place / "vault", place / "elsewhere/vault")
    (place / "elsewhere/vault/service-secret").unlink()
    put(place / "service-secret", b"the secret of another vault, 32 octets")
    assert open_(place, path="elsewhere/vault").keys()
    put(place / "phrase", b"a wrong passphrase")
    with pytest.raises(NotOpened, match="passphrase_file") as caught:
        open_(place, passphrase_file="phrase")
    assert "service-secret" not in str(caught.value), "what is named counts alone"


def test_one_that_fits_is_enough_beside_others_that_do_not(place: Path) -> None:
    put(place / "secret", b"a secret of another vault, 32 octets")
    put(place / "phrase", PHRASE)
    assert open_(place, secret_file="secret", passphrase_file="phrase").keys()


def test_everything_that_was_tried_is_told_with_its_reason_and_without_its_octets(place: Path) -> None:
    put(place / "wrong", b"a secret of another vault, 32 octets")
    put(place / "short", b"short")
    put(place / "open", SECRET, 0o644)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"secret_file": "wrong"}, "wrong is not what protector 'service' was made with"),
        ({"secret_file": "none"}, "none is missing"),
        ({"secret_file": "open"}, "chmod 600"),
        ({"secret_credential": "c"}, "there is no CREDENTIALS_DIRECTORY in the environment; systemd sets it"),
        ({"secret_environment": "NOT_THERE"}, "there is no NOT_THERE in the environment"),
        ({"passphrase_file": "short"}, "the passphrase is too short"),
        ({"passphrase_file": "wrong"}, "is not what protector 'passphrase' was made with"),
    ]
    for named, words in cases:
        with pytest.raises(Denied, match=words) as caught:
            open_(place, **named)
        assert "another vault, 32" not in repr(caught.value)
        assert SECRET.decode() not in repr(caught.value)


def test_a_kind_that_the_vault_has_no_protector_of_is_named(tmp_path: Path) -> None:
    make(tmp_path / "vault")
    put(tmp_path / "phrase", PHRASE)
    with pytest.raises(NotOpened, match="the vault has no protector of kind passphrase"):
        open_(tmp_path, passphrase_file="phrase")


def test_a_source_that_is_away_makes_the_failure_a_passing_one(place: Path) -> None:
    def away() -> bytes:
        raise Unavailable("the disk does not answer")

    given = Means(sources=(Source(Kind.SECRET, "a disk", away),))
    with pytest.raises(Unavailable, match="a disk: the disk does not answer"):
        FileVault("main", place / "vault", given)


def test_a_master_key_that_was_handed_over_opens_it_and_a_wrong_one_does_not(place: Path, tmp_path: Path) -> None:
    from gateway.keys.providers.file.vault import sheet_in

    found = sheet_in(place / "vault")
    assert found is not None
    master = means().master_of("main", found)
    assert FileVault("main", place / "vault", Means(master=master)).keys()
    with pytest.raises(NotOpened):
        FileVault("main", place / "vault", Means(master=b"m" * 32))
    both = Means(sources=means().sources, master=b"m" * 32)
    assert FileVault("main", place / "vault", both).keys(), "the sources are tried too"


def test_somebody_is_asked_only_where_nothing_is_at_hand(place: Path) -> None:
    assert Means().is_asked_for
    assert not means().is_asked_for
    assert not Means(master=b"m" * 32).is_asked_for
    assert FileVault("main", place / "vault", Means().with_passphrase(PHRASE)).keys()


def test_neither_settings_nor_means_show_what_opens_a_vault(place: Path) -> None:
    shown = repr(from_settings(Vault(secret_environment="S"), lambda text: place / text, {"S": SECRET.decode()}))
    assert SECRET.decode() not in shown
    assert PHRASE.decode() not in repr(Means().with_passphrase(PHRASE))


def test_an_endless_or_odd_file_is_no_secret(place: Path) -> None:
    put(place / "long", b"x" * 5000)
    with pytest.raises(KeyFault, match="longer than 4096 octets"):
        open_(place, secret_file="long")
    put(place / "empty", b"\n")
    with pytest.raises(KeyFault, match="empty is empty"):
        open_(place, secret_file="empty")
