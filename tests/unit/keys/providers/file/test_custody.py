"""The life of a vault's protectors, and the sealing of vaults that lay in clear."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.keys.providers.file import clear, custody, protectors, sheet
from gateway.keys.providers.file.custody import Custody
from gateway.keys.providers.file.means import Means, NotOpened
from gateway.keys.providers.file.sheet import MOST_PROTECTORS
from gateway.keys.providers.file.store import BEFORE, FILE, LOCK
from gateway.keys.providers.file.vault import FileVault, facts
from gateway.keys.vault import Denied, Unavailable, VaultBroken
from tests.fakes import clear_vault
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.file_vault import SECRET, by_secret, make, means, opened

OTHER = b"the secret of another service, drawn"
KEY = b"k" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path / "vault")
    return tmp_path / "vault"


def held(folder: Path, given: Means | None = None) -> Custody:
    return Custody.opened("main", folder, given or means(), chance=FakeChance("custody"))


def names(folder: Path) -> list[str]:
    head = facts(folder).head
    assert head is not None
    return [one.name for one in head.protectors]


def test_any_one_of_the_protectors_opens_it(folder: Path) -> None:
    wrapped = opened(folder).wrap("default", KEY, b"")
    held(folder).add(by_secret(OTHER, "other"))
    for secret in (SECRET, OTHER):
        assert FileVault("main", folder, means(secret)).unwrap(wrapped, b"") == KEY
    held(folder, means(OTHER)).remove("service")
    assert names(folder) == ["other"]
    with pytest.raises(NotOpened):
        FileVault("main", folder, means(SECRET))


def test_a_removed_protector_is_gone_from_the_copy_beside_it_too(folder: Path) -> None:
    held(folder).add(by_secret(OTHER, "other"))
    held(folder).remove("other")
    assert (folder / BEFORE).read_bytes() == (folder / FILE).read_bytes()
    assert names(folder) == ["service"]


def test_the_last_protector_stays(folder: Path) -> None:
    before = (folder / FILE).read_bytes()
    with pytest.raises(Denied, match="'service' is the last protector of vault 'main': nobody could open it again"):
        held(folder).remove("service")
    assert (folder / FILE).read_bytes() == before


def test_names_are_given_once_and_unknown_ones_are_told_what_there_is(folder: Path) -> None:
    with pytest.raises(Denied, match="'service' already; choose another --name"):
        held(folder).add(by_secret(OTHER))
    with pytest.raises(Denied, match="no name for a protector"):
        held(folder).add(by_secret(OTHER, "with space"))
    for asked in (held(folder).remove, lambda name: held(folder).proved(name, 1.0)):
        with pytest.raises(Denied, match="no protector 'nobody'; it has service"):
            asked("nobody")


def test_there_are_not_more_protectors_than_can_be_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (custody, sheet):
        monkeypatch.setattr(module, "MOST_PROTECTORS", 2)
    held(folder).add(by_secret(OTHER, "other"))
    with pytest.raises(Denied, match="has 2 protectors, which is the most"):
        held(folder).add(by_secret(OTHER, "third"))
    assert MOST_PROTECTORS > 2
    assert names(folder) == ["service", "other"]


def test_that_somebody_proved_to_hold_it_is_kept_with_its_time(folder: Path) -> None:
    held(folder).proved("service", 1_793_700_000.5)
    head = facts(folder).head
    assert head is not None
    assert (head.protectors[0].proved, head.generation) == (1_793_700_000.5, 2)
    opened(folder).rotate("default")
    head = facts(folder).head
    assert head is not None
    assert head.protectors[0].proved == 1_793_700_000.5


def test_keys_and_protectors_change_side_by_side(folder: Path) -> None:
    vault = opened(folder)
    wrapped = vault.wrap("default", KEY, b"")
    keeper = held(folder)
    vault.rotate("default")
    keeper.add(by_secret(OTHER, "other"))
    vault.disable("default")
    vault.enable("default")
    keeper.remove("other")
    assert names(folder) == ["service"]
    assert vault.unwrap(wrapped, b"") == KEY
    assert [one.number for one in opened(folder).keys()[0].versions] == [1, 2]


def test_the_master_key_shows_nowhere(folder: Path) -> None:
    head = facts(folder).head
    assert head is not None
    master = protectors.opened(head.id, head.protectors[0], SECRET)
    assert repr(Custody("main", folder, master, chance=FakeChance())) == "Custody('main')"
    assert master.hex() not in repr(Means(master=master))
    assert repr(master) not in repr(Means(master=master))


def test_another_vault_s_master_key_changes_nothing(folder: Path) -> None:
    before = (folder / FILE).read_bytes()
    with pytest.raises(VaultBroken):
        Custody("main", folder, b"m" * 32, chance=FakeChance()).remove("service")
    assert (folder / FILE).read_bytes() == before


# -- sealing -----------------------------------------------------------------------------------------------------------


def test_a_clear_vault_is_sealed_with_the_same_keys_and_no_clear_copy_stays(tmp_path: Path) -> None:
    folder = tmp_path / "vault"
    clear_vault.write(folder, [("default", 1, b"1" * 32), ("default", 2, b"2" * 32), ("second", 1, b"3" * 32)])
    before = FileVault("main", folder)
    wrapped = before.wrap("default", KEY, b"x")
    head = custody.seal_up("main", folder, [by_secret()], chance=FakeChance("seal"))
    assert head.generation == 1
    after = opened(folder)
    assert after.keys() == before.keys()
    assert after.unwrap(wrapped, b"x") == KEY
    assert sorted(one.name for one in folder.iterdir()) == [FILE, BEFORE, LOCK]
    for one in folder.iterdir():
        assert b"gateway-vault 1" not in one.read_bytes()
    after.rotate("default")
    assert opened(folder).unwrap(wrapped, b"x") == KEY


def test_it_is_sealed_once(folder: Path) -> None:
    with pytest.raises(Denied, match="sealed already"):
        custody.seal_up("main", folder, [by_secret()], chance=FakeChance())


def test_a_clear_vault_has_no_protectors_to_change(tmp_path: Path) -> None:
    clear_vault.create(tmp_path, ("default",), FakeChance())
    with pytest.raises(Denied, match=r"format 1.*gateway key protector add main --secret-file"):
        held(tmp_path)


def test_a_sealed_form_that_would_not_read_again_never_replaces_the_clear_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear_vault.create(tmp_path, ("default",), FakeChance())
    before = (tmp_path / FILE).read_bytes()
    clear_vault.create(tmp_path / "other", ("default",), FakeChance("others"))
    other = clear.parse("main", tmp_path / FILE, (tmp_path / "other" / FILE).read_bytes())
    monkeypatch.setattr(sheet.Sheet, "open", lambda *_: other)
    with pytest.raises(VaultBroken, match="was not sealed"):
        custody.seal_up("main", tmp_path, [by_secret()], chance=FakeChance())
    assert (tmp_path / FILE).read_bytes() == before


def test_a_folder_that_can_t_be_written_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    keeper = held(folder)
    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(Unavailable, match="vault can't be changed: Read-only file system"):
        keeper.add(by_secret(OTHER, "other"))


@pytest.mark.parametrize("roots", [(), ("with space",), ("line\nbreak",), ("",)])
def test_a_vault_without_proper_names_is_not_made(tmp_path: Path, roots: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="root key"):
        custody.create(tmp_path / "vault", roots, [by_secret()], chance=FakeChance(), clock=FakeClock())
    with pytest.raises(ValueError, match="protector"):
        custody.create(tmp_path / "vault", ("default",), [], chance=FakeChance(), clock=FakeClock())
    assert not (tmp_path / "vault" / FILE).exists()
