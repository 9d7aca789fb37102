"""What the command line asks of queue and trace: rows in the contract's form, changes that leave alone what is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.app.channel import Fault
from gateway.app.commands import Commands
from gateway.mail.address import parse_address
from gateway.mail.delivery import State, Status, Target
from gateway.mail.terms import Smime, Terms, Wanted
from gateway.observe.events import DELETED, HELD, RELEASED, RETRIED, Event
from gateway.storage.shared import Shared
from gateway.storage.spool import Spool
from gateway.storage.spool_rows import decode_record
from gateway.storage.traces import TraceStore
from gateway.storage.writer import StorageBroken
from tests.fakes.clock import FakeClock
from tests.fakes.migrated import put_shared
from tests.fakes.spool import SpoolOf, event_of, put, sealer

NOW = 1_793_700_000.0


class Asked:
    """Two spools and the commands for them."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(NOW + 100)
        self.ofs = [SpoolOf(folder / name, self.clock) for name in "01"]
        self.spools: list[Spool] = []
        self.sending: set[str] = set()
        self.given_back: list[list[str] | None] = []
        self.woken = 0
        put_shared(folder / "shared.db")
        self.shared = Shared(folder / "shared.db")
        self.traces = TraceStore(self.shared, sealer())

    async def open(self) -> None:
        self.spools = [await of.open() for of in self.ofs]
        self.commands = Commands(
            self.spools,
            self.traces,
            self.clock,
            expire=lambda: 432_000.0,
            in_hand=self._in_hand,
            give_back=self._give_back,
            wake=self._wake,
        )

    async def close(self) -> None:
        for of in self.ofs:
            await of.close()
        self.shared.close()

    def _in_hand(self) -> Collection[str]:
        return self.sending

    async def _give_back(self, ids: Iterable[str] | None) -> None:
        self.given_back.append(None if ids is None else list(ids))

    def _wake(self) -> None:
        self.woken += 1

    async def states(self) -> dict[str, str]:
        return {row["id"]: row["state"] for row in await self.commands.answer("queue.list", {})}

    def events(self) -> list[tuple[str, str]]:
        """Message and kind of the events that were told."""
        found = []
        for of in self.ofs:
            for one in of.moved:
                plain = sealer().open("trace", f"{one.message}/{one.uid}", one.sealed)
                found += [(event.message, event.event) for event in decode_record(plain, one.uid).events]
        return found


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    asked = Asked(tmp_path)
    await asked.open()
    yield asked
    await asked.close()


async def test_rows_have_the_form_of_the_contract(asked: Asked) -> None:
    (delivery,) = await put(asked.spools[0], "Q1", lease=True)
    targets = (
        Target(
            address=parse_address("otto@partner.example"),
            reason="certificate-expired",
            enhanced="4.7.320",
            reply="450 x",
            host="mx",
        ),
        Target(address=parse_address("olga@partner.example"), status=Status.SENT),
    )
    await asked.spools[0].postpone(
        replace(delivery, targets=targets, state=State.WAITING, next_attempt=NOW + 60, attempts=1), []
    )
    assert await asked.commands.answer("queue.list", {}) == [
        {
            "id": "Q1.1",
            "from": "ida@corp.example",
            "recipients": [
                {
                    "address": "otto@partner.example",
                    "status": "waiting",
                    "reason": "certificate-expired",
                    "enhanced": "4.7.320",
                    "next_attempt": "2026-11-03T10:01:00.000Z",
                },
                {
                    "address": "olga@partner.example",
                    "status": "sent",
                    "reason": None,
                    "enhanced": None,
                    "next_attempt": None,
                },
            ],
            "connector": "out",
            "size": delivery.size,
            "state": "waiting",
            "attempts": 1,
            "received": "2026-11-03T10:00:00.000Z",
        }
    ]
    (row,) = await asked.commands.answer("queue.list", {"replies": True})
    assert [one["reply"] for one in row["recipients"]] == ["450 x", None]
    (row,) = await asked.commands.answer("queue.show", {"id": "Q1"})
    assert row["destination"] == "partner.example"
    assert row["expires"] == "2026-11-08T10:00:00.000Z"
    assert [(one["reply"], one["host"]) for one in row["recipients"]] == [("450 x", "mx"), (None, None)]


