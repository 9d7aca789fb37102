"""Questions and answers between two processes: each gets its own answer, and nobody waits for one that can't come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.app.build import Build
from gateway.app.channel import Channel, Closed, Fault, Handler
from gateway.world.sockets import pair
from tests.fakes.transport import settle


class Ends:
    """Two channels that are joined; `raw` joins one with bare streams."""

    def __init__(self) -> None:
        self.running: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def streams(self, limit: int = 1 << 20) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        made = []
        for end in pair():
            end.setblocking(False)
            made.append(await asyncio.open_connection(sock=end, limit=limit))
            self._writers.append(made[-1][1])
        return made

    def run(self, channel: Channel) -> asyncio.Task[None]:
        self.running.append(asyncio.get_running_loop().create_task(channel.run()))
        return self.running[-1]

    async def joined(self, handler: Handler, **more: Any) -> Channel:
        """The asking end of a channel whose other end answers with `handler`."""
        ours, theirs = await self.streams()
        asking = Channel(*ours)
        self.run(asking)
        self.run(Channel(*theirs, handler, **more))
        return asking

    async def raw(
        self, handler: Handler, limit: int = 1 << 20, build: Build | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.Task[None]]:
        ours, theirs = await self.streams(limit)
        return *ours, self.run(Channel(*theirs, handler, build=build))

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self.running)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ends = Ends()
    yield ends
    await ends.close()


async def echo(command: str, arguments: dict[str, Any]) -> Any:
    if command == "fail":
        raise ValueError("secret")
    if command == "no":
        raise Fault("there is no such thing")
    return [command, arguments]


async def test_an_answer_comes_back(ends: Ends) -> None:
    channel = await ends.joined(echo)
    assert await channel.ask("x", {"a": [1, None, "ü\n"]}) == ["x", {"a": [1, None, "ü\n"]}]


async def test_a_fault_is_told_in_its_own_words(ends: Ends) -> None:
    channel = await ends.joined(echo)
    with pytest.raises(Fault, match="there is no such thing"):
        await channel.ask("no", {})


async def test_an_unexpected_error_is_told_without_its_words(ends: Ends) -> None:
    seen: list[Exception] = []

    def fault(error: Exception) -> str:
        seen.append(error)
        return "see the log"

    channel = await ends.joined(echo, fault=fault)
    with pytest.raises(Fault, match=r"^see the log$"):
        await channel.ask("fail", {})
    assert [type(one) for one in seen] == [ValueError]
    silent = await ends.joined(echo)
    with pytest.raises(Fault, match="the log says what"):
        await silent.ask("fail", {})


async def test_answers_may_come_in_another_order(ends: Ends) -> None:
    gate = asyncio.Event()

    async def handler(command: str, arguments: dict[str, Any]) -> Any:
        if command == "slow":
            await gate.wait()
        return command

    channel = await ends.joined(handler)
    slow = asyncio.ensure_future(channel.ask("slow", {}))
    assert await channel.ask("quick", {}) == "quick"
    assert not slow.done()
    gate.set()
    assert await slow == "slow"


async def test_both_ends_may_ask(ends: Ends) -> None:
    ours, theirs = await ends.streams()
    one, other = Channel(*ours, echo), Channel(*theirs, echo)
    ends.run(one)
    ends.run(other)
    answers = await asyncio.gather(one.ask("a", {}), other.ask("b", {}))
    assert list(answers) == [["a", {}], ["b", {}]]


async def test_an_end_that_answers_nothing_says_so(ends: Ends) -> None:
    ours, theirs = await ends.streams()
    one, other = Channel(*ours), Channel(*theirs)
    ends.run(one)
    ends.run(other)
    with pytest.raises(Fault, match="nobody answers here"):
        await one.ask("a", {})


async def test_whoever_waits_when_the_other_end_goes_hears_of_it(ends: Ends) -> None:
    ours, theirs = await ends.streams()
    channel = Channel(*ours)
    running = ends.run(channel)
    asking = asyncio.ensure_future(channel.ask("x", {}))
    await settle()
    theirs[1].close()
    with pytest.raises(Closed):
        await asking
    await running
    assert channel.gone.is_set()
    with pytest.raises(Closed):
        await channel.ask("x", {})


async def test_a_handler_that_asks_back_does_not_wait_for_ever(ends: Ends) -> None:
    ours, theirs = await ends.streams()
    outcome: list[str] = []

    async def asks_back(command: str, arguments: dict[str, Any]) -> Any:
        try:
            await channel.ask("back", {})
        except Closed:
            outcome.append("closed")
            raise

    channel = Channel(*theirs, asks_back)
    running = ends.run(channel)
    ours[1].write(b'{"id": 1, "ask": "x"}\n')
    await ours[0].readline()
    ours[1].close()
    async with asyncio.timeout(30):
        await running
    assert outcome == ["closed"]


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"[]\n",
        b"7\n",
        b'"ask"\n',
        b"{}\n",
        b'{"id": [], "ask": "x"}\n',
        b'{"id": null}\n',
        b"\xff\n",
        b"[" * 100_000 + b"\n",
    ],
)
async def test_what_is_not_ours_ends_the_channel_and_nothing_else(ends: Ends, line: bytes) -> None:
    reader, writer, running = await ends.raw(echo)
    writer.write(line)
    async with asyncio.timeout(30):
        assert await reader.read() == b""
        await running


async def test_a_line_that_is_too_long_ends_the_channel(ends: Ends) -> None:
    _, writer, running = await ends.raw(echo, limit=1000)
    writer.write(b'{"id": 1, "ask": "' + b"x" * 5000)
    async with asyncio.timeout(30):
        await running


async def test_an_answer_to_nothing_is_read_over(ends: Ends) -> None:
    reader, writer, _ = await ends.raw(echo)
    writer.write(b'{"id": 99, "answer": 1}\n{"id": 1, "ask": "x", "with": {"a": 1}}\n')
    assert json.loads(await reader.readline()) == {"id": 1, "answer": ["x", {"a": 1}]}


async def test_arguments_of_an_odd_form_are_a_fault(ends: Ends) -> None:
    reader, writer, _ = await ends.raw(echo)
    writer.write(b'{"id": 1, "ask": "x", "with": 7}\n')
    assert "fault" in json.loads(await reader.readline())


async def test_an_answer_for_whoever_hung_up_is_dropped(ends: Ends) -> None:
    gate = asyncio.Event()

    async def handler(command: str, arguments: dict[str, Any]) -> Any:
        await gate.wait()
        return "x" * 100_000

    _, writer, running = await ends.raw(handler)
    writer.write(b'{"id": 1, "ask": "x"}\n')
    await settle()
    writer.close()
    await settle()
    gate.set()
    async with asyncio.timeout(30):
        await running


async def test_whoever_asks_hears_which_version_answers(ends: Ends) -> None:
    reader, writer, _ = await ends.raw(echo, build=Build("1.2", "f"))
    writer.write(b'{"id": 1, "ask": "x", "version": "1.1"}\n')
    assert json.loads(await reader.readline()) == {"id": 1, "answer": ["x", {}], "version": "1.2", "files": "f"}
    writer.write(b'{"id": 2, "ask": "no", "version": "1.1"}\n')
    assert json.loads(await reader.readline())["fault"] == "there is no such thing"  # It compares by itself.


async def test_a_command_that_says_no_version_hears_beside_a_fault_that_it_is_older(ends: Ends) -> None:
    reader, writer, _ = await ends.raw(echo, build=Build("1.2", "f"))
    writer.write(b'{"id": 1, "ask": "no"}\n{"id": 2, "ask": "x"}\n')
    answers = {one["id"]: one for one in [json.loads(await reader.readline()) for _ in range(2)]}
    assert answers[1]["fault"].startswith("there is no such thing\nthe running gateway is version 1.2, and the command")
    assert answers[2]["answer"] == ["x", {}]
