"""Logging in: by name and password alone, slowly where it fails, and no longer than the account is there."""

from __future__ import annotations

import asyncio
import base64

from gateway.accounts.model import User
from tests.fakes.clock import FakeClock
from tests.fakes.imap import Client, ImapRoom, comes, tagged, untagged

PLAIN = base64.b64encode(b"\0ida\0geheim")


async def greeted(room: ImapRoom, **terms: object) -> Client:
    client = Client(room.server(**terms))
    assert (await client.until(b"* OK")).startswith(b"* OK [CAPABILITY IMAP4rev1 ")
    return client


async def test_a_password_opens_the_mailbox_by_each_of_the_ways(room: ImapRoom) -> None:
    server = room.server()
    for commands in (
        (b"LOGIN ida geheim",),
        (b'LOGIN "ida" {6+}\r\ngeheim',),
        (b"AUTHENTICATE PLAIN " + PLAIN,),
        (b"AUTHENTICATE PLAIN", PLAIN + b"\r\n"),
        (b"AUTHENTICATE LOGIN", base64.b64encode(b"ida") + b"\r\n", base64.b64encode(b"geheim") + b"\r\n"),
        (b"LOGIN {3}", b"ida {6}\r\n", b"geheim\r\n"),
    ):
        client = Client(server)
        await client.until(b"* OK")
        said = await client.ask(*commands)
        assert tagged(said).startswith(b"OK [CAPABILITY IMAP4rev1 "), commands
        assert b"AUTH=" not in tagged(said)
        client.hang_up()
    assert {name for name, _, _ in room.accounts.asked} == {"ida"}
    assert {address for _, _, address in room.accounts.asked} == {"192.0.2.7"}
    assert room.counted["log_ins_total", "127.0.0.1:993", "logged_in"] == 6


async def test_a_wrong_password_is_answered_late_and_three_end_the_connection(room: ImapRoom) -> None:
    assert isinstance(room.clock, FakeClock)
    room.accounts.delay = 2.0
    client = await greeted(room)
    for _ in range(3):
        asked = asyncio.ensure_future(client.ask("LOGIN ida falsch"))
        while not room.clock.sleepers:
            await asyncio.sleep(0.001)
        await room.clock.advance(1.9)
        assert not asked.done()
        await room.clock.advance(0.2)
        assert tagged(await asked).startswith(b"NO [AUTHENTICATIONFAILED] ")
    said = await client.ask("LOGIN ida geheim")
    assert said.startswith(b"* BYE ")
    assert client.transport.closed
    assert "falsch" not in repr(room.told)


async def test_nobody_acts_for_somebody_else(room: ImapRoom) -> None:
    client = await greeted(room)
    other = base64.b64encode(b"otto\0ida\0geheim")
    assert tagged(await client.ask(b"AUTHENTICATE PLAIN " + other)).startswith(b"NO [AUTHENTICATIONFAILED]")
    assert room.accounts.asked == []


async def test_what_is_no_base64_or_cancelled_or_unknown_logs_nobody_in(room: ImapRoom) -> None:
    client = await greeted(room)
    assert tagged(await client.ask(b"AUTHENTICATE PLAIN", b"*\r\n")).startswith(b"BAD Cancelled")
    assert tagged(await client.ask(b"AUTHENTICATE PLAIN", b"?\r\n")).startswith(b"BAD ")
    assert tagged(await client.ask(b"AUTHENTICATE PLAIN " + base64.b64encode(b"x"))).startswith(b"BAD ")
    assert tagged(await client.ask(b"AUTHENTICATE CRAM-MD5")).startswith(b"NO [CANNOT] ")
    assert tagged(await client.ask(b"LOGIN \xff \xfe")).startswith(b"BAD ")
    assert tagged(await client.ask(b"LOGIN {1+}\r\n\xff {1+}\r\n\xfe")).startswith(b"NO [AUTHENTICATIONFAILED]")
    assert tagged(await client.ask(b"SELECT INBOX")).startswith(b"BAD ")


async def test_accounts_that_are_away_are_asked_later(room: ImapRoom) -> None:
    room.accounts.away = True
    client = await greeted(room)
    assert tagged(await client.ask("LOGIN ida geheim")).startswith(b"NO [UNAVAILABLE] ")


async def test_an_account_without_a_mailbox_has_nothing_to_read(room: ImapRoom) -> None:
    room.accounts.users["otto"] = User(id="2", name="otto", epoch=0, addresses=("otto@corp.example",))
    room.accounts.passwords["otto"] = "geheim"
    client = await greeted(room)
    assert tagged(await client.ask("LOGIN otto geheim")).startswith(b"NO [AUTHORIZATIONFAILED] ")


async def test_one_person_has_so_many_connections_and_no_more(room: ImapRoom) -> None:
    server = room.server(max_connections_per_account=4)
    clients = [Client(server) for _ in range(5)]
    said = [await client.ask("LOGIN ida geheim") for client in clients]
    assert [tagged(one).split()[0] for one in said] == [b"OK"] * 4 + [b"NO"]
    clients[0].hang_up()
    await comes(lambda: server._hub._people["ida"] == 3)
    assert tagged(await clients[4].ask("LOGIN ida geheim")).startswith(b"OK ")


async def test_who_is_logged_in_is_thrown_out_once_the_account_is_gone(room: ImapRoom, client: Client) -> None:
    assert isinstance(room.clock, FakeClock)
    room.accounts.ended = True
    assert tagged(await client.ask("NOOP")).startswith(b"OK ")
    await room.clock.advance(61)
    said = await client.ask("NOOP")
    assert untagged(said)[0].startswith(b"BYE ")
    assert client.transport.closed
    assert "log_in_ended" in room.events()


async def test_accounts_that_are_away_throw_nobody_out(room: ImapRoom, client: Client) -> None:
    assert isinstance(room.clock, FakeClock)
    room.accounts.away = True
    await room.clock.advance(61)
    assert tagged(await client.ask("NOOP")).startswith(b"OK ")