async def _waiting(asked: Asked, name: str, terms: Terms, state: State = State.WAITING) -> None:
    (delivery,) = await put(asked.spools[0], name)
    waiting = replace(delivery, state=state, next_attempt=NOW + 9000, terms=terms)
    async with asked.spools[0].recalled([waiting]):
        await asked.spools[0].amend([waiting], lambda one: Event(message=one.message, time=NOW, event=HELD, facts={}))


WANTED = Terms(wanted=Wanted(rule="Partners", smime=Smime.ENCRYPT), reason="no-certificate")


async def test_what_waits_for_its_protection_says_for_which_and_why(asked: Asked) -> None:
    await _waiting(asked, "Q1", WANTED)
    (row,) = await asked.commands.answer("queue.list", {})
    assert (row["wants"], row["rule"]) == ("encrypt", "Partners")
    assert row["recipients"][0]["reason"] == "no-certificate"  # Before its first attempt, too.


async def test_a_certificate_lets_what_waits_for_one_be_tried_and_nothing_else(asked: Asked) -> None:
    await _waiting(asked, "Q1", WANTED)
    await _waiting(asked, "Q2", Terms())
    await _waiting(asked, "Q3", WANTED, State.HELD)
    assert await asked.commands.answer("queue.protect", {"after": 35.0}) == ["Q1.1"]
    assert asked.given_back == [["Q1.1"]] and asked.woken == 1 and ("Q1", RETRIED) in asked.events()
    rows = {row["id"]: row["recipients"][0]["next_attempt"] for row in await asked.commands.answer("queue.list", {})}
    assert rows["Q1.1"] == "2026-11-03T10:02:15.000Z" and rows["Q2.1"] == rows["Q3.1"] == "2026-11-03T12:30:00.000Z"
    assert await asked.commands.answer("queue.protect", {"after": 35.0}) == []  # It is not put off by another.


async def test_rows_of_all_spools_are_listed(asked: Asked) -> None:
    await put(asked.spools[0], "Q1")
    await put(asked.spools[1], "Q2", destinations=("a.example", "b.example"))
    assert list(await asked.states()) == ["Q1.1", "Q2.1", "Q2.2"]
    assert [row["id"] for row in await asked.commands.answer("queue.list", {"ids": ["Q2"]})] == ["Q2.1", "Q2.2"]


async def test_what_is_on_the_wire_is_sending(asked: Asked) -> None:
    await put(asked.spools[0], "Q1")
    asked.sending = {"Q1.1"}
    assert await asked.states() == {"Q1.1": "sending"}


async def test_what_is_held_is_held_also_where_its_last_attempt_is_thought_to_go_on(asked: Asked) -> None:
    await put(asked.spools[0], "Q1")
    assert (await asked.commands.answer("queue.hold", {"all": True}))["changed"] == ["Q1.1"]
    asked.sending = {"Q1.1"}
    assert await asked.states() == {"Q1.1": "held"}


@pytest.mark.parametrize(
    ("domain", "found"),
    [("partner.example", True), ("@Partner.Example.", True), ("artner.example", False), ("corp.example", False)],
)
async def test_a_domain_is_that_of_recipients_who_still_wait(asked: Asked, domain: str, found: bool) -> None:
    (delivery,) = await put(asked.spools[0], "Q1", lease=True)
    assert bool(await asked.commands.answer("queue.list", {"domain": domain})) == found
    sent = tuple(replace(one, status=Status.SENT) for one in delivery.targets)
    await asked.spools[0].postpone(replace(delivery, targets=sent), [])
    assert await asked.commands.answer("queue.list", {"domain": domain}) == []


