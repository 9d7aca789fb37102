"""What policies need done while nobody asks: ends that are due, rolls, roots that fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gateway.mailboxes.policies.background import LOOK, PolicyWatch
from gateway.mailboxes.policies.heeding import DAY
from gateway.mailboxes.policies.roll import Roller
from gateway.storage.mailboxes.model import PolicyRow, PolicyState
from gateway.storage.writer import StorageBroken
from tests.unit.mailboxes.policies.test_purge import Scene


async def certain(rows: Sequence[PolicyRow]) -> list[str]:
    """Settings that fit."""
    return []


def watch_of(scene: Scene, doubts: Callable[[list[PolicyRow]], Awaitable[Sequence[str]]] = certain) -> PolicyWatch:
    ground = scene.ground
    roller = Roller(
        ground.rows,
        ground.mailbox_keys,
        lambda row, old, new: row,
        clock=ground.clock,
        tell=ground.tell,
        executor=ground.executor,
    )
    return PolicyWatch(
        ground.rows,
        ground.keys,
        roller,
        scene.purge,
        vaults=ground.vaults,
        clock=ground.clock,
        tell=ground.tell,
        executor=ground.executor,
        doubts=doubts,
    )


async def test_settings_that_do_not_fit_are_told_once_until_they_do() -> None:
    scene = Scene()
    found = ["catch_all: nobody takes it"]
    away: list[Exception] = []

    async def doubts(rows: list[PolicyRow]) -> list[str]:
        if away:
            raise away[0]
        return list(found)

    watch = watch_of(scene, doubts)
    await watch.round()
    away.append(StorageBroken("away"))
    await watch.round()
    assert watch.facts["doubtful"] == found  # As it was: nobody knows better.
    assert scene.ground.events() == ["settings_doubtful"]
    away.clear()
    found.clear()
    await watch.round()
    assert watch.facts["doubtful"] == [] and scene.ground.events() == ["settings_doubtful"]


async def test_an_end_that_is_due_comes_by_itself_and_not_before() -> None:
    scene = Scene()
    await scene.purge.order(await scene.begin(), scene.order(), grace=2, by="ida")
    watch = watch_of(scene)
    await watch.round()
    assert (await scene.row()).state is PolicyState.PURGING and set(watch.facts["purging"]) == {"house"}
    await scene.ground.clock.advance(2 * DAY)
    await watch.round()
    assert (await scene.row()).state is PolicyState.PURGED


async def test_an_end_that_can_not_come_is_told_once_and_comes_when_it_can() -> None:
    scene = Scene()
    await scene.purge.order(await scene.begin(), scene.order(), grace=1, by="ida")
    watch = watch_of(scene)
    await scene.ground.clock.advance(DAY)
    scene.ground.a.enable("mail")
    await watch.round()
    await watch.round()
    assert scene.ground.events().count("policy_purge_stuck") == 1 and "a/mail" in watch.facts["stuck"]["house"]
    scene.ground.a.disable("mail")
    await watch.round()
    assert (await scene.row()).state is PolicyState.PURGED and watch.facts["stuck"] == {}


async def test_an_end_that_was_stuck_and_is_taken_back_is_stuck_no_more() -> None:
    scene = Scene()
    purging = await scene.purge.order(await scene.begin(), scene.order(), grace=1, by="ida")
    watch = watch_of(scene)
    await scene.ground.clock.advance(DAY)
    scene.ground.a.enable("mail")
    await watch.round()
    assert set(watch.facts["stuck"]) == {"house"}
    await scene.purge.cancel(purging, by="ben")
    await watch.round()
    assert (watch.facts["stuck"], watch.facts["purging"], watch.facts["ended"]) == ({}, {}, [])


async def test_what_was_destroyed_is_known_and_when_the_others_were_looked_at() -> None:
    scene = Scene()
    row = await scene.begin()
    watch = watch_of(scene)
    began = scene.ground.clock.now()
    await watch.round()
    assert (watch.facts["looked"], watch.facts["ended"]) == ({"house": began}, [])
    await scene.purge.order(row, scene.order(), grace=0, by="ida")
    watch.look_again()
    await watch.round()
    assert (watch.facts["looked"], watch.facts["roots"], watch.facts["ended"]) == ({}, {}, ["house"])


async def test_a_root_that_fails_is_told_once_without_a_use_of_its_key() -> None:
    scene = Scene()
    await scene.begin(withdrawn=False)
    uses = (scene.ground.a.unwraps, scene.ground.b.unwraps)
    watch = watch_of(scene)
    await watch.round()
    assert watch.facts["roots"] == {}
    scene.ground.b.disable("mail")
    await watch.round()
    assert watch.facts["roots"] == {}  # Looked at only now and then.
    for _ in range(2):
        await scene.ground.clock.advance(LOOK + 1)
        await watch.round()
    assert set(watch.facts["roots"]["house"]) == {"b/mail"}
    assert scene.ground.events() == ["policy_root_fails"]
    assert (scene.ground.a.unwraps, scene.ground.b.unwraps) == uses


async def test_after_a_key_was_changed_here_the_next_round_looks_however_soon() -> None:
    scene = Scene()
    await scene.begin(withdrawn=False)
    watch = watch_of(scene)
    await watch.round()
    for change, roots in ((scene.ground.b.disable, {"b/mail"}), (scene.ground.b.enable, set[str]())):
        change("mail")
        before = watch.facts["roots"]
        await watch.round()
        assert watch.facts["roots"] is before
        watch.look_again()
        await watch.round()
        assert set(watch.facts["roots"].get("house", ())) == roots
    scene.ground.b.disable("mail")
    await watch.round()
    assert watch.facts["roots"] == {}  # It is asked for once: afterwards it is as seldom as before.


async def test_a_mailbox_whose_roll_was_begun_is_rolled() -> None:
    scene = Scene()
    await scene.begin(withdrawn=False)
    await scene.ground.mailbox_keys.start_roll(scene.mailbox)
    await watch_of(scene).round()
    assert scene.ground.rows.boxes[scene.mailbox.id].key.version == 2


async def test_a_database_that_is_away_ends_a_round_and_nothing_else() -> None:
    scene = Scene()
    await scene.begin(withdrawn=False)
    watch = watch_of(scene)
    scene.ground.rows.broken = StorageBroken("the database is away")
    await watch.round()
    await watch.round()
    assert scene.ground.events() == ["policies_not_watched"]
