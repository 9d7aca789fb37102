"""The keeper opens and closes the sealer by what the vaults say, and asks them no more often than it must."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from gateway.keys.domain import ACCOUNTS, DKIM, LEARNING, PURPOSES, SPOOL, TOKEN, TRACE, DomainKeys, ensure
from gateway.keys.guard import FAILURES, Guarded
from gateway.keys.keeper import AGAIN, LOOK, PATIENCE, Keeper
from gateway.keys.rotation import RootName, rotate_domain, rotate_root
from gateway.keys.sealer import Away, Forbidden, KeySealer
from gateway.keys.vault import Denied, Vault
from gateway.storage.sealer import KeysClosed, SealBroken
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.key_rows import MemoryKeys
from tests.fakes.vault import FakeVault

CACHE = 60.0


class Bench:
    """One process' keeper and sealer, over rows in memory and a vault with switches."""

    def __init__(self, cache: float = CACHE, *, alone: bool = False, look: float = LOOK) -> None:
        self.clock = FakeClock()
        self.store = MemoryKeys()
        self.vault = FakeVault()
        self.vaults: dict[str, Vault] = {"main": self.vault}
        ensure(self.store, self.vault, PURPOSES, FakeChance("keys"), FakeClock(self.clock.now() - 1000))
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.changes = 0
        self.sealer = KeySealer(DomainKeys({}), FakeChance(), wanted=lambda: self.keeper.wanted())
        self.keeper = Keeper(
            store=self.store,
            vaults=self.vaults,
            sealer=self.sealer,
            clock=self.clock,
            tell=lambda level, event, **facts: self.told.append((level, event, facts)),
            cache_seconds=cache,
            alone=alone,
            look_seconds=look,
            changed=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    @property
    def events(self) -> list[str]:
        return [event for _, event, _ in self.told]

    def seals(self, purpose: str = SPOOL) -> bool:
        try:
            self.sealer.seal(purpose, "r", b"x")
        except KeysClosed:
            return False
        return True

    async def pass_(self, seconds: float) -> None:
        """Let so much time go by; looks happen on a thread, and the clock stands still meanwhile."""
        step = 1.0
        while seconds > 0:
            await self.clock.advance(min(step, seconds))
            seconds -= step
            await self.settle()

    async def settle(self) -> None:
        for _ in range(3):
            await asyncio.to_thread(lambda: None)  # Behind the look, which has a thread of its own.
            while self.keeper._looking.locked() and not self.hangs:
                await asyncio.to_thread(lambda: None)
            await self.clock.advance(0)

    hangs = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.keeper.look()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.keeper.run())
            await self.clock.advance(0)
            yield
            task.cancel()


async def test_the_first_look_opens_every_purpose() -> None:
    bench = Bench()
    assert not bench.seals()  # Nothing is known before.
    await bench.keeper.look()
    assert all(bench.seals(purpose) for purpose in PURPOSES)
    assert bench.keeper.is_open(PURPOSES)
    assert bench.told == []
    assert bench.changes == 0
    assert bench.vault.unwraps == len(PURPOSES)


async def test_a_look_at_keys_that_are_held_asks_once_for_each_root() -> None:
    bench = Bench()
    await bench.keeper.look()
    before = bench.vault.unwraps
    async with bench.running():
        await bench.pass_(10 * LOOK)
    assert bench.vault.unwraps - before == 11


@pytest.mark.parametrize("look", [1.0, 6.0, 2 * LOOK])
async def test_the_pause_between_two_looks_is_as_the_settings_say_and_the_longest_in_trouble(look: float) -> None:
    bench = Bench(look=look)
    async with bench.running():
        before = bench.vault.unwraps
        await bench.pass_(10 * look)
        assert bench.vault.unwraps - before == 10
        bench.vault.away = True
        await bench.pass_(CACHE + look + sum(AGAIN))
        assert not bench.seals()
        bench.vault.away = False
        await bench.pass_(min(look, AGAIN[-1]) + 1)
        assert bench.seals()


