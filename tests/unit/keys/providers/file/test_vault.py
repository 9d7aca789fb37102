"""The sealed file of a vault: found damaged or older, changed by one process under the eyes of others."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.keys.providers.file import sheet, store
from gateway.keys.providers.file.means import NOTHING, NotOpened
from gateway.keys.providers.file.store import BEFORE, FILE, LOCK, MAX_OCTETS
from gateway.keys.providers.file.vault import LOOK, FileVault, facts
from gateway.keys.vault import Denied, KeyFault, KeyState, KeyType, Unavailable, VaultBroken
from tests.fakes import clear_vault
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.file_vault import SECRET, make, means, opened

KEY = b"k" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path / "vault")
    return tmp_path / "vault"


def generation(folder: Path) -> int:
    head = facts(folder).head
    assert head is not None
    return head.generation


# -- the file ----------------------------------------------------------------------------------------------------------


def test_a_new_vault_is_for_its_owner_alone_and_leaves_no_draft(folder: Path) -> None:
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in folder.iterdir()] == [FILE]
    assert (folder / FILE).read_text().startswith("gateway-vault 2\n{")


def test_a_vault_is_never_overwritten_by_a_new_one(folder: Path) -> None:
    before = (folder / FILE).read_bytes()
    with pytest.raises(Denied, match="never overwritten"):
        make(folder)
    assert (folder / FILE).read_bytes() == before
    assert [one.name for one in folder.iterdir()] == [FILE]


def test_a_new_vault_says_where_the_disk_refuses(tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("a file where a folder should be")
    with pytest.raises((Unavailable, Denied), match="vault"):
        make(tmp_path / "vault")


def test_neither_keys_nor_secret_stand_in_the_file_or_show_in_any_text(folder: Path) -> None:
    vault = opened(folder)
    vault.create("signer", KeyType.ED25519)
    octets = (folder / FILE).read_bytes()
    held = vault._keys  # What a debugger or a careless log line would reach.
    for key in held.values():
        for version in key.versions:
            secret = version.key.octets()
            assert secret not in octets
            for text in (repr(vault), repr(held), repr(key), repr(version), repr(version.key), str(vault.keys())):
                assert secret.hex() not in text
                assert repr(secret) not in text
    assert SECRET not in octets
    assert b"default" not in octets, "not even the names of keys are told"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(place=st.integers(0), bit=st.integers(0, 7))
def test_every_flipped_bit_of_the_file_is_found_before_anybody_is_asked_for_a_secret(
    folder: Path, place: int, bit: int
) -> None:
    path = folder / FILE
    octets = path.read_bytes()
    changed = bytearray(octets)
    changed[place % len(octets)] ^= 1 << bit
    path.write_bytes(changed)
    try:
        with pytest.raises(VaultBroken, match="root-keys"):
            facts(folder)
        with pytest.raises(VaultBroken):
            FileVault("main", folder, NOTHING)
    finally:
        path.write_bytes(octets)


def test_a_file_that_was_cut_off_or_added_to_anywhere_is_broken_and_says_what_to_do(folder: Path) -> None:
    path = folder / FILE
    octets = path.read_bytes()
    for length in range(0, len(octets), 11):
        path.write_bytes(octets[:length])
        with pytest.raises(VaultBroken, match=r"root-keys.*(Put root-keys\.before|Restore it)"):
            opened(folder)
    for more in (b"\n", b"x", octets):
        path.write_bytes(octets + more)
        with pytest.raises(VaultBroken):
            opened(folder)


def forged(folder: Path, change: Callable[[list[bytes]], None]) -> None:
    """Change lines of the file and make the checksum fit again, as somebody would who knows this code."""
    import hashlib

    path = folder / FILE
    lines = path.read_bytes().split(b"\n")
    change(lines)
    above = b"\n".join(lines[:3]) + b"\n"
    path.write_bytes(above + hashlib.sha256(above).hexdigest().encode() + b"\n")


def test_a_forged_head_does_not_open_however_well_it_is_made(folder: Path) -> None:
    """The attack: whoever may write the file, but holds no secret, calls a recovery key proved, or winds back the
    generation, or names a protector of his own.
    """
    good = (folder / FILE).read_bytes()

    def claim(term: str, value: object) -> Callable[[list[bytes]], None]:
        def change(lines: list[bytes]) -> None:
            head = json.loads(lines[1])
            head["protectors"][0][term] = value
            lines[1] = json.dumps(head, separators=(",", ":")).encode()

        return change

    def wind_on(lines: list[bytes]) -> None:
        head = json.loads(lines[1])
        head["generation"] += 1
        lines[1] = json.dumps(head, separators=(",", ":")).encode()

    def space(lines: list[bytes]) -> None:
        lines[1] = json.dumps(json.loads(lines[1])).encode()

    changes = [claim("proved", 1.0), claim("created", 1.0), wind_on, space]
    for change in changes:
        (folder / FILE).write_bytes(good)
        forged(folder, change)
        with pytest.raises(VaultBroken, match="does not open under its master key"):
            opened(folder)
    (folder / FILE).write_bytes(good)
    forged(folder, claim("name", "another"))
    with pytest.raises(NotOpened):
        opened(folder)


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[]", b"null", b"7", b'{"id":7}', b"[" * 5000, b"\xff", b'{"id":"x","generation":1,"protectors":[]}'],
)
def test_a_head_that_is_no_head_is_broken(folder: Path, line: bytes) -> None:
    def change(lines: list[bytes]) -> None:
        lines[1] = line

    forged(folder, change)
    with pytest.raises(VaultBroken, match="not as this gateway writes it"):
        opened(folder)


def test_the_body_of_another_vault_does_not_open(tmp_path: Path, folder: Path) -> None:
    make(tmp_path / "other", chance=FakeChance("another vault"))
    theirs = (tmp_path / "other" / FILE).read_bytes().split(b"\n")

    def change(lines: list[bytes]) -> None:
        lines[2] = theirs[2]

    forged(folder, change)
    with pytest.raises(VaultBroken, match="another vault"):
        opened(folder)


def test_a_file_that_others_may_use_is_denied_with_the_command_that_helps(folder: Path) -> None:
    for mode in (0o640, 0o604, 0o660, 0o601):
        (folder / FILE).chmod(mode)
        with pytest.raises(Denied, match=f"chmod 600 {folder / FILE}"):
            opened(folder)


def test_a_file_beyond_the_bound_is_not_read(folder: Path) -> None:
    with (folder / FILE).open("ab") as file:
        file.truncate(MAX_OCTETS + 1)
    with pytest.raises(VaultBroken, match="longer than"):
        opened(folder)


def test_a_vault_never_grows_beyond_what_it_could_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = opened(folder)
    before = (folder / FILE).read_bytes()
    monkeypatch.setattr(sheet, "MAX_OCTETS", len(before) + 10)
    with pytest.raises(Denied, match="second vault"):
        vault.create("one-more", KeyType.AES_256)
    assert (folder / FILE).read_bytes() == before


# -- changing it -------------------------------------------------------------------------------------------------------


def test_each_change_is_a_generation_and_the_one_before_stays_beside_it(folder: Path) -> None:
    vault = opened(folder)
    first = (folder / FILE).read_bytes()
    vault.create("second", KeyType.AES_256)
    assert (folder / BEFORE).read_bytes() == first
    vault.rotate("second")
    assert generation(folder) == 3
    assert sorted(one.name for one in folder.iterdir()) == [FILE, BEFORE, LOCK]
    assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("at", ["_write_new", "_sync_folder"])
def test_a_disk_that_refuses_leaves_a_whole_vault_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    vault = opened(folder)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, at, refuse)
    with pytest.raises(Unavailable, match=r"root-keys: No space left"):
        vault.create("second", KeyType.AES_256)
    monkeypatch.undo()
    assert [one.name for one in folder.iterdir() if one.name.endswith(".new")] == []
    assert opened(folder).unwrap(vault.wrap("default", KEY, b""), b"") == KEY
    vault.refresh()
    assert {key.name for key in vault.keys()} == {key.name for key in opened(folder).keys()}


def test_a_crash_before_the_rename_leaves_the_vault_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = opened(folder)
    before = (folder / FILE).read_bytes()

    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(Crash):
        vault.create("second", KeyType.AES_256)
    monkeypatch.undo()
    assert (folder / FILE).read_bytes() == before
    assert [key.name for key in opened(folder).keys()] == ["default"]


def test_a_draft_that_a_crash_left_is_never_taken_for_the_vault(folder: Path) -> None:
    (folder / f"{FILE}.0123456789abcdef.new").write_bytes(b"half")
    assert [key.name for key in opened(folder).keys()] == ["default"]


def test_two_who_change_it_at_once_lose_nothing(folder: Path) -> None:
    vaults = [opened(folder, chance=FakeChance(f"process {number}")) for number in range(4)]

    def work(number: int) -> None:
        for turn in range(5):
            vaults[number].create(f"key-{number}-{turn}", KeyType.AES_256)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened(folder).keys()) == 1 + 4 * 5
    assert generation(folder) == 1 + 4 * 5


def test_a_key_that_another_process_disables_is_denied_with_the_next_use(folder: Path) -> None:
    serving, commanding = opened(folder), opened(folder)
    wrapped = serving.wrap("default", KEY, b"")
    commanding.disable("default")
    with pytest.raises(Denied, match="disabled"):
        serving.unwrap(wrapped, b"")
    commanding.enable("default")
    assert serving.unwrap(wrapped, b"") == KEY
    commanding.rotate("default")
    assert serving.wrap("default", KEY, b"").root_version == 2


async def test_who_signs_looks_at_the_file_now_and_then(folder: Path) -> None:
    clock = FakeClock()
    serving, commanding = opened(folder, clock=clock), opened(folder)
    commanding.create("signer", KeyType.ED25519)
    serving.refresh()
    commanding.disable("signer")
    serving.sign("signer", b"x")
    await clock.advance(LOOK)
    with pytest.raises(Denied, match="disabled"):
        serving.sign("signer", b"x")


@pytest.mark.parametrize("harm", ["gone", "exposed", "damaged", "older"])
async def test_a_file_that_is_not_well_is_denied_to_each_who_signs_or_decrypts(folder: Path, harm: str) -> None:
    """Who owns the vault takes it away while mail flows: not one use goes on with what was read before."""
    clock = FakeClock()
    vault, path = opened(folder, clock=clock), folder / FILE
    older = path.read_bytes()
    vault.create("tenant", KeyType.RSA_2048)
    public = load_der_public_key(vault.public_key("tenant"))
    assert isinstance(public, RSAPublicKey)
    sealed = public.encrypt(KEY, OAEP(MGF1(SHA256()), SHA256(), None))
    octets = path.read_bytes()
    if harm == "gone":
        path.rename(folder / "elsewhere")
    elif harm == "exposed":
        path.chmod(0o644)
    else:
        path.write_bytes(older if harm == "older" else octets[:-70])
    await clock.advance(LOOK)
    for _ in range(3):
        with pytest.raises((Denied, VaultBroken)):
            vault.decrypt("tenant", sealed, version=1)
        with pytest.raises((Denied, VaultBroken)):
            vault.sign("tenant", b"x")
        with pytest.raises((Denied, VaultBroken)):
            vault.health()
    (folder / "elsewhere").rename(path) if harm == "gone" else path.write_bytes(octets)
    path.chmod(0o600)
    assert vault.decrypt("tenant", sealed, version=1) == KEY


def test_a_file_that_is_gone_denies_and_one_that_is_back_opens_without_a_restart(folder: Path) -> None:
    vault = opened(folder)
    wrapped = vault.wrap("default", KEY, b"")
    (folder / FILE).rename(folder / "elsewhere")
    for asked in (vault.health, lambda: vault.unwrap(wrapped, b""), lambda: vault.wrap("default", KEY, b"")):
        with pytest.raises(Denied, match="missing"):
            asked()
    (folder / "elsewhere").rename(folder / FILE)
    vault.health()
    assert vault.unwrap(wrapped, b"") == KEY


def test_a_file_that_breaks_while_it_is_used_is_noticed(folder: Path) -> None:
    vault = opened(folder)
    octets = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(octets[:-70])
    with pytest.raises(VaultBroken):
        vault.health()
    (folder / FILE).write_bytes(octets)
    vault.health()


def test_an_older_copy_that_is_put_back_while_it_is_used_is_refused(folder: Path) -> None:
    """The attack: a key was disabled; whoever may write the folder puts the file of yesterday back."""
    vault = opened(folder)
    old = (folder / FILE).read_bytes()
    vault.disable("default")
    (folder / FILE).write_bytes(old)
    with pytest.raises(VaultBroken, match=r"generation 1 .* which has been 2"):
        vault.wrap("default", KEY, b"")
    with pytest.raises(VaultBroken, match="older copy"):
        vault.enable("default")


def test_a_clear_vault_in_the_place_of_a_sealed_one_is_refused(folder: Path) -> None:
    vault = opened(folder)
    clear_vault.create(folder, ("default",), FakeChance("attacker"))
    with pytest.raises(VaultBroken, match="unsealed vault in the place of the sealed one"):
        vault.wrap("default", KEY, b"")


def test_a_clear_vault_that_is_sealed_while_it_is_used_goes_on(tmp_path: Path) -> None:
    from gateway.keys.providers.file import custody
    from tests.fakes.file_vault import by_secret

    folder = tmp_path / "vault"
    clear_vault.create(folder, ("default",), FakeChance("old"))
    vault = opened(folder)
    wrapped = vault.wrap("default", KEY, b"")
    custody.seal_up("main", folder, [by_secret()], chance=FakeChance("seal"))
    assert vault.unwrap(wrapped, b"") == KEY
    assert vault.head is not None


def test_purge_leaves_no_copy_of_the_key_behind(folder: Path) -> None:
    vault = opened(folder)
    vault.create("gone", KeyType.AES_256)
    vault.delete("gone", 5.0)
    assert vault.purge(5.0) == ("gone",)
    for name in (FILE, BEFORE):
        copy = folder.parent / name
        copy.mkdir()
        shutil.copy(folder / name, copy / FILE)
        assert [key.name for key in opened(copy).keys()] == ["default"]


def test_what_a_killed_process_left_half_way_goes_with_the_next_change(folder: Path) -> None:
    vault = opened(folder)
    vault.create("gone", KeyType.AES_256)
    draft = folder / f"{FILE}.0123456789abcdef.new"
    os.link(folder / FILE, draft)  # A whole generation with that key.
    others = [folder / "root-keys.of-monday", folder / f"{FILE}.0123456789abcdef.new.kept"]
    for other in others:
        other.write_bytes(b"not ours")
    vault.delete("gone", 5.0)
    os.link(folder / FILE, draft.with_name(f"{FILE}.0000000000000000.new"))
    assert vault.purge(5.0) == ("gone",)
    assert sorted(folder.iterdir()) == sorted([folder / FILE, folder / BEFORE, folder / LOCK, *others])


def test_root_leaves_the_vault_to_the_account_that_owns_it(folder: Path) -> None:
    """`sudo gateway key rotate` must not lock out the service."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    vault = opened(folder)
    os.chown(folder / FILE, 4711, 4712)
    vault.rotate("default")
    for name in (FILE, LOCK):
        assert ((folder / name).stat().st_uid, (folder / name).stat().st_gid) == (4711, 4712)


