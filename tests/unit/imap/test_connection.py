"""Limits of a connection: whatever comes is answered BAD or ends it, and nothing from inside the program is said."""

from __future__ import annotations

import asyncio
import re

import pytest

from gateway.imap.connection import MAX_BEFORE_LOG_IN
from gateway.imap.inflow import MAX_LINE
from tests.fakes.clock import FakeClock
from tests.fakes.imap import Client, ImapRoom, comes, tagged

ONE = b"Subject: One\r\n\r\nThe first.\r\n"


NONSENSE = [
    b"",
    b"x",
    b"\0\0\0",
    b"a1 ",
    b"a1 FETCH",
    b"* SELECT INBOX",
    b"a1 SELECT (",
    b"a1 LOGIN {}",
]


async def test_what_is_no_command_is_bad(client: Client) -> None:
    for octets in NONSENSE:
        client.feed(octets + b"\r\nz NOOP\r\n")
        said = await client.until(b"z ")
        assert re.match(rb"[\x21-\x7e]+ BAD [\x20-\x7e]+\r\nz OK ", said), said


async def test_too_many_bad_commands_end_the_connection(room: ImapRoom) -> None:
    client = Client(room.server(max_bad_commands=3))
    await client.log_in()
    for _ in range(2):
        assert tagged(await client.ask("NONSENSE")).startswith(b"BAD ")
    await client.ask("NOOP")
    for _ in range(2):
        await client.ask("NONSENSE")
    said = await client.ask("NONSENSE")
    assert said.startswith(b"* BYE Too many commands that make no sense\r\na7 BAD ")
    assert client.transport.closed


@pytest.mark.parametrize(
    ("octets", "word"),
    [
        (b"a1 NOOP " + b"x" * 2 * MAX_LINE + b"\r\n", b"a line has at most"),
        (b"a1 SEARCH" + (b" SUBJECT {8000+}\r\n" + b"x" * 8000) * 20, b"a command has at most"),
        (b"a1 SEARCH" + b" SUBJECT {1+}\r\nx" * 140, b"a command has at most"),
        (b"a1 LOGIN {99999999999999999999+}\r\n", b"a literal has at most"),
        (b"a1 LOGIN {4000000000+}\r\n", b"a literal has at most"),
    ],
)
async def test_too_much_ends_the_connection(client: Client, octets: bytes, word: bytes) -> None:
    client.feed(octets)
    said = await client.until(b"* BYE")
    assert said.startswith(b"* BYE [LIMIT] " + word)
    assert client.transport.closed


async def test_a_flood_of_commands_leaves_the_others_their_turn(room: ImapRoom) -> None:
    """Attack: commands sent one behind the other without waiting, by anybody who can connect. What had come already was
    carried out without a turn for anybody else, so that the process stood still for seconds, its keys closed because no
    vault answered in time, and nobody could log in.
    """
    server = room.server()
    loud, quiet = Client(server), Client(server)
    await loud.until(b"* OK")
    await quiet.until(b"* OK")
    loud.feed(b"x NOOP\r\n" * (MAX_BEFORE_LOG_IN - 1))
    quiet.feed(b"y NOOP\r\n")
    while b"y OK" not in quiet.transport.said:
        await asyncio.sleep(0)
    assert loud.transport.said.count(b"x OK") < MAX_BEFORE_LOG_IN // 2


async def test_who_does_not_log_in_gives_few_commands(room: ImapRoom) -> None:
    client = Client(room.server())
    client.feed(b"x NOOP\r\n" * (MAX_BEFORE_LOG_IN + 1))
    said = await client.until(b"* BYE")
    assert said.count(b"x OK") == MAX_BEFORE_LOG_IN and client.transport.closed
    assert said.endswith(b"* BYE [LIMIT] at most 100 commands come before logging in\r\n")
    other = Client(room.server())
    other.feed(b"x NOOP\r\n" * (MAX_BEFORE_LOG_IN - 1))
    await other.log_in()
    for _ in range(3):
        assert tagged(await other.ask("NOOP")).startswith(b"OK ")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (b"SEARCH TEXT {3+}\r\n\xff\xfe\x00", b"SEARCH: Invalid arguments."),
        (b"SEARCH LARGER " + b"9" * 5000, b"SEARCH: Invalid arguments."),
        (b"UID search " + b"OR SEEN " * 5000 + b"SEEN", b"UID SEARCH: Invalid arguments."),
        (b"FETCH 1 " + b"(" * 60, b"FETCH: Invalid arguments."),
        (b"NONSENSE", b"NONSENSE: Unknown command."),
    ],
)
async def test_bad_names_the_command_that_could_not_be_read(client: Client, command: bytes, words: bytes) -> None:
    """Whoever writes a mail program looks for the fault where it is: in the arguments, not in the command's name."""
    assert tagged(await client.ask(command)) == b"BAD " + words


