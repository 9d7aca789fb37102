"""APPEND: messages put in whole or not at all, and refused before they are sent where they are not wanted."""

from __future__ import annotations

import asyncio
import re

import pytest

from gateway.imap.memory import Memory
from gateway.mailboxes.faults import PolicyDenied
from gateway.storage.mailbox_blobs import BlobsAway
from gateway.storage.mailboxes.faults import BlobsCollected
from gateway.storage.mailboxes.model import WrappedKey
from gateway.storage.writer import StorageFull
from tests.fakes.clock import FakeClock
from tests.fakes.imap import Client, ImapRoom, tagged, untagged

ONE = b"Subject: One\r\n\r\nThe first.\r\n"


async def contents(client: Client, folder: str = "Sent") -> list[bytes]:
    await client.ask(f"EXAMINE {folder}")
    said = await client.ask("UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])")
    return re.findall(rb"\* \d+ FETCH \((.*?)\)\r\n(?=\* |a\d+ )", said, re.DOTALL)


async def test_a_message_is_put_in_with_flags_and_date(room: ImapRoom, client: Client) -> None:
    said = await client.ask(f'APPEND Sent (\\Seen $Work) " 3-Nov-2026 10:12:00 +0200" {{{len(ONE)}}}', ONE + b"\r\n")
    assert tagged(said) == b"OK [APPENDUID 1793700000 1] Put in"
    assert await contents(client) == [
        b'UID 1 FLAGS (\\Seen $Work) INTERNALDATE " 3-Nov-2026 08:12:00 +0000" BODY[] {%d}\r\n%b' % (len(ONE), ONE)
    ]


async def test_a_literal_that_nobody_asked_for_is_taken_whatever_its_size(client: Client) -> None:
    sizes = (1, 5000, 9000, 100_000, 1_500_000)
    for size in sizes:
        said = await client.ask(b'APPEND "Sent" {%d+}\r\n%b' % (size, b"x" * size))
        assert tagged(said).startswith(b"OK [APPENDUID ")
    for found, size in zip(await contents(client), sizes, strict=True):
        assert found.endswith(b"BODY[] {%d}\r\n%b" % (size, b"x" * size))


async def test_several_messages_are_put_in_at_once(client: Client) -> None:
    large = b"y" * 20_000
    said = await client.ask(
        b"APPEND Sent {%d+}\r\n%b (\\Flagged) {%d+}\r\n%b ~{2}" % (len(ONE), ONE, len(large), large), b"a\x00\r\n"
    )
    assert tagged(said) == b"OK [APPENDUID 1793700000 1:3] Put in"
    assert len(await contents(client)) == 3


async def test_the_folder_may_be_named_by_a_literal(client: Client) -> None:
    said = await client.ask(b"append {4+}\r\nSent {3+}\r\nabc {2+}\r\nde")
    assert tagged(said) == b"OK [APPENDUID 1793700000 1:2] Put in"
    assert tagged(await client.ask("APPEND {4}", b"Sent {3}\r\n", b"abc\r\n")).startswith(b"OK ")


async def test_so_many_messages_at_once_and_no_more(client: Client) -> None:
    assert tagged(await client.ask(b"APPEND Sent" + b" {1+}\r\nx" * 100)).startswith(b"OK ")
    client.feed(b"x APPEND Sent" + b" {1+}\r\nx" * 101 + b"\r\ny NOOP\r\n")
    assert b"x BAD " in await client.until(b"y ")


async def test_an_empty_message_takes_back_all_of_them(room: ImapRoom, client: Client) -> None:
    said = await client.ask(b"APPEND Sent {%d+}\r\n%b {0+}\r\n" % (len(ONE), ONE))
    assert tagged(said).startswith(b"NO ")
    assert await contents(client) == []


async def test_the_open_folder_tells_what_was_put_in(client: Client) -> None:
    await client.ask("SELECT Sent")
    assert untagged(await client.ask(b"APPEND Sent {%d+}\r\n%b" % (len(ONE), ONE))) == [b"1 EXISTS"]


async def test_a_folder_that_is_not_there_is_told_before_the_message_is_sent(client: Client) -> None:
    assert tagged(await client.ask("APPEND Nowhere {100}")).startswith(b"NO [TRYCREATE] ")
    assert tagged(await client.ask(b"APPEND Nowhere {20000+}\r\n" + b"x" * 20_000)).startswith(b"NO [TRYCREATE] ")
    assert tagged(await client.ask(b"APPEND Nowhere {3+}\r\nabc")).startswith(b"NO [TRYCREATE] ")
    assert tagged(await client.ask("NOOP")).startswith(b"OK ")


async def test_a_full_mailbox_is_told_before_the_message_is_sent(room: ImapRoom, client: Client) -> None:
    await room.store.set_quota(room.ida.id, 1000)
    await room.clock.sleep(0)
    fresh = Client(room.server())
    await fresh.log_in()
    assert tagged(await fresh.ask("APPEND Sent {1001}")).startswith(b"NO [OVERQUOTA] ")
    assert tagged(await fresh.ask(b"APPEND Sent {900+}\r\n" + b"x" * 900)).startswith(b"OK ")
    assert tagged(await fresh.ask(b"APPEND Sent {101+}\r\n" + b"x" * 101)).startswith(b"NO [OVERQUOTA] ")
    await fresh.ask("SELECT Sent")
    assert tagged(await fresh.ask("COPY 1 Archive")).startswith(b"NO [OVERQUOTA] ")


