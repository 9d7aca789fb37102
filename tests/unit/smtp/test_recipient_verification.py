"""RCPT where recipients are verified: order, replies, and what is not refused for good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.connectors.model import Inbound
from gateway.mail.address import Address
from gateway.mail.reply import NO_SUCH_RECIPIENT, RECIPIENT_UNSURE, Refused
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import FakeClient, connected


class Directory:
    """Knows ida at once, otto when `gate` opens; is unsure of `grey`, takes `maybe` unverified, knows nobody else."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked: list[str] = []

    def verify(self, inbound: Inbound | None, address: Address) -> bool | Callable[[], Awaitable[bool]]:
        self.asked.append(address.local)
        match address.local:
            case "ida":
                return True
            case "maybe":
                return False
            case "grey":
                raise Refused(RECIPIENT_UNSURE)
            case "otto" | "slow":
                return lambda: self._wait(address.local == "otto")
        raise Refused(NO_SUCH_RECIPIENT)

    async def _wait(self, known: bool) -> bool:
        await self.gate.wait()
        if not known:
            raise Refused(NO_SUCH_RECIPIENT)
        return True


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def desk(directory: Directory) -> FakeDesk:
    one = FakeDesk()
    one.desk.verify = directory.verify
    return one


async def client(desk: FakeDesk, **terms: Any) -> FakeClient:
    one = connected(desk.desk, **terms)
    await one.greets()
    await one.asks("MAIL FROM:<ida@corp.example>", "250 2.1.0")
    return one


async def test_who_is_known_at_once_is_answered_at_once(desk: FakeDesk) -> None:
    one = await client(desk)
    await one.asks("RCPT TO:<ida@corp.example>", "250 2.1.5")
    (said,) = await one.asks("RCPT TO:<nobody@corp.example>", "550 5.1.1 No such recipient here [Q")
    assert "nobody" not in said
    await one.asks("RCPT TO:<grey@corp.example>", "451 4.4.3")


async def test_pipelined_commands_wait_for_their_turn(desk: FakeDesk, directory: Directory) -> None:
    one = connected(desk.desk)
    await one.greets()
    lines = ["MAIL FROM:<>", "RCPT TO:<ida@corp.example>", "RCPT TO:<otto@corp.example>", "RCPT TO:<slow@corp.example>"]
    await one.feed("".join(f"{line}\r\n" for line in [*lines, "RCPT TO:<ida@corp.example>", "NOOP"]).encode())
    # What was answered before the wait is not held back by it.
    await one.expects("250 2.1.0", "250 2.1.5")
    assert directory.asked == ["ida", "otto"]
    directory.gate.set()
    await one.expects("250 2.1.5", "550 5.1.1", "250 2.1.5", "250 2.0.0")


async def test_single_commands_wait_too(desk: FakeDesk, directory: Directory) -> None:
    one = await client(desk)
    await one.asks("RCPT TO:<otto@corp.example>")
    await one.asks("NOOP")
    directory.gate.set()
    await one.expects("250 2.1.5", "250 2.0.0")
    await one.asks("DATA", "354 ")
    await one.feed(b"Subject: x\r\n\r\n.\r\n")
    await one.expects("250 2.0.0 Queued")
    assert [to.address.text for to in desk.accepted[0].envelope.recipients] == ["otto@corp.example"]


async def test_a_wait_for_another_machine_does_not_count_against_the_client(
    desk: FakeDesk, directory: Directory
) -> None:
    one = await client(desk)
    await one.asks("RCPT TO:<otto@corp.example>")
    assert one.session.deadline - desk.clock.monotonic() > 400  # Longer than a client may take for a command.
    directory.gate.set()
    await one.expects("250 2.1.5")
    assert one.session.deadline - desk.clock.monotonic() <= 300
    await one.asks("NOOP", "250 2.0.0")


async def test_a_client_that_leaves_while_it_is_verified_leaves_nothing_behind(
    desk: FakeDesk, directory: Directory
) -> None:
    one = await client(desk)
    await one.asks("RCPT TO:<otto@corp.example>")
    one.transport.hang_up()
    directory.gate.set()
    await one.hears()
    assert one.closed
    assert "session_fault" not in desk.events()


async def test_who_was_taken_unverified_is_marked(desk: FakeDesk) -> None:
    one = await client(desk)
    await one.asks("RCPT TO:<ida@corp.example>", "250 2.1.5")
    await one.asks("RCPT TO:<maybe@corp.example>", "250 2.1.5")
    await one.asks("DATA", "354 ")
    await one.feed(b"Subject: x\r\n\r\n.\r\n")
    await one.expects("250 2.0.0 Queued")
    assert [to.unverified for to in desk.accepted[0].envelope.recipients] == [False, True]


async def test_who_guesses_addresses_is_sent_away(desk: FakeDesk, directory: Directory) -> None:
    directory.gate.set()
    one = await client(desk, max_bad_commands=2)
    await one.asks("RCPT TO:<nobody1@corp.example>", "550 5.1.1")
    await one.asks("RCPT TO:<slow@corp.example>", "550 5.1.1")
    await one.asks("RCPT TO:<slow@corp.example>", "421 4.7.0")
    assert one.closed


async def test_nobody_is_sent_away_because_our_source_is_away(desk: FakeDesk) -> None:
    one = await client(desk, max_bad_commands=2)
    for _ in range(10):
        await one.asks("RCPT TO:<grey@corp.example>", "451 4.4.3")
    await one.asks("RCPT TO:<ida@corp.example>", "250 2.1.5")


async def test_a_fault_of_ours_is_a_passing_no(desk: FakeDesk, directory: Directory) -> None:
    def broken(inbound: Inbound | None, address: Address) -> bool:
        raise RuntimeError("secret")

    desk.desk.verify = broken
    one = await client(desk)
    (said,) = await one.asks("RCPT TO:<ida@corp.example>", "451 4.3.0")
    assert "secret" not in said


async def test_whom_the_connector_may_not_reach_is_not_asked_about(desk: FakeDesk, directory: Directory) -> None:
    desk.refused_recipients["ida@else.example"] = NO_SUCH_RECIPIENT
    one = await client(desk)
    await one.asks("RCPT TO:<ida@else.example>", "550 ")
    assert directory.asked == []
