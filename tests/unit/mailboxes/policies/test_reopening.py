"""A policy that was closed is looked at until it opens, and the mail that waited for it is tried then."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from gateway.mailboxes.faults import MailboxClosed
from gateway.mailboxes.policies.reopening import Reopening
from gateway.storage.mailboxes.model import PolicyState
from gateway.storage.writer import StorageBroken
from tests.fakes.policies import Ground


class FakeWaiting:
    """Mail that waits for mailboxes under `before`; `hastened` are the policies that were told, look by look."""

    def __init__(self, *before: int) -> None:
        self.before = set(before)
        self.hastened: list[set[int]] = []
        self.broken = False

    async def policies(self) -> set[int]:
        return set(self.before)

    async def hasten(self, policies: set[int]) -> None:
        if self.broken:
            raise StorageBroken("the queue can't be read")
        self.hastened.append(set(policies))


class Scene:
    """A policy of a process, and what looks after it."""

    def __init__(self) -> None:
        self.ground = Ground()
        self.keys = self.ground.keys
        self.reopening = Reopening(self.ground.rows, self.keys, self.ground.vaults, executor=self.ground.executor)

    async def close(self) -> int:
        """A policy that is met closed: both roots deny."""
        row = await self.ground.policy()
        for vault in (self.ground.a, self.ground.b):
            vault.disable("mail")
        with pytest.raises(MailboxClosed):
            await self.keys.key(row.id)
        return row.id

    async def allow(self) -> None:
        """The owner of one root allows its use; nobody tells us."""
        self.ground.b.enable("mail")
        await self.ground.clock.advance(10)


async def test_what_was_met_closed_is_told_once_a_root_is_allowed_again() -> None:
    scene, waiting = Scene(), FakeWaiting()
    policy = await scene.close()
    asked = scene.ground.a.unwraps + scene.ground.b.unwraps
    for _ in range(3):
        await scene.ground.clock.advance(10)
        await scene.reopening.look(waiting)
    assert waiting.hastened == []
    assert scene.ground.a.unwraps + scene.ground.b.unwraps == asked  # To look is no use of a key.
    await scene.allow()
    await scene.reopening.look(waiting)
    # Once more: what was in the middle of an attempt waits only since.
    await scene.reopening.look(waiting)
    await scene.reopening.look(waiting)
    assert waiting.hastened == [{policy}, {policy}]
    assert scene.keys.shut == set()


async def test_what_opens_since_somebody_wants_it_is_told_too() -> None:
    scene, waiting = Scene(), FakeWaiting()
    policy = await scene.close()
    await scene.allow()
    await scene.keys.key(policy)
    await scene.reopening.look(waiting)
    assert waiting.hastened == [{policy}]


async def test_mail_from_before_our_start_has_its_policy_looked_at() -> None:
    scene = Scene()
    row = await scene.ground.policy()
    waiting = FakeWaiting(row.id, 999)
    await scene.reopening.look(waiting)
    assert waiting.hastened == [{row.id}]
    assert scene.keys.shut == set()  # There is no policy 999 any more.


async def test_one_that_waits_for_its_end_is_not_asked_and_one_that_is_destroyed_is_let_go() -> None:
    scene, waiting = Scene(), FakeWaiting()
    policy = await scene.close()
    rows = scene.ground.rows.rows
    rows[policy] = replace(rows[policy], state=PolicyState.PURGING)
    await scene.allow()
    await scene.reopening.look(waiting)
    assert scene.keys.shut == {policy}
    rows[policy] = replace(rows[policy], state=PolicyState.READY)  # Taken back.
    await scene.reopening.look(waiting)
    assert waiting.hastened == [{policy}]
    scene.ground.a.disable("mail")
    scene.ground.b.disable("mail")
    scene.keys.forget()
    with suppress(MailboxClosed):
        await scene.keys.key(policy)
    rows[policy] = replace(rows[policy], state=PolicyState.PURGED, copies=())
    await scene.reopening.look(waiting)
    assert scene.keys.shut == set()


async def test_a_queue_that_can_not_be_read_is_asked_again() -> None:
    scene, waiting = Scene(), FakeWaiting()
    policy = await scene.close()
    await scene.allow()
    waiting.broken = True
    with pytest.raises(StorageBroken):
        await scene.reopening.look(waiting)
    waiting.broken = False
    await scene.reopening.look(waiting)
    assert waiting.hastened == [{policy}]
