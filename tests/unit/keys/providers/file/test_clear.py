"""Format 1 of the file vault, which lies in clear: what the first gateways wrote is read, and never written again."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.keys.providers.file.store import FILE, MAX_OCTETS
from gateway.keys.providers.file.vault import FileVault, facts
from gateway.keys.vault import Denied, KeyState, KeyType, VaultBroken, Wrapped
from tests.fakes.chance import FakeChance
from tests.fakes.clear_vault import compose, create

KEY = b"k" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "vault"
    create(folder, ("default", "second"), FakeChance())
    return folder


def vault(folder: Path) -> FileVault:
    return FileVault("main", folder, chance=FakeChance("nonces"))


def wrapped_by_the_first(folder: Path, context: bytes, root: str = "default", version: int = 1) -> Wrapped:
    """What the first gateways wrote into domain_keys: AES-256-GCM under the root itself, with mark 0x01."""
    for line in (folder / FILE).read_text().split("\n")[1:]:
        if line.startswith(f"{root} {version} "):
            key = base64.b64decode(line.split(" ")[2])
            break
    name = root.encode()
    bound = b"\x01" + len(name).to_bytes(2, "big") + name + version.to_bytes(4, "big") + context
    return Wrapped("main", root, version, b"\x01" + b"n" * 12 + AESGCM(key).encrypt(b"n" * 12, KEY, bound))


def names(vault: FileVault) -> list[str]:
    return [key.name for key in vault.keys()]


def test_its_keys_are_aes_keys_of_unknown_age(folder: Path) -> None:
    (key, _) = vault(folder).keys()
    assert (key.name, key.type, key.state, key.newest, key.versions[0].created) == (
        "default",
        KeyType.AES_256,
        KeyState.ENABLED,
        1,
        None,
    )
    assert facts(folder).head is None
    assert vault(folder).head is None


def test_it_is_read_only_and_says_what_seals_it(folder: Path) -> None:
    before = (folder / FILE).read_bytes()
    held = vault(folder)
    for change in (held.rotate, held.disable, lambda name: held.delete(name, 0.0)):
        with pytest.raises(Denied, match="gateway key protector add main"):
            change("default")
    assert (folder / FILE).read_bytes() == before


def test_unwrap_gives_what_was_wrapped_even_after_a_restart(folder: Path) -> None:
    wrapped = vault(folder).wrap("default", KEY, b"spool 1")
    assert wrapped.octets[:1] == b"\x02"
    assert vault(folder).unwrap(wrapped, b"spool 1") == KEY
    assert vault(folder).unwrap(wrapped_by_the_first(folder, b"spool 1"), b"spool 1") == KEY
    assert names(vault(folder)) == ["default", "second"]


def test_wrapping_uses_the_newest_version_and_old_ones_still_open(folder: Path) -> None:
    old = wrapped_by_the_first(folder, b"")
    first = (folder / FILE).read_text().split("\n")[1].split(" ")[2]
    (folder / FILE).write_bytes(compose([("default", 2, b"2" * 32), ("default", 1, base64.b64decode(first))]))
    both = vault(folder)
    assert both.wrap("default", KEY, b"").root_version == 2
    assert both.unwrap(old, b"") == KEY


def test_a_wrapped_key_opens_under_its_own_context_root_and_version_alone(folder: Path) -> None:
    wrapped = wrapped_by_the_first(folder, b"spool 1")
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
    wrapped = wrapped_by_the_first(folder, b"spool 1")
    octets = bytearray(wrapped.octets)
    octets[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VaultBroken):
        vault(folder).unwrap(Wrapped("main", "default", 1, bytes(octets)), b"spool 1")


@pytest.mark.parametrize("length", [0, 1, 12, 13, 28, 60])
def test_a_wrapped_key_that_was_cut_off_is_broken(folder: Path, length: int) -> None:
    wrapped = wrapped_by_the_first(folder, b"")
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
    path.write_text(path.read_text().replace("gateway-vault 1", "gateway-vault 3"))
    with pytest.raises(VaultBroken, match="version 3"):
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
        assert names(vault(folder)) == ["default", "second"]
    else:
        with pytest.raises(Denied, match="other accounts"):
            vault(folder)