def test_a_new_process_is_refused_without_means_and_told_what_would_open_it(folder: Path) -> None:
    with pytest.raises(NotOpened, match=r"sealed .*root-keys, which opens by service \(secret\).*secret_credential"):
        FileVault("main", folder)
    with pytest.raises(NotOpened, match="the test's secret is not what protector 'service' was made with"):
        FileVault("main", folder, means(b"another secret of 32 octets or so"))


def test_health_costs_no_reading_while_nothing_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = opened(folder)

    def read(_: Path) -> bytes:
        raise AssertionError("it was read")

    monkeypatch.setattr(store, "read", read)
    vault.health()
    assert vault.unwrap(vault.wrap("default", KEY, b""), b"") == KEY


def test_deleted_and_disabled_survive_as_they_are(folder: Path) -> None:
    vault = opened(folder)
    vault.create("a", KeyType.EC_P256)
    vault.create("b", KeyType.RSA_2048)
    vault.disable("a")
    vault.delete("b", 1_800_000_000.5)
    found = {key.name: key for key in opened(folder).keys()}
    assert (found["a"].state, found["b"].state, found["b"].ends) == (
        KeyState.DISABLED,
        KeyState.DELETED,
        1_800_000_000.5,
    )


def test_faults_are_key_faults_and_say_nothing_of_what_was_read(folder: Path) -> None:
    path = folder / FILE
    text = path.read_bytes()
    body = text.split(b"\n")[2][:40]
    for changed in (text[:-3], b"x" + text, text.replace(b"{", b"[", 1)):
        path.write_bytes(changed)
        with pytest.raises(KeyFault) as caught:
            opened(folder)
        error: BaseException | None = caught.value
        while error is not None:
            assert body.decode() not in repr(error)
            error = error.__cause__ or error.__context__


def test_a_head_is_never_written_with_another_id(folder: Path) -> None:
    vault = opened(folder)
    before = vault.head
    vault.rotate("default")
    assert before is not None
    assert vault.head == replace(before, generation=2)
