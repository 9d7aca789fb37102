"""Any message, signed: there is a reason why it can't be, or what we sign is what our own verifier takes for good."""

from __future__ import annotations

import asyncio
import os
from time import monotonic, perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.authenticate.dkim.publish import record_name, record_text
from gateway.authenticate.dkim.verify import Verifier
from gateway.mail.authentication import Verdict
from gateway.mail.message import MAX_HEAD, Held, Message
from tests.fakes.clock import FakeClock
from tests.fakes.names import FakeNames
from tests.fakes.signing import House, key_of, mail_of
from tests.fakes.vault import FakeVault

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
SLOW = 2.0  # Seconds for one input on a busy machine.
LINES = st.lists(
    st.sampled_from(
        [
            b"From: Ida <ida@corp.example>",
            b"From: ida@de.corp.example",
            b'from :\t"x" <"a b"@corp.example>',
            b"From: a@corp.example, b@corp.example",
            b"From: a@corp.example, b@else.example",
            b"From: x@corp.example <y@else.example>",
            b"From: g: ida@corp.example;",
            b"From ida Tue",
            b"To:",
            b"To: \xff\xfe,\r\n\t ",
            b"Subject: a  b \t",
            b"SUBJECT:\r\n \r\n\tx",
            b"Date: x",
            b"DKIM-Signature: v=1; a=rsa-sha256; d=corp.example; b=",
            b"no field",
            b" goes on",
            b": no name",
            b"X\x00: y",
            b"List-Id: <x>",
        ]
    )
    | st.binary(max_size=30).map(lambda octets: octets.replace(b"\r", b"").replace(b"\n", b"")),
    max_size=14,
)
BODIES = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\x00", b"\xff", b"."]), max_size=40).map(b"".join)
FUZZ = settings(
    max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False
)


def test_what_is_signed_holds_and_all_else_goes_on_as_it_came() -> None:
    vault = FakeVault()
    key = key_of(vault)
    house = House(vault, key)
    names = FakeNames(texts={record_name(key): (record_text(key).encode(),)})

    async def check(octets: bytes) -> None:
        began = perf_counter()
        mail = await house.signing.sign(mail_of(octets))
        assert perf_counter() - began < SLOW
        made = mail.message.content.inline or b""
        if mail.signed is None or mail.signed.reason is not None:
            assert made == octets
            return
        assert made.endswith(octets)
        assert max(map(len, made[: len(made) - len(octets)].split(b"\r\n"))) <= 77
        # Our verifier is stricter than others about a line out of a mailbox file, over which signing reads.
        if b"\nFrom " in b"\n" + octets.partition(b"\r\n\r\n")[0]:
            return
        found = await Verifier(names, FakeClock()).verify(Message(made[:MAX_HEAD], Held(made)))
        assert found.dkim[0].verdict is Verdict.PASS, found.dkim[0].reason

    @FUZZ
    @given(LINES, BODIES)
    def property(lines: list[bytes], body: bytes) -> None:
        asyncio.run(check(b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body + b"\r\n"))

    until = monotonic() + SECONDS
    while True:
        property()
        if monotonic() > until:
            break
    house.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"From: ida@corp.example\r\n" + b"To: x\r\n" * 30_000 + b"\r\n",
        b"From: " + b"(" * 200_000 + b"\r\n\r\n",
        b"From: " + b"a@corp.example, " * 12_000 + b"b@corp.example\r\n\r\n",
        b"From: ida@corp.example\r\nSubject:" + b" \t" * 120_000 + b"\r\n\r\n",
        b"From: ida@corp.example\r\nSubject:" + b"\r\n x" * 50_000 + b"\r\n\r\n",
        b"From ida\r\n" * 20_000 + b"\r\n",
        b"From: ida@corp.example\r\n\r\n" + b" \t" * 60_000 + b"\r\n" + b"\r\n" * 60_000 + b"x\r\n",
    ],
    ids=["fields", "comments", "authors", "blanks", "folds", "mailbox lines", "body"],
)
async def test_hostile_repetition_takes_bounded_time(octets: bytes) -> None:
    vault = FakeVault()
    house = House(vault, key_of(vault))
    began = perf_counter()
    await house.signing.sign(mail_of(octets))
    assert perf_counter() - began < SLOW
    house.close()
