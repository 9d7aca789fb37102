"""Mail in quarantine: an officer sees it, releases or deletes it, and the queue's commands leave it alone."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.app import held
from gateway.app.channel import Fault
from gateway.app.commands import Commands
from gateway.app.held import HeldMail, merged
from gateway.app.queue_counts import queue_counts
from gateway.mail.delivery import HERE, PROTECT, QUARANTINE, Delivery, State
from gateway.mail.terms import Quarantine, Smime, Terms, Wanted
from gateway.observe import events
from gateway.storage.shared import Shared
from gateway.storage.spool import Spool
from gateway.storage.spool_rows import decode_record
from gateway.storage.traces import TraceStore
from tests.fakes.clock import FakeClock
from tests.fakes.migrated import put_shared
from tests.fakes.spool import SpoolOf, delivery_of, event_of, mail_of, message_of, put, sealer

NOW = 1_793_700_000.0
MESSAGE = (
    b"From: ida@corp.example\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/plain\r\n\r\nHello Otto\r\n--x\r\nContent-Type: application/pdf\r\n"
    b"Content-Disposition: attachment; filename=bill.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--x--\r\n"
)
WANTED = Wanted(rule="Secret", smime=Smime.ENCRYPT)
TERMS = Terms(quarantine=Quarantine(rules=("Cards",), severity="high"), wanted=WANTED, require_tls=True)


class Held:
    """Two spools and the officer's commands for them."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(NOW + 864_000)
        self.ofs = [SpoolOf(folder / name, self.clock) for name in "01"]
        self.spools: list[Spool] = []
        self.woken = 0
        put_shared(folder / "shared.db")
        self.shared = Shared(folder / "shared.db")

    async def open(self) -> None:
        self.spools = [await of.open() for of in self.ofs]
        self.mail = HeldMail(self.spools, self.clock, wake=self._wake)

    async def close(self) -> None:
        for of in self.ofs:
            await of.close()
        self.shared.close()

    def _wake(self) -> None:
        self.woken += 1

    async def hold(self, id_: str, octets: bytes = MESSAGE, terms: Terms = TERMS, spool: int = 0) -> Delivery:
        """A message in quarantine, as the pipeline leaves it."""
        there = self.spools[spool]
        mail = mail_of(id_, await message_of(there, id_, octets))
        made = delivery_of(mail, connector=HERE, destination=QUARANTINE)
        made = replace(made, state=State.HELD, terms=terms)
        await there.accept(mail, [made], [there.new_record(id_, [event_of(id_)])])
        await there.unlease(made)
        return made

    def told(self) -> list[tuple[str, str, object]]:
        """Message, kind and who did it, of what an officer did."""
        found: list[tuple[str, str, object]] = []
        for of in self.ofs:
            for one in of.moved:
                plain = sealer().open("trace", f"{one.message}/{one.uid}", one.sealed)
                for event in decode_record(plain, one.uid).events:
                    if "by" in event.facts:
                        found.append((event.message, event.event, event.facts["by"]))
        return found


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Held]:
    there = Held(tmp_path)
    await there.open()
    yield there
    await there.close()


async def test_the_list_says_who_to_whom_what_and_why(there: Held) -> None:
    await there.hold("Q1")
    await put(there.spools[0], "Q2")
    await there.hold("Q3", terms=Terms(quarantine=Quarantine(rules=("A", "B"))), spool=1)
    assert await there.mail.answer("held.list", {"by": "ida"}) == [
        {
            "id": "Q1.1",
            "from": "ida@corp.example",
            "recipients": ["otto@partner.example"],
            "subject": "Café",
            "rules": ["Cards"],
            "severity": "high",
            "protection": "encrypt",
            "size": len(MESSAGE),
            "since": "2026-11-03T10:00:00.000Z",
        },
        {
            "id": "Q3.1",
            "from": "ida@corp.example",
            "recipients": ["otto@partner.example"],
            "subject": "Café",
            "rules": ["A", "B"],
            "severity": None,
            "protection": None,
            "size": len(MESSAGE),
            "since": "2026-11-03T10:00:00.000Z",
        },
    ]
    assert [row["id"] for row in await there.mail.rows(["Q3"])] == ["Q3.1"]


