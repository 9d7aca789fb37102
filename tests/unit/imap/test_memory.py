"""Memory for messages is given in turn, and comes back whatever happens."""

from __future__ import annotations

import asyncio
import contextlib

from gateway.imap.memory import Memory


async def test_who_wants_more_than_is_free_waits_for_the_others() -> None:
    memory = Memory(100)
    first = await memory.take(60)
    second = asyncio.ensure_future(memory.take(50))
    small = asyncio.ensure_future(memory.take(1))
    await asyncio.sleep(0)
    assert not second.done()
    assert not small.done()  # Else a large wish would be passed over for ever.
    memory.give(first)
    assert (await second, await small) == (50, 1)
    assert memory.free == 49


async def test_a_wish_beyond_the_whole_is_the_whole() -> None:
    memory = Memory(100)
    assert await memory.take(1000) == 100
    memory.give(100)
    async with memory.held(1000):
        assert memory.free == 0
    assert memory.free == 100


async def test_who_gives_up_keeps_nobody_waiting_and_holds_nothing() -> None:
    memory = Memory(100)
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
    assert memory.free == 100


async def test_memory_that_came_with_the_end_is_given_back() -> None:
    memory = Memory(100)
    held = await memory.take(100)
    waiting = asyncio.ensure_future(memory.take(100))
    await asyncio.sleep(0)
    memory.give(held)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert memory.free == 100


async def test_those_who_hold_much_keep_only_each_other_waiting() -> None:
    memory = Memory(100, large=Memory(100), large_from=50)
    first = await memory.take(90)
    second = asyncio.ensure_future(memory.take(200))
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        memory.give(await memory.take(49))
    assert not second.done()
    memory.give(first)
    assert await second == 100
    memory.give(100)
    async with memory.held(80):
        assert memory.free == 100
