"""IDLE: news within a second from other processes, at once from this one, until DONE or for half an hour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.imap.server import ImapServer
from gateway.storage.writer import StorageBroken
from tests.fakes.clock import FakeClock
from tests.fakes.imap import Client, ImapRoom, comes

ONE = b"Subject: One\r\n\r\nThe first.\r\n"


@pytest.fixture
async def server(room: ImapRoom) -> AsyncIterator[ImapServer]:
    """A server that looks at its clock."""
    server = room.server()
    watching = asyncio.ensure_future(server.watch())
    yield server
    await server.close(1)
    watching.cancel()


async def idling(server: ImapServer) -> Client:
    client = Client(server)
    await client.log_in()
    await client.ask("SELECT INBOX")
    client.feed(b"i1 IDLE\r\n")
    assert await client.until(b"+ ") == b"+ idling\r\n"
    return client


def quiet(room: ImapRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing happens in any folder, and that is known at once: so a test's clock may run."""

    async def revisions(folders: list[int]) -> dict[int, int]:
        return dict.fromkeys(folders, 0)

    monkeypatch.setattr(room.store, "revisions", revisions)


def clock_of(room: ImapRoom) -> FakeClock:
    assert isinstance(room.clock, FakeClock)
    return room.clock


async def test_a_delivery_by_another_process_is_told_within_a_second(room: ImapRoom, server: ImapServer) -> None:
    client = await idling(server)
    await room.put(ONE, ONE)
    await clock_of(room).advance(1)
    assert await client.until(b"* 2 EXISTS") == b"* 2 EXISTS\r\n"
    client.feed(b"done\r\n")
    assert (await client.until(b"i1 ")).startswith(b"i1 OK ")


async def test_a_change_by_this_process_is_told_at_once(room: ImapRoom, server: ImapServer) -> None:
    await room.put(ONE)
    client = await idling(server)
    other = Client(server)
    await other.log_in()
    await other.ask("SELECT INBOX")
    await other.ask("STORE 1 +FLAGS (\\Deleted)")
    assert await client.until(b"* 1 FETCH") == b"* 1 FETCH (FLAGS (\\Deleted))\r\n"
    await other.ask("EXPUNGE")
    assert await client.until(b"* 1 EXPUNGE") == b"* 1 EXPUNGE\r\n"
    await other.ask(b"APPEND INBOX {%d+}\r\n%b" % (len(ONE), ONE))
    assert await client.until(b"* 1 EXISTS") == b"* 1 EXISTS\r\n"


async def test_nobody_is_asked_where_nobody_waits(
    room: ImapRoom, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []

    async def revisions(folders: list[int]) -> dict[int, int]:
        asked.append(folders)
        return {}

    monkeypatch.setattr(room.store, "revisions", revisions)
    await clock_of(room).advance(5)
    assert asked == []
    clients = [await idling(server) for _ in range(3)]
    await clock_of(room).advance(1)
    assert len(asked) == 1  # One question for all who wait for one folder.
    for client in clients:
        client.feed(b"DONE\r\n")
        await client.until(b"i1 ")
    await clock_of(room).advance(1)
    assert len(asked) == 1


async def test_a_database_that_is_away_ends_nothing_and_is_told_once(
    room: ImapRoom, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await idling(server)

    async def away(folders: list[int]) -> dict[int, int]:
        raise StorageBroken("away")

    with monkeypatch.context() as patch:
        patch.setattr(room.store, "revisions", away)
        await clock_of(room).advance(3)
    assert room.events().count("imap_news_away") == 1
    await room.put(ONE)
    await clock_of(room).advance(1)
    assert await client.until(b"* 1 EXISTS") == b"* 1 EXISTS\r\n"


async def test_anything_but_done_is_bad_and_the_session_goes_on(room: ImapRoom, server: ImapServer) -> None:
    client = await idling(server)
    client.feed(b"NOOP\r\n")
    assert (await client.until(b"i1 ")).startswith(b"i1 BAD ")
    assert b" OK " in await client.ask("NOOP")


async def test_half_an_hour_without_a_word_ends_it(room: ImapRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(room, monkeypatch)
    assert room.server()._terms.idle == 1800
    server = room.server(idle=30.0)  # Half a minute here.
    watching = asyncio.ensure_future(server.watch())
    client = await idling(server)
    await clock_of(room).advance(29)
    assert not client.transport.closed
    await clock_of(room).advance(2)
    watching.cancel()
    assert client.heard().endswith(b"* BYE Autologout; idle for too long\r\n")
    assert client.transport.closed


async def test_who_idles_is_thrown_out_once_the_account_is_gone(
    room: ImapRoom, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet(room, monkeypatch)
    client = await idling(server)
    room.accounts.ended = True
    await clock_of(room).advance(121)
    assert b"* BYE " in await client.until(b"* BYE")
    assert client.transport.closed


async def test_who_goes_away_while_waiting_leaves_nothing(room: ImapRoom, server: ImapServer) -> None:
    client = await idling(server)
    client.hang_up()
    await comes(lambda: len(server) == 0)
    assert len(server._hub) == 0


async def test_a_deleted_folder_is_told_to_who_waits_for_it(room: ImapRoom, server: ImapServer) -> None:
    client = Client(server)
    await client.log_in()
    await client.ask("CREATE Work")
    await client.ask("SELECT Work")
    client.feed(b"i1 IDLE\r\n")
    await client.until(b"+ ")
    await room.store.delete_folder(room.ida.id, "Work")
    await clock_of(room).advance(1)
    assert (await client.until(b"* OK")).startswith(b"* OK [CLOSED] ")
    client.feed(b"DONE\r\n")
    assert (await client.until(b"i1 ")).startswith(b"i1 OK ")