async def test_nobody_sends_much_before_logging_in(room: ImapRoom) -> None:
    client = Client(room.server())
    assert tagged(await client.ask("APPEND INBOX {20000}")).startswith(b"NO ")
    client.feed(b"x APPEND INBOX {200000+}\r\n")
    assert b"* BYE [LIMIT] a literal has at most 131072 octets" in await client.until(b"* BYE")


async def test_a_literal_that_waits_is_limited_too(client: Client) -> None:
    assert tagged(await client.ask("SEARCH SUBJECT {5000}")).startswith(b"BAD ")
    assert tagged(await client.ask("SELECT {99999999999999999999}")).startswith(b"BAD ")


async def test_the_folder_of_append_is_no_way_to_fill_our_memory(room: ImapRoom) -> None:
    """Attack: before anybody has logged in, a literal of gigabytes as the folder's name, all of it in memory."""
    client = Client(room.server())
    for length in (5000, 4_000_000_000, 99999999999999999999):
        assert tagged(await client.ask(f"APPEND {{{length}}}")).startswith(b"BAD ")
    await client.log_in()
    assert tagged(await client.ask("APPEND {4000000000}")).startswith(b"BAD ")


async def test_who_does_not_log_in_within_a_minute_is_sent_away(room: ImapRoom) -> None:
    assert isinstance(room.clock, FakeClock)
    server = room.server()
    watching = asyncio.ensure_future(server.watch())
    client = Client(server)
    await client.until(b"* OK")
    for _ in range(5):
        client.feed(b"a NOOP\r\n")
        await room.clock.advance(11)
    assert not client.transport.closed
    await room.clock.advance(6)
    assert client.transport.closed
    watching.cancel()


async def test_who_stops_inside_of_a_command_is_sent_away(room: ImapRoom) -> None:
    assert isinstance(room.clock, FakeClock)
    server = room.server()
    watching = asyncio.ensure_future(server.watch())
    client = Client(server)
    await client.log_in()
    client.feed(b"x APPEND INBOX {1000}\r\n")
    await client.until(b"+ ")
    for _ in range(5):
        client.feed(b"y")
        await room.clock.advance(50)
    await asyncio.sleep(0)
    client.feed(b"y")
    assert client.transport.closed  # Each octet alone is no sign of life: a whole piece is.
    await comes(lambda: server._memory.free == server._memory._whole)
    watching.cancel()


@pytest.mark.parametrize(("pause", "is_taken"), [(7, True), (9, False)])
async def test_a_message_that_comes_in_drips_is_given_so_much_time_and_no_more(
    room: ImapRoom, pause: float, is_taken: bool
) -> None:
    """Else a client that sends a piece a minute would hold memory for days: 60 s and 16 KiB a second are its due."""
    assert isinstance(room.clock, FakeClock)
    server = room.server()
    watching = asyncio.ensure_future(server.watch())
    client = Client(server)
    await client.log_in()
    client.feed(b"x APPEND INBOX {1048576}\r\n")
    await client.until(b"+ ")
    for _ in range(16):
        if client.transport.closed:
            break
        client.feed(b"y" * 65_536)
        await room.clock.advance(pause)
    if is_taken:
        client.feed(b"\r\n")
        assert b"x OK " in await client.until(b"x ")
    assert client.transport.closed is not is_taken
    await comes(lambda: server._memory.free == server._memory._whole)
    watching.cancel()


async def test_what_is_read_over_holds_no_memory(room: ImapRoom) -> None:
    """A second message that is refused may take its time to come; the first is not kept for as long."""
    server = room.server(max_message_size=100_000)
    client = Client(server)
    await client.log_in()
    client.feed(b"x APPEND INBOX {60000}\r\n")
    await client.until(b"+ ")
    assert server._memory.free == server._memory._whole - 60_000
    client.feed(b"y" * 60_000 + b" {90000+}\r\n" + b"y" * 10)
    async with asyncio.timeout(30):
        while server._memory.free < server._memory._whole:
            await asyncio.sleep(0.001)
    client.feed(b"y" * 89_990 + b"\r\n")
    assert b"x NO [TOOBIG] " in await client.until(b"x ")


