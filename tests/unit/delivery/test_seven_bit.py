"""A copy of 7 bits for a host without 8BITMIME, made while it is read."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncGenerator

import pytest

from gateway.delivery.attempt import Attempts
from gateway.delivery.outcome import Outcome, Verdict
from gateway.delivery.seven_bit import ON_THE_LOOP, Conversion, NotNow, convert_unsigned, planned, rewritten
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Target
from gateway.mail.downgrade import Unconvertible
from gateway.mail.edit import Edit
from gateway.mail.envelope import Body
from gateway.mail.message import Content, Held
from gateway.storage.sealer import SealBroken
from gateway.world.clock import SystemClock
from tests.fakes.chance import FakeChance
from tests.fakes.names import FakeNames
from tests.fakes.nexthop import FakeNextHop
from tests.fakes.outbounds import make_outbound

HEAD = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
EIGHT = Held(HEAD + b"Gr\xc3\xbc\xc3\x9fe aus der Stadt\r\n")
SEVEN = HEAD.replace(b"8bit", b"quoted-printable") + b"Gr=C3=BC=C3=9Fe aus der Stadt\r\n"
SIGNED = Held(b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xc3\xbc\r\n--b--\r\n")
CONVERTED = Conversion(encodings=("quoted-printable",))


class Streamed:
    """Content too large for memory, in blocks. `broken`: its octets end with an error."""

    def __init__(self, octets: bytes, *, block: int = 1 << 20, broken: bool = False) -> None:
        self._octets = octets
        self._block = block
        self._broken = broken
        self.readings = 0
        self.open = 0

    @property
    def size(self) -> int:
        return len(self._octets)

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        self.readings += 1
        self.open += 1
        try:
            for start in range(0, len(self._octets), self._block):
                await asyncio.sleep(0)
                yield self._octets[start : start + self._block]
            if self._broken:
                raise SealBroken("the content of Q is broken")
        finally:
            self.open -= 1


def delivery(*, body: Body = Body.EIGHT_BIT_MIME, smtputf8: bool = False, to: str = "otto@x.test") -> Delivery:
    return Delivery(
        id="Q.1", message="Q", connector="out", destination="", sender=parse_address("ida@corp.example"),
        targets=(Target(address=parse_address(to)),), size=10, created=0, next_attempt=0, body=body, smtputf8=smtputf8,
    )  # fmt: skip


async def sent(hop: FakeNextHop, what: Delivery, content: Content, *, times: int = 1, **how: object) -> Outcome:
    made = Attempts(names=FakeNames(), clock=SystemClock(), chance=FakeChance(), hostname="gw.test", **how)  # type: ignore[arg-type]
    outbound = make_outbound(("127.0.0.1", hop.port))
    try:
        for _ in range(times):
            outcome = await made.attempt(what, outbound, content)
        return outcome
    finally:
        await made.close()


async def read(content: Content) -> bytes:
    if content.inline is not None:
        return content.inline
    return b"".join([block async for block in content.blocks()])


async def test_seven_bits_are_handed_back_as_they_came() -> None:
    for content in (Held(b"Subject: a\r\n\r\nb\r\n"), Streamed(b"Subject: a\r\n\r\nb\r\n" * 1000)):
        assert await convert_unsigned(delivery(), content) == (content, None)


@pytest.mark.parametrize("block", [1 << 20, 1000, 7])
async def test_a_streamed_copy_is_the_same_as_one_made_at_once(block: int) -> None:
    octets = EIGHT.octets + "Überall, tous les élèves, = \r\n".encode() * 500
    content = Streamed(octets, block=block)
    converted, _ = await convert_unsigned(delivery(), content)
    assert converted.inline is None
    at_once, _ = await convert_unsigned(delivery(), Held(octets))
    assert await read(converted) == await read(at_once)
    assert await read(converted) == await read(at_once)  # As often as one likes.
    assert converted.size == at_once.size
    assert content.open == 0


async def test_octets_in_front_may_be_left_out() -> None:
    for content in (Held(b"X: y\r\n" + EIGHT.octets), Streamed(b"X: y\r\n" + EIGHT.octets)):
        converted = await rewritten(content, (Edit(0, 6), *(await planned(content)).edits))
        assert await read(converted) == SEVEN
        assert converted.size == len(SEVEN)


async def test_large_octets_are_worked_on_in_threads_and_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    before = threading.active_count()
    aside = asyncio.to_thread

    async def watched(work: object, octets: bytes) -> object:
        seen.add(len(octets))
        return await aside(work, octets)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "to_thread", watched)
    content = Streamed(HEAD + b"\xc3\xbc" * 40 * (1 << 16))
    converted, _ = await convert_unsigned(delivery(), content)
    pieces = [block async for block in converted.blocks()]
    assert max(map(len, pieces)) <= 1 << 20
    assert sum(map(len, pieces)) == converted.size
    assert min(seen) > ON_THE_LOOP
    assert base64.b64decode(b"".join(pieces).partition(b"\r\n\r\n")[2]) == b"\xc3\xbc" * 40 * (1 << 16)
    assert threading.active_count() < before + 50


async def test_a_reading_that_is_given_up_closes_what_it_read() -> None:
    content = Streamed(HEAD + b"\xc3\xbc" * (1 << 20))
    converted, _ = await convert_unsigned(delivery(), content)
    blocks = converted.blocks()
    assert isinstance(blocks, AsyncGenerator)
    await anext(blocks)
    assert content.open == 1
    await blocks.aclose()
    assert content.open == 0


@pytest.mark.parametrize("body", [Body.EIGHT_BIT_MIME, Body.SEVEN_BIT])
async def test_a_host_without_8bitmime_gets_seven_bits(body: Body) -> None:
    """dkim-04. Whether the client declared its 8 bits makes no difference to the host."""
    async with FakeNextHop(offers=("SIZE",)) as hop:
        outcome = await sent(hop, delivery(body=body), EIGHT)
    assert hop.messages == [SEVEN]
    assert hop.commands[0][1] == b"MAIL FROM:<ida@corp.example> SIZE=%d" % len(SEVEN)
    assert [one.converted for one in outcome.hops] == [CONVERTED]
    assert outcome.results[0].verdict is Verdict.SENT


async def test_a_host_with_8bitmime_gets_the_original() -> None:
    async with FakeNextHop() as hop:
        outcome = await sent(hop, delivery(), EIGHT)
    assert hop.messages == [EIGHT.octets]
    assert [one.converted for one in outcome.hops] == [None]


async def test_a_kept_connection_converts_as_a_new_one_does() -> None:
    async with FakeNextHop(offers=()) as hop:
        await sent(hop, delivery(), EIGHT, times=2)
    assert len(hop.commands) == 1
    assert hop.messages == [SEVEN] * 2


async def test_each_host_of_an_attempt_gets_what_it_can_take() -> None:
    """The first knows no 8BITMIME and is busy; the second knows it and gets the original."""
    async with FakeNextHop({"MAIL": "421 4.3.2 busy"}, offers=()) as first, FakeNextHop() as second:
        made = Attempts(names=FakeNames(), clock=SystemClock(), chance=FakeChance(), hostname="gw.test")
        outbound = make_outbound(("127.0.0.1", first.port), ("127.0.0.1", second.port))
        outcome = await made.attempt(delivery(), outbound, EIGHT)
        await made.close()
    assert second.messages == [EIGHT.octets]
    assert [one.converted for one in outcome.hops] == [None, None]


async def test_what_is_signed_ends_with_5_6_3_and_the_connection_is_kept() -> None:
    async with FakeNextHop(offers=()) as hop:
        outcome = await sent(hop, delivery(), SIGNED, times=2)
        assert len(hop.commands) == 1
    assert hop.messages == []
    (result,) = outcome.results
    assert (result.verdict, result.enhanced) == (Verdict.NEVER, "5.6.3")
    assert "a part is signed" in result.reply


async def test_what_is_signed_and_was_not_declared_leaves_as_it_came() -> None:
    async with FakeNextHop(offers=()) as hop:
        outcome = await sent(hop, delivery(body=Body.SEVEN_BIT), SIGNED)
    assert hop.messages == [SIGNED.octets]
    assert outcome.results[0].verdict is Verdict.SENT


@pytest.mark.parametrize(
    ("octets", "smtputf8", "enhanced"),
    [
        (b"Subject: \xc3\xbc\r\n\r\n\xc3\xbc\r\n", True, "5.6.7"),
        (b"Subject: \xc3\xbc\r\n\r\n\xc3\xbc\r\n", False, "5.6.3"),
        (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; name=\xc3\xbc\r\n\r\n"
            b"a\r\n--b--\r\n",
            True,
            "5.6.7",
        ),
    ],
)
async def test_header_fields_beyond_ascii_are_for_smtputf8_to_judge(
    octets: bytes, smtputf8: bool, enhanced: str
) -> None:
    async with FakeNextHop(offers=()) as hop:
        outcome = await sent(hop, delivery(smtputf8=smtputf8), Held(octets))
    assert hop.messages == []
    assert outcome.results[0].enhanced == enhanced


async def test_smtputf8_that_nothing_needs_is_converted_like_any() -> None:
    async with FakeNextHop(offers=()) as hop:
        await sent(hop, delivery(smtputf8=True), EIGHT)
    assert hop.messages == [SEVEN]


async def test_where_it_can_not_be_signed_now_it_waits() -> None:
    async def away(_delivery: Delivery, _content: Content, /) -> tuple[Content, Conversion | None]:
        raise NotNow("the vault does not answer")

    async with FakeNextHop(offers=()) as hop:
        outcome = await sent(hop, delivery(), EIGHT, convert=away)
        assert hop.messages == []
    (result,) = outcome.results
    assert (result.verdict, result.reason) == (Verdict.LATER, "the vault does not answer")
    assert not outcome.unreachable


async def test_a_copy_that_does_not_suit_the_hosts_size_is_not_sent() -> None:
    async with FakeNextHop(offers=(f"SIZE {len(SEVEN) - 1}",)) as hop:
        outcome = await sent(hop, delivery(), EIGHT)
    assert len(EIGHT.octets) < len(SEVEN)
    assert outcome.results[0].enhanced == "5.3.4"


async def test_broken_content_is_raised_and_nobody_gets_half_of_it() -> None:
    async with FakeNextHop(offers=()) as hop:
        with pytest.raises(SealBroken):
            await sent(hop, delivery(), Streamed(EIGHT.octets, broken=True))
    assert hop.messages == []


async def test_unconvertible_content_is_told_by_name() -> None:
    with pytest.raises(Unconvertible, match="a part is signed"):
        await planned(SIGNED)