async def test_content_keys_stay_while_nothing_changes() -> None:
    bench = Bench()
    await bench.keeper.look()
    first = bench.sealer.seal(SPOOL, "r", b"x")
    await bench.keeper.look()
    assert bench.sealer.seal(SPOOL, "r", b"x")[:21] == first[:21]  # The same salt: the same epoch goes on.


async def test_a_vault_that_is_away_leaves_the_keys_in_use_for_their_time_and_no_longer() -> None:
    bench = Bench()
    async with bench.running():
        bench.vault.away = True
        await bench.pass_(CACHE - 2)
        assert bench.seals()
        assert bench.events == ["keys_unconfirmed"]
        await bench.pass_(2 + AGAIN[-1])
        assert not any(bench.seals(purpose) for purpose in PURPOSES)
        assert bench.events == ["keys_unconfirmed", "keys_closed"]
        with pytest.raises(Away, match="the domain key 'spool' is not at hand: the vault does not answer"):
            bench.sealer.open(SPOOL, "r", b"\1\0\0\0\1" + bytes(60))
        assert bench.changes == 1
        await bench.pass_(300)
        assert len(bench.told) == 2  # Nothing is told twice.
        bench.vault.away = False
        await bench.pass_(AGAIN[-1] + 1)
        assert all(bench.seals(purpose) for purpose in PURPOSES)
        assert bench.events[2:] == ["keys_open"]
        assert bench.changes == 2
    level, _, facts = bench.told[1]
    assert (level, facts["purposes"], facts["denied"]) == ("error", sorted(PURPOSES), False)


@pytest.mark.parametrize("cache", [0.0, 5.0])
async def test_the_time_is_as_the_settings_say(cache: float) -> None:
    bench = Bench(cache)
    async with bench.running():
        assert bench.seals()
        await bench.pass_(5 * LOOK)
        assert bench.seals()  # While the vault answers, however short the time is.
        bench.vault.away = True
        await bench.pass_(LOOK)
        assert not bench.seals()


async def test_a_vault_that_comes_back_in_time_closes_nothing() -> None:
    bench = Bench()
    async with bench.running():
        bench.vault.away = True
        await bench.pass_(LOOK + 5)
        bench.vault.away = False
        await bench.pass_(600)
        assert bench.events == ["keys_unconfirmed"]
        assert bench.changes == 0


async def test_a_denied_key_closes_at_once() -> None:
    bench = Bench()
    await bench.keeper.look()
    sealed = bench.sealer.seal(SPOOL, "r", b"mail")
    token = bench.sealer.token("sender", "ida@corp.example")
    bench.vault.disable("default")
    await bench.keeper.look()
    words = "the domain key 'spool' is not at hand: key 'default' of vault 'main' is disabled"
    for call in (
        lambda: bench.sealer.seal(SPOOL, "r", b"x"),
        lambda: bench.sealer.open(SPOOL, "r", sealed),
        lambda: bench.sealer.segments(SPOOL, "r"),
        lambda: bench.sealer.segments(SPOOL, "r", sealed[:21]),
    ):
        with pytest.raises(Forbidden, match=words):
            call()
    with pytest.raises(Forbidden, match="'token'"):
        bench.sealer.token("sender", "ida@corp.example")  # Though it was made before.
    assert bench.events == ["keys_closed"]
    bench.vault.enable("default")
    await bench.keeper.look()
    assert bench.sealer.open(SPOOL, "r", sealed) == b"mail"
    assert bench.sealer.token("sender", "ida@corp.example") == token
    assert bench.events == ["keys_closed", "keys_open"]


async def test_what_is_denied_while_it_is_away_is_denied() -> None:
    bench = Bench()
    async with bench.running():
        bench.vault.away = True
        await bench.pass_(LOOK + 2)
        assert bench.seals()
        bench.vault.away, bench.vault.denied = False, True
        await bench.keeper.look()
        assert not bench.seals()