async def test_whoever_looks_sees_header_texts_and_attachments_and_the_trace_says_so(there: Held) -> None:
    await there.hold("Q1")
    (row,) = await there.mail.answer("held.show", {"id": "Q1", "by": "olga"})
    assert row["header"].startswith("From: ida@corp.example\r\n") and "Hello" not in row["header"]
    assert [(one["text"].strip(), one["cut"]) for one in row["texts"]] == [("Hello Otto", False)]
    assert row["attachments"] == [{"name": "bill.pdf", "type": "application/pdf", "size": 3, "inline": False}]
    assert row["cut"] is False
    assert there.told() == [("Q1", events.VIEWED, "olga")]


async def test_long_texts_and_messages_are_shown_in_part(there: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MAX_LETTERS", 10)
    monkeypatch.setattr(held, "MAX_SHOWN", 500)
    await there.hold("Q1", b"Subject: x\r\n\r\n" + b"word " * 200)
    (row,) = await there.mail.show("Q1", "olga")
    assert row["texts"] == [{"where": "body", "text": "word word ", "cut": True}]
    assert row["cut"] is True


@pytest.mark.parametrize("size", [0, 1, 100, 101, 400_000])
async def test_a_message_is_read_piece_by_piece(there: Held, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(held, "PIECE", 100 if size < 1000 else 150_000)
    octets = b"Subject: x\r\n\r\n" + bytes(range(33, 126)) * (size // 93) + b"y" * (size % 93)
    await there.hold("Q1", octets)
    got = b""
    while len(got) < len(octets):
        piece = await there.mail.answer("held.read", {"id": "Q1.1", "start": len(got), "by": "olga"})
        assert piece["size"] == len(octets) and piece["id"] == "Q1.1"
        got += b64decode(piece["octets"])
    assert got == octets
    assert there.told() == [("Q1", events.VIEWED, "olga")]
    assert await there.mail.piece("Q9", 0, "olga") is None


async def test_a_released_message_is_ready_for_its_protection_and_new_in_the_queue(there: Held) -> None:
    await there.hold("Q1")
    await there.hold("Q2", spool=1)
    answer = await there.mail.answer("held.release", {"ids": ["Q1", "Q9"], "by": "olga"})
    assert answer == {"changed": ["Q1.1"], "missing": ["Q9"], "sending": []}
    (delivery,) = await there.spools[0].due(there.clock.now(), 10, ())
    assert (delivery.connector, delivery.destination, delivery.state) == (HERE, PROTECT, State.READY)
    assert delivery.terms == replace(TERMS, quarantine=None)
    assert (delivery.created, delivery.attempts) == (there.clock.now(), 0)
    assert [row["id"] for row in await there.mail.rows()] == ["Q2.1"]
    assert there.told() == [("Q1", events.RELEASED, "olga")]
    assert there.woken == 1


async def test_a_deleted_message_is_gone_and_its_trace_says_by_whom(there: Held) -> None:
    await there.hold("Q1")
    await put(there.spools[0], "Q2")
    answer = await there.mail.answer("held.delete", {"ids": None, "all": True, "by": "olga"})
    assert answer == {"changed": ["Q1.1"], "missing": [], "sending": []}
    assert [one.id for one in await there.spools[0].deliveries()] == ["Q2.1"]
    assert there.told() == [("Q1", events.DELETED, "olga")]


async def test_of_two_officers_at_once_the_second_finds_it_decided(there: Held) -> None:
    """Else what the first has let go on, and the runner has sent in part, would be ready for all once more."""
    for id_ in ("Q1", "Q2"):
        await there.hold(id_)
    released = {"changed": ["Q1.1"], "missing": [], "sending": []}
    gone = {"changed": [], "missing": ["Q1"], "sending": []}
    assert await asyncio.gather(
        *(there.mail.decide(["Q1"], by, release=True) for by in ("ida", "olga")),
        there.mail.decide(["Q1"], "otto", release=False),
    ) == [released, gone, gone]
    assert [event for id_, event, _ in there.told() if id_ == "Q1"] == [events.RELEASED]
    every = await asyncio.gather(
        there.mail.decide(None, "ida", release=False, everything=True),
        there.mail.decide(None, "olga", release=True, everything=True),
    )
    assert [one["changed"] for one in every] == [["Q2.1"], []]


async def test_nothing_is_decided_where_nobody_says_about_what(there: Held) -> None:
    await there.hold("Q1")
    with pytest.raises(Fault, match="ids or all"):
        await there.mail.answer("held.release", {"ids": None, "by": "olga"})
    with pytest.raises(Fault, match="no command"):
        await there.mail.answer("held.approve", {"by": "olga"})


async def test_mail_of_the_queue_is_neither_released_nor_deleted_nor_shown(there: Held) -> None:
    (delivery,) = await put(there.spools[0], "Q1", lease=True)
    await there.spools[0].postpone(replace(delivery, state=State.HELD), [])
    for command in ("held.release", "held.delete"):
        assert (await there.mail.answer(command, {"ids": ["Q1"], "by": "olga"}))["missing"] == ["Q1"]
    assert await there.mail.show("Q1", "olga") == []
    assert await there.mail.rows() == []


async def test_what_somebody_has_in_hand_is_left_to_him(there: Held) -> None:
    made = await there.hold("Q1")
    assert there.spools[0].lease(made)
    answer = await there.mail.answer("held.release", {"ids": ["Q1"], "by": "olga"})
    assert answer == {"changed": [], "missing": [], "sending": ["Q1.1"]}
    assert [row["id"] for row in await there.mail.rows()] == ["Q1.1"]


async def test_the_queues_commands_do_not_see_mail_in_quarantine(there: Held) -> None:
    async def give_back(_: object) -> None:
        """Nobody has anything in hand."""

    commands = Commands(
        there.spools,
        TraceStore(there.shared, sealer()),
        there.clock,
        expire=lambda: 432_000.0,
        in_hand=tuple,
        give_back=give_back,
        wake=there._wake,
    )
    await there.hold("Q1")
    await put(there.spools[0], "Q2")
    assert [row["id"] for row in await commands.answer("queue.list", {})] == ["Q2.1"]
    assert await commands.answer("queue.show", {"id": "Q1"}) == []
    for verb in ("retry", "hold", "release", "delete"):
        assert (await commands.answer(f"queue.{verb}", {"ids": ["Q1"]}))["missing"] == ["Q1"]
    assert (await commands.answer("queue.delete", {"all": True}))["changed"] == ["Q2.1"]
    assert [row["id"] for row in await commands.answer("held.list", {"by": "ida"})] == ["Q1.1"]


async def test_what_lies_in_quarantine_counts_apart_and_makes_nothing_old(there: Held) -> None:
    await there.hold("Q1")
    assert await there.spools[0].due(NOW, 1, ()) == []  # What was given back is in the database from now on.
    states, oldest = await queue_counts(there.spools)
    assert (states["quarantined"], states["held"], oldest) == (1, 0, None)
    await put(there.spools[1], "Q2")
    states, oldest = await queue_counts(there.spools)
    assert (states["quarantined"], states["ready"], oldest) == (1, 1, NOW)


def test_what_several_processes_answered_is_one_answer() -> None:
    answers = [
        {"changed": ["Q1.1"], "missing": ["Q2", "Q3"], "sending": []},
        {"changed": ["Q2.1"], "missing": ["Q1", "Q3"], "sending": ["Q4.1"]},
    ]
    assert merged(answers, "held.release") == {"changed": ["Q1.1", "Q2.1"], "missing": ["Q3"], "sending": ["Q4.1"]}
    assert merged([[{"id": "Q1.1"}], []], "held.list") == [{"id": "Q1.1"}]
    assert merged([None, {"id": "Q1.1"}], "held.read") == {"id": "Q1.1"}
    assert merged([None], "held.read") is None
