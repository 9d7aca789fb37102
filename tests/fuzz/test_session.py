"""Any octets, in any pieces, on a session: proper replies or a closed connection, the session in step afterwards."""

from __future__ import annotations

import asyncio
import os
import re
from time import monotonic
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.storage.writer import StorageFull
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import FakeClient, connected, settle

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10")) * 1.5  # The door of all: half as long again.
REPLY = re.compile(rb"[2-5][0-9][0-9][ -][\x20-\x7e]*")
# Words that only a program's inside would say.
INSIDE = re.compile(rb"Traceback|Error|Exception|object at|NoneType|\.py|secret|Refused|asyncio")

# Parts from which sessions get further than random octets ever would.
COMMANDS = [
    b"EHLO c.example\r\n",
    b"HELO [192.0.2.1]\r\n",
    b"EHLO \xc3\xa9\r\n",
    b"MAIL FROM:<ida@corp.example>\r\n",
    b"MAIL FROM:<> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x\r\n",
    b"MAIL FROM:<j\xc3\xb6rg@k\xc3\xb6ln.example> SMTPUTF8\r\n",
    b"RCPT TO:<otto@partner.example>\r\n",
    b'RCPT TO:<"a>b"@partner.example> NOTIFY=NEVER ORCPT=rfc822;x\r\n',
    b"DATA\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY x\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN AA==\r\n",
    b"HELP\r\n",
    b"BDAT 12\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 40 LAST\r\n",
    b"BDAT x\r\n",
    b"BDAT 3\r\nx\r\n",
    b"BDAT 1\r\n\r",
    b"BDAT 1 LAST\r\n\n",
    b"BDAT 2000\r\n",
    b"BDAT 99999999999 LAST\r\n",
    b"QUIT\r\n",
]
LINES = [
    b"Subject: x\r\n",
    b"Received: x\r\n",
    b"\r\n",
    b"..\r\n",
    b".x\r\n",
    b"\r\n.\r\n",
    b".\r\n",
    b"x" * 1200,
    b"\xff\xfe\r\n",
]
PIECES = [
    b"\r",
    b"\n",
    b".",
    b"\0",
    b" ",
    b"<",
    b">",
    b"MAIL FROM:",
    b"RCPT TO:",
    b"\r\n.\n",
    b"\n.\r\n",
    b"\n.\n",
    b"\x16\x03\x01",
]
WHOLE = [
    b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n",
    b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nx\r\n.\r\n",
    b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nBDAT 5\r\na\r\nb\r",
    b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nBDAT 5\r\n.\r\nb\rBDAT 1 LAST\r\n\n",
]
OCTETS = st.one_of(
    st.lists(st.sampled_from(COMMANDS + LINES + PIECES + WHOLE) | st.binary(max_size=12), max_size=25).map(b"".join),
    st.lists(st.sampled_from(COMMANDS + WHOLE + LINES), max_size=40).map(lambda parts: b"EHLO c\r\n" + b"".join(parts)),
    st.binary(max_size=300),
)
FAULTS = st.sampled_from([None, None, None, ValueError("secret"), StorageFull("secret"), OSError(5, "secret")])
TERMS = st.sampled_from(
    [
        {},
        {"normalize": True},
        {"max_message_size": 1024},
        {"max_line_length": 998},
        {"max_messages": 1, "max_recipients": 1},
    ]
)


async def heard(octets: bytes, cuts: list[int], fault: Exception | None, terms: dict[str, Any]) -> tuple[bytes, bool]:
    """All that the gateway says to `octets`, cut at these places, and whether it hung up; checks what always holds."""
    desk = FakeDesk()
    desk.accept_raises = fault
    client = connected(desk.desk, **terms)
    places = sorted({cut % (len(octets) + 1) for cut in cuts})
    await client.feed(*[octets[a:b] for a, b in zip([0, *places], [*places, len(octets)], strict=True)])
    check(client, desk, terms)
    said, closed = client.said, client.closed
    await check_step(client)
    client.transport.hang_up()
    await settle()
    task = client.session._task
    assert task is not None
    assert task.done()
    assert task.exception() is None
    assert len(client.session.sessions) == 0
    assert all(one.abandoned for id_, one in desk.incoming.items() if id_ not in {mail.id for mail in desk.accepted})
    return said, closed


def check(client: FakeClient, desk: FakeDesk, terms: dict[str, Any]) -> None:
    """Proper replies, no word from inside, and messages that are whole."""
    said = client.said
    assert said.endswith(b"\r\n")
    assert all(REPLY.fullmatch(line) for line in said[:-2].split(b"\r\n")), said
    assert not INSIDE.search(said), said
    assert client.closed or client.session.inflow.is_waiting
    assert said.count(b" Queued as ") == len(desk.accepted)
    for mail in desk.accepted:
        octets = mail.message.head
        assert mail.envelope.recipients
        assert octets.startswith(b"Received: from ")
        assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
        assert octets.endswith(b"\r\n")
        assert len(mail.envelope.recipients) <= terms.get("max_recipients", 1000)
    faults = [facts for _, event, facts in desk.told if event == "session_fault"]
    assert len(faults) <= said.count(b"\r\n451 4.3.0")
    assert all(facts["error"] is desk.accept_raises for facts in faults)


async def check_step(client: FakeClient) -> None:
    """Whatever was left open, a message or a chunk, comes to its end, and then a NOOP is answered."""
    for again in range(6):
        if client.closed or (again and client.said.endswith(b"250 2.0.0 OK\r\n")):
            return
        # The last time enough for the largest chunk that such parts announce.
        await client.feed(b"\r\n.\r\nNOOP\r\n" * (1 if again < 5 else 10_000))
    assert client.closed or client.said.endswith(b"250 2.0.0 OK\r\n"), client.said


def test_any_octets_get_proper_replies_or_a_closed_connection() -> None:
    end = monotonic() + SECONDS
    with asyncio.Runner() as runner:

        @settings(
            max_examples=200,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(OCTETS, st.lists(st.integers(0, 1000), max_size=6), FAULTS, TERMS)
        def play(octets: bytes, cuts: list[int], fault: Exception | None, terms: dict[str, Any]) -> None:
            if monotonic() > end + 30:  # Shrinking what was found has its time too.
                return
            in_pieces = runner.run(heard(octets, cuts, fault, terms))
            assert in_pieces == runner.run(heard(octets, [], fault, terms))
            line_ends = [place + 1 for place, octet in enumerate(octets) if octet == 10]
            assert in_pieces == runner.run(heard(octets, line_ends, fault, terms))

        while monotonic() < end:
            play()
