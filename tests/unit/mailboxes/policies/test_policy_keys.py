"""Which of a policy's three keys is asked, what their vaults' words mean, and how long an answer counts."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.mailboxes.faults import KeyBroken, MailboxClosed, PolicyAway, PolicyDenied, PolicyPurged
from gateway.mailboxes.policies.opening import open_policy
from gateway.mailboxes.policies.policy import PolicyKey
from gateway.storage.mailboxes.model import CopyKind, PolicyState
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken
from tests.fakes.policies import Ground
from tests.fakes.vault import FakeVault


def away(vault: FakeVault) -> None:
    vault.away = True


def denied(vault: FakeVault) -> None:
    vault.denied = True


def broken(vault: FakeVault) -> None:
    vault.broken = True


async def test_one_root_is_asked_and_when_it_answers_nothing_else() -> None:
    ground = Ground()
    row = await ground.policy()
    await ground.keys.key(row.id)
    assert (ground.a.unwraps, ground.b.unwraps, ground.main.unwraps) == (1, 0, 0)
    ground.chance.share = 0.9
    ground.keys.forget()
    await ground.keys.key(row.id)
    assert (ground.a.unwraps, ground.b.unwraps, ground.main.unwraps) == (1, 1, 0)
    assert ground.events() == []


async def test_a_root_that_is_away_has_the_other_one_asked_and_nothing_else() -> None:
    """Row k02."""
    ground = Ground()
    row = await ground.policy()
    ground.a.away = True
    await ground.keys.key(row.id)
    assert (ground.b.unwraps, ground.main.unwraps) == (1, 0)
    assert ground.events() == ["policy_root_fails"]


async def test_with_both_roots_away_the_availability_key_opens_and_each_use_is_told() -> None:
    """Row k03."""
    ground = Ground()
    row = await ground.policy()
    ground.a.away = ground.b.away = True
    await ground.keys.key(row.id)
    await ground.clock.advance(61)
    await ground.keys.key(row.id)
    assert ground.main.unwraps == 2
    assert [(level, event) for level, event, _ in ground.told] == [("error", "availability_key_used")] * 2
    assert ground.told[0][2]["policy"] == "house" and ground.told[0][2]["key"] == "main/availability"
    assert ground.keys.facts["availability"] == {"house": ground.clock.now()}


@pytest.mark.parametrize("share", [0.0, 0.9])
@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("fails", [denied, broken])
async def test_a_root_that_says_no_and_one_that_is_away_open_nothing(
    one: str, other: str, share: float, fails: Callable[[FakeVault], None]
) -> None:
    """Row k04; a copy that does not open may have been made so by whoever wants the roots passed by."""
    ground = Ground()
    row = await ground.policy()
    ground.chance.share = share
    fails(ground.vaults[one])
    away(ground.vaults[other])
    with pytest.raises(PolicyDenied if fails is denied else KeyBroken) as closed:
        await ground.keys.key(row.id)
    assert ground.main.unwraps == 0
    assert closed.value.policy == "house" and f"{one}/mail" in closed.value.text


@pytest.mark.parametrize("share", [0.0, 0.9])
@pytest.mark.parametrize("fails", [denied, broken, away])
async def test_one_root_that_answers_is_enough_and_the_other_is_told(
    share: float, fails: Callable[[FakeVault], None]
) -> None:
    """Row k05."""
    ground = Ground()
    row = await ground.policy()
    ground.chance.share = share
    fails(ground.a)
    await ground.keys.key(row.id)
    assert ground.main.unwraps == 0
    # Whoever was lucky with the other root first has not asked the one that fails, and knows nothing of it.
    assert ground.events() == (["policy_root_fails"] if share < 0.5 else [])


@pytest.mark.parametrize(("fails", "shows"), [(denied, True), (away, True), (broken, False)])
async def test_a_root_that_failed_is_forgotten_once_somebody_has_changed_a_key(
    fails: Callable[[FakeVault], None], shows: bool
) -> None:
    """Chance may ask the other one first from then on, which says nothing of this one."""
    ground = Ground()
    row = await ground.policy()
    fails(ground.a)
    began = ground.clock.now()
    await ground.keys.key(row.id)
    met = ground.keys.facts["troubles"]["house"]
    assert (met["what"], met["last"], met["shows"]) == ("one_root", began, shows)
    await ground.clock.advance(61)
    await ground.keys.key(row.id)
    met = ground.keys.facts["troubles"]["house"]
    assert (met["since"], met["last"]) == (began, began + 61)
    ground.chance.share = 0.9
    ground.keys.forget()
    await ground.keys.key(row.id)
    assert ground.keys.facts["troubles"] == {}


async def test_both_roots_that_say_no_close_the_policy() -> None:
    """Row k06."""
    ground = Ground()
    row = await ground.policy()
    ground.a.disable("mail")
    ground.b.disable("mail")
    with pytest.raises(PolicyDenied) as closed:
        await ground.keys.key(row.id)
    assert ground.main.unwraps == 0
    assert "a/mail" in closed.value.text and "b/mail" in closed.value.text and "gateway key enable" in closed.value.text
    assert ground.events() == ["policy_closed"]


async def test_a_withdrawn_root_closes_within_the_cache_time_and_at_once_after_a_command_of_ours() -> None:
    ground = Ground()
    row = await ground.policy()
    await ground.keys.key(row.id)
    denied(ground.a)
    denied(ground.b)
    await ground.clock.advance(29)
    await ground.keys.key(row.id)
    await ground.clock.advance(31.5)
    with pytest.raises(PolicyDenied):
        await ground.keys.key(row.id)
    ground.a.denied = ground.b.denied = False
    ground.keys.forget()
    await ground.keys.key(row.id)
    denied(ground.a)
    denied(ground.b)
    ground.keys.forget()
    with pytest.raises(PolicyDenied):
        await ground.keys.key(row.id)


async def test_a_key_in_use_is_asked_for_again_before_its_time_is_over_and_a_no_counts_then() -> None:
    ground = Ground()
    row = await ground.policy()
    first = await ground.keys.key(row.id)
    await ground.clock.advance(31)
    assert await ground.keys.key(row.id) is first  # Nobody waits for the renewal.
    await ground.clock.advance(0)
    assert ground.a.unwraps == 2
    assert await ground.keys.key(row.id) is not first
    await ground.clock.advance(31)
    denied(ground.a)
    denied(ground.b)
    await ground.keys.key(row.id)
    await ground.clock.advance(0)
    with pytest.raises(PolicyDenied):
        await ground.keys.key(row.id)


async def test_silence_while_a_key_is_renewed_leaves_it_in_use_until_its_time_is_over() -> None:
    ground = Ground()
    row = await ground.policy()
    await ground.keys.key(row.id)
    for vault in ground.vaults.values():
        away(vault)
    await ground.clock.advance(40)
    for _ in range(50):
        await ground.keys.key(row.id)
        await ground.clock.advance(0)
    assert ground.rows.asked == 2  # Not for each message.
    await ground.clock.advance(19)
    await ground.keys.key(row.id)
    await ground.clock.advance(2)
    with pytest.raises(PolicyAway):
        await ground.keys.key(row.id)


async def test_a_closed_policy_is_asked_again_after_two_seconds_and_not_for_each_message() -> None:
    ground = Ground()
    row = await ground.policy()
    ground.a.disable("mail")
    ground.b.disable("mail")
    for _ in range(100):
        with pytest.raises(PolicyDenied):
            await ground.keys.key(row.id)
    assert ground.events() == ["policy_closed"]
    ground.a.enable("mail")
    with pytest.raises(PolicyDenied):
        await ground.keys.key(row.id)
    await ground.clock.advance(2.5)
    await ground.keys.key(row.id)
    assert ground.events() == ["policy_closed", "policy_open"]


async def test_many_who_want_a_key_at_one_moment_ask_once() -> None:
    ground = Ground()
    row = await ground.policy()
    keys = await asyncio.gather(*(ground.keys.key(row.id) for _ in range(50)))
    assert len({id(key) for key in keys}) == 1 and ground.a.unwraps == 1


async def test_what_was_asked_before_everything_was_forgotten_is_not_remembered_after_it() -> None:
    """A key is disabled while the answer to an earlier question is still on its way."""
    ground = Ground()
    row = await ground.policy()
    early = asyncio.ensure_future(ground.keys.key(row.id))
    await asyncio.sleep(0)
    ground.keys.forget()
    await early
    denied(ground.a)
    denied(ground.b)
    with pytest.raises(PolicyDenied):
        await ground.keys.key(row.id)


async def test_a_destroyed_policy_and_one_that_waits_for_it_open_nothing_whatever_the_roots_say() -> None:
    ground = Ground()
    row = await ground.policy()
    ground.rows.rows[row.id] = replace(row, state=PolicyState.PURGING)
    with pytest.raises(PolicyDenied, match="--cancel"):
        await ground.keys.key(row.id)
    ground.rows.rows[row.id] = replace(row, state=PolicyState.PURGED)
    ground.keys.forget()
    with pytest.raises(PolicyPurged) as purged:
        await ground.keys.key(row.id)
    assert purged.value.is_final
    assert (ground.a.unwraps, ground.b.unwraps, ground.main.unwraps) == (0, 0, 0)


async def test_a_copy_that_was_moved_to_another_policy_does_not_open() -> None:
    """Row k12, one storey higher."""
    ground = Ground()
    row, other = await ground.policy(), await ground.policy("other")
    moved = replace(row, copies=other.copies)
    with pytest.raises(KeyBroken):
        open_policy(moved, ground.vaults, first=CopyKind.ROOT_A)
    swapped = {CopyKind.ROOT_A: row.copies[1].octets, CopyKind.ROOT_B: row.copies[0].octets}
    copies = tuple(replace(copy, octets=swapped.get(copy.kind, copy.octets)) for copy in row.copies)
    with pytest.raises(KeyBroken):
        open_policy(replace(row, copies=copies), ground.vaults, first=CopyKind.ROOT_A)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [(StorageBroken("away"), PolicyAway), (KeysClosed("closed"), PolicyAway), (SealBroken("damaged"), KeyBroken)],
)
async def test_a_row_that_cannot_be_read_closes_for_as_long_as_that_lasts(
    error: Exception, meaning: type[MailboxClosed]
) -> None:
    ground = Ground()
    row = await ground.policy()
    ground.rows.broken = error
    with pytest.raises(meaning):
        await ground.keys.key(row.id)
    ground.rows.broken = None
    await ground.clock.advance(3)
    await ground.keys.key(row.id)


async def test_a_policy_whose_row_is_gone_opens_nothing() -> None:
    with pytest.raises(KeyBroken, match="gone"):
        await Ground().keys.key(7)


async def test_a_fault_of_ours_is_a_passing_one_and_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ground = Ground()
    row = await ground.policy()

    def fail(*_: object, **__: object) -> bytes:
        raise RuntimeError("secret octets")

    monkeypatch.setattr(ground.a, "unwrap", fail)
    with pytest.raises(PolicyAway) as away_:
        await ground.keys.key(row.id)
    assert "secret" not in away_.value.text and "RuntimeError" in away_.value.text


async def test_keys_whose_time_is_over_are_let_go_of_where_nobody_asks() -> None:
    ground = Ground()
    row = await ground.policy()
    await ground.keys.key(row.id)
    await ground.clock.advance(59)
    ground.keys.sweep()
    assert ground.keys._held
    await ground.clock.advance(2)
    ground.keys.sweep()
    assert not ground.keys._held


def test_a_policy_key_shows_and_gives_away_nothing() -> None:
    key = PolicyKey(7, "house", 1, b"s" * 32)
    assert repr(key) == "PolicyKey('house' 1)"
    with pytest.raises(TypeError):
        pickle.dumps(key)