async def test_a_message_that_is_too_long_is_refused_unread(room: ImapRoom) -> None:
    client = Client(room.server(max_message_size=2048))
    await client.log_in()
    assert tagged(await client.ask("APPEND Sent {2049}")).startswith(b"NO [TOOBIG] ")
    assert tagged(await client.ask(b"APPEND Sent {2048+}\r\n" + b"x" * 2048)).startswith(b"OK ")
    client.feed(b"b1 APPEND Sent {9999999+}\r\n")
    assert (await client.until(b"* BYE")).startswith(b"* BYE [LIMIT] a literal has at most 2048 octets")
    assert client.transport.closed


async def test_several_messages_together_are_held_to_the_size_of_one(room: ImapRoom) -> None:
    server = room.server(max_message_size=2048)
    client = Client(server)
    await client.log_in()
    said = await client.ask(b"APPEND Sent {1500+}\r\n%b {1500+}\r\n%b" % (b"x" * 1500, b"y" * 1500))
    assert tagged(said).startswith(b"NO [TOOBIG] ")
    assert await contents(client) == []
    assert server._memory.free == server._memory._whole


async def test_who_holds_memory_waits_for_more_only_for_a_while(room: ImapRoom) -> None:
    server = room.server()
    server._memory = Memory(100)
    client = Client(server)
    await client.log_in()
    asking = asyncio.ensure_future(client.ask(b"APPEND Sent {60+}\r\n%b {60+}\r\n%b" % (b"x" * 60, b"y" * 60)))
    async with asyncio.timeout(30):
        while not server._memory._waiting:  # The first is held, and the second asked for: its patience has begun.
            await asyncio.sleep(0)
        assert server._memory.free == 40
        assert isinstance(room.clock, FakeClock)
        await room.clock.advance(61)
        assert tagged(await asking).startswith(b"NO [LIMIT] ")
    assert server._memory.free == 100
    assert tagged(await client.ask(b"APPEND Sent {60+}\r\n" + b"x" * 60)).startswith(b"OK ")


async def test_a_closed_mailbox_takes_nothing(room: ImapRoom, client: Client) -> None:
    room.keys.closed = PolicyDenied("both root keys are disabled")
    assert tagged(await client.ask("APPEND Sent {100}")).startswith(b"NO [UNAVAILABLE] ")
    assert tagged(await client.ask(b"APPEND Sent {3+}\r\nabc")).startswith(b"NO [UNAVAILABLE] ")


async def test_memory_comes_back_after_each_message(room: ImapRoom) -> None:
    server = room.server()
    client = Client(server)
    await client.log_in()
    await client.ask(b"APPEND Sent {20000+}\r\n" + b"x" * 20_000)
    await client.ask(b"APPEND Sent ({20000+}\r\n" + b"x" * 20_000)
    client.feed(b"c1 APPEND Sent {30000}\r\n")
    await client.until(b"+ ")
    assert server._memory.free == server._memory._whole - 30_000
    client.feed(b"x" * 100)
    client.hang_up()
    await server.close(1)
    assert server._memory.free == server._memory._whole


async def test_what_comes_behind_a_refused_message_is_a_command_again(client: Client) -> None:
    for bad in (
        b"APPEND Sent (( {20000+}",
        b"APPEND {20000+}",
        b"LOGIN x {20000+}",
        b"APPEND Sent (\\Nonsense) {20000+}",
    ):
        client.feed(b"x1 " + bad + b" {20000+}\r\n" + b"y" * 20_000 + b"\r\nx2 NOOP\r\n")
        said = await client.until(b"x2 ")
        assert re.search(rb"x1 (BAD|NO) [^\r]*\r\nx2 OK ", said), bad


@pytest.mark.parametrize("fault", [StorageFull("the disk is full"), BlobsAway("the bucket is away")])
async def test_of_several_messages_those_that_were_written_are_garbage_where_another_was_not(
    room: ImapRoom, client: Client, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """On a disk that is full each new try would else leave more of it, for a day."""
    put, count = room.blobs.put, 0

    async def fails_at_last(name: str, octets: bytes) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise fault
        await put(name, octets)

    monkeypatch.setattr(room.blobs, "put", fails_at_last)
    assert tagged(await client.ask(b"APPEND Sent" + b" {3+}\r\nabc" * 3)).startswith(b"NO [UNAVAILABLE] ")
    assert len(room.blobs.kept) == 2
    assert set(room.blobs.kept) <= set(await room.store.garbage(10))


async def test_a_key_that_was_rolled_meanwhile_is_no_reason_to_refuse(
    room: ImapRoom, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await room.store.get(room.ida.id)
    assert before is not None
    new = WrappedKey(version=2, policy=None, policy_version=0, octets=b"wrapped")
    assert await room.store.assign(before, new)  # As after a roll: nothing lies under the old one.
    assert tagged(await client.ask(b"APPEND Sent {3+}\r\nabc")).startswith(b"OK [APPENDUID ")
    whole = room.store.add
    calls = 0

    async def late(*arguments: object) -> list[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise BlobsCollected("too late")
        return await whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(room.store, "add", late)
    assert tagged(await client.ask(b"APPEND Sent {3+}\r\nabc")).startswith(b"OK [APPENDUID 1793700000 2] ")
