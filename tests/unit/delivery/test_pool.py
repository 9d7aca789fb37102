"""Kept connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.connectors.model import Outbound
from gateway.delivery.client import NextHop, Timeouts
from gateway.delivery.pool import Link, Pool
from gateway.world.clock import SystemClock
from tests.fakes.clock import FakeClock
from tests.fakes.nexthop import FakeNextHop
from tests.fakes.outbounds import make_outbound

KEY = ("out", "x.test")


@pytest.fixture
async def hop() -> AsyncIterator[FakeNextHop]:
    async with FakeNextHop() as hop:
        yield hop


async def link(hop: FakeNextHop, outbound: Outbound) -> Link:
    client = await NextHop.connect("127.0.0.1", hop.port, clock=SystemClock(), hostname="gw", timeouts=Timeouts())
    return Link(hop=client, outbound=outbound, host="x.test", address="127.0.0.1")


async def gone(hop: FakeNextHop) -> None:
    async with asyncio.timeout(30):
        while hop.open:
            await asyncio.sleep(0.001)


async def test_a_kept_connection_is_given_out_once(hop: FakeNextHop) -> None:
    pool, outbound = Pool(FakeClock()), make_outbound()
    one = await link(hop, outbound)
    pool.keep(KEY, one)
    assert pool.take(("out", "other.test"), outbound) is None
    assert pool.take(KEY, outbound) is one
    assert pool.take(KEY, outbound) is None
    pool.drop(one)
    await pool.close()


async def test_after_a_reload_no_connection_of_the_old_terms_is_used(hop: FakeNextHop) -> None:
    """What was opened in clear must not carry a message that now demands TLS."""
    pool, old, new = Pool(FakeClock()), make_outbound(), make_outbound()
    pool.keep(KEY, await link(hop, old))
    assert pool.take(KEY, new) is None
    await pool.close()
    await gone(hop)
    assert hop.commands[0][-1] == b"QUIT"


async def test_an_idle_connection_ends_with_quit(hop: FakeNextHop) -> None:
    clock = FakeClock()
    pool, outbound = Pool(clock, idle=30), make_outbound()
    pool.keep(KEY, await link(hop, outbound))
    await clock.advance(29)
    assert pool.kept == 1
    await clock.advance(1.1)
    assert pool.kept == 0
    await gone(hop)
    assert hop.commands[0][-1] == b"QUIT"
    await pool.close()


async def test_a_connection_used_again_starts_its_idle_time_anew(hop: FakeNextHop) -> None:
    clock = FakeClock()
    pool, outbound = Pool(clock, idle=30), make_outbound()
    one = await link(hop, outbound)
    pool.keep(KEY, one)
    await clock.advance(20)
    assert pool.take(KEY, outbound) is one
    pool.keep(KEY, one)
    await clock.advance(20)
    assert pool.kept == 1
    await clock.advance(11)
    assert pool.kept == 0
    await pool.close()


async def test_a_connection_that_carried_enough_is_not_kept(hop: FakeNextHop) -> None:
    pool, outbound = Pool(FakeClock()), make_outbound(messages_per_connection=2)
    one = await link(hop, outbound)
    one.carried = 2
    pool.keep(KEY, one)
    assert pool.kept == 0
    await pool.close()


async def test_a_dead_connection_is_not_given_out(hop: FakeNextHop) -> None:
    pool, outbound = Pool(FakeClock()), make_outbound()
    one = await link(hop, outbound)
    pool.keep(KEY, one)
    hop.hang_up()
    while one.hop.alive:
        await asyncio.sleep(0)
    assert pool.take(KEY, outbound) is None
    await pool.close()


async def test_more_than_the_limit_wait_their_turn_in_order() -> None:
    pool = Pool(FakeClock())
    order: list[int] = []

    async def use(number: int) -> None:
        await pool.enter(KEY, 2)
        order.append(number)

    await use(0)
    await use(1)
    waiting = [asyncio.ensure_future(use(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    assert order == [0, 1]
    waiting[0].cancel()
    await asyncio.sleep(0)
    pool.leave(KEY)
    await waiting[1]
    assert order == [0, 1, 3]
    pool.leave(KEY)
    await waiting[2]
    pool.leave(KEY)
    pool.leave(KEY)
    await use(9)
    assert order == [0, 1, 3, 4, 9]


async def test_a_place_given_to_somebody_who_just_gave_up_goes_to_the_next() -> None:
    pool = Pool(FakeClock())
    await pool.enter(KEY, 1)
    first = asyncio.ensure_future(pool.enter(KEY, 1))
    second = asyncio.ensure_future(pool.enter(KEY, 1))
    await asyncio.sleep(0)
    pool.leave(KEY)
    first.cancel()
    async with asyncio.timeout(30):
        await second
    assert first.cancelled()


async def test_after_close_nothing_is_kept(hop: FakeNextHop) -> None:
    pool, outbound = Pool(FakeClock()), make_outbound()
    one, two = await link(hop, outbound), await link(hop, outbound)
    pool.keep(KEY, one)
    await pool.close()
    pool.keep(KEY, two)
    assert pool.kept == 0
    await pool.close()
    await gone(hop)
    assert [commands[-1] for commands in hop.commands] == [b"QUIT", b"QUIT"]