async def test_a_purpose_under_another_root_stays_open() -> None:
    bench = Bench()
    bench.vault.create("second", bench.vault.keys()[0].type)
    row = bench.store.row(DKIM)
    del bench.store.rows["default", DKIM, 1]
    ensure(bench.store, bench.vault, [DKIM], FakeChance("dkim"), bench.clock, root="second")
    assert bench.store.row(DKIM).root != row.root
    await bench.keeper.look()
    bench.vault.disable("second")
    await bench.keeper.look()
    assert not bench.seals(DKIM)
    assert bench.seals(SPOOL)
    assert list(bench.keeper.closed) == [DKIM]
    bench.vault.disable("default")
    await bench.keeper.look()
    assert set(bench.keeper.closed) == set(PURPOSES)
    bench.vault.enable("default")
    await bench.keeper.look()
    assert list(bench.keeper.closed) == [DKIM]
    assert bench.keeper.facts["vaults"]["main"]["denied"] is True


async def test_a_key_whose_vault_is_no_longer_named_is_denied() -> None:
    bench = Bench()
    bench.store.put(replace(bench.store.row(ACCOUNTS), vault="cloud"))
    await bench.keeper.look()
    assert list(bench.keeper.closed) == [ACCOUNTS]
    assert "which gateway.toml does not name" in str(bench.keeper.closed[ACCOUNTS].fault)


async def test_a_row_that_was_damaged_while_we_run_counts_as_away_and_names_its_record() -> None:
    bench = Bench()
    async with bench.running():
        row = bench.store.row(TRACE)
        bench.store.put(replace(row, wrapped=row.wrapped[:-1] + bytes([row.wrapped[-1] ^ 1])))
        await bench.pass_(LOOK + 2)
        assert bench.seals(TRACE)
        await bench.pass_(CACHE)
        assert not bench.seals(TRACE)
        assert bench.seals(SPOOL)
        assert "the domain key 'trace' (version 1) can't be had" in str(bench.keeper.closed[TRACE].fault)
        bench.store.put(row)
        await bench.pass_(AGAIN[-1] + 1)
        assert bench.seals(TRACE)


async def test_a_row_that_was_taken_away_is_denied() -> None:
    bench = Bench()
    await bench.keeper.look()
    row = bench.store.rows.pop(("default", TRACE, 1))
    await bench.keeper.look()
    assert not bench.seals(TRACE)
    bench.store.put(row)
    await bench.keeper.look()
    assert bench.seals(TRACE)


async def test_a_database_that_is_away_closes_no_keys() -> None:
    bench = Bench()
    async with bench.running():
        bench.store.away = True
        await bench.pass_(10 * CACHE)
        assert bench.seals()
        assert bench.told == []
        bench.vault.disable("default")
        await bench.pass_(LOOK)
        assert not bench.seals()  # The vault is asked all the same, by the rows that we know.


async def test_a_start_without_database_or_vault_is_closed_and_opens_later() -> None:
    bench = Bench()
    bench.store.away = True
    await bench.keeper.look()
    assert not bench.seals()
    assert set(bench.keeper.closed) == set(PURPOSES)
    assert "can't be read from the shared database" in str(bench.keeper.closed[SPOOL].fault)
    bench.store.away, bench.vault.away = False, True
    await bench.keeper.look()
    assert not bench.seals()
    bench.vault.away = False
    await bench.keeper.look()
    assert bench.seals()


async def test_a_look_that_hangs_closes_when_the_keys_time_is_over() -> None:
    bench = Bench()
    gate = threading.Event()
    async with bench.running():
        health = bench.vault.health

        def hang() -> None:
            assert gate.wait(30)
            health()

        bench.vault.health, bench.hangs = hang, True  # type: ignore[method-assign]
        await bench.pass_(CACHE - 5)
        assert bench.seals()
        await bench.pass_(6 + PATIENCE)
        assert not bench.seals()
        gate.set()
        bench.hangs = False
        await bench.settle()
        await bench.pass_(AGAIN[0] + 2)
        assert bench.seals()


