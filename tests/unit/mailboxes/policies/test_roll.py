"""Key rolls in the background: in batches, again after a crash, beside deliveries, and nothing damaged gets lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.mailboxes.contents.damage import Damage, Damaged
from gateway.mailboxes.faults import PolicyDenied
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.mailboxes.policies.roll import BATCH, LATER, Progress, Roller
from gateway.storage.mailboxes.model import ContentRow, Mailbox
from tests.fakes.policies import Ground


class Rewraps:
    """Stands for `Contents.rewrap`: it checks the keys that it is given. `damaged` contents do not open."""

    def __init__(self) -> None:
        self.damaged: set[bytes] = set()
        self.done = 0
        self.before_each: Callable[[], None] = lambda: None

    def __call__(self, row: ContentRow, old: MailboxKey, new: MailboxKey) -> ContentRow:
        self.before_each()
        assert old.version == row.key_version == new.version - 1 and old.secret != new.secret
        assert row.map == b"map under %d" % old.version
        if row.id in self.damaged:
            raise Damaged(row.id, Damage.FLIPPED, "map", "does not open")
        self.done += 1
        return replace(row, key_version=new.version, map=b"map under %d" % new.version)


class Scene:
    def __init__(self, contents: int = 5) -> None:
        self.ground = Ground()
        self.rewraps = Rewraps()
        self.count = contents
        self.roller = self.new_roller()

    def new_roller(self) -> Roller:
        """Of a process that has just started."""
        ground = self.ground
        return Roller(
            ground.rows,
            ground.mailbox_keys,
            self.rewraps,
            clock=ground.clock,
            tell=ground.tell,
            executor=ground.executor,
            per_second=float("inf"),
        )

    async def begin(self) -> Mailbox:
        ground = self.ground
        self.policy = await ground.policy()
        mailbox = await ground.mailbox(self.policy.id)
        for number in range(self.count):
            ground.content(mailbox.id, number)
        self.key = await ground.mailbox_keys.key(mailbox)
        return await ground.mailbox_keys.start_roll(mailbox)

    def versions(self) -> list[int]:
        return sorted(one.key_version for one in self.ground.rows.contents.values())


async def test_a_roll_wraps_everything_anew_and_then_drops_the_old_key() -> None:
    scene = Scene(2 * BATCH + 1)
    mailbox = await scene.begin()
    seen: list[Progress] = []
    assert await scene.roller.roll(mailbox, seen.append) == Progress(scene.count, 0)
    assert [progress.left for progress in seen] == [BATCH + 1, 1, 0]
    assert scene.versions() == [2] * scene.count
    after = scene.ground.rows.boxes[mailbox.id]
    assert (after.key, after.next_key) == (mailbox.next_key, None)
    key = await scene.ground.mailbox_keys.key(after)
    assert key.version == 2 and key.older is None and key.secret != scene.key.secret


async def test_a_roll_of_an_empty_mailbox_only_changes_its_key() -> None:
    scene = Scene(0)
    mailbox = await scene.begin()
    assert (await scene.roller.roll(mailbox)).is_over
    assert scene.ground.rows.boxes[mailbox.id].key.version == 2


async def test_a_roll_goes_on_where_a_crash_has_stopped_it() -> None:
    scene = Scene(BATCH + 20)
    mailbox = await scene.begin()

    def crash() -> None:
        if scene.rewraps.done >= BATCH + 10:
            raise RuntimeError

    scene.rewraps.before_each = crash
    with pytest.raises(RuntimeError):
        await scene.roller.roll(mailbox)
    assert scene.versions().count(2) == BATCH
    key = await scene.ground.mailbox_keys.key(scene.ground.rows.boxes[mailbox.id])
    assert key.at(1).secret == scene.key.secret  # Until the end everything is readable.
    scene.rewraps.before_each = lambda: None
    assert await scene.new_roller().work() == 20
    assert set(scene.versions()) == {2} and scene.ground.rows.boxes[mailbox.id].next_key is None


async def test_what_is_delivered_under_the_old_key_meanwhile_is_wrapped_too() -> None:
    scene = Scene(3)
    mailbox = await scene.begin()

    def deliver() -> None:
        scene.rewraps.before_each = lambda: None
        scene.ground.content(mailbox.id, 99)

    scene.rewraps.before_each = deliver
    assert (await scene.roller.roll(mailbox)).done == 4
    assert scene.versions() == [2] * 4


async def test_a_content_that_is_removed_meanwhile_is_left_alone() -> None:
    scene = Scene(3)
    mailbox = await scene.begin()
    first = next(iter(scene.ground.rows.contents))

    def expunge() -> None:
        scene.ground.rows.contents.pop(first, None)

    scene.ground.rows.rival = expunge
    assert await scene.roller.roll(mailbox) == Progress(2, 0)


async def test_a_damaged_content_keeps_its_old_key_and_is_told_and_tried_again_later() -> None:
    scene = Scene(3)
    mailbox = await scene.begin()
    bad = next(iter(scene.ground.rows.contents))
    scene.rewraps.damaged.add(bad)
    progress = await scene.roller.roll(mailbox)
    assert progress == Progress(2, 1, 1) and not progress.is_over
    assert scene.versions() == [1, 2, 2]
    assert scene.ground.rows.boxes[mailbox.id].next_key is not None
    assert scene.ground.events() == ["mailbox_roll_held_up"]
    await scene.roller.work()
    assert scene.ground.events() == ["mailbox_roll_held_up"]  # Not each time somebody looks.
    del scene.ground.rows.contents[bad]
    await scene.ground.clock.advance(LATER + 1)
    await scene.roller.work()
    assert scene.ground.rows.boxes[mailbox.id].next_key is None


async def test_a_policy_that_closes_stops_a_roll_until_it_opens() -> None:
    scene = Scene(3)
    mailbox = await scene.begin()
    scene.ground.rows.rows[scene.policy.id] = replace(scene.policy, copies=())
    scene.ground.keys.forget()
    with pytest.raises(PolicyDenied):
        await scene.roller.roll(mailbox)
    assert [await scene.roller.work(), await scene.roller.work()] == [0, 0]
    assert scene.ground.events().count("mailbox_roll_waits") == 1
    scene.ground.rows.rows[scene.policy.id] = scene.policy
    scene.ground.keys.forget()
    assert await scene.roller.work() == 3


async def test_mailboxes_that_are_not_rolled_are_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    mailbox = await scene.begin()
    for number in range(3):
        await scene.ground.mailbox(scene.policy.id, f"{number}@corp.example")

    async def all_mailboxes(**_: object) -> list[Mailbox]:
        raise AssertionError("all of them, every ten seconds")

    monkeypatch.setattr(scene.ground.rows, "all_mailboxes", all_mailboxes)
    assert await scene.roller.work() == scene.count
    assert scene.ground.rows.boxes[mailbox.id].next_key is None


async def test_a_roll_is_throttled() -> None:
    scene = Scene(2 * BATCH)
    mailbox = await scene.begin()
    scene.roller = Roller(
        scene.ground.rows,
        scene.ground.mailbox_keys,
        scene.rewraps,
        clock=scene.ground.clock,
        tell=scene.ground.tell,
        executor=scene.ground.executor,
        per_second=BATCH / 10,
    )
    rolling = asyncio.ensure_future(scene.roller.roll(mailbox))
    await scene.ground.clock.advance(9)
    assert scene.versions().count(2) == BATCH
    await scene.ground.clock.advance(2)
    assert scene.versions().count(2) == 2 * BATCH
    await scene.ground.clock.advance(10)
    assert (await rolling).is_over


async def test_a_mailbox_that_moves_while_it_is_rolled_is_rolled_to_the_end() -> None:
    scene = Scene(BATCH + 5)
    mailbox = await scene.begin()
    other = await scene.ground.policy("other")
    await scene.ground.mailbox_keys.assign(mailbox, other.id)
    assert (await scene.roller.roll(mailbox)).is_over
    after = scene.ground.rows.boxes[mailbox.id]
    assert after.policy == other.id == after.key.policy and after.key.version == 2
