"""Domain keys: made once, wrapped by the vault, unwrapped at the start."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.keys.domain import LEARNING, PURPOSES, SPOOL, TRACE, DomainKeys, ensure, learnt, load, unwrap_all
from gateway.keys.vault import Denied, KeyFault, Unavailable, VaultBroken
from gateway.storage.keyrows import KeyRow
from gateway.storage.shared import Shared
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.key_rows import MemoryKeys
from tests.fakes.migrated import put_shared
from tests.fakes.vault import FakeVault


def make(store: MemoryKeys, vault: FakeVault, seed: str = "keys") -> None:
    ensure(store, vault, PURPOSES, FakeChance(seed), FakeClock())


def test_ensure_makes_what_is_missing_and_nothing_twice() -> None:
    store, vault = MemoryKeys(), FakeVault()
    ensure(store, vault, (SPOOL,), FakeChance(), FakeClock())
    first = load(store, {"main": vault}).secret(SPOOL, 1)
    make(store, vault)
    make(store, vault)
    keys = load(store, {"main": vault})
    assert vault.wraps == len(PURPOSES)
    assert keys.secret(SPOOL, 1) == first
    assert len({keys.secret(purpose, 1) for purpose in PURPOSES}) == len(PURPOSES)
    assert {row.created for row in store.keys()} == {1_793_700_000_000}


def test_two_processes_that_ensure_at_once_end_with_the_same_keys(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    put_shared(path)
    one, other = Shared(path), Shared(path)
    vault = FakeVault()

    class Late:
        """The other process: it looked before the first one wrote."""

        def keys(self) -> list[KeyRow]:
            return []

        def add_missing_keys(self, rows: Iterable[KeyRow]) -> None:
            other.add_missing_keys(rows)

        def replace_keys(self, changes: Sequence[tuple[KeyRow, KeyRow]]) -> None:
            other.replace_keys(changes)

    try:
        ensure(one, vault, PURPOSES, FakeChance("one"), FakeClock())
        before = load(one, {"main": vault})
        ensure(Late(), vault, PURPOSES, FakeChance("other"), FakeClock())
        after = load(other, {"main": vault})
        for purpose in PURPOSES:
            assert before.secret(purpose, 1) == after.secret(purpose, 1)
    finally:
        one.close()
        other.close()


def test_a_row_that_was_moved_to_another_purpose_does_not_open() -> None:
    store, vault = MemoryKeys(), FakeVault()
    make(store, vault)
    spool, trace = store.rows["default", "spool", 1], store.rows["default", "trace", 1]
    store.rows["default", "trace", 1] = replace(trace, wrapped=spool.wrapped)
    with pytest.raises(VaultBroken, match=r"the domain key 'trace' \(version 1\) can't be had: "):
        load(store, {"main": vault})


def test_a_flipped_bit_anywhere_in_a_wrapping_is_told_with_the_record_s_name() -> None:
    store, vault = MemoryKeys(), FakeVault()
    make(store, vault)
    row = store.row(SPOOL)
    for place in range(len(row.wrapped)):
        octets = bytearray(row.wrapped)
        octets[place] ^= 0x10
        store.put(replace(row, wrapped=bytes(octets)))
        with pytest.raises(KeyFault, match=r"the domain key 'spool' \(version 1\) can't be had: "):
            load(store, {"main": vault})
    for wrapped in (b"", row.wrapped[:-1], row.wrapped + b"\0"):
        store.put(replace(row, wrapped=wrapped))
        with pytest.raises(VaultBroken, match="'spool'"):
            load(store, {"main": vault})


def test_a_row_of_another_version_does_not_open() -> None:
    store, vault = MemoryKeys(), FakeVault()
    make(store, vault)
    store.put(replace(store.row(SPOOL), version=2))
    with pytest.raises(VaultBroken, match=r"'spool' \(version 2\)"):
        load(store, {"main": vault})


def test_one_purpose_that_does_not_open_hides_no_other() -> None:
    store, vault = MemoryKeys(), FakeVault()
    make(store, vault)
    store.put(replace(store.row(SPOOL), version=2))
    found = unwrap_all(store.keys(), {"main": vault})
    assert list(found.faults) == [SPOOL]
    assert {purpose for purpose, _ in found.secrets} == set(PURPOSES) - {SPOOL}
    assert "secrets" not in repr(found)


def test_a_new_version_is_sealed_with_when_everybody_has_had_time_to_learn_it() -> None:
    store, vault, clock = MemoryKeys(), FakeVault(), FakeClock()
    make(store, vault)
    now = clock.now()
    store.put(replace(store.row(SPOOL), created=int((now - 1000) * 1000)))
    store.put(replace(store.row(SPOOL), version=2, created=int(now * 1000)))
    for later, version in ((0, 1), (LEARNING - 0.1, 1), (LEARNING, 2), (-5.0, 1)):
        assert learnt(store.keys(), now + later)[SPOOL] == version
    assert learnt(store.keys(), now, alone=True)[SPOOL] == 2
    assert learnt(store.keys(), now)[TRACE] == 1  # Though it is young: there is no older one.
    store.put(replace(store.row(SPOOL), created=int(now * 1000)))
    assert learnt(store.keys(), now)[SPOOL] == 1  # Both are young: the first is known for longer.


def test_a_vault_that_settings_no_longer_name_is_told_by_its_name() -> None:
    store, vault = MemoryKeys(), FakeVault("old")
    make(store, vault)
    with pytest.raises(Denied, match=r"'old'.*it names 'main'"):
        load(store, {"main": FakeVault()})


def test_a_vault_that_is_away_is_passing() -> None:
    store, vault = MemoryKeys(), FakeVault()
    make(store, vault)
    vault.away = True
    with pytest.raises(Unavailable):
        load(store, {"main": vault})


def test_all_versions_are_read_and_the_newest_is_used() -> None:
    keys = DomainKeys({("spool", 1): b"1" * 32, ("spool", 3): b"3" * 32, ("trace", 2): b"2" * 32})
    assert (keys.newest("spool"), keys.newest("trace")) == (3, 2)
    assert keys.secret("spool", 1) == b"1" * 32
    with pytest.raises(Denied):
        keys.secret("spool", 2)
    with pytest.raises(Denied):
        keys.newest("token")


def test_domain_keys_show_no_octets_and_do_not_leave_the_process() -> None:
    keys = DomainKeys({("spool", 1): b"verysecretoctets" * 2})
    assert "verysecret" not in repr(keys)
    with pytest.raises(TypeError):
        pickle.dumps(keys)
