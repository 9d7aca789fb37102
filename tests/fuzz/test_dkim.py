"""Any octets as a signature, as a key record, as a message: a verdict in bounded time, and never a wrong pass."""

from __future__ import annotations

import asyncio
import os
from time import monotonic, perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.authenticate.dkim.findings import ALL, Finding
from gateway.authenticate.dkim.record import Records
from gateway.authenticate.dkim.signature import Unreadable, read_signature
from gateway.authenticate.dkim.verify import Verifier
from gateway.authenticate.results import claims, field, without_claims
from gateway.mail.authentication import Authentication, Verdict
from gateway.mail.message import MAX_HEAD, Held, Message
from tests.fakes.clock import FakeClock
from tests.fakes.dkim import MESSAGE, NAME, record, sign
from tests.fakes.names import FakeNames

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
SLOW = 2.0  # Seconds for one input on a busy machine.
GOOD = sign(MESSAGE, h="from:from:to:to:subject:subject:date:date:message-id:message-id")
SIGNATURE, _, _ = GOOD.partition(b"\r\nFrom")
WORDS = [
    *(
        b"v=1",
        b"a=rsa-sha256",
        b"a=ed25519-sha256",
        b"c=relaxed/relaxed",
        b"d=corp.example",
        b"s=sel",
        b"h=from",
        b"bh=",
    ),
    *(b"b=", b"i=@corp.example", b"l=0", b"l=999", b"x=1", b"t=1", b"q=dns/txt", b"p=", b"k=rsa", b"s=*", b"h=sha256"),
    *(b"v=DKIM1", b"t=y:s", b";", b"=", b":", b"\r\n ", b"\t", b" ", b"AAAA", b"\xff", b"\xc3\xa9", b"(", b")", b'"'),
    *(
        b"\\",
        b"\r\n",
        b"DKIM-Signature: ",
        b"Authentication-Results: mx.corp.example; dkim=pass",
        b"\0",
        b"From: x\r\n",
    ),
    *(b"Subject: y\r\n", b"mx.corp.example"),
]
PIECES = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)), max_size=30).map(b"".join)
FUZZ = settings(
    max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False
)


def fuzzed(test: object) -> None:
    """Run a property again and again for its share of the time."""
    until = monotonic() + SECONDS / 4
    while True:
        test()  # type: ignore[operator]
        if monotonic() > until:
            return


async def judged(octets: bytes, *records: bytes) -> Authentication:
    names = FakeNames(texts={NAME: records or (record(),)})
    began = perf_counter()
    found = await Verifier(names, FakeClock()).verify(Message(octets[:MAX_HEAD], Held(octets)))
    assert perf_counter() - began < SLOW
    for one in found.dkim:
        assert (one.verdict is Verdict.PASS) == (one.reason == "")
        assert one.reason == "" or ALL[one.reason].verdict is one.verdict
        assert (one.domain + one.selector + one.algorithm + one.start).isascii()
    told = field("mx.corp.example", found)
    assert told.endswith(b"\r\n")
    assert all(line[:1] in b"A\t" for line in told.split(b"\r\n")[:-1])
    assert b"\n" not in told.replace(b"\r\n", b"")
    return found


def test_any_signature_field_is_read_or_said_to_be_unreadable() -> None:
    @FUZZ
    @given(PIECES)
    def property(value: bytes) -> None:
        for raw in (b"DKIM-Signature:" + value, SIGNATURE + value, SIGNATURE.replace(b"d=", value, 1)):
            one = read_signature(raw)
            assert isinstance(one, Unreadable) or b"from" in one.names

    fuzzed(property)


def test_any_key_record_is_a_key_or_a_finding_and_none_makes_a_forgery_pass() -> None:
    @FUZZ
    @given(PIECES)
    def property(value: bytes) -> None:
        records = Records()
        for text in (value, record() + value, record().replace(b"p=", value, 1)):
            read = records.read(text)
            assert isinstance(read, Finding) or 1024 <= read.bits <= 4096 or read.kind == "ed25519"
            found = asyncio.run(judged(GOOD.replace(b"quarterly", b"yearly"), text))
            assert found.dkim[0].verdict is not Verdict.PASS

    fuzzed(property)


def test_no_change_of_what_was_signed_passes() -> None:
    @FUZZ
    @given(st.integers(0, len(MESSAGE) - 1), PIECES, st.integers(0, 20))
    def property(place: int, value: bytes, taken: int) -> None:
        start = len(GOOD) - len(MESSAGE) + place
        octets = GOOD[:start] + value + GOOD[start + taken :]
        found = asyncio.run(judged(octets))
        if any(one.verdict is Verdict.PASS for one in found.dkim):
            assert _plain(octets) == _plain(GOOD), "what relaxed canonicalisation does not pass over was changed"

    fuzzed(property)


def _plain(octets: bytes) -> bytes:
    """Without what the relaxed form leaves out or this signature does not cover."""
    head, _, body = octets.partition(b"\r\n\r\n")
    fields = sorted(b"".join(one.split()).lower() for one in head.replace(b"\r\n ", b" ").split(b"\r\n"))
    names = (b"from:", b"to:", b"subject:", b"date:", b"message-id:", b"dkim-signature:")
    return b"\n".join(one for one in fields if one.startswith(names)) + b"|" + b"".join(body.split())


def test_results_in_our_name_never_stay() -> None:
    ours = b"mx.corp.example"

    @FUZZ
    @given(PIECES, PIECES)
    def property(before: bytes, value: bytes) -> None:
        began = perf_counter()
        claims(value, ours)
        section = before.replace(b"\r\n\r\n", b"") + b"\r\nAuthentication-Results: " + ours + b"; x\r\n" + value
        left = without_claims(section, ours)
        assert perf_counter() - began < SLOW
        assert b"\r\nAuthentication-Results: " + ours + b"; x" not in left
        assert without_claims(left, ours) == left or b"authentication-results" in left.lower()

    fuzzed(property)