async def test_hold_and_release(asked: Asked) -> None:
    await put(asked.spools[0], "Q1", destinations=("a.example", "b.example"))
    assert await asked.commands.answer("queue.hold", {"ids": ["Q1.2", "Q9"]}) == {
        "changed": ["Q1.2"],
        "missing": ["Q9"],
        "sending": [],
    }
    assert await asked.states() == {"Q1.1": "ready", "Q1.2": "held"}
    assert asked.given_back == [["Q1.2", "Q9"]]
    assert (await asked.commands.answer("queue.hold", {"ids": ["Q1.2"]}))["changed"] == []
    assert (await asked.commands.answer("queue.release", {"all": True}))["changed"] == ["Q1.2"]
    assert await asked.states() == {"Q1.1": "ready", "Q1.2": "ready"}
    assert asked.events() == [("Q1", HELD), ("Q1", RELEASED)]
    assert asked.woken == 3
    assert [one.id for one in await asked.spools[0].due(NOW + 100, 9, ())] == ["Q1.1", "Q1.2"]


async def test_retry_is_at_once_and_leaves_held_ones(asked: Asked) -> None:
    _, second = await put(asked.spools[0], "Q1", destinations=("a.example", "b.example"), due=NOW + 9000)
    await asked.commands.answer("queue.hold", {"ids": [second.id]})
    assert (await asked.commands.answer("queue.retry", {"ids": ["Q1"]}))["changed"] == ["Q1.1"]
    assert [one.id for one in await asked.spools[0].due(NOW + 100, 9, ())] == ["Q1.1"]
    assert ("Q1", RETRIED) in asked.events()


async def test_delete_forgets_message_and_content(asked: Asked) -> None:
    await put(asked.spools[1], "Q1", b"x" * 200_000)
    assert (await asked.commands.answer("queue.delete", {"domain": "partner.example"}))["changed"] == ["Q1.1"]
    assert await asked.states() == {}
    assert asked.ofs[1].contents == []
    assert asked.events() == [("Q1", DELETED)]


@pytest.mark.parametrize("verb", ["hold", "retry", "delete"])
async def test_what_is_in_hand_is_left_alone_and_named(asked: Asked, verb: str) -> None:
    (delivery,) = await put(asked.spools[0], "Q1", lease=True)
    assert await asked.commands.answer(f"queue.{verb}", {"ids": ["Q1"]}) == {
        "changed": [],
        "missing": [],
        "sending": ["Q1.1"],
    }
    assert asked.spools[0].is_leased(delivery.id)
    assert len(await asked.spools[0].deliveries()) == 1


async def test_a_delete_that_fails_gives_the_delivery_back(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(asked.spools[0], "Q1")

    async def fails(*_: object) -> None:
        raise StorageBroken("locked")

    with monkeypatch.context() as patched:
        patched.setattr(asked.spools[0], "done", fails)
        with pytest.raises(StorageBroken):
            await asked.commands.answer("queue.delete", {"all": True})
    assert (await asked.commands.answer("queue.delete", {"all": True}))["changed"] == ["Q1.1"]


async def test_nothing_is_changed_without_saying_which(asked: Asked) -> None:
    await put(asked.spools[0], "Q1")
    ways: list[dict[str, Any]] = [{}, {"ids": []}, {"domain": ""}]
    for nothing in ways:
        with pytest.raises(Fault, match="say which"):
            await asked.commands.answer("queue.delete", nothing)
    assert len(await asked.states()) == 1


@pytest.mark.parametrize("command", ["queue.burn", "", "queue", "reload"])
async def test_an_unknown_command_is_named(asked: Asked, command: str) -> None:
    with pytest.raises(Fault, match="there is no command"):
        await asked.commands.answer(command, {})


async def test_the_trace_tells_the_story(asked: Asked) -> None:
    spool = asked.spools[0]
    await asked.traces.put([spool.new_record("Q1", [event_of("Q1")])])
    story: list[Any] = await asked.commands.answer("trace", {"id": "Q1"})
    assert story == [{"id": "Q1", "events": [{"time": "2026-11-03T10:00:00.000Z", "event": "received", "x": 1}]}]
    assert await asked.commands.answer("trace", {"id": "Q2"}) == []


async def test_a_trace_that_can_not_be_read_is_a_fault_in_words(asked: Asked) -> None:
    asked.shared.close()
    with pytest.raises(Fault, match="the trace can't be read"):
        await asked.commands.answer("trace", {"id": "Q1"})
