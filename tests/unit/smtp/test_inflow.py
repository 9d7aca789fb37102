"""Octets on their way in: lines, blocks, and a bound on what waits."""

from __future__ import annotations

import asyncio

import pytest

from gateway.smtp.inflow import HIGH, MAX_LINE, ClientGone, Inflow, LineTooLong, TimeRanOut
from tests.fakes.transport import FakeTransport, settle


@pytest.fixture
async def inflow() -> Inflow:
    return Inflow(asyncio.get_running_loop())


async def test_a_line_comes_whole_whatever_its_pieces(inflow: Inflow) -> None:
    reading = asyncio.ensure_future(inflow.line())
    for octet in b"NOOP\r":
        await settle()
        inflow.feed(bytes([octet]))
    await settle()
    assert not reading.done()
    inflow.feed(b"\nRSET\r\n")
    assert await reading == b"NOOP\r\n"
    assert inflow.has_line
    assert await inflow.line() == b"RSET\r\n"
    assert inflow.is_empty


async def test_a_line_of_4096_octets_is_the_longest(inflow: Inflow) -> None:
    longest = b"x" * (MAX_LINE - 2) + b"\r\n"
    inflow.feed(longest + b"x" + longest + b"NOOP\r\n")
    assert await inflow.line() == longest
    with pytest.raises(LineTooLong):
        await inflow.line()
    assert await inflow.line() == b"NOOP\r\n"


async def test_a_line_without_end_is_dropped_as_it_comes(inflow: Inflow) -> None:
    reading = asyncio.ensure_future(inflow.line())
    for _ in range(100):
        inflow.feed(b"x" * 65536)
        await settle()
        assert inflow.is_empty
    inflow.feed(b"\r\nNOOP\r\n")
    with pytest.raises(LineTooLong) as long:
        await reading
    assert long.value.in_step
    assert await inflow.line() == b"NOOP\r\n"


@pytest.mark.parametrize(
    ("pieces", "in_step"),
    [
        ([b"x" * 5000 + b"\r", b"\n"], True),
        ([b"x" * 5000 + b"\r", b"\r\n"], True),
        ([b"x" * 5000 + b"\n"], False),
        ([b"x" * 5000, b"\n"], False),
        ([b"\r" + b"x" * 5000, b"\n"], False),
        ([b"bdat 1" + b" " * 5000 + b"\r\n"], False),
        ([b"bdat 1" + b" " * 5000, b"\r\n"], False),
        ([b"bdat" + b" " * 2, b" " * 5000, b" " * 5000, b"\r\n"], False),
    ],
)
async def test_whoever_sends_a_line_too_long_is_known_to_be_in_step_or_not(
    pieces: list[bytes], in_step: bool, inflow: Inflow
) -> None:
    reading = asyncio.ensure_future(inflow.line())
    for piece in pieces:
        inflow.feed(piece)
        await settle()
    with pytest.raises(LineTooLong) as long:
        await reading
    assert long.value.in_step == in_step


async def test_the_socket_is_left_unread_while_more_than_512_kib_wait(inflow: Inflow) -> None:
    transport = FakeTransport(asyncio.Protocol())
    inflow.attach(transport)
    inflow.feed(b"x" * (HIGH - 1) + b"\n")
    assert transport.reading
    inflow.feed(b"y")
    assert not transport.reading
    await inflow.block()
    assert transport.reading


async def test_what_came_before_the_end_is_still_read(inflow: Inflow) -> None:
    inflow.feed(b"QUIT\r\nrest")
    inflow.end()
    assert await inflow.line() == b"QUIT\r\n"
    with pytest.raises(ClientGone):
        await inflow.line()


async def test_what_came_before_the_loss_is_still_read(inflow: Inflow) -> None:
    inflow.feed(b".\r\n")
    inflow.fail(ClientGone())
    assert await inflow.block() == b".\r\n"
    with pytest.raises(ClientGone):
        await inflow.block()


async def test_a_deadline_ends_also_a_client_that_never_stops_sending(inflow: Inflow) -> None:
    inflow.feed(b"NOOP\r\n" * 1000)
    assert await inflow.line() == b"NOOP\r\n"
    inflow.fail(TimeRanOut())
    with pytest.raises(TimeRanOut):
        await inflow.line()


async def test_whoever_waits_hears_of_a_failure(inflow: Inflow) -> None:
    reading = asyncio.ensure_future(inflow.block())
    await settle()
    assert inflow.is_waiting
    inflow.fail(TimeRanOut())
    with pytest.raises(TimeRanOut):
        await reading
    assert not inflow.is_waiting


async def test_what_is_put_back_is_read_next(inflow: Inflow) -> None:
    inflow.feed(b"b\n")
    inflow.put_back(b"a")
    assert await inflow.line() == b"ab\n"
