"""File vaults by the settings: what `check` says, who is asked for a passphrase, and what `migrate` seals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.app import file_vaults
from gateway.app.check import check
from gateway.app.file_vaults import AtTerminal, open_file_vault, seal_up, unlocked
from gateway.app.key_watch import protection_warnings
from gateway.app.keyring import vaults
from gateway.app.status import Status
from gateway.keys import passphrase
from gateway.keys.providers.file import custody, protectors, store
from gateway.keys.providers.file.means import NotOpened
from gateway.keys.providers.file.sheet import Protector
from gateway.keys.providers.file.vault import facts
from gateway.keys.vault import KeyFault, Unavailable
from gateway.observe.metrics import Metrics
from gateway.settings.fault import errors
from gateway.settings.load import Loaded
from tests.fakes import clear_vault
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.file_vault import SECRET, by_secret, make
from tests.fakes.forks import FakeForks
from tests.fakes.settings import PLAIN, settings_in

PHRASE = b"correct horse battery"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase, "PASSES", 1)
    yield


def put(path: Path, octets: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(octets)


def settings(folder: Path, named: str = "") -> Loaded:
    return settings_in(folder, f'{PLAIN}\n[[vaults]]\nname = "main"\npath = "vault"\n{named}\n')


def by_passphrase(id_: str, master: bytes) -> Protector:
    return protectors.with_passphrase(id_, "p", PHRASE, master, fips=False, now=0.0, chance=FakeChance("p"))


def of_people(folder: Path, *more: custody.Maker) -> None:
    """A vault that a passphrase opens."""
    makers = [by_passphrase, *more]
    custody.create(folder / "vault", ("default",), makers, chance=FakeChance(), clock=FakeClock())


def asking(*answers: bytes) -> tuple[Callable[[str], bytes], list[str]]:
    """Somebody who types these, and for which vaults he was asked."""
    asked: list[str] = []
    left = list(answers)

    def ask(vault: str) -> bytes:
        asked.append(vault)
        return left.pop(0)

    return ask, asked


# -- who is asked ------------------------------------------------------------------------------------------------------


def test_a_passphrase_is_asked_for_and_its_master_key_opens_the_vault_elsewhere(tmp_path: Path) -> None:
    of_people(tmp_path)
    loaded = settings(tmp_path)
    ask, asked = asking(b"a wrong passphrase", PHRASE)
    masters = unlocked(loaded, ask)
    assert (asked, list(masters)) == (["main", "main"], ["main"])
    assert open_file_vault(loaded, loaded.settings.vaults[0], masters).keys()
    with pytest.raises(NotOpened):
        open_file_vault(loaded, loaded.settings.vaults[0])


def test_after_three_wrong_ones_nobody_is_asked_again(tmp_path: Path) -> None:
    of_people(tmp_path)
    ask, asked = asking(*[b"a wrong passphrase"] * 5)
    with pytest.raises(NotOpened, match="the passphrase is not what protector 'p' was made with"):
        unlocked(settings(tmp_path), ask)
    assert len(asked) == 3


def test_who_is_asked_again_reads_that_the_first_answer_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_people(tmp_path)
    questions: list[str] = []

    def typed(question: str) -> str:
        questions.append(question)
        return "a wrong passphrase" if len(questions) < 3 else PHRASE.decode()

    monkeypatch.setattr(file_vaults, "getpass", typed)
    assert list(unlocked(settings(tmp_path), AtTerminal())) == ["main"]
    again = "that does not open vault main; once more: "
    assert questions == ["passphrase of vault main: ", again, again]


def test_without_a_terminal_it_says_what_would_open_it(tmp_path: Path) -> None:
    of_people(tmp_path)
    with pytest.raises(NotOpened, match=r"passphrase_file in .* or gateway serve on a terminal"):
        unlocked(settings(tmp_path), None)


def test_a_passphrase_in_a_file_is_derived_once_for_all_processes(tmp_path: Path) -> None:
    of_people(tmp_path)
    put(tmp_path / "phrase", PHRASE)
    ask, asked = asking()
    assert list(unlocked(settings(tmp_path, 'passphrase_file = "phrase"'), ask)) == ["main"]
    assert asked == []


def test_vaults_that_a_secret_opens_are_opened_by_each_process_itself(tmp_path: Path) -> None:
    of_people(tmp_path, by_secret())
    put(tmp_path / "secret", SECRET)
    ask, asked = asking()
    assert unlocked(settings(tmp_path, 'secret_file = "secret"'), ask) == {}
    assert asked == []


def test_nobody_is_asked_for_a_vault_that_has_no_passphrase(tmp_path: Path) -> None:
    make(tmp_path / "vault")
    ask, asked = asking()
    with pytest.raises(NotOpened):
        unlocked(settings(tmp_path), ask)
    assert asked == []


def with_second(folder: Path, named: str = "") -> Loaded:
    """A vault that the test's secret opens, and `second`, of which nothing is there yet."""
    make(folder / "vault")
    put(folder / "secret", SECRET)
    first = '[[vaults]]\nname = "main"\npath = "vault"\nsecret_file = "secret"\n'
    return settings_in(folder, f'{PLAIN}\n{first}[[vaults]]\nname = "second"\npath = "second"\n{named}\n')


