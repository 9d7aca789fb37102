"""Memory for messages is given in turn, and comes back whatever happens."""

from __future__ import annotations

import asyncio
import contextlib

from gateway.imap.memory import Memory


async def test_who_wants_more_than_is_free_waits_for_the_others() -> None:
    memory = Memory(100).of("ida")
    first = await memory.take(60)
    second = asyncio.ensure_future(memory.take(50))
    small = asyncio.ensure_future(memory.take(1))
    await asyncio.sleep(0)
    assert not second.done()
    assert not small.done()  # Else a large wish would be passed over for ever.
    memory.give(first)
    assert (await second, await small) == (50, 1)
    assert memory.memory.free == 49


async def test_a_wish_beyond_the_whole_is_the_whole() -> None:
    memory = Memory(100).of("ida")
    assert await memory.take(1000) == 100
    memory.give(100)
    async with memory.held(1000):
        assert memory.memory.free == 0
    assert memory.memory.free == 100


async def test_who_gives_up_keeps_nobody_waiting_and_holds_nothing() -> None:
    memory = Memory(100).of("ida")
    held = await memory.take(60)
    large = asyncio.ensure_future(memory.take(90))
    small = asyncio.ensure_future(memory.take(10))
    await asyncio.sleep(0)
    large.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await large
    assert await small == 10
    memory.give(held)
    memory.give(10)
    assert memory.memory.free == 100


async def test_memory_that_came_with_the_end_is_given_back() -> None:
    memory = Memory(100).of("ida")
    held = await memory.take(100)
    waiting = asyncio.ensure_future(memory.take(100))
    await asyncio.sleep(0)
    memory.give(held)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert memory.memory.free == 100


async def test_those_who_hold_much_keep_only_each_other_waiting() -> None:
    memory = Memory(100, large=Memory(100), large_from=50).of("ida")
    first = await memory.take(90)
    second = asyncio.ensure_future(memory.take(200))
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        memory.give(await memory.take(49))
    assert not second.done()
    memory.give(first)
    assert await second == 100
    memory.give(100)
    async with memory.held(80):
        assert memory.memory.free == 100


async def test_one_account_has_its_share_and_leaves_the_rest_to_others() -> None:
    memory = Memory(100, share=50)
    ida, bert = memory.of("ida"), memory.of("bert")
    first = await ida.take(30)
    second = asyncio.ensure_future(ida.take(30))
    third = asyncio.ensure_future(ida.take(10))
    await asyncio.sleep(0)
    assert (second.done(), third.done()) == (False, False)  # In their turn, so that the larger is not passed over.
    async with asyncio.timeout(30):
        whole = await bert.take(1000)
    assert whole == 50
    ida.give(first)
    assert [await second, await third] == [30, 10]
    bert.give(whole)
    ida.give(30)
    ida.give(10)
    assert memory.free == 100


async def test_who_waits_for_their_own_share_is_not_served_out_of_turn_to_others() -> None:
    memory = Memory(100, share=60)
    ida, bert, cleo = memory.of("ida"), memory.of("bert"), memory.of("cleo")
    held = await ida.take(60)
    waits = asyncio.ensure_future(bert.take(50))  # For room.
    own = asyncio.ensure_future(ida.take(10))  # For her share.
    behind = asyncio.ensure_future(cleo.take(5))  # In the line.
    await asyncio.sleep(0)
    assert (waits.done(), own.done(), behind.done()) == (False, False, False)
    ida.give(held)
    assert [await waits, await own, await behind] == [50, 10, 5]


async def test_who_wants_nothing_waits_for_nobody() -> None:
    memory = Memory(100).of("ida")
    held = await memory.take(100)
    waiting = asyncio.ensure_future(memory.take(1))
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        assert await memory.take(0) == 0
    memory.give(0)
    assert not waiting.done()
    memory.give(held)
    assert await waiting == 1
