"""Mail that can't be sealed now is answered 451 4.3.0, whatever it has come to, and nothing of it stays."""

from __future__ import annotations

from gateway.mail.reply import KEYS_CLOSED, Refused
from gateway.storage.sealer import KeysClosed
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import FakeClient, connected

REPLY = "451 4.3.0 Mail cannot be taken now; please try again later"
CLOSED = KeysClosed("the domain key 'spool' is not at hand: key 'default' of vault 'main' is disabled")


async def greeted(desk: FakeDesk) -> FakeClient:
    client = connected(desk.desk)
    await client.greets()
    return client


async def with_recipient(desk: FakeDesk) -> FakeClient:
    client = await greeted(desk)
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")
    await client.asks("RCPT TO:<otto@partner.example>", "250 ")
    return client


async def test_mail_is_refused_before_anything_is_taken_and_the_session_goes_on() -> None:
    desk = FakeDesk()
    desk.no_room = Refused(KEYS_CLOSED)
    client = await greeted(desk)
    await client.asks("MAIL FROM:<ida@corp.example>", REPLY)
    await client.asks("RCPT TO:<otto@partner.example>", "503 ")
    desk.no_room = None
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")


async def test_keys_that_close_during_data_are_told_at_its_end() -> None:
    desk = FakeDesk()
    client = await with_recipient(desk)
    await client.asks("DATA", "354 ")
    desk.accept_raises = CLOSED
    await client.asks(b"Subject: x\r\n\r\nx\r\n.\r\n", REPLY)
    assert desk.incoming["Q1"].abandoned
    assert "session_fault" not in desk.events()  # What is the matter is told once, by who closed them.
    assert all("default" not in str(line) for line in desk.told)
    desk.accept_raises = None
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")


async def test_keys_that_close_while_a_large_message_comes_are_told_at_its_end() -> None:
    desk = FakeDesk()
    desk.flush_at = 1000
    desk.full_at = 0
    desk.full_error = CLOSED
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


async def test_chunks_hear_it_behind_the_last_one_and_in_between() -> None:
    desk = FakeDesk()
    client = await with_recipient(desk)
    desk.accept_raises = CLOSED
    await client.asks(b"BDAT 3 LAST\r\nx\r\n", REPLY)
    assert desk.incoming["Q1"].abandoned
    desk.accept_raises = None
    desk.flush_at, desk.full_at, desk.full_error = 1, 0, CLOSED
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")
    await client.asks("RCPT TO:<otto@partner.example>", "250 ")
    await client.asks(b"BDAT 6\r\nabcd\r\n", REPLY)
    assert "session_fault" not in desk.events()
