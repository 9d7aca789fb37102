"""Keys that are closed or a database that is away: mail is answered 451 4.3.0, whatever it has come to, and nothing of
it stays. What is the matter is told once, by who closed them or keeps the connection: sessions log no fault of ours.
"""

from __future__ import annotations

import pytest

from gateway.mail.reply import KEYS_CLOSED, Refused
from gateway.storage.sealer import KeysClosed
from gateway.storage.writer import StorageAway, StorageBroken
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import FakeClient, connected

REPLY = "451 4.3.0 Mail cannot be taken now; please try again later"
LOUD = "451 4.3.0 Something failed here; please try again later"
CLOSED = KeysClosed("the domain key 'spool' is not at hand: key 'default' of vault 'main' is disabled")
AWAY = StorageAway("the database is away")

either = pytest.mark.parametrize("fault", [CLOSED, AWAY], ids=["keys closed", "database away"])


async def greeted(desk: FakeDesk) -> FakeClient:
    client = connected(desk.desk)
    await client.greets()
    return client


async def with_recipient(desk: FakeDesk) -> FakeClient:
    client = await greeted(desk)
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")
    await client.asks("RCPT TO:<otto@partner.example>", "250 ")
    return client


@pytest.mark.parametrize("fault", [Refused(KEYS_CLOSED), AWAY], ids=["keys closed", "database away"])
async def test_mail_is_refused_before_anything_is_taken_and_the_session_goes_on(fault: Exception) -> None:
    desk = FakeDesk()
    desk.no_room = fault
    client = await greeted(desk)
    await client.asks("MAIL FROM:<ida@corp.example>", REPLY)
    await client.asks("RCPT TO:<otto@partner.example>", "503 ")
    assert "session_fault" not in desk.events()
    assert desk.counted.count(("messages_refused_total", ("127.0.0.1:2525", "451"))) == 1
    desk.no_room = None
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")


@either
async def test_what_goes_away_during_data_is_told_at_its_end(fault: Exception) -> None:
    desk = FakeDesk()
    client = await with_recipient(desk)
    await client.asks("DATA", "354 ")
    desk.accept_raises = fault
    await client.asks(b"Subject: x\r\n\r\nx\r\n.\r\n", REPLY)
    assert desk.incoming["Q1"].abandoned
    assert "session_fault" not in desk.events()
    assert all("default" not in str(line) for line in desk.told)
    desk.accept_raises = None
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")


@either
async def test_what_goes_away_while_a_large_message_comes_is_told_at_its_end(fault: Exception) -> None:
    desk = FakeDesk()
    desk.flush_at, desk.full_at, desk.full_error = 1000, 0, fault
    client = await with_recipient(desk)
    await client.asks("DATA", "354 ")
    for _ in range(5):
        await client.feed(b"x" * 998 + b"\r\n")
    assert await client.hears() == []  # The client still sends.
    await client.asks(b".\r\n", REPLY)
    assert desk.incoming["Q1"].abandoned
    assert "session_fault" not in desk.events()
    desk.full_at = None
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")


@either
async def test_chunks_hear_it_behind_the_last_one_and_in_between(fault: Exception) -> None:
    desk = FakeDesk()
    client = await with_recipient(desk)
    desk.accept_raises = fault
    await client.asks(b"BDAT 3 LAST\r\nx\r\n", REPLY)
    assert desk.incoming["Q1"].abandoned
    desk.accept_raises = None
    desk.flush_at, desk.full_at, desk.full_error = 1, 0, fault
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")
    await client.asks("RCPT TO:<otto@partner.example>", "250 ")
    await client.asks(b"BDAT 6\r\nabcd\r\n", REPLY)
    assert "session_fault" not in desk.events()


@pytest.mark.parametrize("at", ["MAIL", "DATA"])
async def test_a_database_that_is_there_and_broken_stays_loud(at: str) -> None:
    desk = FakeDesk()
    client = await with_recipient(desk) if at == "DATA" else await greeted(desk)
    desk.no_room = desk.accept_raises = StorageBroken("spool.db: the image is malformed")
    if at == "MAIL":
        await client.asks("MAIL FROM:<ida@corp.example>", LOUD)
    else:
        desk.no_room = None
        await client.asks("DATA", "354 ")
        await client.asks(b"x\r\n.\r\n", LOUD)
    assert "session_fault" in desk.events()