async def test_a_rotated_root_changes_nothing_for_whoever_seals() -> None:
    bench = Bench()
    await bench.keeper.look()
    sealed = bench.sealer.seal(SPOOL, "r", b"mail")
    rotate_root(bench.store, bench.vaults, RootName("main", "default"))
    await bench.keeper.look()
    assert bench.sealer.open(SPOOL, "r", sealed) == b"mail"
    assert bench.told == []


async def test_a_new_version_is_read_when_it_is_seen_and_sealed_with_a_minute_later() -> None:
    bench = Bench()
    async with bench.running():
        rotate_domain(bench.store, bench.vaults, SPOOL, FakeChance("second"), bench.clock)
        await bench.keeper.look()
        assert bench.sealer.seal(SPOOL, "r", b"x")[1:5] == b"\0\0\0\1"
        await bench.pass_(LEARNING + LOOK + 1)
        sealed = bench.sealer.seal(SPOOL, "r", b"x")
        assert sealed[1:5] == b"\0\0\0\2"
        assert bench.sealer.seal(TRACE, "r", b"x")[1:5] == b"\0\0\0\1"
        assert bench.sealer.open(SPOOL, "r", sealed) == b"x"


async def test_a_process_that_is_alone_seals_with_a_new_version_at_once() -> None:
    bench = Bench(alone=True)
    await bench.keeper.look()
    rotate_domain(bench.store, bench.vaults, SPOOL, FakeChance("second"), bench.clock)
    await bench.keeper.look()
    assert bench.sealer.seal(SPOOL, "r", b"x")[1:5] == b"\0\0\0\2"


async def test_a_record_of_a_version_that_another_process_knows_first_waits_and_is_looked_for() -> None:
    one, other = Bench(), Bench(alone=True)
    other.store = one.store
    other.keeper._store = one.store
    await other.keeper.look()
    async with one.running():
        rotate_domain(one.store, other.vaults, SPOOL, FakeChance("second"), one.clock)
        await other.keeper.look()
        sealed = other.sealer.seal(SPOOL, "r", b"mail")
        with pytest.raises(Away, match="version 2 of the domain key 'spool' is not known to this process yet"):
            one.sealer.open(SPOOL, "r", sealed)
        await one.pass_(2)
        assert one.sealer.open(SPOOL, "r", sealed) == b"mail"


async def test_a_record_of_a_version_that_nobody_knows_is_broken_after_one_look() -> None:
    bench = Bench()
    async with bench.running():
        sealed = bytearray(bench.sealer.seal(SPOOL, "r", b"mail"))
        sealed[4] = 9
        with pytest.raises(Away):
            bench.sealer.open(SPOOL, "r", bytes(sealed))
        await bench.pass_(2)
        with pytest.raises(SealBroken, match="there is no version 9 of its domain key"):
            bench.sealer.open(SPOOL, "r", bytes(sealed))
        sealed[4] = 0
        with pytest.raises(SealBroken, match="there is no version 0"):
            bench.sealer.open(SPOOL, "r", bytes(sealed))  # Older than what we know: nobody else has it either.


async def test_while_the_database_is_away_a_new_version_keeps_waiting() -> None:
    bench = Bench()
    async with bench.running():
        sealed = bytearray(bench.sealer.seal(SPOOL, "r", b"mail"))
        sealed[4] = 9
        bench.store.away = True
        for _ in range(3):
            with pytest.raises(Away):
                bench.sealer.open(SPOOL, "r", bytes(sealed))
            await bench.pass_(2)


