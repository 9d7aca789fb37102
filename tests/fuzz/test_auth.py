"""Any octets within AUTH, in any pieces: proper replies, nobody let in, no password told, the session in step."""

from __future__ import annotations

import asyncio
import base64
import os
import re
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.observe.redact import redact
from tests.fakes.accounts import FakeAccounts, FakeTls
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import connected, settle

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
REPLY = re.compile(rb"[2-5][0-9][0-9][ -][\x20-\x7e]*")
INSIDE = re.compile(rb"Traceback|Error|Exception|object at|NoneType|\.py|Refused|asyncio")
SECRET = "falsches-passwort"


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


LINES = [
    b"AUTH PLAIN",
    b"AUTH LOGIN",
    b"AUTH plain =",
    b"AUTH PLAIN " + b64(b"\0ida\0" + SECRET.encode()),
    b"AUTH LOGIN " + b64(b"ida"),
    b"AUTH LOGIN " + b64(SECRET.encode()),
    b"AUTH CRAM-MD5",
    b"AUTH",
    b64(b"\0ida\0" + SECRET.encode()),
    b64(b"otto\0ida\0" + SECRET.encode()),
    b64(b"\0" * 5),
    b64(b"\xff\0\xff\0\xff"),
    b64(SECRET.encode()),
    b64(b"ida"),
    b"*",
    b"=",
    b"",
    b"A" * 12300,
    b"\xc3\xa9",
    b"EHLO again",
    b"RSET",
    b"MAIL FROM:<ida@corp.example>",
    b"RCPT TO:<otto@partner.example>",
    b"DATA",
    b"BDAT 5 LAST",
    b"STARTTLS",
]
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\0\r\n"])
SAID = st.lists(st.tuples(st.sampled_from(LINES) | st.binary(max_size=30), ENDS).map(b"".join), max_size=15).map(
    b"".join
)


async def heard(octets: bytes, cuts: list[int], away: bool) -> bytes:
    """All that is said to `octets`, cut at these places; checks what always holds."""
    desk = FakeDesk()
    accounts = FakeAccounts()
    accounts.away = away
    desk.desk.accounts = accounts
    client = connected(desk.desk, tls=FakeTls(), auth=True, submission=True, max_failed_log_ins=5)
    await client.feed(b"EHLO c\r\n")
    places = sorted({cut % (len(octets) + 1) for cut in cuts})
    await client.feed(*[octets[a:b] for a, b in zip([0, *places], [*places, len(octets)], strict=True)])
    said = client.said
    assert said.endswith(b"\r\n")
    assert all(REPLY.fullmatch(line) for line in said[:-2].split(b"\r\n")), said
    assert not INSIDE.search(said), said
    assert b"235 " not in said and client.session._user is None
    assert desk.accepted == []
    assert client.closed or client.session.inflow.is_waiting
    told = repr([redact(facts) for _, _, facts in desk.told]) + said.decode()
    assert SECRET not in told and b64(SECRET.encode()).decode() not in told
    for _ in range(4):
        if not client.closed:
            await client.feed(b"\r\nNOOP\r\n")
    assert client.closed or client.said.endswith(b"250 2.0.0 OK\r\n"), client.said
    client.transport.hang_up()
    await settle()
    task = client.session._task
    assert task is not None and task.done() and task.exception() is None
    return said


def test_any_exchange_lets_nobody_in_and_keeps_the_session_in_step() -> None:
    end = monotonic() + SECONDS
    with asyncio.Runner() as runner:

        @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
        @given(SAID, st.lists(st.integers(0, 1000), max_size=6), st.booleans())
        def play(octets: bytes, cuts: list[int], away: bool) -> None:
            if monotonic() > end + 30:  # Shrinking what was found has its time too.
                return
            assert runner.run(heard(octets, cuts, away)) == runner.run(heard(octets, [], away))

        while monotonic() < end:
            play()
