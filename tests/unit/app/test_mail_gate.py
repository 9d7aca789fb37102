"""The gate between keys and mail: what is open costs nothing, and what is closed stops at the door."""

from __future__ import annotations

import asyncio

import pytest

from gateway.app.mail_gate import MailGate
from gateway.mail.reply import INTERNAL, KEYS_CLOSED, Refused
from gateway.storage.writer import StorageBroken, StorageFull
from tests.fakes.desk import FakeDesk


class Runner:
    """Notes what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")


async def test_what_is_open_asks_the_desk_s_own_function() -> None:
    desk = FakeDesk().desk
    before = desk.check_room
    gate = MailGate(desk, Runner())  # type: ignore[arg-type]
    assert gate.is_open
    assert desk.check_room == before
    await gate.opened()


async def test_what_is_closed_takes_nothing_and_delivers_nothing() -> None:
    desk, runner = FakeDesk().desk, Runner()
    gate = MailGate(desk, runner)  # type: ignore[arg-type]
    before = desk.check_room
    gate.turn(False)
    gate.turn(False)
    assert not gate.takes
    with pytest.raises(Refused) as refused:
        desk.check_room(0)
    assert refused.value.reply is KEYS_CLOSED
    assert not refused.value.close  # A client may stay and try again.
    waiting = asyncio.ensure_future(gate.opened())
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.turn(True)
    gate.turn(True)
    await waiting
    assert desk.check_room == before
    desk.check_room(0)
    assert gate.takes
    assert runner.told == ["pause", "resume"]


@pytest.mark.parametrize("fault", [StorageFull("full"), StorageBroken("away"), Refused(INTERNAL)])
async def test_an_open_gate_takes_nothing_while_there_is_no_room(fault: Exception) -> None:
    desk = FakeDesk().desk

    def refuse(size: int) -> None:
        raise fault

    desk.check_room = refuse
    gate = MailGate(desk, Runner())  # type: ignore[arg-type]
    assert gate.is_open and not gate.takes