def test_a_start_goes_on_without_a_vault_that_is_away_but_the_first(tmp_path: Path) -> None:
    loaded = with_second(tmp_path, 'passphrase_file = "phrase"')
    assert unlocked(loaded, None) == {} and seal_up(loaded, FakeChance(), FakeClock()) == []
    custody.create(tmp_path / "second", ("mail",), [by_passphrase], chance=FakeChance(), clock=FakeClock())
    assert unlocked(loaded, None) == {}  # What opens it is lost.
    put(tmp_path / "phrase", PHRASE)
    assert list(unlocked(loaded, None)) == ["second"]
    (tmp_path / "vault/root-keys").unlink()
    with pytest.raises(KeyFault):
        vaults(loaded)


def test_a_passphrase_that_nobody_is_there_to_type_leaves_that_vault_closed_and_a_wrong_one_ends_it(
    tmp_path: Path,
) -> None:
    loaded = with_second(tmp_path)
    (tmp_path / "secret").rename(tmp_path / "elsewhere")  # So that it is not tried for the second as well.
    custody.create(tmp_path / "second", ("mail",), [by_passphrase], chance=FakeChance(), clock=FakeClock())
    assert unlocked(loaded, None) == {}
    ask, asked = asking(*[b"a wrong passphrase"] * 3)
    with pytest.raises(NotOpened):
        unlocked(loaded, ask)
    assert asked == ["second"] * 3


def test_a_clear_vault_asks_nobody(tmp_path: Path) -> None:
    clear_vault.create(tmp_path / "vault", ("default",), FakeChance())
    assert unlocked(settings(tmp_path), None) == {}


# -- what `check` says -------------------------------------------------------------------------------------------------


def told(loaded: Loaded) -> list[tuple[str, str, str]]:
    return [
        (one.severity, one.found, one.right)
        for one in check(loaded.path, FakeClock(), ask=False)
        if one.key.startswith("vaults")
    ]


def test_check_says_of_a_clear_vault_what_seals_it(tmp_path: Path) -> None:
    clear_vault.create(tmp_path / "vault", ("default",), FakeChance())
    ((severity, found, right),) = told(settings(tmp_path))
    assert (severity, "lie in clear" in found) == ("warning", True)
    assert right.startswith("gateway key protector add main --secret-file FILE")
    put(tmp_path / "secret", SECRET)
    ((_, _, right),) = told(settings(tmp_path, 'secret_file = "secret"'))
    assert right.startswith("gateway migrate")


def test_status_does_not_remember_that_a_vault_lay_in_clear(tmp_path: Path) -> None:
    clear_vault.create(tmp_path / "vault", ("default",), FakeChance())
    loaded = settings(tmp_path)
    in_force = Status(FakeClock(), Metrics(), FakeForks())
    in_force.settings(loaded, [one for one in check(loaded.path, FakeClock(), ask=False) if "vaults" in one.key])
    assert [one["code"] for one in protection_warnings(loaded)] == ["vault_unsealed"]  # Which is told anew each time.
    assert not [one for one in in_force.told([])["warnings"] if "in clear" in one["text"]]
    other = loaded.warning("vaults[0].path", "a folder that others may read", "mode 0700")
    in_force.settings(loaded, [other])
    assert "settings" in {one["code"] for one in in_force.told([])["warnings"]}


def test_check_says_of_a_vault_that_does_not_open_what_was_tried(tmp_path: Path) -> None:
    make(tmp_path / "vault")
    put(tmp_path / "secret", b"the secret of another vault, 32 octets")
    ((severity, found, right),) = told(settings(tmp_path, 'secret_file = "secret"'))
    assert severity == "error"
    assert "secret is not what protector 'service' was made with" in found
    assert "gateway key recovery open" in right


def test_check_leaves_a_passphrase_to_the_start(tmp_path: Path) -> None:
    of_people(tmp_path)
    assert told(settings(tmp_path)) == []
    octets = (tmp_path / "vault/root-keys").read_bytes()
    (tmp_path / "vault/root-keys").write_bytes(octets[:-9])
    assert errors(check(tmp_path / "gateway.toml", FakeClock(), ask=False))


# -- sealing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "octets"), [("secret_file", SECRET), ("passphrase_file", PHRASE)])
def test_a_clear_vault_is_sealed_under_what_the_settings_name(tmp_path: Path, key: str, octets: bytes) -> None:
    clear_vault.create(tmp_path / "vault", ("default",), FakeChance())
    put(tmp_path / "it", octets)
    loaded = settings(tmp_path, f'{key} = "it"')
    before = open_file_vault(loaded, loaded.settings.vaults[0]).keys()
    assert seal_up(loaded, FakeChance("seal"), FakeClock()) == ["vault main: sealed"]
    assert open_file_vault(loaded, loaded.settings.vaults[0]).keys() == before
    assert seal_up(loaded, FakeChance("seal"), FakeClock()) == []


def test_a_clear_vault_stays_as_it_is_where_nothing_is_named_or_it_can_t_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear_vault.create(tmp_path / "vault", ("default",), FakeChance())
    assert seal_up(settings(tmp_path), FakeChance(), FakeClock()) == []
    put(tmp_path / "it", SECRET)

    def refuse(*_: object, **__: object) -> None:
        raise Unavailable("a read-only file system")

    monkeypatch.setattr(store, "replace", refuse)
    told = seal_up(settings(tmp_path, 'secret_file = "it"'), FakeChance(), FakeClock())
    assert told == ["vault main: not sealed: a read-only file system"]
    assert facts(tmp_path / "vault").head is None
