"""DATA in a session: what is refused after it, and that the session stays in step or ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.mail import reply as say
from gateway.mail.envelope import Body
from gateway.mail.reply import Refused
from gateway.smtp import transaction as transaction_module
from gateway.storage.writer import StorageFull
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import FakeClient, connected, settle


async def in_data(desk: FakeDesk, **terms: Any) -> FakeClient:
    """A client that may send the message now."""
    client = connected(desk.desk, **terms)
    await client.greets()
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")
    await client.asks("RCPT TO:<otto@partner.example>", "250 ")
    await client.asks("DATA", "354 ")
    return client


async def test_octets_go_through_as_they_came() -> None:
    desk = FakeDesk()
    client = await in_data(desk)
    content = bytes(range(256)).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n\r\n \r\nx" * 3 + b"\r\n"
    await client.asks(content + b".\r\n", "250 2.0.0 Queued as Q1")
    assert desk.contents() == [content]


async def test_a_stuffed_dot_is_taken_out() -> None:
    desk = FakeDesk()
    client = await in_data(desk)
    await client.asks(b"..\r\n...\r\nx.\r\n.\r\n", "250 ")
    assert desk.contents() == [b".\r\n..\r\nx.\r\n"]


@pytest.mark.parametrize("bare", [b"a\nb", b"a\rb", b"a\r\r\nb", b"a\n\r\nb", b"\n", b"\r"])
async def test_a_bare_cr_or_lf_is_refused_and_the_session_ended(bare: bytes) -> None:
    # aiosmtpd 1.4.6 says 250. What the client thinks to be the end may not be what we think, so we part.
    desk = FakeDesk()
    client = await in_data(desk)
    await client.asks(
        b"Subject: x\r\n\r\n" + bare + b"\r\n.\r\nNOOP\r\n", "550 5.6.11 The message has a bare CR or LF [Q1]"
    )
    assert client.closed
    assert desk.accepted == []
    assert desk.incoming["Q1"].abandoned


async def test_a_bare_newline_is_made_cr_lf_where_the_listener_says_so() -> None:
    desk = FakeDesk()
    client = await in_data(desk, normalize=True)
    await client.asks(b"a\nb\rc\r\n\n.\n.\r\n.\r\n", "250 ")
    assert desk.contents() == [b"a\r\nb\r\nc\r\n\r\n.\r\n.\r\n"]
    await client.asks("NOOP", "250 2.0.0 OK")


async def test_a_message_one_octet_too_large_is_552_and_the_session_in_step() -> None:
    desk = FakeDesk()
    client = await in_data(desk, max_message_size=2000)
    await client.asks(b"x" * 1998 + b"\r\n.\r\n", "250 ")
    assert (await client.sends(b"x" * 1999 + b"\r\n")).startswith("552 5.3.4 The message is too large [")
    assert not client.closed
    assert (await client.sends(b"x\r\n")).startswith("250 ")
    assert len(desk.accepted) == 2


async def test_a_size_over_the_limit_is_refused_at_mail() -> None:
    client = connected(FakeDesk().desk, max_message_size=2000)
    await client.greets()
    await client.asks("MAIL FROM:<ida@corp.example> SIZE=2001", "552 5.3.4")
    await client.asks("MAIL FROM:<ida@corp.example> SIZE=2000", "250 2.1.0")


async def test_a_size_of_twenty_digits_is_too_large_and_no_fault() -> None:
    client = connected(FakeDesk().desk)
    await client.greets()
    await client.asks(f"MAIL FROM:<ida@corp.example> SIZE={'9' * 20}", "552 5.3.4")


async def test_a_client_far_over_the_limit_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction_module, "MAX_DROPPED", 10_000)
    desk = FakeDesk()
    client = await in_data(desk, max_message_size=2000)
    await client.feed(b"x" * 12_000)
    assert await client.hears() == []
    await client.feed(b"x")
    assert (await client.hears())[0].startswith("552 5.3.4")
    assert client.closed
    assert desk.incoming["Q1"].abandoned


async def test_what_is_over_the_limit_is_not_kept() -> None:
    desk = FakeDesk()
    client = await in_data(desk, max_message_size=2000)
    for _ in range(100):
        await client.feed(b"x" * 1000)
    assert len(desk.incoming["Q1"].octets) < 3000


async def test_a_line_over_the_limit_is_5xx_after_the_end_and_the_session_in_step() -> None:
    desk = FakeDesk()
    client = await in_data(desk, max_line_length=998)
    await client.asks(b"x" * 998 + b"\r\n.\r\n", "250 ")
    assert (await client.sends(b"x" * 999 + b"\r\n")).startswith("550 5.6.0 A line of the message is too long [")
    assert (await client.sends(b"x\r\n")).startswith("250 ")


async def test_memory_is_flushed_whenever_it_holds_as_much_as_it_may() -> None:
    desk = FakeDesk()
    desk.flush_at = 10_000
    client = await in_data(desk)
    for _ in range(10):
        await client.feed(b"x" * 5000)
    await client.asks(b"\r\n.\r\n", "250 ")
    assert desk.incoming["Q1"].flushed >= 4
    assert desk.incoming["Q1"].most < 20_000


@pytest.mark.parametrize("error", [StorageFull("the disk is full"), OSError(5, "/secret/path")])
async def test_a_disk_that_fails_under_way_is_told_at_the_end(error: Exception) -> None:
    desk = FakeDesk()
    desk.flush_at, desk.full_at, desk.full_error = 1000, 5000, error
    client = await in_data(desk)
    for _ in range(10):
        await client.feed(b"x" * 2000)
    assert await client.hears() == []  # The client still sends, and would not listen.
    answer = (
        "452 4.3.1 Storage is full; please try again later" if isinstance(error, StorageFull) else "451 4.3.0 Something"
    )
    await client.asks(b"\r\n.\r\n", answer)
    assert desk.incoming["Q1"].abandoned
    assert desk.accepted == []
    assert len(desk.incoming["Q1"].octets) < 10_000
    desk.full_at = None
    assert (await client.sends(b"x\r\n")).startswith("250 ")


async def test_a_disk_that_is_full_at_the_commit_is_452_and_nothing_is_stored() -> None:
    desk = FakeDesk()
    desk.accept_raises = StorageFull("the disk is full")
    client = await in_data(desk)
    await client.asks(b"x\r\n.\r\n", "452 4.3.1 Storage is full; please try again later")
    assert desk.incoming["Q1"].abandoned
    assert [facts["sender"] for _, event, facts in desk.told if event == "refused"] == ["ida@corp.example"]
    desk.accept_raises = None
    assert (await client.sends(b"x\r\n")).startswith("250 ")


async def test_the_250_waits_for_the_commit() -> None:
    desk = FakeDesk()
    desk.gate = asyncio.Event()
    client = await in_data(desk)
    await client.feed(b"x\r\n.\r\nNOOP\r\n")
    assert await client.hears() == []
    desk.gate.set()
    await client.expects("250 2.0.0 Queued as Q1", "250 2.0.0 OK")


async def test_a_session_that_is_cancelled_at_the_commit_leaves_its_content_to_the_next_start() -> None:
    # The commit may be on its way; without its file the message would be lost after it was stored.
    desk = FakeDesk()
    desk.gate = asyncio.Event()
    client = await in_data(desk)
    await client.feed(b"x\r\n.\r\n")
    task = client.session._task
    assert task is not None
    task.cancel()
    await settle()
    assert task.cancelled()
    assert not desk.incoming["Q1"].abandoned


async def test_the_envelope_holds_what_mail_and_rcpt_said() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.greets()
    await client.asks("MAIL FROM:<ida@corp.example> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e1 SIZE=3", "250 ")
    await client.asks("RCPT TO:<jörg@köln.example> NOTIFY=NEVER ORCPT=utf-8;j", "250 ")
    await client.asks("DATA", "354 ")
    await client.asks(b"x\r\n.\r\n", "250 ")
    envelope = desk.accepted[0].envelope
    assert (envelope.body, envelope.smtputf8, envelope.ret, envelope.envid) == (Body.EIGHT_BIT_MIME, True, "HDRS", "e1")
    assert (envelope.recipients[0].notify, envelope.recipients[0].orcpt) == ("NEVER", "utf-8;j")
    assert b" with UTF8SMTP\r\n" in desk.accepted[0].message.head


async def test_a_refusal_that_closes_ends_the_session_after_its_reply() -> None:
    desk = FakeDesk()
    desk.accept_raises = Refused(say.SENDER_NOT_ALLOWED, close=True)
    client = await in_data(desk)
    await client.asks(b"x\r\n.\r\nNOOP\r\n", "550 5.7.1")
    assert client.closed