async def test_many_unknown_versions_do_not_make_many_looks_or_fill_the_memory() -> None:
    bench = Bench()
    async with bench.running():
        sealed = bytearray(bench.sealer.seal(SPOOL, "r", b"mail"))
        before, waited = bench.vault.unwraps, 0
        for number in range(5000):
            sealed[1:5] = (number + 2).to_bytes(4, "big")
            try:
                bench.sealer.open(SPOOL, "r", bytes(sealed))
            except KeysClosed:
                waited += 1
            except SealBroken:
                pass
        assert waited == 1000
        await bench.pass_(3)
        assert bench.vault.unwraps - before <= 2


async def test_dropped_keys_are_let_go_of() -> None:
    bench = Bench()
    await bench.keeper.look()
    bench.seals()
    bench.sealer.token("sender", "x")
    bench.vault.disable("default")
    await bench.keeper.look()
    sealer = bench.sealer
    assert (sealer._macs, sealer._heads, sealer._epochs) == ({}, {}, {})
    assert sealer._cipher_of.cache_info().currsize == sealer._remembered.cache_info().currsize == 0
    assert bench.keeper._held == {}


async def test_no_octets_of_keys_stay_behind_in_what_is_kept_of_a_fault() -> None:
    """An exception holds its traceback, that its frames, and those what was unwrapped before the fault."""
    bench = Bench()
    bench.store.put(replace(bench.store.row(TRACE), wrapped=b"\2damaged"))
    await bench.keeper.look()
    fault = bench.keeper.closed[TRACE].fault
    assert fault.__traceback__ is None
    assert fault.__cause__ is None
    assert fault.__context__ is None
    gc.collect()
    held = [one for one in gc.get_objects() if isinstance(one, dict) and (SPOOL, 1) in one]
    assert all(not isinstance(one[SPOOL, 1], bytes) for one in held)


async def test_a_fault_of_ours_counts_as_away_and_ends_nothing() -> None:
    bench = Bench()
    async with bench.running():
        health = bench.vault.health

        def fail() -> None:
            raise RuntimeError("secret words")

        bench.vault.health = fail  # type: ignore[method-assign]
        await bench.pass_(LOOK + 1)
        assert bench.seals()
        assert "secret words" not in str(bench.told)
        await bench.pass_(CACHE)
        assert not bench.seals()
        bench.vault.health = health  # type: ignore[method-assign]
        await bench.pass_(AGAIN[-1] + 1)
        assert bench.seals()


async def test_a_person_who_changed_something_is_heeded_whatever_the_pause() -> None:
    bench = Bench()
    guarded = Guarded(
        "main",
        lambda: bench.vault,
        now=bench.clock.now,
        monotonic=bench.clock.monotonic,
        tell=lambda *_, **__: None,
    )
    bench.vaults["main"] = guarded
    bench.vault.away = True
    for _ in range(FAILURES + 3):
        await bench.keeper.look()
    bench.vault.away = False
    await bench.keeper.look()
    assert not bench.seals()
    await bench.keeper.look(hurry=True)
    assert bench.seals()


async def test_a_vault_s_own_words_are_told_and_not_the_system_s() -> None:
    bench = Bench()

    def missing() -> None:
        raise Denied("the file is missing: is its disk mounted?") from FileNotFoundError(2, "No such file")

    bench.vault.health = missing  # type: ignore[method-assign]
    await bench.keeper.look()
    assert str(bench.keeper.closed[SPOOL].fault) == "the file is missing: is its disk mounted?"


async def test_facts_name_purposes_vaults_and_reasons() -> None:
    bench = Bench()
    await bench.keeper.look()
    assert bench.keeper.facts == {"closed": {}, "vaults": {}}
    bench.vault.disable("default")
    await bench.keeper.look()
    facts = bench.keeper.facts
    assert sorted(facts["closed"]) == sorted(PURPOSES)
    assert facts["closed"][TOKEN]["since"] == bench.clock.now()
    assert facts["vaults"]["main"]["denied"] is True
    assert "gateway key enable" in facts["vaults"]["main"]["reason"]
