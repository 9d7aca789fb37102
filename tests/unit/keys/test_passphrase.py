"""Root keys under a passphrase: opens with the right one alone, and tells nothing else."""

from __future__ import annotations

import pytest

from gateway.keys import passphrase
from gateway.keys.passphrase import MARK, BadPassphrase, WrongPassphrase, checked, seal, unseal
from gateway.keys.vault import Denied, VaultBroken
from tests.fakes.chance import FakeChance

PHRASE = b"correct horse battery"
PLAIN = b"gateway-vault 1\ndefault 1 KEYMATERIAL\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real cost is a second for each try."""
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase, "PASSES", 1)


def test_it_opens_with_its_passphrase_and_context_alone() -> None:
    sealed = seal(PHRASE, "vault main", PLAIN, FakeChance())
    assert b"KEYMATERIAL" not in sealed
    assert unseal(PHRASE, "vault main", sealed) == PLAIN
    for phrase, context in ((PHRASE + b"x", "vault main"), (PHRASE, "vault other")):
        with pytest.raises(WrongPassphrase, match="passphrase is another one, or it is damaged"):
            unseal(phrase, context, sealed)


def test_each_octet_counts() -> None:
    sealed = seal(PHRASE, "vault main", PLAIN, FakeChance())
    for place in (len(MARK) + 12, len(MARK) + 12 + 16, len(sealed) - 1, len(sealed) - 20):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(WrongPassphrase):
            unseal(PHRASE, "vault main", bytes(changed))


def test_the_same_twice_looks_different() -> None:
    chance = FakeChance()
    assert seal(PHRASE, "v", PLAIN, chance) != seal(PHRASE, "v", PLAIN, chance)


@pytest.mark.parametrize("sealed", [b"", b"x" * 200, MARK, MARK + bytes(10)])
def test_what_was_never_sealed_is_told_as_such(sealed: bytes) -> None:
    with pytest.raises(VaultBroken):
        unseal(PHRASE, "vault main", sealed)


def test_a_newer_form_is_told_as_such() -> None:
    with pytest.raises(VaultBroken, match="newer gateway"):
        unseal(PHRASE, "vault main", b"gateway-passphrase 3\n" + bytes(100))


@pytest.mark.parametrize(
    ("memory", "passes", "lanes"),
    [(1 << 31, 1, 1), (64, 4_000_000_000, 1), (64, 0, 1), (64, 1, 0), (0, 1, 1), (8, 1, 17), (1 << 10, 1, 17)],
)
def test_a_backup_from_elsewhere_cannot_ask_for_endless_work(memory: int, passes: int, lanes: int) -> None:
    head = passphrase._HEAD.pack(MARK, memory, passes, lanes, bytes(16), bytes(12))
    with pytest.raises(Denied, match="more work"):
        unseal(PHRASE, "vault main", head + bytes(50))


def test_a_line_end_is_no_part_of_a_passphrase() -> None:
    assert checked(b"twelve letters\n") == checked(b"twelve letters\r\n") == checked(b"twelve letters")


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", "too short"),
        (b"eleven-long", "too short"),
        ("zwölf läng".encode(), "too short"),
        (b"x" * 1025, "longer than"),
        (b"first line of it\nsecond", "more than one line"),
        (b"\xff\xfe" * 20, "UTF-8"),
        (b"with a nul in it\0", "more than one line"),
    ],
)
def test_a_bad_passphrase_is_told_and_never_shown(octets: bytes, words: str) -> None:
    with pytest.raises(BadPassphrase, match=words) as told:
        checked(octets)
    assert "eleven" not in str(told.value)
    assert "first" not in str(told.value)


def test_where_fips_is_asked_for_pbkdf2_stands_in_and_argon2id_is_refused() -> None:
    sealed = seal(PHRASE, "vault main", b"plain", FakeChance(), fips=True)
    assert sealed.startswith(b"gateway-passphrase 2\n")
    assert unseal(PHRASE, "vault main", sealed, fips=True) == unseal(PHRASE, "vault main", sealed) == b"plain"
    with pytest.raises(WrongPassphrase):
        unseal(b"another passphrase", "vault main", sealed, fips=True)
    with pytest.raises(WrongPassphrase):
        unseal(PHRASE, "vault other", sealed, fips=True)
    with pytest.raises(Denied, match="vault main is sealed by Argon2id"):
        unseal(PHRASE, "vault main", seal(PHRASE, "vault main", b"plain", FakeChance()), fips=True)


@pytest.mark.parametrize("rounds", [0, 1, 599_999, 20_000_001, 0xFFFFFFFF])
def test_a_number_of_rounds_that_is_not_ours_is_refused_before_any_work(rounds: int) -> None:
    sealed = bytearray(seal(PHRASE, "vault main", b"plain", FakeChance(), fips=True))
    sealed[21:25] = rounds.to_bytes(4, "big")
    with pytest.raises(Denied, match="less or more work"):
        unseal(PHRASE, "vault main", bytes(sealed))
