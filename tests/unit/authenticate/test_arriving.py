"""A message while it comes: what claims to be ours goes, all else stays, and a long body is hashed on the way."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from gateway.authenticate.arriving import SIGNED, Arrivals, Arriving
from gateway.authenticate.dkim.verify import Verifier
from gateway.authenticate.terms import AuthenticateTerms
from gateway.connectors.authenticated import AUTHENTICATED
from gateway.mail import reply as say
from gateway.mail.authentication import Verdict
from gateway.mail.body_hash import HashTerms
from gateway.mail.envelope import Client
from gateway.mail.message import MAX_HEAD, Message
from gateway.mail.reply import Refused
from gateway.storage.content import INLINE, SEGMENT
from tests.fakes.clock import FakeClock
from tests.fakes.desk import INBOUND, FakeIncoming
from tests.fakes.dkim import MESSAGE, NAME, body_form, record, sign
from tests.fakes.names import FakeNames

OURS = b"Authentication-Results: mx.corp.example; dkim=pass\r\n"
TRACE = b"Received: from x\r\n"
CLIENT = Client(address="192.0.2.7", port=1, helo="x", esmtp=True, listener="l", tls=None)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as one:
        yield one


class Stored(FakeIncoming):
    """As the spool has it: what is long does not lie in memory."""

    def __init__(self) -> None:
        super().__init__(SEGMENT, None, OSError())

    async def finish(self) -> Message:
        return await super().finish()


async def through(executor: ThreadPoolExecutor, octets: bytes, size: int = 1 << 16, **terms: Any) -> Message:
    """The message as it is kept."""
    incoming = Stored()
    incoming.write(TRACE)
    given: dict[str, Any] = {"authserv_id": b"mx.corp.example", "judged": True, **terms}
    one = Arriving(incoming, executor, **given)
    for start in range(0, len(octets), size):
        if one.write(octets[start : start + size]):
            await one.flush()
    message = await one.finish()
    assert message.head.startswith(TRACE)
    return replace(message, head=message.head[len(TRACE) :])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 16])
@pytest.mark.parametrize(
    ("came", "kept"),
    [
        (MESSAGE, MESSAGE),
        (OURS + MESSAGE, MESSAGE),
        (b"X: y\r\n" + OURS + OURS + MESSAGE, b"X: y\r\n" + MESSAGE),
        (b"\r\n" + OURS + b"\r\nbody", b"\r\n" + OURS + b"\r\nbody"),
        (MESSAGE + OURS + b"\r\n" + OURS, MESSAGE + OURS + b"\r\n" + OURS),
        (OURS, b""),
        (OURS + b"X: y\r\n", b"X: y\r\n"),
        (OURS[:-2], b""),
        (b"X: y", b"X: y"),
        (b"", b""),
        (OURS + b"\r\n", b"\r\n"),
        (OURS + b" continued\r\n\r\nx", b"\r\nx"),
        (b"X-Gateway-SMIME: decrypted\r\n" + MESSAGE, MESSAGE),
        (b"A: b\r\nx-gateway-smime :\r\n\tmore\r\n" + OURS + MESSAGE, b"A: b\r\n" + MESSAGE),
        (b"X-Gateway-X: 1\r\nA: X-Gateway-SMIME: 1\r\n\r\nx", b"X-Gateway-X: 1\r\nA: X-Gateway-SMIME: 1\r\n\r\nx"),
    ],
    ids=range(15),
)
async def test_fields_in_our_name_go_and_all_else_stays(
    executor: ThreadPoolExecutor, size: int, came: bytes, kept: bytes
) -> None:
    assert (await through(executor, came, size)).head == kept


async def test_nothing_is_kept_before_the_header_section_is_whole(executor: ThreadPoolExecutor) -> None:
    incoming = Stored()
    one = Arriving(incoming, executor, authserv_id=b"mx.corp.example")
    assert one.write(b"X: y\r\n") is False
    assert incoming.octets == b""
    one.write(b"\r")
    one.write(b"\nbody")
    assert incoming.octets == b"X: y\r\n\r\nbody"
    one.write(b"more")
    assert incoming.octets.endswith(b"bodymore")


async def test_a_header_section_too_large_is_refused_once_all_has_come(executor: ThreadPoolExecutor) -> None:
    large = b"X: " + b"x" * MAX_HEAD
    for octets in (large, large + b"\r\n\r\nbody", large + b"\r\n" + OURS + b"\r\nbody" * 100_000):
        with pytest.raises(Refused) as refused:
            await through(executor, octets)
        assert refused.value.reply is say.HEADER_TOO_LARGE
    fits = b"X: " + b"x" * (MAX_HEAD - 6) + b"\r\n"
    assert len(fits) == MAX_HEAD - 1
    assert (await through(executor, fits + b"\r\nbody")).head == fits + b"\r\nbody"


async def test_a_server_of_ours_may_have_a_large_header_section(executor: ThreadPoolExecutor) -> None:
    octets = b"X: " + b"x" * MAX_HEAD + b"\r\n\r\nbody"
    message = await through(executor, octets, authserv_id=None, signs=True, judged=False)
    assert message.head == octets


async def test_no_more_is_held_back_than_a_header_section_may_have(executor: ThreadPoolExecutor) -> None:
    """Whoever sends a header section that never ends does not fill our memory."""
    strangers = Arriving(Stored(), executor, authserv_id=b"mx.corp.example")
    incoming = Stored()
    ours = Arriving(incoming, executor, signs=True)
    block = b"X: " + b"x" * 65_531 + b"\r\n"
    tracemalloc.start()
    for _ in range(100):
        strangers.write(block)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 4 * MAX_HEAD
    with pytest.raises(Refused):
        await strangers.finish()
    for count in range(1, 6):  # Nothing is looked for in what comes from our own servers, so it goes on.
        ours.write(block)
        assert len(incoming.octets) == (0 if count * len(block) <= MAX_HEAD else count * len(block))


async def test_of_a_short_message_nothing_is_hashed(executor: ThreadPoolExecutor) -> None:
    octets = sign(MESSAGE)
    assert (await through(executor, octets, signs=True)).hashes is None
    fits = octets + b"x" * (INLINE - len(octets))
    assert (await through(executor, fits, signs=True)).hashes is None
    assert (await through(executor, fits + b"x", signs=True)).hashes is not None


@pytest.mark.parametrize("size", [1000, 65_536, 1 << 20])
async def test_a_long_body_is_hashed_as_its_signatures_ask(executor: ThreadPoolExecutor, size: int) -> None:
    body = MESSAGE + b"A line  of the body \r\n" * 60_000
    octets = sign(sign(body, c="simple/simple", s="a"), s="b", l="100")
    message = await through(executor, octets, size)
    plain = body.partition(b"\r\n\r\n")[2]
    assert message.hashes == {
        HashTerms("simple"): hashlib.sha256(body_form(plain, "simple")).digest(),
        HashTerms("relaxed"): hashlib.sha256(body_form(plain, "relaxed")).digest(),
        HashTerms("relaxed", length=100): hashlib.sha256(body_form(plain, "relaxed")[:100]).digest(),
    }
    known = FakeNames(texts={NAME.replace("sel.", f"{one}."): (record(),) for one in "ab"})
    found = await Verifier(known, FakeClock()).verify(message)
    assert [one.verdict for one in found.dkim] == [Verdict.POLICY, Verdict.PASS]


async def test_a_long_body_that_will_be_signed_is_hashed_for_that(executor: ThreadPoolExecutor) -> None:
    octets = MESSAGE + b"A line  of the body \r\n" * 20_000
    message = await through(executor, octets, authserv_id=None, judged=False, signs=True)
    plain = octets.partition(b"\r\n\r\n")[2]
    assert message.hashes == {SIGNED: hashlib.sha256(body_form(plain, "relaxed")).digest()}


async def test_a_long_body_that_nobody_signs_or_signed_is_not_hashed(executor: ThreadPoolExecutor) -> None:
    assert (await through(executor, MESSAGE + b"x" * INLINE)).hashes is None
    assert (await through(executor, sign(MESSAGE) + b"x" * INLINE, judged=False)).hashes is None


async def test_no_more_is_held_than_the_spool_holds(executor: ThreadPoolExecutor) -> None:
    incoming = Stored()
    one = Arriving(incoming, executor, signs=True)
    for block in [b"X: y\r\n\r\n", *[b"x" * 65_536] * 64]:
        if one.write(block):
            await one.flush()
            assert one._bodies == []
    assert incoming.flushed >= 3


async def test_a_full_disk_ends_it_and_no_thread_is_left_behind(executor: ThreadPoolExecutor) -> None:
    incoming = FakeIncoming(SEGMENT, SEGMENT, OSError(28, "full"))
    one = Arriving(incoming, executor, signs=True)
    assert not one.write(b"X: y\r\n\r\n")
    assert one.write(b"x" * (SEGMENT + 1))
    with pytest.raises(OSError, match="full"):
        await one.flush()
    assert executor._work_queue.empty()
    await one.abandon()
    assert incoming.abandoned


def arrivals(*, dkim: bool = True, signs: bool = False) -> Arrivals:
    terms = AuthenticateTerms(dkim=dkim, authserv_id="mx.corp.example")
    return Arrivals(terms, ThreadPoolExecutor(1), lambda client, connector: signs)


async def came(arrivals: Arrivals, inbound: Any, user: str | None = None) -> bytes:
    incoming = Stored()
    one = arrivals(incoming, replace(CLIENT, user=user), inbound)
    one.write(OURS + MESSAGE)
    return (await one.finish()).head


async def test_our_own_servers_keep_results_in_our_name() -> None:
    assert await came(arrivals(), INBOUND) == OURS + MESSAGE
    assert await came(arrivals(signs=True), INBOUND) == OURS + MESSAGE


async def test_a_server_of_ours_costs_nothing_where_nothing_is_signed() -> None:
    incoming = Stored()
    assert arrivals()(incoming, CLIENT, INBOUND) is incoming


async def test_everybody_else_loses_results_in_our_name() -> None:
    partner = replace(INBOUND, on_premises=False)
    assert await came(arrivals(), partner) == MESSAGE
    assert await came(arrivals(), None) == MESSAGE
    assert await came(arrivals(), AUTHENTICATED, "ida") == MESSAGE
    assert await came(arrivals(), partner, "ida") == MESSAGE
    assert await came(arrivals(dkim=False), partner) == MESSAGE
