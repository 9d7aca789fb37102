"""BDAT (RFC 3030): chunks make a message, what is refused is read to its end, and the session stays in step."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.mail import reply as say
from gateway.mail.reply import Refused
from gateway.smtp import transaction as transaction_module
from gateway.smtp.desk import Deadlines
from gateway.storage.writer import StorageFull
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import FakeClient, connected, settle


async def ready(desk: FakeDesk, **terms: Any) -> FakeClient:
    """A client that may send chunks now."""
    client = connected(desk.desk, **terms)
    await client.greets()
    await begin(client)
    return client


async def begin(client: FakeClient) -> None:
    await client.asks("MAIL FROM:<ida@corp.example>", "250 2.1.0")
    await client.asks("RCPT TO:<otto@partner.example>", "250 2.1.5")


def chunk(octets: bytes, last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(octets), b" LAST" if last else b"", octets)


# -- what is taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 3, 1000])
async def test_chunks_make_one_message_however_they_come(cut: int) -> None:
    desk = FakeDesk()
    client = await ready(desk)
    octets = chunk(b"Subject: x\r\n\r\na") + chunk(b"") + chunk(b"b\r\n") + chunk(b"c\r\n", last=True)
    await client.feed(*[octets[start : start + cut] for start in range(0, len(octets), cut)])
    await client.expects("250 2.0.0 Chunk received", "250 2.0.0 Chunk", "250 2.0.0 Chunk", "250 2.0.0 Queued as Q1")
    assert desk.contents() == [b"Subject: x\r\n\r\nab\r\nc\r\n"]
    assert not desk.incoming["Q1"].abandoned


async def test_a_message_by_bdat_is_esmtp_in_received_and_has_its_envelope() -> None:
    # RFC 3030 gives `with` no word of its own.
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(chunk(b"x\r\n", last=True), "250 2.0.0 Queued as Q1")
    (mail,) = desk.accepted
    assert b"\tby mx.corp.example with ESMTP\r\n\tid Q1\r\n\tfor <otto@partner.example>;" in mail.message.head
    assert [one.address.text for one in mail.envelope.recipients] == ["otto@partner.example"]
    assert mail.received == desk.clock.now()


async def test_the_next_transaction_may_use_data_again() -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(chunk(b"1\r\n", last=True), "250 ")
    assert (await client.sends(b"2\r\n")).startswith("250 ")
    await begin(client)
    await client.asks(chunk(b"3\r\n", last=True), "250 ")
    assert desk.contents() == [b"1\r\n", b"2\r\n", b"3\r\n"]


async def test_dots_are_octets_like_any_other() -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(chunk(b".\r\n..\r\nx\r\n.\r\n", last=True), "250 ")
    assert desk.contents() == [b".\r\n..\r\nx\r\n.\r\n"]


@pytest.mark.parametrize("content", [b"x", b"x\r\n\r\ny"])
async def test_a_last_line_without_an_end_gets_one(content: bytes) -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(chunk(content, last=True), "250 ")
    assert desk.contents() == [content + b"\r\n"]


async def test_an_empty_message_stays_empty() -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks("BDAT 0 LAST", "250 2.0.0 Queued")
    assert desk.contents() == [b""]


@pytest.mark.parametrize("command", ["bdat 3 last", "BDAT  3   LAST ", "BDAT 003 LAST"])
async def test_case_blanks_and_zeros_do_not_matter(command: str) -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(command.encode() + b"\r\nx\r\n", "250 2.0.0 Queued")


async def test_thousands_of_tiny_chunks_at_once_are_taken_and_cost_no_more_than_their_octets() -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.feed(b"BDAT 1\r\nx" * 5000 + b"BDAT 0 LAST\r\n")
    for _ in range(100):
        await settle()
    lines = await client.hears()
    assert len(lines) == 5001
    assert lines[-1].startswith("250 2.0.0 Queued")
    assert desk.contents() == [b"x" * 5000 + b"\r\n"]


async def test_memory_is_flushed_while_chunks_come() -> None:
    desk = FakeDesk()
    desk.flush_at = 10_000
    client = await ready(desk)
    for _ in range(10):
        await client.asks(chunk(b"x" * 5000), "250 ")
    await client.asks("BDAT 0 LAST", "250 2.0.0 Queued")
    assert desk.incoming["Q1"].flushed >= 3
    assert desk.incoming["Q1"].most < 20_000


async def test_the_reply_to_a_chunk_goes_out_before_the_next_one_is_awaited() -> None:
    client = await ready(FakeDesk())
    await client.asks(chunk(b"a\r\n") + b"BDAT 10\r\nhalf", "250 2.0.0 Chunk received")


# -- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["DATA", "RCPT TO:<olga@partner.example>", "MAIL FROM:<ida@corp.example>"])
async def test_nothing_but_chunks_may_follow_a_chunk(command: str) -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(chunk(b"a\r\n"), "250 ")
    await client.asks(command, "503 5.5.1")
    await client.asks(chunk(b"b\r\n", last=True), "250 2.0.0 Queued")
    assert desk.contents() == [b"a\r\nb\r\n"]
    assert len(desk.accepted[0].envelope.recipients) == 1


@pytest.mark.parametrize("command", ["RSET", "EHLO c", "HELO c"])
async def test_a_message_without_its_last_chunk_is_forgotten_at_a_reset(command: str) -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(chunk(b"a\r\n"), "250 ")
    await client.feed(command.encode() + b"\r\n")
    assert (await client.hears())[-1].startswith("250 ")
    assert desk.incoming["Q1"].abandoned
    await client.asks(chunk(b"b\r\n", last=True), "503 5.5.1 Say MAIL first")
    await begin(client)
    await client.asks(chunk(b"c\r\n", last=True), "250 2.0.0 Queued")
    assert desk.contents() == [b"c\r\n"]


async def test_a_pipelined_reset_and_the_next_message_leave_nothing_behind() -> None:
    desk = FakeDesk()
    client = await ready(desk)
    again = b"RSET\r\nMAIL FROM:<ida@corp.example>\r\nRCPT TO:<otto@partner.example>\r\n"
    await client.feed(chunk(b"a\r\n") + again + chunk(b"b\r\n") + again + chunk(b"c\r\n", last=True))
    assert (await client.hears())[-1].startswith("250 2.0.0 Queued")
    assert desk.contents() == [b"c\r\n"]
    assert [one.abandoned for one in desk.incoming.values()] == [True, True, False]


async def test_quit_between_chunks_forgets_the_message() -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(chunk(b"a\r\n") + b"QUIT\r\n", "250 ", "221 2.0.0")
    assert client.closed
    assert desk.accepted == []
    assert desk.incoming["Q1"].abandoned


@pytest.mark.parametrize("octets", [b"BDAT 10\r\nhalf", b"BDAT 4\r\nhalf", b"BDAT 10 LAST\r\nhalf"])
async def test_a_client_that_goes_away_leaves_nothing_behind(octets: bytes) -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.feed(octets)
    client.transport.hang_up()
    await settle()
    assert desk.accepted == []
    assert desk.incoming["Q1"].abandoned


async def test_a_message_that_can_not_be_abandoned_is_told_and_the_session_goes_on() -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(chunk(b"a\r\n"), "250 ")

    async def fails() -> None:
        raise OSError(5, "/secret/path")

    desk.incoming["Q1"].abandon = fails  # type: ignore[method-assign]
    await client.asks("RSET", "250 2.0.0")
    await client.asks("NOOP", "250 2.0.0")
    assert "session_fault" in desk.events()


async def test_a_chunk_before_mail_or_rcpt_is_read_and_dropped() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.greets()
    inside = b"MAIL FROM:<evil@else.example>\r\n"
    await client.asks(chunk(inside, last=True) + b"NOOP\r\n", "503 5.5.1 Say MAIL first", "250 2.0.0 OK")
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")
    await client.asks(chunk(inside, last=True) + b"NOOP\r\n", "503 5.5.1 Say RCPT first", "250 2.0.0 OK")
    assert len(desk.clients) == 1


async def test_a_chunk_for_refused_recipients_alone_is_554() -> None:
    desk = FakeDesk()
    desk.refused_recipients["otto@partner.example"] = say.RELAY_DENIED
    client = connected(desk.desk)
    await client.greets()
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")
    await client.asks("RCPT TO:<otto@partner.example>", "550 ")
    await client.asks(chunk(b"NOOP\r\n") + chunk(b"NOOP\r\n", last=True), "554 5.5.1 No valid", "503 5.5.1 An earlier")
    await client.asks("NOOP", "250 2.0.0")
    assert desk.incoming == {}


async def test_what_is_pipelined_behind_a_refused_chunk_is_dropped_and_is_no_bad_command() -> None:
    # RFC 3030 2: the receiver must be prepared to discard the chunks that are in the pipeline already.
    desk = FakeDesk()
    client = await ready(desk, max_message_size=1024, max_bad_commands=3)
    more = [chunk(b"NOOP\r\n") for _ in range(20)]
    await client.asks(
        b"".join([chunk(b"x" * 1025), *more, chunk(b"x", last=True), b"NOOP\r\n"]),
        "552 5.3.4",
        *["503 5.5.1 An earlier chunk"] * 21,
        "250 2.0.0 OK",
    )
    await begin(client)
    await client.asks(chunk(b"x\r\n", last=True), "250 2.0.0 Queued")


async def test_after_a_refused_message_the_next_one_is_taken_without_a_reset() -> None:
    client = await ready(FakeDesk(), max_message_size=1024)
    await client.asks(chunk(b"x" * 1025), "552 ")
    await begin(client)
    await client.asks(chunk(b"x\r\n") + chunk(b"y\r\n", last=True), "250 2.0.0 Chunk", "250 2.0.0 Queued")


async def test_bdat_after_the_last_chunk_is_out_of_order() -> None:
    client = await ready(FakeDesk())
    await client.asks(chunk(b"x\r\n", last=True), "250 2.0.0 Queued")
    await client.asks(chunk(b"NOOP\r\n", last=True), "503 5.5.1 Say MAIL first")


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argument",
    ["", "x", "-1", "+1", "0x10", "1 2", "1 LAST LAST", "1.5", "LAST", "1LAST", "9" * 21, "²", "\u0661", "1\tLAST"],
)
async def test_a_bdat_whose_chunk_can_not_be_told_ends_the_session(argument: str) -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(f"BDAT {argument}\r\nNOOP", "501 5.5.4")
    assert client.closed
    assert desk.accepted == []


async def test_a_hostile_size_between_chunks_leaves_nothing_behind() -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(chunk(b"x\r\n") + b"BDAT -1\r\n", "250 ", "501 5.5.4")
    assert client.closed
    assert desk.incoming["Q1"].abandoned


@pytest.mark.parametrize("size", ["99999999999999999999", str((64 << 20) + 1)])
async def test_a_chunk_over_what_is_read_and_dropped_ends_the_session(size: str) -> None:
    assert transaction_module.MAX_DROPPED == 64 << 20
    client = await ready(FakeDesk(), max_message_size=1024)
    await client.asks(f"BDAT {size}\r\nNOOP", "552 5.3.4")
    assert client.closed


async def test_a_size_over_the_limit_is_told_behind_the_chunk_and_nothing_of_it_is_kept() -> None:
    desk = FakeDesk()
    client = await ready(desk, max_message_size=1024)
    await client.asks(chunk(b"x" * 1000), "250 ")
    await client.feed(b"BDAT 25\r\n")
    assert await client.hears() == []
    await client.asks(b"x" * 25, "552 5.3.4 The message is too large [Q1]")
    assert desk.incoming["Q1"].abandoned
    assert len(desk.incoming["Q1"].octets) < 1400
    assert [facts["sender"] for _, event, facts in desk.told if event == "refused"] == ["ida@corp.example"]
    await client.asks("NOOP", "250 ")


async def test_a_message_of_the_largest_size_is_taken_and_one_octet_more_is_not() -> None:
    desk = FakeDesk()
    client = await ready(desk, max_message_size=1024)
    await client.asks(chunk(b"x" * 1000) + chunk(b"y" * 22 + b"\r\n", last=True), "250 ", "250 2.0.0 Queued")
    await begin(client)
    await client.asks(chunk(b"x" * 1000) + chunk(b"y" * 23 + b"\r\n", last=True), "250 ", "552 5.3.4")
    await begin(client)
    # The end that the last line gets counts as well: it will be sent.
    await client.asks(chunk(b"x" * 1023, last=True), "552 5.3.4")


async def test_a_line_over_the_limit_is_refused_across_chunks() -> None:
    client = await ready(FakeDesk(), max_line_length=998)
    await client.asks(chunk(b"x" * 500) + chunk(b"x" * 498 + b"\r\n", last=True), "250 ", "250 2.0.0 Queued")
    await begin(client)
    await client.asks(chunk(b"x" * 500) + chunk(b"x" * 499, last=True), "250 ", "550 5.6.0")


# -- line endings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("octets", [b"a\nb\r\n", b"a\rb\r\n", b"\r\r\n", b"\n\r", b"a\r.\nb\r\n", b"x\r"])
@pytest.mark.parametrize("place", range(6))
async def test_a_bare_cr_or_lf_is_refused_wherever_chunks_are_cut_and_the_session_stays_in_step(
    octets: bytes, place: int
) -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.feed(chunk(octets[:place]) + chunk(octets[place:], last=True) + b"NOOP\r\n")
    lines = await client.hears()
    assert [line for line in lines if line.startswith("550 5.6.11")]
    assert lines[-1] == "250 2.0.0 OK"
    assert not client.closed
    assert desk.accepted == []
    assert desk.incoming["Q1"].abandoned


async def test_a_cr_lf_that_chunks_tear_apart_is_whole() -> None:
    desk = FakeDesk()
    client = await ready(desk)
    await client.asks(chunk(b"a\r") + chunk(b"\nb\r") + chunk(b"\n", last=True), "250 ", "250 ", "250 2.0.0 Queued")
    assert desk.contents() == [b"a\r\nb\r\n"]


async def test_bare_newlines_are_made_cr_lf_where_the_listener_says_so() -> None:
    desk = FakeDesk()
    client = await ready(desk, normalize=True)
    await client.asks(chunk(b"a\nb\r") + chunk(b"c\r") + chunk(b"\nd\r", last=True), "250 ", "250 ", "250 2.0.0 Queued")
    assert desk.contents() == [b"a\r\nb\r\nc\r\nd\r\n"]


# -- what fails behind us ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [StorageFull("the disk is full"), OSError(5, "/secret/path")])
async def test_a_disk_that_fails_is_told_behind_the_chunk(error: Exception) -> None:
    desk = FakeDesk()
    desk.flush_at, desk.full_at, desk.full_error = 1000, 1500, error
    client = await ready(desk)
    answer = "452 4.3.1 Storage is full" if isinstance(error, StorageFull) else "451 4.3.0 Something failed here"
    await client.feed(b"BDAT 6000\r\n" + b"x" * 3000, b"x" * 2999)
    assert await client.hears() == []
    await client.asks(b"x" + chunk(b"NOOP\r\n", last=True), answer, "503 5.5.1 An earlier chunk")
    assert desk.incoming["Q1"].abandoned
    desk.full_at = None
    await begin(client)
    await client.asks(chunk(b"x\r\n", last=True), "250 2.0.0 Queued")


async def test_a_refusal_of_the_whole_message_is_the_reply_to_its_last_chunk() -> None:
    desk = FakeDesk()
    desk.accept_raises = Refused(say.LOOP)
    client = await ready(desk)
    await client.asks(chunk(b"x\r\n") + chunk(b"y\r\n", last=True), "250 2.0.0 Chunk", "554 5.4.6")
    assert desk.incoming["Q1"].abandoned
    desk.accept_raises = None
    await begin(client)
    await client.asks(chunk(b"x\r\n", last=True), "250 2.0.0 Queued")


async def test_the_250_to_the_last_chunk_waits_for_the_commit() -> None:
    desk = FakeDesk()
    desk.gate = asyncio.Event()
    client = await ready(desk)
    await client.feed(chunk(b"x\r\n", last=True) + b"NOOP\r\n")
    assert await client.hears() == []
    desk.gate.set()
    await client.expects("250 2.0.0 Queued as Q1", "250 2.0.0 OK")


async def test_chunks_have_the_deadline_of_one_message_together() -> None:
    desk = FakeDesk()
    client = await ready(desk, deadlines=Deadlines(data=100, message=250, command=1000))
    session = client.session
    await client.feed(b"BDAT 3\r\n")
    began = desk.clock.monotonic()
    assert session.deadline == began + 100
    await client.asks(b"x\r\n", "250 ")
    await desk.clock.advance(200)
    await client.feed(b"BDAT 3\r\n")
    assert session.deadline == began + 250
    session.expire()
    await client.expects("421 4.4.2")
    assert client.closed
    assert desk.incoming["Q1"].abandoned


async def test_too_many_messages_counts_those_by_bdat() -> None:
    client = await ready(FakeDesk(), max_messages=1)
    await client.asks(chunk(b"x\r\n", last=True), "250 2.0.0 Queued")
    await client.asks("MAIL FROM:<ida@corp.example>", "421 4.7.0 Too many messages")
    assert client.closed
