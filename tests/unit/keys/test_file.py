"""The file vault: what it makes, wraps, and refuses."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.keys.file import FILE, MAX_OCTETS, FileVault, create
from gateway.keys.vault import Denied, Unavailable, VaultBroken, Wrapped
from tests.fakes.chance import FakeChance

KEY = b"k" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "vault"
    create(folder, ("default", "second"), FakeChance())
    return folder


def vault(folder: Path) -> FileVault:
    return FileVault("main", folder, FakeChance("nonces"))


def test_created_file_is_for_its_owner_alone_and_leaves_no_draft(folder: Path) -> None:
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in folder.iterdir()] == [FILE]
    assert (folder / FILE).read_text().startswith("gateway-vault 1\ndefault 1 ")


def test_create_never_overwrites(folder: Path) -> None:
    before = (folder / FILE).read_bytes()
    with pytest.raises(Denied, match="never overwritten"):
        create(folder, ("default",), FakeChance("other"))
    assert (folder / FILE).read_bytes() == before
    assert [one.name for one in folder.iterdir()] == [FILE]


def test_create_says_where_the_disk_refuses(tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("a file where a folder should be")
    with pytest.raises((Unavailable, Denied), match="vault"):
        create(tmp_path / "vault", ("default",), FakeChance())


@pytest.mark.parametrize("roots", [(), ("a", "a"), ("with space",), ("line\nbreak",), ("",)])
def test_create_refuses_odd_names(tmp_path: Path, roots: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="root keys need names"):
        create(tmp_path, roots, FakeChance())


def test_unwrap_gives_what_was_wrapped_even_after_a_restart(folder: Path) -> None:
    wrapped = vault(folder).wrap("default", KEY, b"spool 1")
    assert wrapped.root_version == 1
    assert wrapped.octets[:1] == b"\x01"
    assert KEY not in wrapped.octets
    assert vault(folder).unwrap(wrapped, b"spool 1") == KEY
    assert vault(folder).roots() == ("default", "second")


def test_wrapping_uses_the_newest_version_and_old_ones_still_open(folder: Path) -> None:
    old = vault(folder).wrap("default", KEY, b"")
    from gateway.keys.file import _compose

    first = (folder / FILE).read_text().split("\n")[1].split(" ")[2]
    (folder / FILE).write_bytes(_compose([("default", 2, b"2" * 32), ("default", 1, base64.b64decode(first))]))
    both = vault(folder)
    assert both.wrap("default", KEY, b"").root_version == 2
    assert both.unwrap(old, b"") == KEY


def test_a_wrapped_key_opens_under_its_own_context_root_and_version_alone(folder: Path) -> None:
    wrapped = vault(folder).wrap("default", KEY, b"spool 1")
    with pytest.raises(VaultBroken):
        vault(folder).unwrap(wrapped, b"trace 1")
    with pytest.raises(VaultBroken):
        vault(folder).unwrap(Wrapped("main", "second", 1, wrapped.octets), b"spool 1")
    with pytest.raises(Denied, match="version 2"):
        vault(folder).unwrap(Wrapped("main", "default", 2, wrapped.octets), b"spool 1")
    with pytest.raises(Denied, match="'third'"):
        vault(folder).wrap("third", KEY, b"")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(bit=st.integers(0, (1 + 12 + 32 + 16) * 8 - 1))
def test_every_flipped_bit_of_a_wrapped_key_is_found(folder: Path, bit: int) -> None:
    wrapped = vault(folder).wrap("default", KEY, b"spool 1")
    octets = bytearray(wrapped.octets)
    octets[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VaultBroken):
        vault(folder).unwrap(Wrapped("main", "default", 1, bytes(octets)), b"spool 1")


@pytest.mark.parametrize("length", [0, 1, 12, 13, 28, 60])
def test_a_wrapped_key_that_was_cut_off_is_broken(folder: Path, length: int) -> None:
    wrapped = vault(folder).wrap("default", KEY, b"")
    with pytest.raises(VaultBroken):
        vault(folder).unwrap(Wrapped("main", "default", 1, wrapped.octets[:length]), b"")


def test_missing_file_is_denied_and_named(tmp_path: Path) -> None:
    with pytest.raises(Denied, match=r"root-keys is missing"):
        FileVault("main", tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_file_that_others_may_use_is_denied_with_the_command_that_helps(folder: Path, mode: int) -> None:
    (folder / FILE).chmod(mode)
    with pytest.raises(Denied, match=f"chmod 600 {folder / FILE}"):
        vault(folder)


@pytest.mark.parametrize("at", range(0, 300, 7))
def test_file_that_was_cut_off_anywhere_is_broken(folder: Path, at: int) -> None:
    path = folder / FILE
    octets = path.read_bytes()
    path.write_bytes(octets[: at % len(octets)])
    with pytest.raises(VaultBroken):
        vault(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0), value=st.integers(0, 255))
def test_every_changed_octet_of_the_file_is_found(folder: Path, place: int, value: int) -> None:
    path = folder / FILE
    octets = path.read_bytes()
    place %= len(octets)
    if octets[place] == value:
        return
    path.write_bytes(octets[:place] + bytes([value]) + octets[place + 1 :])
    try:
        with pytest.raises(VaultBroken):
            vault(folder)
    finally:
        path.write_bytes(octets)


def test_a_missing_line_is_found(folder: Path) -> None:
    path = folder / FILE
    lines = path.read_text().split("\n")
    path.write_text("\n".join([lines[0], *lines[2:]]))
    with pytest.raises(VaultBroken, match="last line does not fit"):
        vault(folder)


def test_newer_file_is_refused_by_its_version(folder: Path) -> None:
    path = folder / FILE
    path.write_text(path.read_text().replace("gateway-vault 1", "gateway-vault 2"))
    with pytest.raises(VaultBroken, match="version 2"):
        vault(folder)


def test_something_else_is_refused(folder: Path) -> None:
    path = folder / FILE
    path.write_bytes(b"x" * (MAX_OCTETS + 1))
    with pytest.raises(VaultBroken, match="longer than"):
        vault(folder)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(VaultBroken, match="not a plain file"):
        vault(folder)


def test_neither_repr_nor_errors_show_a_key(folder: Path) -> None:
    path = folder / FILE
    secret = path.read_text().split("\n")[1].split(" ")[2]
    assert secret not in repr(vault(folder))
    path.write_text(path.read_text().replace(secret, secret[::-1]))
    with pytest.raises(VaultBroken) as caught:
        vault(folder)
    error: BaseException | None = caught.value
    while error is not None:
        assert secret[::-1] not in repr(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("mode", "owner", "taken"),
    [(0o400, 0, True), (0o440, 0, True), (0o640, 0, False), (0o444, 0, False), (0o450, 0, False), (0o440, 1, False)],
)
def test_a_credential_of_systemd_is_for_roots_group_to_read_at_most(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, taken: bool
) -> None:
    """systemd gives the one account that may read it an ACL, which shows as reading for root's group."""
    os.chmod(folder / FILE, mode)
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        facts = [int(fact) for fact in real(descriptor)]
        facts[0], facts[4], facts[5] = (facts[0] & ~0o777) | mode, owner, owner
        return os.stat_result(facts)

    monkeypatch.setattr(os, "fstat", fstat)
    if taken:
        assert vault(folder).roots() == ("default", "second")
    else:
        with pytest.raises(Denied, match="other accounts"):
            vault(folder)
