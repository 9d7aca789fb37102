"""The client's side of a connection, against a next hop whose lines the test writes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from gateway.connectors.model import TlsLevel
from gateway.connectors.tls import STARTTLS_NOT_SUPPORTED, VALIDATION_FAILURE, TlsFault, outbound_context, tls_facts
from gateway.delivery.client import HostRefused, NextHop, Timeouts
from gateway.delivery.said import HopLost, HopOdd, HopSilent, HopUnreachable
from gateway.mail.message import Content, Held
from gateway.world.clock import SystemClock
from gateway.world.sockets import bind
from tests.fakes.certificates import make_certificate
from tests.fakes.nexthop import CLOSE, OFFERS, RESET, STALL, FakeNextHop

MESSAGE = Held(b"Subject: hello\r\n\r\n.dot\r\n..two\r\nend\r\n")
QUICK = Timeouts(connect=5, greeting=0.1, tls=5, ehlo=0.1, mail=0.1, rcpt=0.1, data=0.1, block=0.1, final=0.1, quit=0.1)
LONG = Timeouts()


@dataclass
class Blocks:
    """Content that comes in blocks, and may fail on the way."""

    parts: list[bytes]
    fails: Exception | None = None

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
        if self.fails:
            raise self.fails


async def connect(hop: FakeNextHop, timeouts: Timeouts = LONG) -> NextHop:
    return await NextHop.connect("127.0.0.1", hop.port, clock=SystemClock(), hostname="gw.test", timeouts=timeouts)


async def test_pipelined_transaction_carries_the_message_octet_for_octet() -> None:
    async with FakeNextHop() as hop:
        client = await connect(hop)
        done = await client.transact(b"a@x.example", [b"b@y.example"], b" SIZE=40", MESSAGE)
        await client.quit()
    assert done.clean
    assert done.final is not None
    assert done.final.line == "250 2.0.0 Queued as X1"
    assert hop.messages == [MESSAGE.octets]
    assert hop.commands == [
        [b"EHLO gw.test", b"MAIL FROM:<a@x.example> SIZE=40", b"RCPT TO:<b@y.example>", b"DATA", b"QUIT"]
    ]


async def test_one_connection_carries_many_messages_without_rset() -> None:
    async with FakeNextHop() as hop:
        client = await connect(hop)
        for _ in range(3):
            assert (await client.transact(b"", [b"b@y.example"], b"", MESSAGE)).clean
        assert client.alive
        await client.quit()
    assert b"RSET" not in hop.commands[0]
    assert len(hop.messages) == 3


async def test_without_pipelining_each_command_waits_for_the_reply_before() -> None:
    async with FakeNextHop({"RCPT": ["550 5.1.1 no", "250 ok"]}, offers=()) as hop:
        client = await connect(hop)
        done = await client.transact(b"a@x", [b"b@y", b"c@y"], b"", MESSAGE)
        await client.quit()
    assert [one.code if one else None for one in done.recipients] == [550, 250]
    assert done.clean


async def test_without_pipelining_no_data_is_said_when_nobody_was_accepted() -> None:
    async with FakeNextHop({"RCPT": "550 5.1.1 no"}, offers=()) as hop:
        client = await connect(hop)
        done = await client.transact(b"a@x", [b"b@y"], b"", MESSAGE)
        assert await client.reset()
        await client.quit()
    assert b"DATA" not in hop.commands[0]
    assert done.final is None
    assert done.fault is None


async def test_without_pipelining_nobody_is_named_when_mail_is_refused() -> None:
    async with FakeNextHop({"MAIL": "450 4.7.1 later"}, offers=()) as hop:
        client = await connect(hop)
        done = await client.transact(b"a@x", [b"b@y", b"c@y"], b"", MESSAGE)
        await client.quit()
    assert done.recipients == (None, None)
    assert hop.commands[0][2:] == [b"QUIT"]


async def test_lone_dot_when_data_is_taken_though_all_recipients_were_refused() -> None:
    async with FakeNextHop({"RCPT": "550 5.1.1 no"}) as hop:
        client = await connect(hop)
        done = await client.transact(b"a@x", [b"b@y"], b"", MESSAGE)
        await client.quit()
    assert hop.messages == [b""]
    assert done.recipients[0] is not None
    assert done.recipients[0].code == 550
    assert not done.clean


async def test_a_host_without_ehlo_gets_helo() -> None:
    async with FakeNextHop({"EHLO": "502 5.5.1 what"}) as hop:
        client = await connect(hop)
        assert (await client.transact(b"a@x", [b"b@y"], b"", MESSAGE)).clean
        await client.quit()
    assert hop.commands[0][:2] == [b"EHLO gw.test", b"HELO gw.test"]
    assert not client.offers.pipelining


@pytest.mark.parametrize("says", [{"greeting": "554 no mail here"}, {"EHLO": "450 busy"}, {"greeting": "421 busy"}])
async def test_a_host_that_says_no_before_mail_is_told_with_its_words(says: dict[str, str]) -> None:
    async with FakeNextHop(says) as hop:
        with pytest.raises(HostRefused, match=next(iter(says.values()))):
            await connect(hop)


async def test_a_port_nobody_listens_on_is_unreachable() -> None:
    door = bind("127.0.0.1", 0)
    port = door.getsockname()[1]
    door.close()
    with pytest.raises(HopUnreachable, match=f"no connection to 127.0.0.1 port {port}: "):
        await NextHop.connect("127.0.0.1", port, clock=SystemClock(), hostname="gw", timeouts=LONG)


@pytest.mark.parametrize("phase", ["greeting", "EHLO"])
async def test_a_host_that_is_silent_before_mail_is_given_up(phase: str) -> None:
    async with FakeNextHop({phase: STALL}) as hop:
        with pytest.raises(HopSilent):
            await connect(hop, QUICK)


@pytest.mark.parametrize(
    ("phase", "offers", "answered"),
    [("MAIL", OFFERS, 0), ("RCPT", OFFERS, 1), ("DATA", OFFERS, 2), (".", OFFERS, 2), ("RCPT", (), 1), ("DATA", (), 2)],
)
@pytest.mark.parametrize("how", [STALL, CLOSE, RESET])
async def test_each_phase_has_a_deadline_and_may_lose_the_connection(
    phase: str, offers: tuple[str, ...], answered: int, how: str
) -> None:
    async with FakeNextHop({phase: how}, offers=offers) as hop:
        client = await connect(hop, QUICK)
        done = await client.transact(b"a@x", [b"b@y"], b"", MESSAGE)
    assert sum(one is not None for one in (done.mail, *done.recipients)) == answered
    assert isinstance(done.fault, HopSilent if how == STALL else HopLost)
    assert done.final is None
    assert not client.alive


async def test_each_reply_gives_the_next_one_the_whole_deadline() -> None:
    async with FakeNextHop() as hop:
        client = await connect(hop)
        waiting = asyncio.ensure_future(client._replies(2, 100))
        await asyncio.sleep(0)
        client._deadline = asyncio.get_running_loop().time()  # As if the time were over,
        client.data_received(b"250 ok\r\n")  # but just in time a reply comes,
        client._time_out()
        assert client._fault is None  # and with it time for the next.
        client._deadline = asyncio.get_running_loop().time()
        client._time_out()
        with pytest.raises(HopSilent):
            await waiting


async def test_421_in_the_middle_ends_the_transaction_at_once() -> None:
    async with FakeNextHop({"RCPT": ["250 ok", "421 4.3.2 closing"]}) as hop:
        client = await connect(hop)
        done = await client.transact(b"a@x", [b"b@y", b"c@y", b"d@y"], b"", MESSAGE)
    assert [one.code if one else None for one in done.recipients] == [250, 421, None]
    assert "421 4.3.2 closing" in str(done.fault)


@pytest.mark.parametrize("answer", [b"999 odd\r\n", b"hello\r\n", b"250-" + b"x" * 9000 + b"\r\n", b"x" * 10_000_000])
async def test_an_odd_reply_is_a_passing_fault_with_clear_words(answer: bytes) -> None:
    async with FakeNextHop({".": answer}) as hop:
        client = await connect(hop)
        done = await client.transact(b"a@x", [b"b@y"], b"", MESSAGE)
    assert isinstance(done.fault, HopOdd)
    assert "reply" in str(done.fault)
    assert not client.alive


async def test_data_answered_with_250_is_odd_and_sends_nothing() -> None:
    async with FakeNextHop({"DATA": "250 ok"}) as hop:
        client = await connect(hop)
        done = await client.transact(b"a@x", [b"b@y"], b"", MESSAGE)
    assert isinstance(done.fault, HopOdd)
    assert hop.messages == []


async def test_a_reply_too_many_is_not_taken_for_the_next_one() -> None:
    """A host one reply ahead would have its 250 to RCPT taken for the reply to the message."""
    async with FakeNextHop({"MAIL": b"250 ok\r\n250 ok\r\n", "DATA": b"354 go\r\n250 early\r\n"}) as hop:
        client = await connect(hop)
        done = await client.transact(b"a@x", [b"b@y"], b"", MESSAGE)
    assert isinstance(done.fault, HopOdd)
    assert not done.clean


async def test_large_content_goes_in_blocks_with_its_dots_whole() -> None:
    line = b".x" * 300 + b"\r\n"
    octets = line * 4000
    parts = [octets[start : start + 99_991] for start in range(0, len(octets), 99_991)]
    for content in (Blocks(parts), Held(octets)):
        async with FakeNextHop() as hop:
            client = await connect(hop)
            assert (await client.transact(b"a@x", [b"b@y"], b"", content)).clean
            await client.quit()
        assert hop.messages == [octets]


async def test_content_without_a_last_line_end_gets_one() -> None:
    contents: list[Content] = [Held(b"a\r\nb"), Blocks([b"a\r", b"\nb"])]
    for content in contents:
        async with FakeNextHop() as hop:
            client = await connect(hop)
            await client.transact(b"a@x", [b"b@y"], b"", content)
            await client.quit()
        assert hop.messages == [b"a\r\nb\r\n"]


async def test_a_no_in_the_middle_of_the_content_counts_and_ends_the_connection() -> None:
    async with FakeNextHop({".": "552 5.3.4 too much"}, eager=100_000) as hop:
        client = await connect(hop)
        done = await client.transact(b"a@x", [b"b@y"], b"", Blocks([b"x" * 100_000 + b"\r\n"] * 200))
    assert done.final is not None
    assert done.final.code == 552
    assert not client.alive


async def test_a_host_that_stops_reading_is_given_up_after_the_block_deadline() -> None:
    async with FakeNextHop({".": STALL}, eager=10) as hop:
        client = await connect(hop, QUICK)
        done = await client.transact(b"a@x", [b"b@y"], b"", Blocks([b"x" * (1 << 20)] * 80))
    assert isinstance(done.fault, HopSilent)


async def test_content_that_fails_on_the_way_is_never_taken_for_whole() -> None:
    async with FakeNextHop() as hop:
        client = await connect(hop)
        with pytest.raises(OSError, match="disk"):
            await client.transact(b"a@x", [b"b@y"], b"", Blocks([b"half\r\n"], fails=OSError("disk")))
        assert not client.alive
    assert hop.messages == []


async def test_a_word_nobody_asked_for_makes_a_kept_connection_useless() -> None:
    async with FakeNextHop() as hop:
        client = await connect(hop)
        assert client.alive
        await hop.say(b"421 4.3.2 going down\r\n")
        while client.alive:
            await asyncio.sleep(0)
        assert not await client.reset()
        await client.quit()


# TLS


def opportunistic() -> ssl.SSLContext:
    return outbound_context(
        TlsLevel.OPPORTUNISTIC, trusted_ca=None, minimum_tls="1.2", client_certificate=None, client_key=None
    )


async def test_starttls_says_ehlo_again_and_tells_version_and_cipher(tmp_path: Path) -> None:
    context = make_certificate(tmp_path, "hop.test").server
    async with FakeNextHop(tls=context) as hop:
        client = await connect(hop)
        await client.secure(opportunistic(), "hop.test")
        assert not client.offers.starttls
        assert (await client.transact(b"a@x", [b"b@y"], b"", MESSAGE)).clean
        facts = tls_facts(client.stream)
        await client.quit()
    assert facts is not None
    assert facts[0] == "TLSv1.3"
    assert facts[1].startswith("TLS_")
    assert hop.commands[0][:3] == [b"EHLO gw.test", b"STARTTLS", b"EHLO gw.test"]
    assert hop.sni == ["hop.test"]
    assert hop.messages == [MESSAGE.octets]


@pytest.mark.parametrize("injected", [b"250-evil\r\n250 PIPELINING\r\n", b"250 half", b"junk\r\n"])
async def test_starttls_with_words_in_clear_behind_the_220_is_refused(tmp_path: Path, injected: bytes) -> None:
    """Somebody in the middle puts replies in clear behind the 220; they must not answer what is asked in TLS."""
    context = make_certificate(tmp_path, "hop.test").server
    async with FakeNextHop(tls=context, injects=injected) as hop:
        client = await connect(hop)
        with pytest.raises(TlsFault, match="in clear behind"):
            await client.secure(opportunistic(), "hop.test")
        assert not client.alive


async def test_a_refused_starttls_leaves_the_session_usable() -> None:
    async with FakeNextHop({"STARTTLS": "454 4.7.0 not now"}) as hop:
        client = await connect(hop)
        with pytest.raises(TlsFault) as caught:
            await client.secure(opportunistic(), "hop.test")
        assert caught.value.reason == STARTTLS_NOT_SUPPORTED
        assert client.alive
        await client.quit()


async def test_a_broken_handshake_is_a_fault_of_tls(tmp_path: Path) -> None:
    context = make_certificate(tmp_path, "hop.test").server
    async with FakeNextHop(tls=context, breaks_tls=True) as hop:
        client = await connect(hop)
        with pytest.raises(TlsFault) as caught:
            await client.secure(opportunistic(), "hop.test")
    assert caught.value.reason == VALIDATION_FAILURE
    assert not client.alive


@pytest.mark.parametrize(
    "story",
    [
        test_pipelined_transaction_carries_the_message_octet_for_octet,
        test_large_content_goes_in_blocks_with_its_dots_whole,
        test_a_host_that_stops_reading_is_given_up_after_the_block_deadline,
        test_a_no_in_the_middle_of_the_content_counts_and_ends_the_connection,
        test_a_word_nobody_asked_for_makes_a_kept_connection_useless,
        test_a_port_nobody_listens_on_is_unreachable,
    ],
)
def test_the_same_holds_on_uvloop(story: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


@pytest.mark.parametrize("how", [STALL, CLOSE, RESET])
@pytest.mark.parametrize(("phase", "answered"), [("MAIL", 0), ("RCPT", 1), (".", 2)])
def test_lost_connections_are_told_alike_on_uvloop(phase: str, answered: int, how: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_each_phase_has_a_deadline_and_may_lose_the_connection(phase, OFFERS, answered, how))
