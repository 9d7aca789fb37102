"""Limits of one session, each at its border: commands, recipients, messages, time; and clients that do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.mail import reply as say
from gateway.smtp.connection import DRAIN
from gateway.smtp.conversation import BURST
from gateway.smtp.desk import Deadlines
from gateway.smtp.sessions import Sessions
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import FakeClient, listening, settle

MAIL = "MAIL FROM:<ida@corp.example>"
RCPT = "RCPT TO:<otto@partner.example>"


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
async def listen(desk: FakeDesk) -> AsyncIterator[Callable[..., Sessions]]:
    """A listener whose deadlines are watched."""
    watches: list[asyncio.Task[None]] = []

    def start(**terms: Any) -> Sessions:
        sessions = listening(desk.desk, **terms)
        watches.append(asyncio.get_running_loop().create_task(sessions.watch()))
        return sessions

    yield start
    for watch in watches:
        watch.cancel()


# -- counts -----------------------------------------------------------------------------------------------------------


async def test_one_bad_command_too_many_ends_the_session(listen: Callable[..., Sessions]) -> None:
    client = FakeClient(listen(max_bad_commands=3))
    await client.greets()
    for _ in range(3):
        await client.asks("FOO", "500 5.5.2")
    await client.asks("FOO\r\nNOOP", "421 4.7.0 Too many bad commands")
    assert client.closed


async def test_too_long_lines_count_as_bad_commands(listen: Callable[..., Sessions]) -> None:
    client = FakeClient(listen(max_bad_commands=1))
    await client.greets()
    await client.asks("x" * 5000, "500 5.5.2 Command line too long")
    await client.asks("x" * 5000, "421 4.7.0")
    assert client.closed


async def test_bad_commands_are_logged_once_under_the_id_that_was_read_and_when_the_session_ends(
    listen: Callable[..., Sessions], desk: FakeDesk
) -> None:
    client = FakeClient(listen(max_bad_commands=3))
    await client.greets()
    (line, *_) = await client.asks("FOO", "500 5.5.2")
    for said in ["MAIL FROM:secret", "RCPT TO:<otto@partner.example>", "FOO"]:
        await client.feed(said.encode() + b"\r\n")
    assert client.closed
    refused = [facts for _, event, facts in desk.told if event == "refused"]
    assert [facts["reply"] for facts in refused] == [
        "500 5.5.2 Command not recognised",
        "421 4.7.0 Too many bad commands",
    ]
    assert [facts["id"] for facts in refused] == [line.partition("[")[2].partition("]")[0]] * 2
    assert "secret" not in str(desk.told)
    assert "messages_refused_total" not in [name for name, _ in desk.counted]


@pytest.mark.parametrize("line", [b"NO\rOP\r\n", b"NOOP\r\r\n", b"NO\0OP\r\n", b"NOOP \0\r\n"])
async def test_a_bare_cr_or_nul_in_a_command_is_not_carried_out(line: bytes, listen: Callable[..., Sessions]) -> None:
    # aiosmtpd 1.4.6 says 250.
    client = FakeClient(listen())
    await client.greets()
    await client.asks(line, "500 5.5.2 Bare CR, LF or NUL in a command")
    await client.asks("NOOP", "250 2.0.0")


@pytest.mark.parametrize("cut", [None, 1])
@pytest.mark.parametrize(
    "said",
    [
        b"NOOP\n",
        b"\n",
        b"RCPT TO:<otto@partner.example\nRCPT TO:<evil@else.example>\r\n",
        b"BDAT 33 LAST\nRCPT TO:<evil@else.example>\r\n\r\n",
        b"DATA\nRCPT TO:<evil@else.example>\r\n.\r\n",
        b"NOOP " + b"x" * 5000 + b"\nRCPT TO:<evil@else.example>\r\n",
        b"BDAT 31" + b" " * 5000 + b"\r\nRCPT TO:<evil@else.example>\r\n",
    ],
)
async def test_what_stands_behind_a_bare_lf_in_a_command_is_never_run_as_another(
    said: bytes, cut: int | None, listen: Callable[..., Sessions], desk: FakeDesk
) -> None:
    client = FakeClient(listen())
    await client.greets()
    await client.asks("MAIL FROM:<ida@corp.example>", "250 ")
    # In one piece and in two, the cut behind the line's end.
    end = said.index(b"\n") + 1 if cut else len(said)
    await client.feed(said[:end], said[end:])
    (line,) = await client.hears()
    assert line.startswith("500 5.5.2")
    assert client.closed
    assert desk.accepted == []


async def test_octets_that_are_no_utf_8_are_bad_syntax(listen: Callable[..., Sessions]) -> None:
    client = FakeClient(listen())
    await client.greets()
    await client.asks(b"MAIL FROM:<\xff@corp.example>\r\n", "501 5.5.4")
    await client.asks(b"\xff\xfe\r\n", "500 5.5.2")


async def test_one_recipient_too_many_is_452_and_the_others_stay(
    listen: Callable[..., Sessions], desk: FakeDesk
) -> None:
    client = FakeClient(listen(max_recipients=2))
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks("RCPT TO:<a@partner.example>", "250 ")
    await client.asks("RCPT TO:<b@partner.example>", "250 ")
    await client.asks("RCPT TO:<c@partner.example>", "452 4.5.3 Too many recipients")
    await client.asks("DATA", "354 ")
    await client.asks(b"x\r\n.\r\n", "250 ")
    assert len(desk.accepted[0].envelope.recipients) == 2


async def test_one_message_too_many_ends_the_session(listen: Callable[..., Sessions]) -> None:
    client = FakeClient(listen(max_messages=2))
    await client.greets()
    await client.sends(b"x\r\n")
    await client.sends(b"x\r\n")
    await client.asks(MAIL, "421 4.7.0 Too many messages in one session")
    assert client.closed


async def test_whoever_guesses_recipients_is_cut_off(listen: Callable[..., Sessions], desk: FakeDesk) -> None:
    desk.refused_recipients = {f"{number}@partner.example": say.NO_ROUTE for number in range(10)}
    client = FakeClient(listen(max_bad_commands=3))
    await client.greets()
    await client.asks(MAIL, "250 ")
    for number in range(3):
        await client.asks(f"RCPT TO:<{number}@partner.example>", "550 5.4.4")
    await client.asks("RCPT TO:<4@partner.example>", "421 4.7.0 Too many refused recipients")
    assert client.closed


# -- time -------------------------------------------------------------------------------------------------------------

DEADLINES = Deadlines(greeting=10, command=100, data=50, message=200, session=1000)


@pytest.fixture
async def client(listen: Callable[..., Sessions]) -> FakeClient:
    return FakeClient(listen(deadlines=DEADLINES))


async def test_a_client_that_says_nothing_hears_421(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    await desk.clock.advance(99)
    assert await client.hears() == []
    await desk.clock.advance(2)
    await client.expects("421 4.4.2 Time ran out")
    assert client.closed
    assert len(client.session.sessions) == 0


async def test_each_command_has_its_own_time(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    for _ in range(5):
        await desk.clock.advance(90)
        await client.asks("NOOP", "250 ")


async def test_half_a_command_does_not_prolong_its_time(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    for _ in range(3):
        await desk.clock.advance(30)
        await client.feed(b"x")
    await desk.clock.advance(12)
    await client.expects("421 4.4.2")


async def test_a_message_that_stands_still_hears_421(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks(RCPT, "250 ")
    await client.asks("DATA", "354 ")
    await desk.clock.advance(40)
    await client.feed(b"x")
    await desk.clock.advance(40)
    assert await client.hears() == []
    await desk.clock.advance(12)
    await client.expects("421 4.4.2")
    assert client.closed
    assert desk.incoming["Q1"].abandoned


async def test_a_message_that_trickles_has_an_end(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks(RCPT, "250 ")
    await client.asks("DATA", "354 ")
    for _ in range(4):
        await desk.clock.advance(49)
        await client.feed(b"x")
    assert await client.hears() == []
    await desk.clock.advance(6)
    await client.expects("421 4.4.2")
    assert desk.incoming["Q1"].abandoned


async def test_a_chunk_that_trickles_stands_under_the_deadline_too(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    await client.asks("BDAT 1000")
    await desk.clock.advance(52)
    await client.expects("421 4.4.2")


async def test_a_session_has_an_end_whatever_it_does(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    for _ in range(11):
        await desk.clock.advance(90)
        await client.asks("NOOP", "250 ")
    await desk.clock.advance(12)
    await client.expects("421 4.4.2")
    assert client.closed


async def test_a_session_that_is_over_its_time_while_it_works_ends_after_its_answer(
    client: FakeClient, desk: FakeDesk
) -> None:
    desk.gate = asyncio.Event()
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks(RCPT, "250 ")
    await client.asks("DATA", "354 ")
    await client.feed(b"x\r\n.\r\nNOOP\r\n")
    await desk.clock.advance(60)
    desk.gate.set()
    await client.expects("250 2.0.0 Queued", "421 4.4.2")
    assert client.closed


# -- clients that do not read, or read nothing at all -----------------------------------------------------------------


async def test_a_client_that_sends_thousands_of_commands_at_once_lets_others_have_their_turn(
    listen: Callable[..., Sessions],
) -> None:
    sessions = listen()
    busy, other = FakeClient(sessions), FakeClient(sessions)
    await busy.greets()
    await other.greets()
    busy.session.data_received(b"NOOP\r\n" * (BURST * 60))
    other.session.data_received(b"NOOP\r\n")
    await settle()
    assert await other.hears() == ["250 2.0.0 OK"]
    assert busy.said.count(b"250 2.0.0 OK") < BURST * 60
    for _ in range(10):
        await settle()
    assert busy.said.count(b"250 2.0.0 OK") == BURST * 60


async def test_a_client_that_does_not_read_its_answers_is_not_read(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    client.transport.stalled = True
    flood = b"NOOP\r\n" * 100_000
    client.session.data_received(flood)
    for _ in range(5):
        await settle()
    answered = client.said.count(b"250 2.0.0 OK")
    assert 64 * 1024 < answered * 14 < 128 * 1024  # What the transport takes, and one burst.
    assert not client.transport.reading
    client.transport.read_on()
    for _ in range(60):
        await settle()
    assert client.said.count(b"250 2.0.0 OK") == 100_000
    assert client.transport.reading


async def test_a_client_that_never_reads_is_cut_off(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    client.transport.stalled = True
    client.session.data_received(b"NOOP\r\n" * 100_000)
    for _ in range(5):
        await settle()
    await desk.clock.advance(DRAIN - 1)
    assert not client.closed
    await desk.clock.advance(3)
    assert client.transport.aborted
    assert len(client.session.sessions) == 0


async def test_a_client_that_read_late_once_hears_421_like_any_other(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    client.transport.stalled = True
    client.session.data_received(b"NOOP\r\n" * 6000)
    for _ in range(5):
        await settle()
    assert client.session._writable is not None
    client.transport.read_on()
    for _ in range(10):
        await settle()
    await client.hears()
    await desk.clock.advance(102)
    await client.expects("421 4.4.2")
    assert not client.transport.aborted


async def test_a_client_that_leaves_our_last_words_unread_counts_until_it_is_cut_off(
    client: FakeClient, desk: FakeDesk
) -> None:
    # Its socket stays open until then, so many of them would take all that we may have.
    await client.greets()
    client.transport.stalled = True
    await client.feed(b"QUIT\r\n")
    assert client.closed
    assert len(client.session.sessions) == 1
    await desk.clock.advance(DRAIN + 2)
    assert client.transport.aborted
    assert len(client.session.sessions) == 0


async def test_a_write_to_a_client_that_is_gone_ends_the_session(client: FakeClient, desk: FakeDesk) -> None:
    await client.greets()
    client.transport.lossy = True
    await client.feed(b"NOOP\r\n")
    await client.feed(b"NOOP\r\n")
    assert len(client.session.sessions) == 0
    assert "session_fault" not in desk.events()