async def test_who_takes_in_drips_is_hung_up_on(room: ImapRoom) -> None:
    assert isinstance(room.clock, FakeClock)
    await room.put(b"Subject: x\r\n\r\n" + b"z" * 2_000_000)
    client = Client(room.server())
    await client.log_in()
    await client.ask("SELECT INBOX")
    client.transport.full = True
    client.feed(b"x FETCH 1 BODY.PEEK[]\r\n")
    for _ in range(4):  # Four slices, each taken in its own minute; all of them have 60 s and some 122 s.
        async with asyncio.timeout(30):
            while not room.clock.sleepers:
                await asyncio.sleep(0.001)
        await room.clock.advance(50)
        if client.transport.aborted:
            break
        client.visit.resume_writing()
        await asyncio.sleep(0.001)
    assert client.transport.aborted


async def test_who_does_not_read_is_hung_up_on(room: ImapRoom) -> None:
    assert isinstance(room.clock, FakeClock)
    await room.put(*[ONE] * 3)
    server = room.server()
    client = Client(server)
    await client.log_in()
    await client.ask("SELECT INBOX")
    client.transport.full = True
    client.feed(b"x FETCH 1:3 BODY.PEEK[]\r\n")
    clock = room.clock
    await comes(lambda: clock.sleepers > 0)
    await clock.advance(61)
    assert client.transport.aborted
    await comes(lambda: len(server) == 0)
    assert server._memory.free == server._memory._whole


async def test_so_many_connections_and_no_more(room: ImapRoom) -> None:
    server = room.server(max_connections=10, max_connections_per_client=4)
    same = [Client(server) for _ in range(5)]
    assert (await same[4].until(b"* ")).startswith(b"* BYE [LIMIT] Too many connections from your address")
    others = [Client(server, peer=f"192.0.2.{number}") for number in range(100, 107)]
    assert (await others[6].until(b"* ")).startswith(b"* BYE [LIMIT] Too many connections;")
    assert len(server) == 10
    same[0].hang_up()
    await comes(lambda: len(server) == 9)
    again = Client(server)
    assert (await again.until(b"* ")).startswith(b"* OK ")
    assert room.counted["imap_connections_refused_total", "127.0.0.1:993"] == 2


async def test_the_end_waits_for_the_command_under_way_and_says_goodbye(room: ImapRoom) -> None:
    await room.put(ONE)
    server = room.server()
    idle, busy = Client(server), Client(server)
    for client in (idle, busy):
        await client.log_in()
    await busy.ask("SELECT INBOX")
    busy.feed(b"x FETCH 1 BODY.PEEK[]\r\n")
    while not busy.visit._stream_reader.at_eof() and not server_busy(server):  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    await server.close(5)
    assert ONE in busy.heard()
    assert idle.heard().startswith(b"* BYE [UNAVAILABLE] ")
    assert idle.transport.closed
    assert busy.transport.closed
    late = Client(server)
    assert (await late.until(b"* ")).startswith(b"* BYE [UNAVAILABLE] ")


def server_busy(server: object) -> bool:
    return any(connection._state.is_busy for connection in server._open)  # type: ignore[attr-defined]


async def test_a_fault_of_ours_is_told_without_its_words_and_the_session_goes_on(
    room: ImapRoom, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(mailbox: int) -> None:
        raise ValueError("secret words")

    monkeypatch.setattr(room.store, "folders", broken)
    said = await client.ask('LIST "" "*"')
    assert tagged(said) == b"NO [SERVERBUG] Something failed here; please try again later"
    assert tagged(await client.ask("NOOP")).startswith(b"OK ")
    [facts] = [facts for level, event, facts in room.told if event == "imap_command_failed"]
    assert facts["command"] == "LIST"


async def test_the_same_is_said_wherever_packets_end(room: ImapRoom) -> None:
    dialog = (
        b"a LOGIN {3+}\r\nida {6}\r\ngeheim\r\nb SELECT Drafts\r\nc APPEND INBOX {%d}\r\n%b\r\nd NOOP\r\ne LOGOUT\r\n"
        % (len(ONE), ONE)
    )
    server = room.server()
    whole = Client(server)
    whole.feed(dialog)
    first = await whole.until(b"e ")
    pieces = Client(server)
    for at in range(len(dialog)):
        pieces.feed(dialog[at : at + 1])
        await asyncio.sleep(0)
    second = await pieces.until(b"e ")
    assert b"d OK " in first
    assert re.sub(rb"\d+", b"#", first) == re.sub(rb"\d+", b"#", second)
    assert whole.transport.closed
