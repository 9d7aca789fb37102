"""The sessions of one listener: how many there may be, and how they end when the gateway stops."""

from __future__ import annotations

import asyncio

from gateway.smtp.desk import Terms
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import FakeClient, listening, settle

MAIL = "MAIL FROM:<ida@corp.example>"


async def test_one_connection_too_many_is_421_and_closed() -> None:
    desk = FakeDesk()
    sessions = listening(desk.desk, max_connections=2)
    first = FakeClient(sessions, ("192.0.2.1", 1))
    await first.expects("220 ")
    await FakeClient(sessions, ("192.0.2.2", 1)).expects("220 ")
    third = FakeClient(sessions, ("192.0.2.3", 1))
    await third.expects("421 4.7.0 Too many connections; please try again later")
    assert third.closed
    assert len(sessions) == 2
    await first.asks("QUIT", "221 ")
    await FakeClient(sessions, ("192.0.2.3", 2)).expects("220 ")


async def test_one_connection_of_a_client_too_many_is_421_and_others_may_come() -> None:
    desk = FakeDesk()
    sessions = listening(desk.desk, max_connections_per_client=2)
    first = FakeClient(sessions, ("192.0.2.1", 1))
    await FakeClient(sessions, ("192.0.2.1", 2)).expects("220 ")
    await FakeClient(sessions, ("192.0.2.1", 3)).expects("421 4.7.0")
    await FakeClient(sessions, ("192.0.2.2", 1)).expects("220 ")
    await first.expects("220 ")
    await first.asks("QUIT", "221 ")
    await FakeClient(sessions, ("192.0.2.1", 4)).expects("220 ")
    assert ("messages_refused_total", ("127.0.0.1:2525", "421")) in desk.counted


async def test_an_ipv4_client_is_the_same_on_an_ipv6_socket() -> None:
    sessions = listening(FakeDesk().desk, max_connections_per_client=1)
    await FakeClient(sessions, ("192.0.2.1", 1)).expects("220 ")
    await FakeClient(sessions, ("::ffff:192.0.2.1", 2)).expects("421 ")


async def test_new_terms_are_for_new_sessions() -> None:
    desk = FakeDesk()
    sessions = listening(desk.desk, max_recipients=1)
    old = FakeClient(sessions)
    await old.greets()
    sessions.terms = Terms.made(name="127.0.0.1:2525", hostname="new.corp.example")
    await FakeClient(sessions).expects("220 new.corp.example")
    await old.asks("HELO c", "250 mx.corp.example")


async def test_nothing_is_held_after_the_last_session() -> None:
    sessions = listening(FakeDesk().desk)
    clients = [FakeClient(sessions, (f"192.0.2.{number}", 1)) for number in range(5)]
    assert len(sessions) == 5
    for client in clients:
        client.transport.hang_up()
    await settle()
    assert len(sessions) == 0
    assert not sessions._clients


async def test_a_stop_ends_idle_sessions_with_421() -> None:
    sessions = listening(FakeDesk().desk)
    client = FakeClient(sessions)
    await client.greets()
    await sessions.drain(30)
    await client.expects("421 4.3.2 The gateway is stopping; please try again later")
    assert client.closed


async def test_a_stop_lets_the_message_under_way_finish() -> None:
    desk = FakeDesk()
    sessions = listening(desk.desk)
    client = FakeClient(sessions)
    await client.greets()
    await client.asks(MAIL, "250 ")
    draining = asyncio.get_running_loop().create_task(sessions.drain(30))
    await client.asks("RCPT TO:<otto@partner.example>", "250 ")
    await client.asks("DATA", "354 ")
    await client.asks(b"x\r\n.\r\n", "250 2.0.0 Queued", "421 4.3.2")
    await settle()
    assert draining.done()
    assert len(desk.accepted) == 1


async def test_a_stop_waits_for_the_commit() -> None:
    desk = FakeDesk()
    desk.gate = asyncio.Event()
    sessions = listening(desk.desk)
    client = FakeClient(sessions)
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks("RCPT TO:<otto@partner.example>", "250 ")
    await client.asks("DATA", "354 ")
    await client.feed(b"x\r\n.\r\n")
    draining = asyncio.get_running_loop().create_task(sessions.drain(30))
    await settle()
    assert not draining.done()
    desk.gate.set()
    await client.expects("250 2.0.0 Queued", "421 4.3.2")
    assert draining.done()


async def test_a_stop_cuts_off_who_takes_too_long() -> None:
    desk = FakeDesk()
    sessions = listening(desk.desk)
    client = FakeClient(sessions)
    await client.greets()
    await client.asks(MAIL, "250 ")
    draining = asyncio.get_running_loop().create_task(sessions.drain(30))
    await desk.clock.advance(29)
    assert not draining.done()
    await desk.clock.advance(2)
    assert draining.done()
    assert client.transport.aborted
    assert len(sessions) == 0


async def test_whoever_comes_while_it_stops_hears_421() -> None:
    sessions = listening(FakeDesk().desk)
    await sessions.drain(1)
    await FakeClient(sessions).expects("421 4.3.2 The gateway is stopping")
