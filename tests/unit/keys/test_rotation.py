"""Domain keys get new versions, new wrappings and new homes; what was sealed opens as before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.keys.domain import LEARNING, PURPOSES, SPOOL, TOKEN, TRACE, KeyStore, ensure, load
from gateway.keys.rotation import (
    NotThis,
    RootName,
    home,
    rehome,
    rewrap,
    rotate_domain,
    rotate_root,
    wrapped_under,
)
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import Denied, KeyType, Unavailable, VaultBroken
from gateway.storage.keyrows import KeyRowsChanged
from gateway.storage.shared import Shared
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.key_rows import MemoryKeys
from tests.fakes.migrated import put_shared
from tests.fakes.vault import FakeVault

ROOT = RootName("main", "default")
OTHER = RootName("hsm", "mail")


class House:
    """A store with a key of each purpose under `main/default`, and a second vault, `hsm`, with a root key `mail`."""

    def __init__(self, store: KeyStore) -> None:
        self.store = store
        self.main, self.hsm = FakeVault("main"), FakeVault("hsm", ("mail",))
        self.vaults = {"main": self.main, "hsm": self.hsm}
        self.clock = FakeClock()
        ensure(store, self.main, PURPOSES, FakeChance("keys"), self.clock)

    def rotate(self, purpose: str = SPOOL) -> int:
        return rotate_domain(self.store, self.vaults, purpose, FakeChance("more"), self.clock).version

    def secrets(self) -> dict[tuple[str, int], bytes]:
        keys = load(self.store, self.vaults)
        return {place: keys.secret(*place) for place in keys.places()}


@pytest.fixture
def memory() -> MemoryKeys:
    return MemoryKeys()


@pytest.fixture
def house(memory: MemoryKeys) -> House:
    return House(memory)


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[House]:
    put_shared(tmp_path / "shared.db")
    shared = Shared(tmp_path / "shared.db")
    yield House(shared)
    shared.close()


def test_rotating_a_root_rewraps_one_row_for_each_domain_key(house: House, memory: MemoryKeys) -> None:
    before, rows = house.secrets(), dict(memory.rows)
    assert rotate_root(house.store, house.vaults, ROOT) == len(PURPOSES)
    assert memory.writes == [len(PURPOSES)]  # In one transaction.
    assert {row.root_version for row in memory.keys()} == {2}
    assert house.secrets() == before
    for place, row in memory.rows.items():
        assert replace(row, wrapped=rows[place].wrapped, root_version=1) == rows[place]  # And nothing else of it.


def test_the_shared_database_takes_it_too(on_disk: House) -> None:
    before = on_disk.secrets()
    on_disk.rotate()
    assert rotate_root(on_disk.store, on_disk.vaults, ROOT) == len(PURPOSES) + 1
    assert rehome(on_disk.store, on_disk.vaults, ROOT, OTHER) == len(PURPOSES) + 1
    del on_disk.vaults["main"]
    assert before.items() <= on_disk.secrets().items()


def test_what_an_older_root_wrapped_opens_after_a_rotation(house: House) -> None:
    before = house.secrets()
    house.main.rotate("default")
    house.main.rotate("default")
    assert house.secrets() == before
    assert rewrap(house.store, house.vaults, ROOT) == len(PURPOSES)
    assert rewrap(house.store, house.vaults, ROOT) == 0
    assert house.secrets() == before


def test_a_root_that_fails_in_the_middle_leaves_every_row_as_it_was(house: House, memory: MemoryKeys) -> None:
    rows = dict(memory.rows)
    memory.put(replace(memory.row(TRACE), wrapped=b"\2damaged"))
    damaged = dict(memory.rows)
    with pytest.raises(VaultBroken, match="'trace'"):
        rotate_root(house.store, house.vaults, ROOT)
    assert memory.rows == damaged
    memory.rows = rows
    assert rewrap(house.store, house.vaults, ROOT) == len(PURPOSES)  # The new version is there, and waits for it.


def test_somebody_else_who_is_quicker_leaves_all_or_nothing(house: House, memory: MemoryKeys) -> None:
    def quicker() -> None:
        memory.put(replace(memory.row(SPOOL), wrapped=b"\2elsewhere"))

    memory.before_write = quicker  # type: ignore[method-assign]
    others = {place: row for place, row in memory.rows.items() if place[1] != SPOOL}
    with pytest.raises(Unavailable, match="nothing was changed: say it again"):
        rotate_root(house.store, house.vaults, ROOT)
    assert {place: row for place, row in memory.rows.items() if place[1] != SPOOL} == others


def test_somebody_else_who_is_quicker_on_disk(on_disk: House) -> None:
    stale = on_disk.store.keys()
    rotate_root(on_disk.store, on_disk.vaults, ROOT)
    now = on_disk.store.keys()
    # As if all but the last row had been read anew: the transaction has written some rows when it finds out.
    mixed = sorted(now, key=lambda row: row.purpose)[:-1] + sorted(stale, key=lambda row: row.purpose)[-1:]
    changes = [(row, replace(row, wrapped=b"\2x" + row.wrapped)) for row in mixed]
    with pytest.raises(KeyRowsChanged, match="'trace'"):
        on_disk.store.replace_keys(changes)
    assert on_disk.store.keys() == now


def test_a_new_version_of_a_domain_key_opens_at_once_and_seals_when_all_know_it(house: House) -> None:
    house.clock = FakeClock(house.clock.now() + 1000)
    old = KeySealer(load(house.store, house.vaults), FakeChance())
    assert house.rotate() == 2
    made = house.clock.now()
    early = KeySealer(load(house.store, house.vaults, now=made), FakeChance())
    late = KeySealer(load(house.store, house.vaults, now=made + LEARNING), FakeChance())
    assert early.seal(SPOOL, "r", b"x")[1:5] == b"\0\0\0\1"
    assert late.seal(SPOOL, "r", b"x")[1:5] == b"\0\0\0\2"
    assert old.open(SPOOL, "r", early.seal(SPOOL, "r", b"mail")) == b"mail"
    assert early.open(SPOOL, "r", late.seal(SPOOL, "r", b"mail")) == b"mail"
    assert late.open(SPOOL, "r", old.seal(SPOOL, "r", b"mail")) == b"mail"


def test_search_tokens_are_not_rotated_and_the_reason_is_told(house: House, memory: MemoryKeys) -> None:
    rows = dict(memory.rows)
    with pytest.raises(NotThis, match="nothing that is there would be found again"):
        house.rotate(TOKEN)
    assert memory.rows == rows


def test_a_purpose_that_is_none_is_told_with_those_that_are(house: House) -> None:
    with pytest.raises(NotThis, match=r"there is no domain key 'spol'; those that can be rotated are spool, trace"):
        house.rotate("spol")


def test_a_key_that_does_not_open_gets_no_successor(house: House, memory: MemoryKeys) -> None:
    house.main.disable("default")
    with pytest.raises(Denied, match="is disabled"):
        house.rotate()
    assert len(memory.rows) == len(PURPOSES)


def test_two_who_rotate_at_once_end_with_one_new_version(house: House, memory: MemoryKeys) -> None:
    add = memory.add_missing_keys
    first = replace(memory.row(SPOOL), version=2, wrapped=b"\2of the other")

    def late(rows: object) -> None:
        memory.put(first)
        add(rows)  # type: ignore[arg-type]

    memory.add_missing_keys = late  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="somebody else made version 2"):
        house.rotate()
    assert memory.row(SPOOL, 2) == first


def test_all_domain_keys_move_to_another_vault_in_one_transaction(house: House, memory: MemoryKeys) -> None:
    house.rotate()
    before = house.secrets()
    assert rehome(house.store, house.vaults, ROOT, OTHER) == len(PURPOSES) + 1
    assert memory.writes == [len(PURPOSES) + 1]
    assert wrapped_under(house.store, ROOT) == []
    assert len(wrapped_under(house.store, OTHER)) == len(PURPOSES) + 1
    house.main.denied = True  # The old vault is needed no more.
    assert house.secrets() == before
    assert home(house.store, "main") == OTHER
    house.rotate(TRACE)
    assert memory.row(TRACE, 2).vault == "hsm"


def test_a_move_within_a_vault_and_to_another_kind_of_root(house: House) -> None:
    before = house.secrets()
    house.main.create("rsa", KeyType.RSA_2048)
    assert rehome(house.store, house.vaults, ROOT, RootName("main", "rsa")) == len(PURPOSES)
    house.main.disable("default")
    assert house.secrets() == before


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (ROOT, ROOT, "are the same root key"),
        (OTHER, ROOT, "hsm/mail wraps no domain key"),
        (ROOT, RootName("cloud", "x"), "gateway.toml names no vault 'cloud'; it names 'hsm', 'main'"),
        (RootName("cloud", "x"), ROOT, "gateway.toml names no vault 'cloud'"),
        (ROOT, RootName("hsm", "none"), "holds no key 'none'"),
    ],
)
def test_a_move_that_can_t_be_says_why(
    house: House, memory: MemoryKeys, source: RootName, target: RootName, words: str
) -> None:
    rows = dict(memory.rows)
    with pytest.raises((NotThis, Denied), match=words):
        rehome(house.store, house.vaults, source, target)
    assert memory.rows == rows


def test_a_target_that_does_not_give_back_what_it_wrapped_gets_nothing(house: House, memory: MemoryKeys) -> None:
    rows = dict(memory.rows)
    unwrap = house.hsm.unwrap
    house.hsm.unwrap = lambda *a, **k: bytes(len(unwrap(*a, **k)))  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="hsm/mail does not give back what it wrapped"):
        rehome(house.store, house.vaults, ROOT, OTHER)
    assert memory.rows == rows


def test_a_root_that_is_not_there_is_told(house: House) -> None:
    with pytest.raises(Denied, match="holds no root key 'none'"):
        rewrap(house.store, house.vaults, RootName("main", "none"))


def test_the_vault_is_told_for_what_it_wraps_and_unwraps(house: House) -> None:
    house.main.abouts.clear()
    rotate_root(house.store, house.vaults, ROOT)
    assert set(house.main.abouts) == {f"domain key {purpose} 1" for purpose in PURPOSES}
