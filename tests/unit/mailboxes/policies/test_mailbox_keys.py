"""Keys of mailboxes: bound to their row, in use as long as their policy's, moved and made anew by one row."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from gateway.keys.domain import DomainKeys
from gateway.keys.vault import Unavailable
from gateway.mailboxes.faults import KeyBroken, PolicyAway, PolicyDenied, PolicyRefused
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.storage.mailboxes.faults import KeyChanged
from tests.fakes.policies import Ground


@pytest.mark.parametrize("has_policy", [True, False])
async def test_a_mailbox_has_the_same_key_whenever_it_is_asked_for(has_policy: bool) -> None:
    ground = Ground()
    row = await ground.policy()
    mailbox = await ground.mailbox(row.id if has_policy else None)
    key = await ground.mailbox_keys.key(mailbox)
    ground.keys.forget()
    again = await ground.mailbox_keys.key(mailbox)
    assert key == again and len(key.secret) == 32 and key.mailbox == mailbox.id
    assert key.secret not in mailbox.key.octets


async def test_two_mailboxes_have_two_keys() -> None:
    ground = Ground()
    row = await ground.policy()
    one, two = await ground.mailbox(row.id), await ground.mailbox(row.id, "ben@corp.example")
    assert (await ground.mailbox_keys.key(one)).secret != (await ground.mailbox_keys.key(two)).secret


@pytest.mark.parametrize("has_policy", [True, False])
async def test_a_wrapped_key_of_another_mailbox_or_version_does_not_open(has_policy: bool) -> None:
    """Row k12."""
    ground = Ground()
    policy = (await ground.policy()).id if has_policy else None
    one, two = await ground.mailbox(policy), await ground.mailbox(policy, "ben@corp.example")
    await ground.mailbox_keys.key(two)
    for wrong in (
        replace(one, key=two.key),
        replace(one, key=replace(one.key, version=2)),
        replace(one, key=replace(one.key, octets=one.key.octets[:-1] + bytes([one.key.octets[-1] ^ 1]))),
        replace(one, key=replace(one.key, octets=one.key.octets[:-1])),
        replace(one, key=replace(one.key, octets=b"")),
        replace(one, key=replace(one.key, octets=b"\x09" + one.key.octets[1:])),
    ):
        with pytest.raises(KeyBroken) as closed:
            await ground.mailbox_keys.key(wrong)
        assert closed.value.mailbox == "ida@corp.example"
    await ground.mailbox_keys.key(one)


async def test_a_wrapped_key_does_not_open_under_another_policy() -> None:
    """Row k12."""
    ground = Ground()
    house, other = await ground.policy(), await ground.policy("other")
    mailbox = await ground.mailbox(house.id)
    with pytest.raises(KeyBroken):
        await ground.mailbox_keys.key(replace(mailbox, key=replace(mailbox.key, policy=other.id)))
    with pytest.raises(KeyBroken, match="version 2 of the policy"):
        await ground.mailbox_keys.key(replace(mailbox, key=replace(mailbox.key, policy_version=2)))


async def test_a_closed_policy_closes_its_mailboxes_and_no_others() -> None:
    ground = Ground()
    house, other = await ground.policy(), await ground.policy("other")
    mine, theirs = await ground.mailbox(house.id), await ground.mailbox(other.id, "ben@corp.example")
    none = await ground.mailbox(None, "eve@corp.example")
    ground.rows.rows[house.id] = replace(house, copies=())
    ground.keys.forget()
    with pytest.raises(PolicyDenied) as closed:
        await ground.mailbox_keys.key(mine)
    assert closed.value.text.startswith("the mailbox ida@corp.example is closed: the policy 'house'")
    await ground.mailbox_keys.key(theirs)
    await ground.mailbox_keys.key(none)


async def test_a_mailbox_without_a_policy_waits_for_the_services_own_key() -> None:
    ground = Ground()
    mailbox = await ground.mailbox(None)
    ground.sealer.take(DomainKeys({}), closed={"mailboxes": Unavailable("the vault does not answer")})
    with pytest.raises(PolicyAway):
        await ground.mailbox_keys.key(mailbox)
    with pytest.raises(PolicyAway):
        await ground.mailbox_keys.new(9, None)


async def test_a_mailbox_moves_to_another_policy_by_one_row_and_keeps_its_key() -> None:
    """Row k11."""
    ground = Ground()
    house, other = await ground.policy(), await ground.policy("other")
    mailbox = await ground.mailbox(house.id)
    key = await ground.mailbox_keys.key(mailbox)
    after = await ground.mailbox_keys.assign(mailbox, other.id)
    assert ground.rows.writes == ["mailbox"]
    assert (after.policy, after.key.policy, after.next_key) == (other.id, other.id, None)
    assert await ground.mailbox_keys.key(after) == key == await ground.mailbox_keys.key(mailbox)


async def test_a_mailbox_that_lay_under_none_gets_a_new_key_with_its_policy() -> None:
    ground = Ground()
    house = await ground.policy()
    mailbox = await ground.mailbox(None)
    before = await ground.mailbox_keys.key(mailbox)
    after = await ground.mailbox_keys.assign(mailbox, house.id)
    assert ground.rows.writes == ["mailbox"]
    key = await ground.mailbox_keys.key(after)
    assert (key.version, key.older) == (2, before) and key.secret != before.secret
    assert after.next_key is not None and after.next_key.policy == after.key.policy == house.id


async def test_a_mailbox_leaves_its_policy_without_a_new_key_unless_that_is_asked_for() -> None:
    ground = Ground()
    house = await ground.policy()
    mailbox = await ground.mailbox(house.id)
    after = await ground.mailbox_keys.assign(mailbox, None)
    assert (after.policy, after.next_key) == (None, None)
    rolled = await ground.mailbox_keys.assign(after, house.id, roll=True)
    assert rolled.next_key is not None and rolled.next_key.version == 2


async def test_a_mailbox_moves_while_it_is_rolled_with_both_its_keys() -> None:
    ground = Ground()
    house, other = await ground.policy(), await ground.policy("other")
    rolling = await ground.mailbox_keys.start_roll(await ground.mailbox(house.id))
    before = await ground.mailbox_keys.key(rolling)
    after = await ground.mailbox_keys.assign(rolling, other.id)
    assert await ground.mailbox_keys.key(after) == before
    assert after.next_key is not None and after.key.policy == after.next_key.policy == other.id
    assert await ground.mailbox_keys.start_roll(after) == after


@pytest.mark.parametrize(("has_policy", "roll"), [(False, False), (False, True), (True, True)])
async def test_a_new_key_is_not_given_while_a_roll_is_under_way(has_policy: bool, roll: bool) -> None:
    """Else what is written from then on would lie under a key that its former wrapping, in a backup, still opens."""
    ground = Ground()
    house, other = await ground.policy(), await ground.policy("other")
    rolling = await ground.mailbox_keys.start_roll(await ground.mailbox(house.id if has_policy else None))
    ground.rows.writes.clear()
    with pytest.raises(PolicyRefused, match="gateway mailbox show ida"):
        await ground.mailbox_keys.assign(rolling, other.id, roll=roll)
    assert ground.rows.writes == []
    assert await ground.rows.finish_roll(rolling.id)
    after = await ground.mailbox_keys.assign(ground.rows.boxes[rolling.id], other.id, roll=roll)
    assert after.next_key is not None
    assert (after.next_key.version, after.next_key.policy) == (3, other.id)


async def test_of_two_who_change_a_key_at_one_moment_the_second_is_refused() -> None:
    ground = Ground()
    house, other = await ground.policy(), await ground.policy("other")
    mailbox = await ground.mailbox(house.id)
    await ground.mailbox_keys.assign(mailbox, other.id)
    with pytest.raises(KeyChanged, match=r"ida@corp\.example"):
        await ground.mailbox_keys.assign(mailbox, None)
    assert ground.rows.boxes[mailbox.id].policy == other.id


async def test_a_mailbox_is_not_put_under_a_policy_that_is_closed_nor_taken_from_one() -> None:
    ground = Ground()
    house, other = await ground.policy(), await ground.policy("other")
    mailbox = await ground.mailbox(house.id)
    ground.rows.rows[other.id] = replace(other, copies=())
    with pytest.raises(PolicyDenied):
        await ground.mailbox_keys.assign(mailbox, other.id)
    ground.rows.rows |= {house.id: replace(house, copies=()), other.id: other}
    ground.keys.forget()
    with pytest.raises(PolicyDenied):
        await ground.mailbox_keys.assign(mailbox, other.id)
    assert ground.rows.writes == []


async def test_a_key_of_a_version_that_is_not_at_hand_is_refused() -> None:
    key = MailboxKey(1, 3, b"s" * 32, MailboxKey(1, 2, b"o" * 32))
    assert key.at(3) is key and key.at(2) is key.older
    with pytest.raises(KeyBroken):
        key.at(1)


def test_a_mailbox_key_shows_and_gives_away_nothing() -> None:
    key = MailboxKey(1, 3, b"s" * 32)
    assert "ss" not in repr(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)
